"""A pass over a shot: annotated frames in, a segmentation for every frame out.

The order of frames is a flat plan of steps, so that a pass can be saved and resumed between any
two of them; `frame_step.segment_frame` takes it over one frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from ..annotations import AnnotationSet
from ..errors import InputError
from ..memory.bank import EntryId, MemoryBank, TokenCounts
from ..runtime import full_float32
from ..settings import PropagationSettings
from ..track.segmentation import Segmentation
from ..transfer import uploaded
from ..types import FrameSource, Network
from .annotated_shot import AnnotatedShot
from .backward_results import BackwardResults, with_background
from .encoding import Picture
from .feature_cache import FeatureCache
from .frame_order import Step, forward_weight, inward_steps, plan_steps
from .frame_step import PassState, segment_frame


def propagate(
    network: Network,
    source: FrameSource,
    annotations: AnnotationSet,
    settings: PropagationSettings | None = None,
    *,
    frame_range: range | None = None,
    augment: tuple[str, ...] = (),
    cache: FeatureCache | None = None,
) -> Propagation:
    """A pass, to be iterated: one segmentation for each frame, in the order they are computed.

    Args:
        network: from `load_model`.
        source: the frames, from `open_frames`.
        annotations: at least one annotated frame with an object; masks at the source's size.
        settings: None = the defaults.
        frame_range: frames to segment, step 1; annotations outside it still count. None = all.
        augment: kinds of augmentation stored beside each annotation (`parse_augmentations`).
        cache: features of earlier passes with the same network, internal size and dtype.

    Raises:
        InputError: the annotations or the range do not fit the frames, or the cache belongs to
            something else.
    """
    return Propagation(
        network,
        source,
        annotations,
        settings,
        frame_range=frame_range,
        augment=augment,
        cache=cache,
    )


@dataclass(frozen=True, eq=False)
class PassView:
    """Where a pass stands, to look at; nothing of it changes the pass."""

    known_objects: int
    """Objects met so far."""
    sensory: Tensor | None
    """(known_objects, CH, h, w), a copy; None before the first frame"""
    _bank: MemoryBank

    @property
    def counts(self) -> TokenCounts:
        """Tokens in each store."""
        return self._bank.counts

    @property
    def permanent_entries(self) -> tuple[EntryId, ...]:
        """Addresses of the permanent entries, ascending."""
        return self._bank.permanent_entries

    def tokens(self, name: str, store: str) -> Tensor:
        """A copy of a column of one store, see `MemoryBank.view`."""
        return self._bank.view(name, store).clone()


class Propagation:
    """A pass that can be saved between two frames and resumed; see `propagate`."""

    def __init__(
        self,
        network: Network,
        source: FrameSource,
        annotations: AnnotationSet,
        settings: PropagationSettings | None = None,
        *,
        frame_range: range | None = None,
        augment: tuple[str, ...] = (),
        cache: FeatureCache | None = None,
    ) -> None:
        self.settings = settings or PropagationSettings()
        self.network, self.source, self.annotations = network, source, annotations
        self.augment = augment
        self.frame_range = range(len(source)) if frame_range is None else frame_range
        _check_range(self.frame_range, len(source))
        self._shot = AnnotatedShot(network, source, self.settings, augment=augment, cache=cache)
        self._shot.follow(annotations)
        self._state = PassState(network, self.settings, self._shot.bank)
        self._backward = BackwardResults(None)
        annotated, direction = annotations.frame_indices, self.settings.direction
        self._visit(plan_steps(annotated, self.frame_range, direction))

    def _visit(self, steps: list[Step]) -> None:
        """Begins with the first of these steps."""
        self._steps, self._position = steps, 0
        self._counted = [0, *accumulate(int(step.action != "skip") for step in steps)]

    def turn_inward(self) -> None:
        """Visits the frames the other way: from both ends toward the first annotated frame."""
        self._visit(inward_steps(self.annotations.frame_indices, self.frame_range))

    def keep_backward_in(self, folder: Path) -> None:
        """Puts the backward results of "bidirectional" where they outlive this pass."""
        self._backward = BackwardResults(folder)

    @property
    def frame_count(self) -> int:
        """Segmentations the whole pass yields."""
        return sum(step.action not in ("skip", "keep") for step in self._steps)

    @property
    def step_count(self) -> int:
        """Frames of the whole pass; "bidirectional" counts them in both directions."""
        return self._counted[-1]

    @property
    def steps_done(self) -> int:
        """How many of `step_count` are done."""
        return self._counted[self._position]

    def __iter__(self) -> Iterator[Segmentation]:
        return (one for one in self.steps() if one is not None)

    @property
    def result_order(self) -> list[int]:
        """The frames of the whole pass in the order in which their segmentations come."""
        return [s.frame_index for s in self._steps if s.action not in ("skip", "keep")]

    def frames_ahead(self, *, kept: bool) -> list[int]:
        """The frames of the steps to come, in order, once in each batch.

        Args:
            kept: also those whose result is there already, so that they are not read.
        """
        size = self._shot.encoder.batch_frames
        batches = range(self.batch_number, -(-len(self._steps) // size))
        return [index for number in batches for index in self._batch(number, kept=kept)]

    @property
    def batch_number(self) -> int:
        """Which batch of steps the next one belongs to; their frames are encoded together.

        Batches lie at fixed places of the pass, so that one that is resumed has the same.
        """
        return self._position // self._shot.encoder.batch_frames

    def _batch(self, number: int, *, kept: bool) -> list[int]:
        """The frames of a batch of steps, each once; `kept` as in `frames_ahead`."""
        size = self._shot.encoder.batch_frames
        steps = self._steps[number * size : (number + 1) * size]
        return list(dict.fromkeys(s.frame_index for s in steps if kept or s.action != "yield_kept"))

    def read(self, frame_index: int) -> Picture:
        """A frame as the pass reads it; in any thread."""
        return self._shot.encoder.read(frame_index)

    def read_with(self, read: Callable[[int], Picture]) -> None:
        """Has the steps read their frames with a function that gives what `read` gives."""
        self._shot.encoder.read_frame = read

    def prepare(self) -> Iterator[tuple[int, int]]:
        """Fills permanent memory, one annotated picture or augmentation at a time.

        Yields how many of how many are done. `steps` does it where it was not done before; call it
        first to show how far it is, or to stop within.
        """
        return self._shot.prepare()

    @torch.no_grad()
    def steps(self) -> Iterator[Segmentation | None]:
        """The pass one computed frame at a time; None where the result comes later or never.

        After each of them the pass can be stopped and its `state` saved.
        """
        for _ in self.prepare():
            pass
        self._state.meet_permanent()
        while self._position < len(self._steps):
            step = self._steps[self._position]
            # Not around the yield: the caller's own work keeps its setting.
            with full_float32(self.network.device):
                probabilities = self._run(step)
            if step.action == "keep":
                self._backward.put(step.frame_index, probabilities)
            self._position += 1
            if step.action in ("skip", "keep"):
                yield None
            else:
                yield self._shot.segmentation(step.frame_index, probabilities)

    def _run(self, step: Step) -> Tensor:
        """(N + 1, H, W) probabilities of a step's frame, objects ascending by id."""
        index, shot = step.frame_index, self._shot
        if step.action == "yield_kept":
            return uploaded(self._backward.get(index), self.network.device)
        self._encode_ahead(index)
        if step.starts_leg:
            self._state.restart()
        given = shot.given(index, self._state.known_objects)
        result = segment_frame(self._state, shot.encoder, index, given, is_last=step.ends_leg)
        ascending = shot.channels.by_object_id(result)
        return self._blended(index, ascending) if step.action == "blend" else ascending

    def _encode_ahead(self, frame_index: int) -> None:
        """Encodes a frame with those of the steps beside it, where the device gains by that."""
        encoder = self._shot.encoder
        if encoder.batch_frames > 1 and not encoder.is_ahead(frame_index):
            encoder.encode_ahead(self._batch(self.batch_number, kept=False))

    def _blended(self, frame_index: int, forward: Tensor) -> Tensor:
        """Forward and backward results weighed by the distance to each object's annotations."""
        backward = uploaded(self._backward.get(frame_index), forward.device)
        weights = [
            forward_weight(self.annotations, object_id, frame_index)
            for object_id in self.annotations.object_ids
        ]
        weight = uploaded(torch.tensor(weights, dtype=forward.dtype), forward.device)[:, None, None]
        return with_background(weight * forward[1:] + (1 - weight) * backward[1:])

    # ---- saving

    @property
    def view(self) -> PassView:
        """Where the pass stands, to look at."""
        one, bank = self._state, self._shot.bank
        sensory = None if one.sensory is None else one.sensory.clone()
        return PassView(one.known_objects, sensory, bank)

    def state(self) -> dict[str, Tensor]:
        """The state between two frames, to be given to `load_state` of an equal pass.

        Permanent memory is not in it: the annotations make it again.
        """
        one = self._state
        state = {f"bank.{name}": tensor for name, tensor in one.bank.state().items()}
        clocks = (
            self._position,
            one.known_objects,
            one.clock,
            one.last_memorized,
            one.last_deep_update,
        )
        state["clocks"] = torch.tensor(clocks, dtype=torch.int64)
        if one.sensory is not None:
            state["sensory"] = one.sensory
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Goes on where the pass that returned `state` stood, maybe in another precision."""
        one, device = self._state, self.network.device
        bank = {n.removeprefix("bank."): t for n, t in state.items() if n.startswith("bank.")}
        if "values" in bank:
            bank["values"] = bank["values"].to(self.network.dtype)
        one.bank.load_state(bank, device)
        clocks = (int(value) for value in state["clocks"])
        self._position, one.known_objects, one.clock, one.last_memorized, deep = clocks
        one.last_deep_update = deep
        one.sensory = state["sensory"].to(device) if "sensory" in state else None


def _check_range(frames: range, count: int) -> None:
    if not len(frames) or frames.step != 1 or frames.start < 0 or frames.stop > count:
        raise InputError(
            f"frame range {frames.start} to {frames.stop - 1} does not lie in the shot's "
            f"0 to {count - 1}"
        )
