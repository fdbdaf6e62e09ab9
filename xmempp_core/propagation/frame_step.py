"""One frame through the network and the memory: predict, annotate, memorize, advance.

`Pass` is the state of a pass in one direction; the functions below change it and nothing else.
Channels are the positions of objects in order of their first annotation; ids stay outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..memory.bank import EntryId, MemoryBank, Recall
from ..memory.presence import weigh_presence
from ..memory.tokens import frame_tokens
from ..network.ops import aggregate, reduced
from ..resize import pad, unpad
from ..settings import PropagationSettings
from ..types import Features, Network, Size


@dataclass(frozen=True, eq=False)
class EncodedFrame:
    """A frame at internal size with its features."""

    frame: Tensor
    """(3, H, W) float32 0..1"""
    features: Features

    @property
    def size(self) -> Size:
        """Internal size."""
        return Size(self.frame.shape[1], self.frame.shape[2])

    @property
    def cells(self) -> int:
        """Cells at stride 16."""
        return self.features.key.shape[1] * self.features.key.shape[2]


@dataclass(frozen=True, eq=False)
class GivenMasks:
    """What is known of a frame beforehand, for some channels."""

    channels: tuple[int, ...]
    masks: Tensor
    """(n, H, W) float32 0 or 1 at internal size"""
    is_annotation: bool = True
    """False for a mere declaration of absence: it is no memory frame."""
    in_permanent: bool = True
    """Whether the frame is in permanent memory already, and so not stored again."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says about a frame before anything is decided."""

    probabilities: Tensor
    """(n + 1, H', W') float32, padded, background first"""
    sensory: Tensor
    """(n, CH, h, w) updated sensory state"""
    recall: Recall


@dataclass(eq=False)
class Pass:
    """The state of one pass: memory, sensory state, clocks."""

    network: Network
    settings: PropagationSettings
    bank: MemoryBank
    known_objects: int = 0
    """Objects met so far: the first channels."""
    sensory: Tensor | None = None
    """(known_objects, CH, h, w) float32; None before the first frame"""
    clock: int = -1
    """Frames processed, minus one."""
    last_memorized: int = 0
    last_deep_update: int = field(init=False)

    def __post_init__(self) -> None:
        self.last_deep_update = -(self.settings.deep_update_every or 0)

    def restart(self) -> None:
        """Clears all but permanent memory, for a pass in another direction.

        Objects that only working memory knew are unknown again.
        """
        self.bank.clear_temporary()
        self.known_objects = self.bank.permanent_objects
        self.sensory = None
        self.clock, self.last_memorized = -1, 0
        self.last_deep_update = -(self.settings.deep_update_every or 0)

    def sensory_for(self, features: Features) -> Tensor:
        """Sensory state of the known objects; zeros for those that are new."""
        if self.sensory is None:
            return self.network.initial_sensory(self.known_objects, features)
        new = self.known_objects - self.sensory.shape[0]
        if new == 0:
            return self.sensory
        return torch.cat([self.sensory, self.network.initial_sensory(new, features)])


def add_permanent(
    state: Pass,
    entry: EntryId,
    encoded: EncodedFrame,
    given: GivenMasks,
    keep: Tensor | None = None,
) -> None:
    """Puts an annotated frame into permanent memory, sensory state untouched.

    Args:
        state: the pass.
        entry: address of the entry; an entry at the same address is replaced.
        encoded: the frame.
        given: the masks of the channels it speaks about.
        keep: optional (h * w,) bool, the cells to store; None = all.
    """
    features = encoded.features
    masks = pad(aggregate(given.masks)[1:], features.padding)
    sensory = state.network.initial_sensory(len(given.channels), features)
    values, _ = state.network.memorize(features, encoded.frame, masks, sensory)
    tokens = frame_tokens(features, values, masks, given.channels, state.bank.object_count)
    state.bank.add_permanent(entry, tokens if keep is None else tokens.chosen(keep))
    state.known_objects = max(state.known_objects, max(given.channels) + 1)


def predict(state: Pass, encoded: EncodedFrame) -> Prediction:
    """Reads memory and decodes; changes nothing."""
    features = encoded.features
    recall = state.bank.recall(features, state.known_objects, state.settings.top_k)
    logits, sensory = state.network.decode(features, recall.readout, state.sensory_for(features))
    return Prediction(aggregate(logits.sigmoid()), sensory, recall)


def annotate(predicted: Tensor | None, given: GivenMasks, encoded: EncodedFrame, n: int) -> Tensor:
    """(n + 1, H', W') probabilities with the given masks in the place of the predicted ones.

    The other objects keep their prediction, but not where the given masks stand.

    Args:
        predicted: (m + 1, H', W') padded probabilities of the first m objects, or None.
        given: the masks.
        encoded: the frame.
        n: number of objects.
    """
    masks = pad(given.masks, encoded.features.padding)
    result = masks.new_zeros(n, *masks.shape[1:])
    if predicted is not None:
        result[: predicted.shape[0] - 1] = predicted[1:] * (masks.sum(0) <= 0.5)
    result[list(given.channels)] = masks
    return aggregate(result)


def memorize(state: Pass, encoded: EncodedFrame, probabilities: Tensor, *, store: bool) -> Tensor:
    """Encodes the values of a frame and stores them; returns the reinforced sensory state.

    Args:
        state: the pass; its working memory grows when `store` is true.
        encoded: the frame.
        probabilities: (n + 1, H', W') padded, background first.
        store: false for a frame that is in permanent memory already.
    """
    features, n = encoded.features, probabilities.shape[0] - 1
    sensory = state.sensory_for(features)
    values, reinforced = state.network.memorize(features, encoded.frame, probabilities[1:], sensory)
    if store:
        state.bank.add_working(
            frame_tokens(features, values, probabilities[1:], range(n), state.bank.object_count)
        )
    state.bank.enforce_limits(encoded.cells)
    return reinforced


def advance(
    state: Pass, encoded: EncodedFrame, given: GivenMasks | None, *, is_last: bool
) -> Tensor:
    """Takes the pass over one frame; returns (n + 1, H, W) probabilities at internal size.

    Args:
        state: the pass.
        encoded: the frame.
        given: what is known about it beforehand, or None.
        is_last: true for the last frame: nothing is updated or memorized after it.
    """
    state.clock += 1
    known_before = state.known_objects
    if given is not None:
        state.known_objects = max(known_before, max(given.channels) + 1)
    is_annotation = given is not None and given.is_annotation
    is_memorized = not is_last and (is_annotation or _is_memory_due(state))
    is_deep = not is_last and _is_deep_update_due(state, is_memorized)

    prediction = None
    if given is None or set(range(known_before)) - set(given.channels):
        prediction = _predict_known(state, encoded, known_before)
        probabilities = prediction.probabilities
        if not is_last and not (state.settings.deep_update_every is None and is_deep):
            state.sensory = prediction.sensory
    if given is not None:
        probabilities = _with_given(prediction, given, encoded, state.known_objects)
    if is_memorized:
        _memorize_due(state, encoded, probabilities, given, is_deep)
    return unpad(probabilities, encoded.features.padding)


def _predict_known(state: Pass, encoded: EncodedFrame, known_before: int) -> Prediction:
    """Predicts the objects known before this frame and counts the usage."""
    known_now, state.known_objects = state.known_objects, known_before
    prediction = predict(state, encoded)
    state.known_objects = known_now
    state.bank.count_usage(prediction.recall.usage)
    if state.settings.absence == "memory":
        return prediction
    weighed = weigh_presence(state.bank, encoded.features, prediction.probabilities)
    return replace(prediction, probabilities=weighed)


def _with_given(
    prediction: Prediction | None, given: GivenMasks, encoded: EncodedFrame, n: int
) -> Tensor:
    """(n + 1, H', W') probabilities of a frame of which something is known beforehand."""
    if prediction is None:
        return annotate(None, given, encoded, n)
    if given.is_annotation:
        return annotate(prediction.probabilities, given, encoded, n)
    kept = torch.ones_like(prediction.probabilities[1:])
    kept[list(given.channels)] = 0
    return reduced(prediction.probabilities, kept)


def _memorize_due(
    state: Pass,
    encoded: EncodedFrame,
    probabilities: Tensor,
    given: GivenMasks | None,
    is_deep: bool,
) -> None:
    in_permanent = given is not None and given.is_annotation and given.in_permanent
    reinforced = memorize(state, encoded, probabilities, store=not in_permanent)
    state.last_memorized = state.clock
    if is_deep:
        state.sensory = reinforced
        state.last_deep_update = state.clock


def _is_memory_due(state: Pass) -> bool:
    elapsed = state.clock - state.last_memorized
    return state.settings.working_memory and elapsed >= state.settings.memorize_every


def _is_deep_update_due(state: Pass, is_memorized: bool) -> bool:
    every = state.settings.deep_update_every
    return is_memorized if every is None else state.clock - state.last_deep_update >= every
