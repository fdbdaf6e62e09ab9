"""ComfyUI values to core values and back: frames, masks, lists of numbers, tracks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from . import host

if TYPE_CHECKING:
    from torch import Tensor

    from ..xmempp_core import AnnotationSet, FrameSource, Track
    from ..xmempp_core.types import Annotation, Size

DEMO_CLIP = Path(__file__).parents[1] / "xmempp_core" / "assets" / "demo" / "bigbuckbunny.mp4"
LOAD_IMAGE_EMPTY = (64, 64)
"""Size of the empty mask that Load Image gives for a picture without alpha."""
PICTURES = "pictures:"
"""Before the fingerprint of frames that came as IMAGE."""
MAX_POSITIONS = 100_000
"""Frames that a clip not at hand is taken to have at most."""
NOTHING_PAINTED = (
    "Nothing is annotated yet: right-click Add Permanent Annotation > Open in Mask Editor, "
    "paint, save, run again."
)

# ---- frames


def frames_of(frames: Any) -> FrameSource:
    """The frames of an IMAGE (N, H, W, C) or of a VIDEO, whose file is read piece by piece.

    A trimmed video holds the frames of its window, a video made in the graph its pictures.

    Raises:
        InputError: it is neither, or it holds no frame.
        FormatError: the video cannot be read.
    """
    from ..xmempp_core import InputError, open_frames

    if hasattr(frames, "get_components"):
        return _frames_of_video(frames)
    if getattr(frames, "ndim", 0) != 4 or frames.shape[0] == 0:
        raise InputError(
            f"frames is {_kind(frames)}; link an IMAGE batch or a VIDEO with at least one frame"
        )
    return FramesOf(open_frames(_colors(frames)), kind=PICTURES)


def _frames_of_video(video: Any) -> FrameSource:
    from ..xmempp_core import open_frames

    path = host.file_of_video(video)
    if path is None:
        components = video.get_components()
        rate = Fraction(components.frame_rate)
        pictures = open_frames(_colors(components.images))
        return FramesOf(pictures, frame_rate=rate, kind=PICTURES)
    source = open_frames(path)
    start_seconds, duration_seconds = video.get_active_trim_window()
    if not start_seconds and not duration_seconds:
        return source
    return FramesOf(source, window=_window(source, start_seconds, duration_seconds))


def _window(source: FrameSource, start_seconds: float, duration_seconds: float) -> range:
    """Positions of the frames whose time lies in [start, start + duration); 0 = to the end."""
    from ..xmempp_core import InputError

    rate = source.frame_rate or Fraction(1)
    # a hair of tolerance: times of frames are rounded in the file and in the widget
    first = math.ceil(Fraction(start_seconds) * rate - Fraction(1, 1000))
    last = len(source)
    if duration_seconds:
        end = Fraction(start_seconds) + Fraction(duration_seconds)
        last = min(last, math.ceil(end * rate - Fraction(1, 1000)))
    if first >= last:
        raise InputError(
            f"the trimmed video holds no frame: it starts at {start_seconds:g} s for "
            f"{duration_seconds:g} s, and the file has {len(source)} frames; widen the trim"
        )
    return range(first, last)


class FramesOf:
    """A FrameSource as ComfyUI shows it: counted from 0, perhaps a part of the file.

    Args:
        source: the frames.
        window: positions to show; None = all.
        frame_rate: frames per second; None = the source's.
        kind: put before the fingerprint, as pictures and files cannot be told apart otherwise.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        window: range | None = None,
        frame_rate: Fraction | None = None,
        kind: str = "",
    ) -> None:
        self._source = source
        self._window = range(len(source)) if window is None else window
        self._kind = kind
        self.frame_rate = source.frame_rate if frame_rate is None else frame_rate
        self.size: Size = source.size

    def __len__(self) -> int:
        return len(self._window)

    @property
    def fingerprint(self) -> str:
        """The source's, with the kind and the part of the file that is shown."""
        part = f"[{self._window.start}:{self._window.stop}]"
        whole = len(self._window) == len(self._source)
        return self._kind + self._source.fingerprint + ("" if whole else part)

    def frame(self, index: int) -> Tensor:
        """Frame at a 0-based position in the window."""
        return self._source.frame(self._window[index])

    def number(self, index: int) -> int:
        """The position: a trimmed clip counts from 0, as ComfyUI does."""
        return index

    def name(self, index: int) -> str:
        """Five digits."""
        return f"{index:05d}"

    def __iter__(self) -> Iterator[Tensor]:
        return (self.frame(i) for i in range(len(self)))


class Watched(FramesOf):
    """A FrameSource that says when a frame is read, so that Cancel is heard in a long search."""

    def __init__(self, source: FrameSource, on_frame: Callable[[], None]) -> None:
        super().__init__(source)
        self._on_frame = on_frame

    def frame(self, index: int) -> Tensor:
        """The frame."""
        self._on_frame()
        return super().frame(index)


def check_frame_index(frame_index: int, source: FrameSource) -> None:
    """Raises InputError when the clip has no such frame."""
    from ..xmempp_core import InputError

    if frame_index >= len(source):
        raise InputError(
            f"frame_index is {frame_index}, but the clip has {len(source)} frames; "
            f"choose 0 to {len(source) - 1}"
        )


def image_of(frames: list[Tensor]) -> Tensor:
    """An IMAGE (N, H, W, 3) float32 0..1 of frames (H, W, 3)."""
    scaled = [f.float() / 255 if f.dtype == torch.uint8 else f.float() for f in frames]
    return host.to_output(torch.stack(scaled))


def _colors(images: Tensor) -> Tensor:
    """The three color channels as float; a gray picture is repeated."""
    colors = images[..., :3] if images.shape[-1] >= 3 else images[..., :1].expand(-1, -1, -1, 3)
    return colors.float()


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"a tensor of shape {tuple(shape)}"


# ---- masks


def masks_of(mask: Tensor) -> Tensor:
    """(N, H, W) float32 of a MASK in any shape in use: [H,W], [N,H,W], [N,1,H,W], [N,H,W,1].

    Raises:
        InputError: the tensor has another shape.
    """
    from ..xmempp_core import InputError

    shape = tuple(mask.shape)
    if mask.ndim == 2:
        mask = mask[None]
    elif mask.ndim == 4 and shape[1] == 1:
        mask = mask[:, 0]
    elif mask.ndim == 4 and shape[3] == 1:
        mask = mask[..., 0]
    if mask.ndim != 3 or 0 in shape:
        raise InputError(f"mask is a tensor of shape {shape}; link a MASK of shape [N, H, W]")
    return mask.float().cpu()


def mask_for_frame(mask: Tensor, frame_index: int, source: FrameSource) -> Tensor:
    """(H, W) bool mask of one frame at the size of the frames.

    Args:
        mask: one mask, or one for each frame of the clip.
        frame_index: the frame.
        source: the clip.

    Raises:
        InputError: another number of masks, or the mask is empty.
        ShapeError: the mask has another aspect ratio than the frames.
    """
    from ..xmempp_core import InputError, fit_masks

    masks = masks_of(mask)
    if len(masks) not in (1, len(source)):
        raise InputError(
            f"mask holds {len(masks)} masks, but the clip has {len(source)} frames; "
            "link one mask, or one for each frame"
        )
    chosen = masks[frame_index if len(masks) == len(source) else 0] > 0.5
    refuse_empty(chosen, f"mask of frame {frame_index}")
    return fit_masks(chosen, source.size, f"mask of frame {frame_index}")


def masks_by_frame(mask: Tensor, frame_indices: tuple[int, ...]) -> dict[int, Tensor]:
    """Masks (1, H, W) bool of one object, by frame; an empty one among others says "absent".

    Args:
        mask: one mask for each index, or one for each frame of a clip, or a single one for all.
        frame_indices: the frames, ascending.

    Raises:
        InputError: the numbers do not fit, or all masks are empty.
    """
    from ..xmempp_core import InputError

    masks = masks_of(mask) > 0.5
    refuse_empty(masks, "masks")
    count = len(frame_indices)
    if len(masks) == count:
        return {i: masks[k : k + 1] for k, i in enumerate(frame_indices)}
    if len(masks) == 1:
        return dict.fromkeys(frame_indices, masks)
    if frame_indices[-1] >= len(masks):
        raise InputError(
            f"masks holds {len(masks)} masks and frame_indices {count} frames up to "
            f"{frame_indices[-1]}; link one mask for each of them, or one for each frame"
        )
    return {i: masks[i : i + 1] for i in frame_indices}


def refuse_empty(mask: Tensor, what: str) -> None:
    """Raises InputError when no pixel of a mask (..., H, W) is set."""
    from ..xmempp_core import InputError

    if mask.any():
        return
    height, width = mask.shape[-2:]
    if (height, width) == LOAD_IMAGE_EMPTY:
        raise InputError(
            f"{what}: it is empty and 64x64, which is what Load Image gives for a picture without "
            "transparency; use Load Image (as Mask) with channel red, or paint a mask"
        )
    raise InputError(
        f"{what}: no pixel of the {width}x{height} mask is set; link a mask with the object in it, "
        "or switch on absent to say that the object is not on this frame"
    )


def fit_annotations(annotations: AnnotationSet, source: FrameSource) -> AnnotationSet:
    """Annotations at the size of the frames, checked against the length of the clip.

    Raises:
        InputError: a frame is past the end.
        ShapeError: masks of another aspect ratio.
    """
    for annotation in annotations:
        check_annotated(annotation, source)
    if all(a.size == source.size for a in annotations):
        return annotations
    return replace(annotations, annotations=tuple(_fit(a, source.size) for a in annotations))


def check_annotated(annotation: Annotation, source: FrameSource) -> None:
    """Raises InputError when an annotation lies past the end of the clip."""
    from ..xmempp_core import InputError

    if annotation.frame_index >= len(source):
        raise InputError(
            f"frame {annotation.frame_index} is annotated, but the clip has {len(source)} frames "
            f"(0 to {len(source) - 1}); take it out with Remove Permanent Annotation, or link the "
            "clip it was made for"
        )


def _fit(annotation: Annotation, size: Size) -> Annotation:
    from ..xmempp_core import fit_masks

    if not len(annotation.masks):
        return replace(annotation, masks=annotation.masks.new_zeros(0, *size))
    what = f"masks of frame {annotation.frame_index}"
    return replace(annotation, masks=fit_masks(annotation.masks, size, what))


class Positions:
    """The frames of a clip that is not at hand: numbered and named by position.

    Args:
        size: size of the masks.
        count: number of frames.
    """

    def __init__(self, size: Size, count: int) -> None:
        self.size = size
        self._count = count

    def __len__(self) -> int:
        return self._count

    def number(self, index: int) -> int:
        """The position."""
        return index

    def name(self, index: int) -> str:
        """Five digits."""
        return f"{index:05d}"


def annotations_in(folder: Path) -> AnnotationSet:
    """The annotations of a folder of label maps whose file names number the frames from 0.

    Raises:
        FormatError: the folder holds no label map, or one cannot be read.
    """
    from ..xmempp_core import FormatError, load_annotations, read_label_map
    from ..xmempp_core.types import Size

    first = next(iter(sorted(folder.glob("*.png"))), None) if folder.is_dir() else None
    if first is None:
        raise FormatError(folder, "is no folder of label maps (PNG named by frame number)")
    size = Size(*read_label_map(first).shape)
    return load_annotations(folder, Positions(size, MAX_POSITIONS))


def with_all(annotations: AnnotationSet, newer: AnnotationSet) -> AnnotationSet:
    """A set with everything that a newer one says."""
    for annotation in newer:
        annotations = annotations.with_annotation(annotation)
    return replace(
        annotations,
        names={**annotations.names, **newer.names},
        colors={**annotations.colors, **newer.colors},
        absences=(*annotations.absences, *newer.absences),
    )


# ---- lists of numbers


def numbers_of(text: str, name: str) -> tuple[int, ...]:
    """Ascending numbers of a list such as "0, 24, 48-50"; empty text gives none.

    Raises:
        InputError: a part is no number and no range.
    """
    return tuple(
        sorted({i for first, last in ranges_of(text, name) for i in range(first, last + 1)})
    )


def ranges_of(text: str, name: str) -> list[tuple[int, int]]:
    """First and last number of each part of a list such as "0, 24, 48-50".

    Raises:
        InputError: a part is no number and no range, or a range runs backward.
    """
    from ..xmempp_core import InputError

    ranges = []
    for part in re.split(r"[,;\s]+", re.sub(r"\s*-\s*", "-", text.strip())):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if part and (match is None or int(match[2] or match[1]) < int(match[1])):
            raise InputError(
                f"{name} is {text!r}; write numbers and ranges, for example 0, 24, 48-50"
            )
        if match:
            ranges.append((int(match[1]), int(match[2] or match[1])))
    return ranges


# ---- SAM 3


def sam3_masks(track: Any, frame_indices: tuple[int, ...]) -> dict[int, Tensor]:
    """Masks (N_obj, H, W) bool of chosen frames of a ComfyUI SAM 3 track, by frame.

    Raises:
        InputError: it is no such track, it holds no object, or a frame is past its end.
    """
    from ..xmempp_core import InputError

    packed, frame_count = track.get("packed_masks"), track.get("n_frames", 0)
    if packed is None:
        raise InputError(
            "the SAM 3 track holds no object; try another text or a lower threshold in SAM 3"
        )
    past = [i for i in frame_indices if i >= len(packed)]
    if past:
        raise InputError(
            f"frame_indices names frame {past[0]}, but the SAM 3 track has {frame_count} frames; "
            f"choose 0 to {len(packed) - 1}"
        )
    height, width = track["orig_size"]
    return {i: _unpacked(packed[i], height, width) for i in frame_indices}


def _unpacked(packed: Tensor, height: int, width: int) -> Tensor:
    """Bits (N, h, w / 8), lowest first, as masks (N, height, width)."""
    bits = 2 ** torch.arange(8, device=packed.device)
    small = (packed.unsqueeze(-1).int() & bits.int()).bool().flatten(-2)
    resized = F.interpolate(
        small[None].float(), (height, width), mode="bilinear", align_corners=False
    )
    return resized[0].cpu() > 0.5


# ---- tracks


def check_same_clip(track: Track, source: FrameSource) -> None:
    """Raises InputError when the frames are not those the track was made from.

    The pictures are compared where both came the same way, as IMAGE or as a file.
    """
    from ..xmempp_core import InputError

    remedy = "link the clip the track was made from"
    if len(track.shot) != len(source) or track.size != source.size:
        raise InputError(
            f"the track is of {len(track.shot)} frames of {track.size}, but frames has "
            f"{len(source)} of {source.size}; {remedy}"
        )
    made_of, given = track.shot.fingerprint, source.fingerprint
    if made_of != given and made_of.startswith(PICTURES) == given.startswith(PICTURES):
        raise InputError(
            f"the track was made from another clip of {len(source)} frames of {source.size}: "
            f"its pictures differ from those of frames; {remedy}"
        )


def frames_in_track(track: Track, first_frame: int, frame_count: int) -> range:
    """Frame indices from `first_frame` on; a count of 0 goes to the end.

    Raises:
        InputError: the track does not hold all of them.
    """
    from ..xmempp_core import InputError

    held = track.frame_indices
    stop = first_frame + frame_count if frame_count else held[-1] + 1
    missing = [i for i in range(first_frame, max(stop, first_frame + 1)) if i not in set(held)]
    if missing:
        raise InputError(
            f"first_frame {first_frame} and frame_count {frame_count} ask for frame {missing[0]}, "
            f"but the track holds {len(held)} frames, {held[0]} to {held[-1]}"
        )
    return range(first_frame, stop)


def mask_from_track(
    track: Track, frame_index: int, object_ids: tuple[int, ...], *, binary: bool
) -> Tensor:
    """(H, W) float32 0..1 of the objects together."""
    if binary:
        return torch.isin(track.label_map(frame_index), torch.tensor(object_ids)).float()
    channels = [1 + track.object_ids.index(i) for i in object_ids]
    return track.probabilities(frame_index)[channels].sum(0).clamp(0, 1)


def object_ids_of(text: str, track: Track) -> tuple[int, ...]:
    """The objects that a list such as "1, 3" names; all for an empty text.

    Raises:
        InputError: the track has no such object.
    """
    from ..xmempp_core import InputError

    wanted = numbers_of(text, "object_ids") or tuple(track.object_ids)
    unknown = [i for i in wanted if i not in track.object_ids]
    if unknown:
        known = ", ".join(map(str, track.object_ids))
        raise InputError(
            f"object_ids names object {unknown[0]}, but the track has {known}; "
            "leave it empty for all"
        )
    return wanted
