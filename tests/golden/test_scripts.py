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

from xmempp_core.memory.bank import EntryId, MemoryBank
from xmempp_core.network.xmem import XMem
from xmempp_core.propagation.frame_step import (
    EncodedFrame,
    GivenMasks,
    Pass,
    add_permanent,
    advance,
    predict,
)
from xmempp_core.resize import to_display, unpad
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
        self.state = Pass(network, settings, MemoryBank(len(self.all_labels), settings))
        self.results: list[torch.Tensor] = []

    def labels_op(self, labels: list[int]) -> None:
        self.labels = labels

    def put(self, frame: int, mask: int, entry: int) -> None:
        given = self._given(mask, self.labels)
        add_permanent(self.state, EntryId(entry), self._encoded(frame), given)

    def step(self, frame: int, mask: int | None, flags: dict[str, Any]) -> None:
        encoded = self._encoded(frame)
        if flags.get("disable_memory_updates"):
            prediction = predict(self.state, encoded)
            result = unpad(prediction.probabilities, encoded.features.padding)
        else:
            stored = flags.get("do_not_add_mask_to_memory", False)
            given = None
            if mask is not None:
                given = self._given(mask, flags.get("valid_labels", self.labels), stored)
            result = advance(self.state, encoded, given, is_last=flags.get("end", False))
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

    def _encoded(self, frame: int) -> EncodedFrame:
        pixels = to_display(
            torch.from_numpy(self.case.arrays["frames"][frame]), self.state.network.device
        )
        return EncodedFrame(pixels, self.state.network.encode(pixels))


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
    state = Pass(multi_network, settings, MemoryBank(masks.shape[1], settings))
    for number, picture in enumerate(torch.from_numpy(case.arrays["perm_images"])):
        encoded = _encode(multi_network, picture)
        given = GivenMasks(tuple(range(masks.shape[1])), masks[number])
        add_permanent(state, EntryId(0, number), encoded, given)
        assert state.bank.counts.permanent == case.arrays["mem_preload"][number][1]
    frames, expected = torch.from_numpy(case.arrays["frames"]), case.probabilities()
    annotated = int(case.arrays["ann_frames"][0])
    for t, frame in enumerate(frames):
        encoded = _encode(multi_network, frame)
        known = GivenMasks(tuple(range(masks.shape[1])), masks[0]) if t == annotated else None
        result = advance(state, encoded, known, is_last=t == len(frames) - 1)
        assert_probabilities(result[1:], expected[t], f"frame {t}")


def _encode(network: XMem, frame: torch.Tensor) -> EncodedFrame:
    pixels = to_display(frame, network.device)
    return EncodedFrame(pixels, network.encode(pixels))
