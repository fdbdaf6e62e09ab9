"""Annotation folders: label-map PNGs and annotations.json <-> AnnotationSet.

docs/masks.md describes the files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import torch
import torch.nn.functional as F
from torch import Tensor

from ...annotations import MAX_OBJECT_ID, Annotation, AnnotationSet
from ...atomic import write_bytes
from ...errors import FormatError, InputError, ShapeError
from ...paths import check_writable_text, names_in, path_kind, read_file, user_path
from ...types import Size
from .label_maps import (
    PALETTE,
    LabelMap,
    RawMap,
    decode_map,
    encode_label_map,
    label_maps,
    labels_of,
    number_colors,
    read_label_map,
    write_label_map,
)
from .matching import FrameFinder, NamedFrames, number_of, shortened
from .notes import NOTES_NAME, AbsenceNote, FrameNote, Notes, notes_from_json, notes_to_json
from .png_pixels import Color

__all__ = [
    "NOTES_NAME",
    "PALETTE",
    "annotation_files",
    "annotations_from_files",
    "fit_masks",
    "load_annotations",
    "read_label_map",
    "save_annotations",
    "write_label_map",
]

logger = logging.getLogger(__name__)


def load_annotations(folder: str | Path, source: NamedFrames) -> AnnotationSet:
    """The annotations in a folder of label-map PNGs.

    A map belongs to the frame of its file name, else to the frame of the last number in its name.
    A map of another size is scaled (nearest) if its proportions agree within one pixel.

    Raises:
        FormatError: the folder or a file in it cannot be used.
        ShapeError: a map's proportions differ from the frames'.
    """
    folder = user_path(folder)
    if path_kind(folder) != "folder":
        raise FormatError(folder, "is no folder; give the folder that holds the label-map PNGs")
    files = [name for name in names_in(folder) if _is_annotation_file(folder / name)]
    if not files:
        raise FormatError(folder, f"holds no label-map PNG and no {NOTES_NAME}")
    for name in files:
        check_writable_text(name, folder)
    return annotations_from_files(
        files, lambda name: read_file(folder / name), source, where=folder
    )


def save_annotations(annotations: AnnotationSet, folder: str | Path, source: NamedFrames) -> None:
    """Write a folder that `load_annotations` reads back unchanged.

    Maps that an earlier call wrote there and that are no longer in the set are deleted.

    Raises:
        FormatError: a file cannot be written, or the folder holds maps that this function did not
            write and that would be read as further annotations.
        ShapeError: the masks are not of the source's size.
        InputError: a frame is not in the source.
    """
    folder = Path(folder)
    _check_fit(annotations, source)
    earlier = _files_of_earlier_save(folder, {source.name(i) for i in annotations.frame_indices})
    for name, data in annotation_files(annotations, source):
        write_bytes(folder / name, data)
        earlier.discard(folder / name)
    for path in earlier:
        path.unlink(missing_ok=True)


def annotation_files(
    annotations: AnnotationSet, source: NamedFrames
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files of an annotation folder, annotations.json last."""
    _check_fit(annotations, source)
    void = _void_value(annotations)
    notes: dict[str, FrameNote] = {}
    for annotation in annotations:
        name = source.name(annotation.frame_index)
        labels = annotation.label_map()
        if annotation.void is not None:
            labels = labels.masked_fill(annotation.void, void)
        yield f"{name}.png", encode_label_map(labels, annotations.colors)
        objects = None if annotation.exhaustive else annotation.present_ids
        notes[name] = FrameNote(objects, annotation.absent_ids)
    absences = tuple(
        AbsenceNote(a.object_id, number_of(source, a.first_frame), number_of(source, a.last_frame))
        for a in annotations.absences
    )
    content = Notes(annotations.names, annotations.colors, absences, notes, void)
    yield NOTES_NAME, notes_to_json(content).encode()


def annotations_from_files(
    files: Iterable[str],
    read: Callable[[str], bytes],
    source: NamedFrames,
    *,
    where: Path,
    are_ids: bool = False,
) -> AnnotationSet:
    """The annotations in the files of an annotation folder, wherever they are kept.

    Args:
        files: names of the label maps, and of annotations.json if there is one.
        read: gives a file's bytes.
        source: the shot.
        where: the folder, for messages.
        are_ids: whether 255 is an object where annotations.json does not tell, as in a track.
    """
    files = list(files)
    finder = FrameFinder(source)
    notes = Notes()
    if NOTES_NAME in files:
        notes = notes_from_json(read(NOTES_NAME), where / NOTES_NAME)
        files.remove(NOTES_NAME)
    if are_ids and notes.void is None:
        notes = replace(notes, void=0)
    maps = finder.assign(files, where, lambda name: Path(name).stem)
    by_index = finder.assign(notes.frames, where / NOTES_NAME, str)
    reader = _MapReader(read, where, source.size, notes)
    found = reader.read_all(maps)
    annotations = []
    for index in sorted({*maps, *by_index}):
        note = notes.frames[by_index[index]] if index in by_index else FrameNote()
        annotations.append(reader.annotation(index, found.get(index), note))
    reader.report_scaled()
    absences = tuple(filter(None, (finder.absence(a) for a in notes.absences)))
    colors = {**reader.new_colors, **notes.colors}
    return AnnotationSet(tuple(annotations), notes.names, colors, absences)


def fit_masks(masks: Tensor, size: Size, what: str) -> Tensor:
    """Masks or label maps (..., H, W) at a size, scaled (nearest) where the proportions agree.

    They agree if scaling one side to the wanted length brings the other within one pixel of it.

    Raises:
        ShapeError: they do not; the message begins with `what`.
    """
    got = Size(*masks.shape[-2:])
    if got == size:
        return masks
    if not _proportions_agree(got, size):
        remedy = "draw it on a frame of this shot, other proportions cannot be scaled"
        raise ShapeError(what, str(size), str(got), remedy)
    planes = masks.reshape(1, -1, *got).to(torch.uint8)
    scaled = F.interpolate(planes, size=tuple(size), mode="nearest-exact")
    return scaled.to(masks.dtype).reshape(*masks.shape[:-2], *size)


def _proportions_agree(got: Size, wanted: Size) -> bool:
    by_width = got.height * wanted.width / got.width - wanted.height
    by_height = got.width * wanted.height / got.height - wanted.width
    return min(abs(by_width), abs(by_height)) <= 1


@dataclass(frozen=True, eq=False)
class _FrameMap:
    """A label map at the size of the frames."""

    labels: Tensor
    """(H, W) uint8 object ids"""
    void: Tensor | None
    """(H, W) bool"""


class _MapReader:
    """Reads the label maps of one folder: same ids in all, at the size of the frames."""

    def __init__(self, read: Callable[[str], bytes], where: Path, size: Size, notes: Notes) -> None:
        self._read = read
        self._where = where
        self._size = size
        self._notes = notes
        self._known = {color: i for i, color in notes.colors.items()}
        self._scaled: dict[Size, int] = {}
        self.new_colors: dict[int, Color] = {}

    def read_all(self, files: Mapping[int, str]) -> dict[int, _FrameMap]:
        """What the maps say, at the frames' size, by frame."""
        raws = {i: self._decode(files[i]) for i in sorted(files)}
        objects, void = self._notes.objects, self._notes.void
        read, table = label_maps(raws.values(), self._where, self._known, objects, void)
        self.new_colors = {
            i: color for color, i in table.items() if i and color not in (PALETTE[i], *self._known)
        }
        maps = {i: self._frame_map(one, files[i]) for i, one in zip(raws, read, strict=True)}
        self._tell_void(maps, files)
        return maps

    def annotation(self, index: int, found: _FrameMap | None, note: FrameNote) -> Annotation:
        """The annotation of a frame from its label map and its note."""
        if found is None:
            return self._mapless_annotation(index, note)
        labels = found.labels
        covered = {i: self._mask(file) for i, file in note.overlaps.items()}
        drawn = {int(i) for i in labels.unique() if i} | set(covered)
        listed = drawn if note.objects is None else set(note.objects)
        if unlisted := drawn - listed:
            logger.warning(
                "%s: frame %d: objects %s are drawn but not listed under objects and are left out",
                *(self._where, index, ", ".join(map(str, sorted(unlisted)))),
            )
        if wrong := (drawn & listed).intersection(note.absent):
            problem = f"object {min(wrong)} is both drawn and declared absent on frame {index}"
            raise FormatError(self._where / NOTES_NAME, problem)
        ids = tuple(sorted({*listed, *note.absent}, key=lambda i: (i in covered, i)))
        masks = [covered.get(i, labels == i) for i in ids]  # a mask file lies over the map
        stacked = torch.stack(masks) if masks else torch.zeros(0, *self._size, dtype=torch.bool)
        return Annotation(index, ids, stacked, exhaustive=note.objects is None, void=found.void)

    def report_scaled(self) -> None:
        """Tell the user once which maps were scaled."""
        for size, count in self._scaled.items():
            logger.warning(
                "%s: %d label map%s of %s scaled to the frames' %s",
                *(self._where, count, "" if count == 1 else "s", size, self._size),
            )

    def _mapless_annotation(self, index: int, note: FrameNote) -> Annotation:
        if note.objects or note.overlaps or not note.absent:
            problem = f"frame {index} has no label map, so that it can only list absent objects"
            raise FormatError(self._where / NOTES_NAME, problem)
        masks = torch.zeros(len(note.absent), *self._size, dtype=torch.bool)
        return Annotation(index, note.absent, masks)

    def _decode(self, file: str) -> RawMap:
        path, objects = self._where / file, self._notes.objects
        return decode_map(self._read(file), path, self._known, objects)

    def _frame_map(self, one: LabelMap, file: str) -> _FrameMap:
        void = None if one.void is None else self._fitted(torch.from_numpy(one.void), file)
        return _FrameMap(self._fit(torch.from_numpy(one.labels), file), void)

    def _tell_void(self, maps: Mapping[int, _FrameMap], files: Mapping[int, str]) -> None:
        """Says where 255 was taken for void though nothing but its neighbors tells so."""
        void = [files[i] for i, one in maps.items() if one.void is not None]
        if void and self._notes.void is None:
            logger.info(
                "%s: 255 stands beside other ids and is void, nobody's, in %s; "
                'an object 255 needs a name in %s ("names": {"255": "..."})',
                *(self._where, shortened(void), NOTES_NAME),
            )

    def _mask(self, file: str) -> Tensor:
        """(H, W) bool mask of an object in a file of its own."""
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or "\\" in file or ":" in file:
            problem = f'mask file "{file}" must lie in the same folder'
            raise FormatError(self._where / NOTES_NAME, problem)
        raw = self._decode(file)
        return self._fit(torch.from_numpy(labels_of(raw, number_colors([raw], file)) != 0), file)

    def _fit(self, picture: Tensor, file: str) -> Tensor:
        got = Size(*picture.shape)
        if got != self._size:
            self._scaled[got] = self._scaled.get(got, 0) + 1
        return self._fitted(picture, file)

    def _fitted(self, picture: Tensor, file: str) -> Tensor:
        return fit_masks(picture, self._size, f"label map {self._where / file}")


def _void_value(annotations: AnnotationSet) -> int:
    """The value of void pixels in the maps of a set: the highest that is no object; 0 = no void.

    Raises:
        InputError: there are void pixels, and every value is an object.
    """
    if all(annotation.void is None for annotation in annotations):
        return 0
    taken = {*annotations.object_ids, *annotations.names, *annotations.colors}
    taken |= {absence.object_id for absence in annotations.absences}
    free = set(range(1, MAX_OBJECT_ID + 1)) - taken
    if not free:
        raise InputError("255 objects and void pixels do not fit into label maps; drop an object")
    return max(free)


def _check_fit(annotations: AnnotationSet, source: NamedFrames) -> None:
    """Refuse annotations that lie outside the source or have another size."""
    for annotation in annotations:
        index = annotation.frame_index
        if index >= len(source):
            raise InputError(f"frame {index} is annotated, but the shot has {len(source)} frames")
        if annotation.size != source.size:
            what = f"annotation of frame {index}: masks"
            raise ShapeError(what, str(source.size), str(annotation.size))


def _files_of_earlier_save(folder: Path, frame_names: set[str]) -> set[Path]:
    """The label maps in a folder that its annotations.json knows; others are refused."""
    if path_kind(folder) != "folder":
        return set()
    found = [folder / name for name in names_in(folder)]
    notes_path = folder / NOTES_NAME
    has_notes = path_kind(notes_path) == "file"
    notes = notes_from_json(read_file(notes_path), notes_path) if has_notes else Notes()
    maps = {p for p in found if _is_annotation_file(p) and p.name != NOTES_NAME}
    foreign = sorted(p.name for p in maps if p.stem not in {*notes.frames, *frame_names})
    if foreign:
        problem = f"holds other label maps, such as {foreign[0]}; give an empty folder"
        raise FormatError(folder, problem)
    covered = {_overlap_name(n, i) for n, note in notes.frames.items() for i in note.overlaps}
    return maps | {
        p for p in (folder / "overlaps").glob("*.png") if f"overlaps/{p.name}" in covered
    }


def _overlap_name(frame_name: str, object_id: int) -> str:
    """Where version 0.1.0 put the whole mask of an object that others cover in the label map."""
    return f"overlaps/{frame_name}.{object_id}.png"


def _is_annotation_file(path: Path) -> bool:
    """Whether a file counts; what is named like a map or the notes and is no file is refused."""
    if path.name.startswith("."):
        return False
    is_named = path.name == NOTES_NAME or path.suffix.lower() == ".png"
    return is_named and path_kind(path) == "file"
