"""Results that the annotator shows: answers and passes, by what they are made of."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ..xmempp_core import AnnotationSet, PropagationSettings, Segmentation, Track

KEPT_RESULTS = 8
"""Each holds up to 64 MB of memory, then a file."""


@dataclass(frozen=True)
class ResultKey:
    """All that a result depends on."""

    clip: str
    """Key of the frames."""
    annotations: str
    """Fingerprint of the set."""
    model: str
    """SHA-256 of the weights, and the precision."""
    settings: PropagationSettings
    frames: tuple[int, int]
    """First and last frame that it is asked for."""

    def says(self, clip: str, annotations: str) -> bool:
        """Whether it is of these frames and annotations."""
        return (self.clip, self.annotations) == (clip, annotations)

    @property
    def token(self) -> str:
        """40 hexadecimal digits, another one for any other result."""
        from ..xmempp_core import content_name

        return content_name(repr(self).encode())


class ShotResult:
    """What is computed so far of one result; safe to use from several threads.

    Args:
        token: its name.
        track: takes the results.
        frames: first and last frame that belong to it.
        key: what it is made of; None where another node made it.
    """

    def __init__(
        self, token: str, track: Track, frames: tuple[int, int], key: ResultKey | None = None
    ) -> None:
        self.token, self.frames, self.key = token, frames, key
        self.revision = ""
        """The last revision that it was asked for."""
        self.asked = 0
        """Counts up whenever a request asks for one; 0 = none did."""
        self._track = track
        self._lock = threading.Lock()

    def add(self, segmentation: Segmentation) -> None:
        """Keeps a frame's result."""
        with self._lock:
            self._track.add(segmentation)

    def has(self, frame_index: int) -> bool:
        """Whether a frame is computed."""
        with self._lock:
            return frame_index in set(self._track.frame_indices)

    @property
    def weights(self) -> str:
        """What it was computed with; "" where another node did."""
        return "" if self.key is None else self.key.model

    def holds(self, frame_indices: Iterable[int]) -> bool:
        """Whether all of these frames are computed."""
        with self._lock:
            return set(frame_indices) <= set(self._track.frame_indices)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the objects, ascending."""
        return self._track.object_ids

    @property
    def missing(self) -> list[int]:
        """Frames that are not computed yet, ascending."""
        with self._lock:
            held = set(self._track.frame_indices)
        first, last = self.frames
        return [i for i in range(first, last + 1) if i not in held]

    def is_pass_of(self, frames: tuple[int, int]) -> bool:
        """Whether it is a complete pass over these frames and no others."""
        return self.key is not None and self.frames == frames and not self.missing

    @property
    def kind(self) -> Literal["answers", "pass", "track"]:
        """Where it comes from: single frames, a pass, or another node."""
        if self.key is None:
            return "track"
        is_alone = self._track.settings.direction == "independent"
        return "answers" if is_alone and self.missing else "pass"

    def track(self, annotations: AnnotationSet) -> Track:
        """The results as a track with the names and colors of a set that says the same."""
        with self._lock:
            return self._track.renamed(annotations)

    def label_png(self, frame_index: int) -> bytes:
        """The label map of a frame at the size of the frames."""
        from ..xmempp_core import mask_to_png

        with self._lock:
            labels = self._track.label_map(frame_index)
        return mask_to_png(labels.numpy())

    def matte_png(self, frame_index: int, object_id: int) -> bytes:
        """The soft mask of an object at the size of the frames, 8 bits."""
        from ..xmempp_core import mask_to_png, to_uint8

        with self._lock:
            segmentation = self._track.segmentation(frame_index)
        channel = 1 + self.object_ids.index(object_id)
        return mask_to_png(to_uint8(_probabilities(segmentation)[channel]).numpy())

    def summary(self) -> dict[str, Any]:
        """What the browser is told of it."""
        with self._lock:
            held = self._track.frame_indices
            confidences = {i: self._track.confidence(i) for i in held}
            count = len(self._track.shot)
        curves = {
            str(object_id): [_number(confidences.get(i), place) for i in range(count)]
            for place, object_id in enumerate(self.object_ids)
        }
        return {
            "token": self.token,
            "kind": self.kind,
            "revision": self.revision,
            "model": self._track.model.name,
            "direction": self._track.settings.direction,
            "range": list(self.frames),
            "complete": not self.missing,
            "frames": list(held),
            "confidence": curves,
        }


class Results:
    """The results that were used last, of all clips; safe to use from several threads."""

    def __init__(self) -> None:
        self._results: OrderedDict[str, ShotResult] = OrderedDict()
        self._lock = threading.Lock()
        self._asked = 0

    def find(self, token: str) -> ShotResult | None:
        """A result; None where it is not held."""
        with self._lock:
            if token in self._results:
                self._results.move_to_end(token)
            return self._results.get(token)

    def keep(self, result: ShotResult) -> ShotResult:
        """Keeps a result, in place of one of the same token; the one not used for longest goes."""
        with self._lock:
            self._results[result.token] = result
            self._results.move_to_end(result.token)
            while len(self._results) > KEPT_RESULTS:
                self._results.popitem(last=False)
        return result

    def ask_for(self, result: ShotResult, revision: str) -> None:
        """Notes that a revision asked for a result."""
        with self._lock:
            self._asked += 1
            result.asked, result.revision = self._asked, revision

    def newest(self) -> list[ShotResult]:
        """Those that are held, the last asked for first."""
        with self._lock:
            return sorted(self._results.values(), key=lambda one: one.asked, reverse=True)

    def last_pass(self, revision: str) -> str:
        """Token of the pass that a revision asked for last; "" where there is none."""
        passes = (one for one in self.newest() if one.asked and one.kind == "pass")
        return next((one.token for one in passes if one.revision == revision), "")


RESULTS = Results()
"""Those of this ComfyUI."""


def _probabilities(segmentation: Segmentation) -> Any:
    from ..xmempp_core import probabilities_of

    return probabilities_of(segmentation)


def _number(confidence: tuple[float, ...] | None, place: int) -> float | None:
    """A confidence as JSON has it: null where there is none."""
    if confidence is None or math.isnan(confidence[place]):
        return None
    return round(confidence[place], 4)
