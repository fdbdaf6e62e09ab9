"""Scripts of single calls against the reference: replace, remove, clear, partial annotations.

The .npz files are exact expected results. Never regenerate or loosen them to make a test pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from clips import GoldenCase, load_case
from tolerances import assert_probabilities

from xmempp_core.formats.frames.open import open_frames
from xmempp_core.memory.bank import EntryId, MemoryBank
from xmempp_core.network.xmem import XMem
from xmempp_core.propagation.encoding import ShotEncoder
from xmempp_core.propagation.frame_step import PassState, predict, segment_frame
from xmempp_core.propagation.known_frame import GivenMasks
from xmempp_core.propagation.permanent_memory import permanent_tokens
from xmempp_core.resize import unpad
from xmempp_core.settings import PropagationSettings


class Script:
    """Plays a golden script on the engine's functions, one operation at a time."""

    def __init__(self, case: GoldenCase, network: XMem) -> None:
        self.case = case
        labels = [op[1] for op in case.raw["ops"] if op[0] == "labels"]
        self.all_labels = labels[-1]
        self.labels: list[int] = []
        settings = PropagationSettings(
            memorize_every=case.raw["mem_every"],
            top_k=case.raw["top_k"],
            internal_size=None,
            absence="memory",
        )
        self.state = PassState(network, settings, MemoryBank(len(self.all_labels), settings))
        self.encoder = ShotEncoder(network, open_frames(case.arrays["frames"]), settings)
        self.results: list[torch.Tensor] = []

    def labels_op(self, labels: list[int]) -> None:
        self.labels = labels

    def put(self, frame: int, mask: int, entry: int) -> None:
        given = self._given(mask, self.labels)
        put_permanent(self.state, self.encoder, frame, EntryId(entry), given)

    def step(self, frame: int, mask: int | None, flags: dict[str, Any]) -> None:
        if flags.get("disable_memory_updates"):
            encoded = self.encoder.encode(frame)
            prediction = predict(self.state, encoded)
            result = unpad(prediction.probabilities, encoded.features.padding)
        else:
            stored = flags.get("do_not_add_mask_to_memory", False)
            given = None
            if mask is not None:
                given = self._given(mask, flags.get("valid_labels", self.labels), stored)
            is_last = flags.get("end", False)
            result = segment_frame(self.state, self.encoder, frame, given, is_last=is_last)
        self.results.append(result[1:])

    def clear_keep(self) -> None:
        self.state.restart()

    def remove(self, entry: int) -> None:
        self.state.bank.remove_permanent(entry)

    def _given(self, mask: int, labels: list[int], in_permanent: bool = True) -> GivenMasks:
        labeled = torch.from_numpy(self.case.arrays["masks"][mask])
        masks = torch.stack([(labeled == i).float() for i in labels])
        channels = tuple(self.all_labels.index(i) for i in labels)
        return GivenMasks(channels, masks, in_permanent=in_permanent)


def put_permanent(
    state: PassState, encoder: ShotEncoder, frame: int, entry: EntryId, given: GivenMasks
) -> None:
    """A frame with its masks into permanent memory."""
    encoded, count = encoder.encode(frame), state.bank.object_count
    state.bank.add_permanent(entry, permanent_tokens(state.network, encoded, given, count))
    state.meet_permanent()


@pytest.mark.parametrize("name", ["m_interactive", "n_partial"])
@torch.no_grad()
def test_a_script_of_single_calls_equals_the_reference(name: str, multi_network: XMem) -> None:
    case = load_case(name)
    script = Script(case, multi_network)
    calls: dict[str, Callable[..., None]] = {
        "labels": script.labels_op,
        "put": script.put,
        "step": script.step,
        "clear_keep": script.clear_keep,
        "remove": script.remove,
    }
    for number, (operation, *arguments) in enumerate(case.raw["ops"]):
        calls[operation](*arguments)
        counts = script.state.bank.counts
        row = [counts.working, counts.permanent, counts.long_term]
        assert row == case.arrays["mem"][number].tolist(), f"operation {number}"
    expected = case.probabilities()
    for t, result in enumerate(script.results):
        known = result.shape[0]
        assert_probabilities(result, expected[t][:known], f"step {t}")
        assert not expected[t][known:].any(), f"step {t}"


@torch.no_grad()
def test_augmented_pictures_in_permanent_memory_equal_the_reference(multi_network: XMem) -> None:
    case = load_case("l2_augment_clip")
    settings = case.settings
    masks = torch.from_numpy(case.arrays["perm_masks"]).float()
    state = PassState(multi_network, settings, MemoryBank(masks.shape[1], settings))
    pictures = ShotEncoder(multi_network, open_frames(case.arrays["perm_images"]), settings)
    for number in range(len(masks)):
        given = GivenMasks(tuple(range(masks.shape[1])), masks[number])
        put_permanent(state, pictures, number, EntryId(0, number), given)
        assert state.bank.counts.permanent == case.arrays["mem_preload"][number][1]
    encoder = ShotEncoder(multi_network, open_frames(case.arrays["frames"]), settings)
    expected, annotated = case.probabilities(), int(case.arrays["ann_frames"][0])
    for t in range(len(expected)):
        known = GivenMasks(tuple(range(masks.shape[1])), masks[0]) if t == annotated else None
        is_last = t == len(expected) - 1
        result = segment_frame(state, encoder, t, known, is_last=is_last)
        assert_probabilities(result[1:], expected[t], f"frame {t}")
