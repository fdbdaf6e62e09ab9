"""Track: all segmentations of a shot, compact.

For each frame it keeps the probabilities at internal resolution in 16 bits, and the final label map
at source resolution, made once from the unrounded probabilities. Both are compressed, in memory up
to a budget, then in a temporary file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ..annotations import AnnotationSet
from ..errors import InputError, ShapeError
from ..settings import PropagationSettings
from ..spill import SpillStore
from ..types import FrameSource, ModelInfo, Network, Size
from .records import FrameRecord, decompress
from .segmentation import Segmentation, label_map_of, lay_over, probabilities_of

__all__ = ["FrameRecord", "Shot", "Track", "label_map_of", "probabilities_of", "shot_of_header"]

DEFAULT_MEMORY_BYTES = 64 * 2**20


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

    @property
    def counts_positions(self) -> bool:
        """Whether the frames have no numbers of their own: those of a film, pictures of a graph."""
        # Pictures of a graph have a fingerprint with a kind in front; a folder of stills that are
        # called 00000.jpg has neither that nor a rate.
        is_counted = self.frame_rate is not None or ":" in self.fingerprint
        return is_counted and self.numbers == tuple(range(len(self)))

    def name(self, index: int) -> str:
        """Name of a frame."""
        return self.names[index]

    def number(self, index: int) -> int:
        """The source's own number of a frame."""
        return self.numbers[index]


class PassFacts(Protocol):
    """What results are made from, as a pass knows it."""

    @property
    def network(self) -> Network:
        """The network."""
        ...

    @property
    def source(self) -> FrameSource:
        """The frames."""
        ...

    @property
    def annotations(self) -> AnnotationSet:
        """The annotations."""
        ...

    @property
    def settings(self) -> PropagationSettings:
        """The settings."""
        ...


class WholePass(PassFacts, Protocol):
    """A pass over a shot, to be iterated once."""

    @property
    def frame_count(self) -> int:
        """Segmentations it yields."""
        ...

    def __iter__(self) -> Iterator[Segmentation]: ...


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
        remedy = "propagate a part of the shot"
        self._store = SpillStore("the track's results", remedy, memory_bytes=memory_bytes)
        self._entries: dict[int, _Entry] = {}

    @classmethod
    def of(cls, pass_: PassFacts, *, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> Track:
        """A track without results for those of a pass."""
        shot, model = Shot.of(pass_.source), pass_.network.info
        return cls(shot, pass_.annotations, pass_.settings, model, memory_bytes=memory_bytes)

    @classmethod
    def collect(
        cls, pass_: WholePass, *, progress: Callable[[int, int], None] | None = None
    ) -> Track:
        """The track of a pass.

        Args:
            pass_: what `propagate` gives.
            progress: called after every frame with frames done and frames in all.
        """
        track = cls.of(pass_)
        for done, segmentation in enumerate(pass_, 1):
            track.add(segmentation)
            if progress is not None:
                progress(done, pass_.frame_count)
        return track

    def renamed(self, annotations: AnnotationSet) -> Track:
        """The same results with the names and colors of a set that says the same.

        Raises:
            InputError: the set says something else than the track's.
        """
        own = self.annotations
        if annotations.fingerprint != own.fingerprint:
            raise InputError(
                "the annotations are not those that the track was made of; propagate them"
            )
        if (annotations.names, annotations.colors) == (own.names, own.colors):
            return self
        twin = copy(self)
        twin.annotations = annotations
        return twin

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

    def add(self, segmentation: Segmentation) -> Tensor:
        """Keep a frame's result; a frame added again is replaced.

        Returns:
            Its label map, see `label_map`.

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
        labels = label_map_of(segmentation)
        self.add_record(FrameRecord.of(segmentation, labels))
        return labels

    def add_record(self, record: FrameRecord) -> None:
        """Keep a frame's result that another track stored; see `records`."""
        if not 0 <= record.frame_index < len(self.shot):
            raise InputError(
                f"record of frame {record.frame_index}: the shot has {len(self.shot)} frames"
            )
        if record.shape[0] != len(self.object_ids) + 1:
            what = f"record of frame {record.frame_index}"
            raise ShapeError(what, f"({len(self.object_ids) + 1}, h, w)", record.shape)
        self._store.put(record.frame_index, record.probabilities + record.labels)
        self._entries[record.frame_index] = _Entry(
            len(record.probabilities),
            len(record.labels),
            record.shape,
            record.confidence,
            record.absent_ids,
            record.level_of_one,
        )

    def record(self, frame_index: int) -> FrameRecord:
        """A frame's result as stored, to be kept elsewhere."""
        entry = self._entry(frame_index)
        data = self._store.get(frame_index)
        probabilities, labels = data[: entry.probability_bytes], data[entry.probability_bytes :]
        return FrameRecord(
            frame_index,
            entry.shape,
            probabilities,
            labels,
            entry.confidence,
            entry.absent_ids,
            entry.level_of_one,
        )

    def records(self) -> Iterator[FrameRecord]:
        """All results as stored, ascending by frame."""
        return map(self.record, self.frame_indices)

    def label_map(self, frame_index: int) -> Tensor:
        """(H, W) uint8 object ids at source resolution, 0 = background; see `label_map_of`.

        Raises:
            InputError: the frame has no result.
        """
        labels = decompress(self.record(frame_index).labels, self.size, frame_index)
        annotation = self.annotations.at(frame_index)
        if annotation:  # tracks of 0.1.0 show the lower id where annotated masks overlap
            lay_over(labels, annotation)
        return labels

    def segmentation(self, frame_index: int) -> Segmentation:
        """A frame's result at internal resolution, within 1 / 32768 of what was added.

        Raises:
            InputError: the frame has no result.
        """
        record = self.record(frame_index)
        return Segmentation(
            frame_index=frame_index,
            object_ids=self.object_ids,
            probabilities=record.soft(),
            size=self.size,
            confidence=record.confidence,
            annotation=self.annotations.at(frame_index),
            absent_ids=record.absent_ids,
        )

    def probabilities(self, frame_index: int) -> Tensor:
        """(N + 1, H, W) float32 0..1 at source resolution, background first, within 1 / 32768.

        Annotations and absences stand above them as in `probabilities_of`.

        Raises:
            InputError: the frame has no result.
        """
        return probabilities_of(self.segmentation(frame_index))

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
    """What a track knows of a record without reading it."""

    probability_bytes: int
    label_bytes: int
    shape: tuple[int, int, int]
    confidence: tuple[float, ...]
    absent_ids: tuple[int, ...]
    level_of_one: int
