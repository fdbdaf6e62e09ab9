"""Track: all segmentations of a shot, compact.

For each frame it keeps the probabilities at internal resolution in 8 bits, and the final label map
at source resolution, made once from the unrounded probabilities. Both are compressed, in memory up
to a budget, then in a temporary file.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import CapacityError, InputError, ShapeError
from .network.checkpoint import ModelInfo
from .settings import PropagationSettings
from .types import Annotation, AnnotationSet, FrameSource, Segmentation, Size

DEFAULT_MEMORY_BYTES = 64 * 2**20
# The fastest level: results are dominated by flat areas, higher levels save a fifth at four times
# the time.
_COMPRESSION_LEVEL = 1


def label_map_of(segmentation: Segmentation) -> Tensor:
    """(H, W) uint8 object ids at source resolution, 0 = background, on the CPU.

    The most probable channel after resizing, the first on ties. Annotated objects stand exactly as
    annotated; what was predicted as one of them outside its mask, or as an absent object, goes to
    the best of the remaining channels.
    """
    annotation = segmentation.annotation
    _check_annotation_size(annotation, segmentation.size)
    silent = {*segmentation.absent_ids, *(annotation.object_ids if annotation else ())}
    labels = _best_ids(segmentation, silent)
    if annotation:
        masks = zip(annotation.object_ids, annotation.masks.to(labels.device), strict=True)
        for object_id, mask in reversed(list(masks)):  # where masks overlap the lowest id stands
            labels.masked_fill_(mask, object_id)
    return labels.cpu()


def probabilities_of(segmentation: Segmentation) -> Tensor:
    """(N + 1, H, W) float32 at source resolution, background first, on their own device.

    They sum to 1. Annotated objects are 1 in their mask and 0 elsewhere, absent ones 0; where the
    masks of an annotation overlap, each object keeps its own, so that the sum is above 1.
    """
    annotation = segmentation.annotation
    _check_annotation_size(annotation, segmentation.size)
    p = _resized(segmentation.probabilities.float(), segmentation.size)
    listed = annotation.object_ids if annotation else ()
    channel_of = {i: c for c, i in enumerate(segmentation.object_ids, 1)}
    silent = [channel_of[i] for i in {*segmentation.absent_ids, *listed} if i in channel_of]
    if silent:
        p[silent] = 0
        total = p.sum(0)
        p[0].masked_fill_(total == 0, 1)
        p /= total.masked_fill_(total == 0, 1)
    if annotation:
        masks = annotation.masks.to(p.device)
        p.masked_fill_(masks.any(0), 0)
        for object_id, mask in zip(listed, masks, strict=True):
            p[channel_of[object_id]].masked_fill_(mask, 1)
    return p


def _best_ids(segmentation: Segmentation, silent: set[int]) -> Tensor:
    """(H, W) uint8 id of the best channel, silent objects left out.

    Resized one channel at a time, so that a 4K frame needs two maps and not N + 1.
    """
    planes = segmentation.probabilities.float()
    best = _resized(planes[:1], segmentation.size)[0]
    labels = torch.zeros_like(best, dtype=torch.uint8)
    for object_id, plane in zip(segmentation.object_ids, planes[1:].split(1), strict=True):
        if object_id not in silent:
            p = _resized(plane, segmentation.size)[0]
            labels.masked_fill_(p > best, object_id)
            torch.maximum(best, p, out=best)
    return labels


def _resized(planes: Tensor, size: Size) -> Tensor:
    """New planes (C, H, W): bilinear, corners not aligned, no antialiasing."""
    if planes.shape[-2:] == tuple(size):
        return planes.clone()
    return F.interpolate(planes[None], size=tuple(size), mode="bilinear", align_corners=False)[0]


def _check_annotation_size(annotation: Annotation | None, size: Size) -> None:
    if annotation and annotation.size != size:
        what = f"annotation of frame {annotation.frame_index}: masks"
        raise ShapeError(what, str(size), str(annotation.size))


@dataclass(frozen=True)
class Shot:
    """What a track keeps of its frame source."""

    size: Size
    frame_rate: Fraction | None
    names: tuple[str, ...]
    """Name of every frame, see FrameSource.name."""
    numbers: tuple[int, ...]
    """The source's own number of every frame."""
    fingerprint: str

    @classmethod
    def of(cls, source: FrameSource) -> Shot:
        """The shot of a source."""
        indices = range(len(source))
        names, numbers = map(source.name, indices), map(source.number, indices)
        size = Size(*source.size)
        return cls(size, source.frame_rate, tuple(names), tuple(numbers), source.fingerprint)

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Name of a frame."""
        return self.names[index]

    def number(self, index: int) -> int:
        """The source's own number of a frame."""
        return self.numbers[index]


@dataclass(frozen=True)
class FrameRecord:
    """The result of one frame as a track stores it."""

    frame_index: int
    shape: tuple[int, int, int]
    """(N + 1, h, w) of the probabilities."""
    probabilities: bytes
    """zlib stream of uint8 values, 255 = 1; the channels of a pixel sum to 255."""
    labels: bytes
    """zlib stream of (H, W) uint8 object ids."""
    confidence: tuple[float, ...]
    absent_ids: tuple[int, ...]

    @classmethod
    def of(cls, segmentation: Segmentation) -> FrameRecord:
        """The record of a segmentation."""
        levels = _levels_of(segmentation.probabilities)
        channels, height, width = levels.shape
        return cls(
            segmentation.frame_index,
            (channels, height, width),
            _compress(levels),
            _compress(label_map_of(segmentation)),
            segmentation.confidence,
            segmentation.absent_ids,
        )


def _levels_of(probabilities: Tensor) -> Tensor:
    """(N + 1, h, w) uint8 levels that sum to 255 at every pixel, each less than 1 off.

    The running sums over the channels are rounded, the levels are their differences.
    """
    levels = (probabilities.float().cumsum(0) * 255).round_().clamp_(0, 255).to(torch.uint8)
    levels[-1] = 255
    levels[1:] -= levels[:-1].clone()
    return levels


def _compress(values: Tensor) -> bytes:
    return zlib.compress(values.cpu().numpy().tobytes(), _COMPRESSION_LEVEL)


def _decompress(data: bytes, shape: Sequence[int], frame_index: int) -> Tensor:
    """uint8 tensor of a shape from a zlib stream."""
    decoder = zlib.decompressobj()
    expected = int(np.prod(shape))
    try:
        values = decoder.decompress(data, expected + 1)
    except zlib.error as error:
        raise InputError(f"the track's frame {frame_index} is damaged: {error}") from error
    if len(values) != expected:
        raise InputError(f"the track's frame {frame_index} is damaged: wrong length")
    return torch.from_numpy(np.frombuffer(values, np.uint8).reshape(shape).copy())


class Track:
    """All results of a shot, read by frame index.

    Args:
        shot: size, rate and names of the frames.
        annotations: the annotations as given.
        settings: of the pass.
        model: the network that made it.
        memory_bytes: compressed results beyond this go to a temporary file.
    """

    def __init__(
        self,
        shot: Shot,
        annotations: AnnotationSet,
        settings: PropagationSettings,
        model: ModelInfo,
        *,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
    ) -> None:
        self.shot = shot
        self.annotations = annotations
        self.settings = settings
        self.model = model
        self.object_ids = annotations.object_ids
        self._spool = _Spool(memory_bytes)
        self._entries: dict[int, _Entry] = {}

    @classmethod
    def collect(
        cls,
        segmentations: Iterable[Segmentation],
        *,
        source: FrameSource,
        annotations: AnnotationSet,
        settings: PropagationSettings,
        model: ModelInfo,
        progress: Callable[[int, int], None] | None = None,
        total_frames: int | None = None,
    ) -> Track:
        """The track of a pass.

        Args:
            segmentations: what `propagate` yields.
            source: the shot.
            annotations: as given to `propagate`.
            settings: as given to `propagate`.
            model: `info` of the network.
            progress: called after every frame with frames done and frames in all.
            total_frames: frames of the pass; None = the whole shot.
        """
        track = cls(Shot.of(source), annotations, settings, model)
        total = len(source) if total_frames is None else total_frames
        for done, segmentation in enumerate(segmentations, 1):
            track.add(segmentation)
            if progress is not None:
                progress(done, total)
        return track

    def __len__(self) -> int:
        """Number of frames that have a result."""
        return len(self._entries)

    @property
    def frame_indices(self) -> tuple[int, ...]:
        """The frames that have a result, ascending."""
        return tuple(sorted(self._entries))

    @property
    def size(self) -> Size:
        """Source resolution."""
        return self.shot.size

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second; None where the source did not say."""
        return self.shot.frame_rate

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Name of every frame of the shot, by frame index."""
        return self.shot.names

    @property
    def stored_bytes(self) -> int:
        """Size of the compressed results, in memory or file."""
        return sum(e.probability_bytes + e.label_bytes for e in self._entries.values())

    def add(self, segmentation: Segmentation) -> None:
        """Keep a frame's result; a frame added again is replaced.

        Raises:
            InputError: its objects are not the track's.
            ShapeError: its source resolution is not the track's.
            CapacityError: the disk is full.
        """
        if segmentation.object_ids != self.object_ids:
            raise InputError(
                f"segmentation of frame {segmentation.frame_index} has the objects "
                f"{segmentation.object_ids}, the track has {self.object_ids}"
            )
        if segmentation.size != self.size:
            what = f"segmentation of frame {segmentation.frame_index}"
            raise ShapeError(what, str(self.size), str(segmentation.size))
        self.add_record(FrameRecord.of(segmentation))

    def add_record(self, record: FrameRecord) -> None:
        """Keep a frame's result that another track stored; see `records`."""
        if not 0 <= record.frame_index < len(self.shot):
            raise InputError(
                f"record of frame {record.frame_index}: the shot has {len(self.shot)} frames"
            )
        if record.shape[0] != len(self.object_ids) + 1:
            what = f"record of frame {record.frame_index}"
            raise ShapeError(what, f"({len(self.object_ids) + 1}, h, w)", record.shape)
        self._entries[record.frame_index] = _Entry(
            self._spool.append(record.probabilities + record.labels),
            len(record.probabilities),
            len(record.labels),
            record.shape,
            record.confidence,
            record.absent_ids,
        )

    def record(self, frame_index: int) -> FrameRecord:
        """A frame's result as stored, to be kept elsewhere."""
        entry = self._entry(frame_index)
        data = self._spool.read(entry.offset, entry.probability_bytes + entry.label_bytes)
        probabilities, labels = data[: entry.probability_bytes], data[entry.probability_bytes :]
        return FrameRecord(
            frame_index, entry.shape, probabilities, labels, entry.confidence, entry.absent_ids
        )

    def records(self) -> Iterator[FrameRecord]:
        """All results as stored, ascending by frame."""
        return map(self.record, self.frame_indices)

    def label_map(self, frame_index: int) -> Tensor:
        """(H, W) uint8 object ids at source resolution, 0 = background; see `label_map_of`.

        Raises:
            InputError: the frame has no result.
        """
        return _decompress(self.record(frame_index).labels, self.size, frame_index)

    def probabilities(self, frame_index: int) -> Tensor:
        """(N + 1, H, W) float32 0..1 at source resolution, background first, within 1 / 255.

        Annotations and absences stand above them as in `probabilities_of`.

        Raises:
            InputError: the frame has no result.
        """
        record = self.record(frame_index)
        levels = _decompress(record.probabilities, record.shape, frame_index)
        segmentation = Segmentation(
            frame_index=frame_index,
            object_ids=self.object_ids,
            probabilities=levels.float() / 255,
            size=self.size,
            confidence=record.confidence,
            annotation=self.annotations.at(frame_index),
            absent_ids=record.absent_ids,
        )
        return probabilities_of(segmentation)

    def confidence(self, frame_index: int) -> tuple[float, ...]:
        """For each object 0..1, NaN where the frame is annotated for it.

        Raises:
            InputError: the frame has no result.
        """
        return self._entry(frame_index).confidence

    def header(self) -> dict[str, Any]:
        """All but results and annotations, ready for JSON; see `from_header`."""
        rate = self.frame_rate
        return {
            "size": list(self.size),
            "frame_rate": None if rate is None else f"{rate.numerator}/{rate.denominator}",
            "frame_names": list(self.shot.names),
            "frame_numbers": list(self.shot.numbers),
            "source": self.shot.fingerprint,
            "settings": asdict(self.settings),
            # The folder is of no use elsewhere and nobody else's business.
            "model": {**asdict(self.model), "path": self.model.path.name},
        }

    @classmethod
    def from_header(cls, header: dict[str, Any], annotations: AnnotationSet) -> Track:
        """A track without results from what `header` gave.

        Raises:
            KeyError, TypeError, ValueError: the header is not as `header` makes it.
        """
        shot = shot_of_header(header)
        settings = PropagationSettings.from_dict(header["settings"])
        model = ModelInfo(**{**header["model"], "path": Path(header["model"]["path"])})
        return cls(shot, annotations, settings, model)

    def _entry(self, frame_index: int) -> _Entry:
        try:
            return self._entries[frame_index]
        except KeyError:
            held = self.frame_indices
            extent = f"{len(held)} frames, {held[0]} to {held[-1]}" if held else "no frame"
            raise InputError(
                f"frame {frame_index} is not in the track, which holds {extent}"
            ) from None


def shot_of_header(header: dict[str, Any]) -> Shot:
    """The shot of a track's header.

    Raises:
        KeyError, TypeError, ValueError: the header is not as `Track.header` makes it.
    """
    height, width = map(int, header["size"])
    rate = None if header["frame_rate"] is None else Fraction(header["frame_rate"])
    names, numbers = map(str, header["frame_names"]), map(int, header["frame_numbers"])
    return Shot(Size(height, width), rate, tuple(names), tuple(numbers), str(header["source"]))


@dataclass(frozen=True)
class _Entry:
    """Where a record lies in the spool."""

    offset: int
    probability_bytes: int
    label_bytes: int
    shape: tuple[int, int, int]
    confidence: tuple[float, ...]
    absent_ids: tuple[int, ...]


class _Spool:
    """Bytes appended in memory, and in a temporary file once they exceed a budget."""

    def __init__(self, memory_bytes: int) -> None:
        # Closed with the spool, whose life is the track's.
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes)  # noqa: SIM115
        self._end = 0
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)

    def append(self, data: bytes) -> int:
        """Store bytes; returns their offset."""
        with self._lock:
            try:
                self._file.seek(self._end)
                self._file.write(data)
            except OSError as error:
                raise CapacityError(
                    f"the track's temporary file in {tempfile.gettempdir()} cannot be written "
                    f"({error.strerror}); free space there or set TMPDIR to another folder"
                ) from error
            offset, self._end = self._end, self._end + len(data)
            return offset

    def read(self, offset: int, length: int) -> bytes:
        """Bytes stored before."""
        with self._lock:
            self._file.seek(offset)
            return self._file.read(length)
