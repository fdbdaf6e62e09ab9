"""One frame through the network and the memory.

`segment_frame` has the five hops. What it changes, `PassState`, changes at its end alone: a frame
that fails leaves the pass where it was. Channels are the positions of objects in order of their
first annotation; ids stay outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..memory.bank import MemoryBank, Recall
from ..memory.presence import weigh_presence
from ..memory.tokens import Tokens, frame_tokens
from ..network.ops import aggregate, reduced
from ..resize import pad, unpad
from ..settings import PropagationSettings
from ..types import Features, Network
from .encoding import EncodedFrame, ShotEncoder
from .known_frame import GivenMasks


@dataclass(eq=False)
class PassState:
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

    def meet_permanent(self) -> None:
        """Knows the objects of permanent memory from now on."""
        self.known_objects = max(self.known_objects, self.bank.permanent_objects)


@dataclass(frozen=True)
class _Due:
    """What happens on a frame, decided before anything is computed."""

    known_objects: int
    """Objects met once the frame is done."""
    is_predicted: bool
    keeps_sensory: bool
    """Whether the sensory state that the decoder updates is kept."""
    is_memorized: bool
    is_stored: bool
    """Whether a memorized frame enters working memory."""
    is_deep: bool
    """Whether memorizing reinforces the sensory state."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says about a frame before anything is decided."""

    probabilities: Tensor
    """(n + 1, H', W') float32, padded, background first"""
    sensory: Tensor
    """(n, CH, h, w) updated sensory state"""
    recall: Recall
    encoded: EncodedFrame
    """the frame"""


def segment_frame(
    state: PassState,
    encoder: ShotEncoder,
    frame_index: int,
    given: GivenMasks | None,
    *,
    is_last: bool,
    prediction: Prediction | None = None,
) -> Tensor:
    """Takes the pass over one frame; returns (n + 1, H, W) probabilities at internal size.

    Args:
        state: the pass; as before when an error is raised.
        encoder: of the shot.
        frame_index: the frame.
        given: what is known about it beforehand, or None.
        is_last: true for the last frame: nothing is updated or memorized after it.
        prediction: what `predict` gives, where it is known already.
    """
    due = _due(state, given, is_last)
    # 1. source.frame, 2. cache or network.encode
    encoded = prediction.encoded if prediction else encoder.encode(frame_index)
    if not due.is_predicted:
        prediction = None
    elif prediction is None:
        prediction = predict(state, encoded)  # 3. recall, 4. decode
    probabilities = _decided(prediction, given, encoded, due.known_objects)
    sensory = prediction.sensory if prediction and due.keeps_sensory else state.sensory
    tokens = None
    if due.is_memorized:  # 5. memorize
        masks, features = probabilities[1:], encoded.features
        before = sensory_for(state.network, sensory, due.known_objects, features)
        values, reinforced = state.network.memorize(features, encoded.frame, masks, before)
        sensory = reinforced if due.is_deep else sensory
        if due.is_stored:
            channels, count = range(due.known_objects), state.bank.object_count
            tokens = frame_tokens(features, values, masks, channels, count)
    _commit(state, due, sensory, prediction, tokens, encoded.cells)
    return unpad(probabilities, encoded.features.padding)


def predict(state: PassState, encoded: EncodedFrame) -> Prediction:
    """Reads memory and decodes; changes nothing."""
    features, network = encoded.features, state.network
    recall = state.bank.recall(features, state.known_objects, state.settings.top_k)
    sensory = sensory_for(network, state.sensory, state.known_objects, features)
    logits, updated = network.decode(features, recall.readout, sensory)
    return Prediction(_decoded(state, encoded, logits), updated, recall, encoded)


def predict_batch(state: PassState, frames: Sequence[EncodedFrame]) -> list[Prediction]:
    """`predict` for several frames that all start from the same state, decoded at once."""
    network, bank, count = state.network, state.bank, state.known_objects
    features = Features.batch([encoded.features for encoded in frames])
    recalls = [bank.recall(one.features, count, state.settings.top_k) for one in frames]
    sensory = torch.stack([sensory_for(network, state.sensory, count, f.features) for f in frames])
    readouts = torch.stack([recall.readout for recall in recalls])
    logits, updated = network.decode(features, readouts, sensory)
    return [
        Prediction(_decoded(state, encoded, logits[place]), updated[place], recalls[place], encoded)
        for place, encoded in enumerate(frames)
    ]


def _decoded(state: PassState, encoded: EncodedFrame, logits: Tensor) -> Tensor:
    """(n + 1, H', W') probabilities from (n, H', W') logits."""
    probabilities = aggregate(logits.sigmoid())
    if state.settings.absence == "presence":
        return weigh_presence(state.bank, encoded.features, probabilities)
    return probabilities


def annotate(predicted: Tensor | None, given: GivenMasks, encoded: EncodedFrame, n: int) -> Tensor:
    """(n + 1, H', W') probabilities with the given masks in the place of the predicted ones.

    The other objects keep their prediction, but not where the given masks stand; in void pixels so
    do the given ones that are on the frame.

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
    if predicted is not None and given.void is not None:
        void = pad(given.void, encoded.features.padding)
        for channel in _open_channels(given, predicted.shape[0] - 1):
            result[channel] += predicted[1 + channel] * void
    return aggregate(result)


def _open_channels(given: GivenMasks, known_objects: int) -> list[int]:
    """Channels of known objects that are to be predicted in void pixels."""
    return [channel for channel in given.open_channels if channel < known_objects]


def sensory_for(network: Network, sensory: Tensor | None, n: int, features: Features) -> Tensor:
    """(n, CH, h, w) sensory state of n objects; zeros for those that are new."""
    if sensory is None:
        return network.initial_sensory(n, features)
    new = n - sensory.shape[0]
    return torch.cat([sensory, network.initial_sensory(new, features)]) if new else sensory


def _due(state: PassState, given: GivenMasks | None, is_last: bool) -> _Due:
    """What happens on the frame after the last one."""
    settings, clock = state.settings, state.clock + 1
    is_annotation = given is not None and given.is_annotation
    elapsed = clock - state.last_memorized
    is_time = settings.working_memory and elapsed >= settings.memorize_every
    is_memorized = not is_last and (is_annotation or is_time)
    every = settings.deep_update_every
    is_deep = is_memorized if every is None else clock - state.last_deep_update >= every
    is_deep = is_deep and not is_last
    channels = given.channels if given else ()
    closed = set(channels) - set(given.open_channels if given else ())
    return _Due(
        known_objects=max(state.known_objects, *(c + 1 for c in channels), 0),
        is_predicted=given is None or bool(set(range(state.known_objects)) - closed),
        keeps_sensory=not is_last and not (every is None and is_deep),
        is_memorized=is_memorized,
        is_stored=not (given is not None and given.is_annotation and given.in_permanent),
        is_deep=is_deep,
    )


def _decided(
    prediction: Prediction | None, given: GivenMasks | None, encoded: EncodedFrame, n: int
) -> Tensor:
    """(n + 1, H', W') probabilities of a frame, with what is known beforehand laid in."""
    if prediction is None:
        assert given is not None
        return annotate(None, given, encoded, n)
    if given is None:
        return prediction.probabilities
    if given.is_annotation:
        return annotate(prediction.probabilities, given, encoded, n)
    kept = torch.ones_like(prediction.probabilities[1:])
    kept[list(given.channels)] = 0
    return reduced(prediction.probabilities, kept)


def _commit(
    state: PassState,
    due: _Due,
    sensory: Tensor | None,
    prediction: Prediction | None,
    tokens: Tokens | None,
    cells: int,
) -> None:
    """All that a frame changes."""
    if tokens is not None:
        state.bank.add_working(tokens)
    if prediction is not None:
        state.bank.count_usage(prediction.recall.usage)
    if due.is_memorized:
        state.bank.enforce_limits(cells)
    state.clock += 1
    state.known_objects, state.sensory = due.known_objects, sensory
    if due.is_memorized:
        state.last_memorized = state.clock
        if due.is_deep:
            state.last_deep_update = state.clock
