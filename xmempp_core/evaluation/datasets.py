"""Data sets in the layout of DAVIS: DAVIS 2016 and 2017, PUMaVOS, LVOS, or one clip alone.

::

    JPEGImages/[480p/]<sequence>/<frame>.jpg      or JPEGImages/<frame>.jpg for one clip
    Annotations/[480p/]<sequence>/<frame>.png     label maps; some frames may have none
    ImageSets/[2017/]<subset>.txt                 optional: names of the sequences of a subset
    meta.json                                     optional: objects of each sequence
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..annotations import Annotation, AnnotationSet
from ..errors import FormatError, InputError
from ..formats.annotations.label_maps import LabelMap, read_lone_map
from ..formats.frames.chosen_frames import ChosenFrames
from ..formats.frames.open import open_frames
from ..paths import path_kind, read_text
from ..strict_json import parse_json
from ..types import FrameSource
from .metrics import Labels, Mask

FRAMES, MASKS = "JPEGImages", "Annotations"
_PICTURES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Clip:
    """One sequence of a data set: frames, and true masks of all or some of them."""

    name: str
    source: FrameSource
    mask_files: Mapping[int, Path]
    """Label maps by frame index, ascending."""
    object_ids: tuple[int, ...] | None = None
    """The objects that count, from meta.json; None = all in the label maps."""

    def __len__(self) -> int:
        return len(self.source)

    def truth(self, frame_index: int) -> Labels:
        """(H, W) object ids of a frame that has a label map; objects that do not count are 0."""
        labels = self._map(frame_index).labels.copy()
        if self.object_ids is not None:
            for object_id in set(labels.ravel().tolist()) - {0, *self.object_ids}:
                labels[labels == object_id] = 0
        return labels

    def void(self, frame_index: int) -> Mask | None:
        """(H, W) pixels of a frame's label map that belong to nobody; None without any."""
        return self._map(frame_index).void

    def _map(self, frame_index: int) -> LabelMap:
        return read_lone_map(self.mask_files[frame_index], frozenset(self.object_ids or ()))

    def annotations(self, frame_indices: Sequence[int]) -> AnnotationSet:
        """The true masks of the given frames, as an artist would have drawn them.

        Raises:
            InputError: a frame has no label map.
        """
        for index in frame_indices:
            if index not in self.mask_files:
                raise InputError(
                    f"sequence {self.name}: frame {index} has no label map; "
                    f"annotate one of {', '.join(map(str, self.mask_files))}"
                )
        return AnnotationSet(tuple(self._annotation(i) for i in frame_indices))

    def _annotation(self, frame_index: int) -> Annotation:
        void, labels = self.void(frame_index), torch.from_numpy(self.truth(frame_index))
        nobody = None if void is None else torch.from_numpy(void)
        return Annotation.from_label_map(frame_index, labels, nobody)

    def every(self, step: int) -> Clip:
        """The clip with every `step`-th frame only."""
        kept = range(0, len(self.source), step)
        masks = {n: self.mask_files[i] for n, i in enumerate(kept) if i in self.mask_files}
        return Clip(self.name, ChosenFrames(self.source, kept), masks, self.object_ids)


def open_datasets(
    folders: Sequence[str | Path], *, subset: str | None = None, sequences: Sequence[str] = ()
) -> list[Clip]:
    """The clips of several data sets; see `open_dataset`.

    Args:
        folders: each holds JPEGImages and Annotations.
        subset: name of a list that each of them has, such as "val"; None = all sequences.
        sequences: only these, wherever they are; empty = all.

    Raises:
        InputError: a sequence is in none of the folders.
        FormatError: a folder is no data set; says what it lacks.
    """
    if not sequences:
        return [clip for one in folders for clip in open_dataset(one, subset=subset)]
    known = [_sequences(Path(folder)) for folder in folders]
    for name in sequences:
        if not any(name in one for one in known):
            names = ", ".join(n for one in known for n in one) or "none"
            raise InputError(f"the data lacks the sequence {name}; the sequences there are {names}")
    clips: list[Clip] = []
    for folder, one in zip(folders, known, strict=True):
        own = [name for name in sequences if name in one]
        clips += open_dataset(folder, sequences=own) if own else []
    return clips


def open_dataset(
    folder: str | Path, *, subset: str | None = None, sequences: Sequence[str] = ()
) -> list[Clip]:
    """The clips of a data set, by name.

    Args:
        folder: the one that holds JPEGImages and Annotations.
        subset: name of a list below ImageSets, such as "val"; None = all sequences.
        sequences: only these; empty = all.

    Raises:
        FormatError: the folder is no data set; says what it lacks.
    """
    root = Path(folder)
    found = _sequences(root)
    wanted = list(sequences) or (_subset(root, subset) if subset else list(found))
    missing = [name for name in wanted if name not in found]
    if missing or not wanted:
        known = ", ".join(found) or "none"
        what = f"lacks the sequence {missing[0]}" if missing else "holds no sequence"
        raise FormatError(_data_folder(root, FRAMES), f"{what}; the sequences there are {known}")
    objects = _objects(root / "meta.json")
    return [_clip(name, *found[name], objects.get(name)) for name in wanted]


def _sequences(root: Path) -> dict[str, tuple[Path, Path]]:
    """Folders of frames and masks by sequence."""
    frames, masks = _data_folder(root, FRAMES), _data_folder(root, MASKS)
    if _holds_pictures(frames):
        return {root.resolve().name: (frames, masks)}
    names = sorted(p.name for p in frames.iterdir() if p.is_dir())
    return {name: (frames / name, masks / name) for name in names}


def _clip(name: str, frames: Path, masks: Path, object_ids: tuple[int, ...] | None) -> Clip:
    if not masks.is_dir():
        raise FormatError(masks, f"is missing; sequence {name} needs its label maps there")
    source = open_frames(frames)
    files = {path.stem: path for path in masks.iterdir() if path.suffix.lower() == ".png"}
    by_index = {i: source.name(i) for i in range(len(source))}
    mask_files = {i: files.pop(stem) for i, stem in by_index.items() if stem in files}
    if files:
        stray = sorted(files)[0]
        raise FormatError(masks, f"{stray}.png has no frame of that name in {frames}")
    if not mask_files:
        raise FormatError(masks, f"holds no label-map PNG for the {len(source)} frames")
    return Clip(name, source, mask_files, object_ids)


def _data_folder(root: Path, name: str) -> Path:
    """JPEGImages or Annotations, or the folder of the smallest resolution inside."""
    folder = root / name
    if path_kind(folder) != "folder":
        raise FormatError(
            root, f"lacks the folder {name}; a data set holds {FRAMES} and {MASKS} side by side"
        )
    inner = sorted(p for p in folder.iterdir() if p.is_dir())
    resolutions = [p for p in inner if p.name in ("480p", "1080p", "Full-Resolution")]
    if resolutions and len(resolutions) == len(inner):
        return min(resolutions, key=lambda p: (p.name != "480p", p.name))
    return folder


def _holds_pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in _PICTURES for path in folder.iterdir())


def _subset(root: Path, subset: str) -> list[str]:
    if not subset or set(subset) & set("/\\\0*?["):
        raise InputError(f"subset {subset!r} is no name of a list, such as val")
    lists = sorted((root / "ImageSets").rglob(f"{subset}.txt"))
    if not lists:
        raise FormatError(root, f"lacks the list ImageSets/{subset}.txt; leave the subset out")
    if len(lists) > 1:
        found = ", ".join(str(p.relative_to(root)) for p in lists)
        raise FormatError(root, f"holds several lists of that name ({found}); keep one")
    # DAVIS 2016 has pairs of file names in its lists, others one sequence a line.
    lines = [line.split()[0] for line in read_text(lists[0]).splitlines() if line.strip()]
    names = [Path(line).parent.name if "/" in line else line for line in lines]
    return list(dict.fromkeys(names))


def _objects(path: Path) -> dict[str, tuple[int, ...]]:
    """Ids of the objects of each sequence that meta.json (YouTube-VOS, LVOS) names."""
    if path_kind(path) == "nothing":
        return {}
    try:
        videos = parse_json(read_text(path))["videos"]
        return {
            name: tuple(sorted(int(i) for i in video["objects"])) for name, video in videos.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = 'is not the usual {"videos": {name: {"objects": {id: ...}}}}; repair or remove it'
        raise FormatError(path, problem) from error
