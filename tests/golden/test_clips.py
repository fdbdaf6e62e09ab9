"""Whole clips against the reference: probabilities, label maps, memory sizes, states.

The .npz files are exact expected results. Never regenerate or loosen them to make a test pass.
Judged is the engine's unrounded output, before annotations are laid over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from clips import GoldenCase, load_case, memory_row
from tolerances import NEAR_TIE, SENSORY, assert_operation, assert_probabilities

from xmempp_core.formats.frames.open import open_frames
from xmempp_core.propagation.propagation import Propagation
from xmempp_core.track.segmentation import Segmentation, label_map_of

CASES = [
    "a_single",
    "b_three_sparse",
    "c_permanent",
    "c2_first_later",
    "d_xmem",
    "f_longterm",
    "f2_longterm_xmem",
    "f3_longterm_two",
    "g_no_temporary",
    "h1_nohidden",
    "h2_deep2",
    "h3_single4",
    "i1_resize_pad",
    "i2_resize_pad_antialias",
    "i3_pad_only",
    "j1_later_object",
    "j2_later_object_longterm",
    "j3_later_object_xmem",
    "j4_later_object_xmem_longterm",
    "o_default_longterm",
]


@pytest.mark.parametrize("name", CASES)
def test_a_clip_equals_the_reference_frame_by_frame(
    name: str, request: pytest.FixtureRequest
) -> None:
    case = load_case(name)
    run = _run(case, request)
    expected = case.probabilities()
    for t, one in enumerate(run):
        channels = [1 + one.object_ids.index(int(i)) for i in case.arrays["channel_labels"]]
        got = one.probabilities[channels]
        assert_probabilities(got, expected[t], f"frame {t}")
        assert memory_row(run) == case.arrays["mem"][t].tolist(), f"frame {t}"
        _check_groups(run, case, t)
        _check_sensory(run, case, t)
        _check_labels(one, case.arrays["labels"][t])
    _check_long_term(run, case)


def _run(case: GoldenCase, request: pytest.FixtureRequest) -> Propagation:
    network = request.getfixturevalue(case.network_fixture)
    source = open_frames(case.arrays["frames"])
    return Propagation(network, source, case.annotations, case.settings)


def _check_sensory(run: Propagation, case: GoldenCase, t: int) -> None:
    mean, mean_abs = case.arrays["hidden_stats"][t]
    sensory = run.view.sensory
    if sensory is None or not sensory.numel():
        assert mean_abs == 0
        return
    assert sensory.mean().item() == pytest.approx(mean, abs=SENSORY)
    assert sensory.abs().mean().item() == pytest.approx(mean_abs, abs=SENSORY)


def _check_groups(run: Propagation, case: GoldenCase, t: int) -> None:
    """The tokens with a value, for each store and group of objects that came together."""
    sizes = case.arrays["group_sizes"][t]  # (3, G), -1 = group not there
    known, groups = run.view.known_objects, sizes.shape[1]
    for row, store in enumerate(("working", "permanent", "long_term")):
        got = run.view.tokens("valid", store).sum(1).tolist()
        for channel in range(known):
            group = channel if groups > 1 else 0
            assert got[channel] == max(0, sizes[row, group]), f"frame {t}, {store}"
        assert all(count == 0 for count in got[known:]), f"frame {t}, {store}"


def _check_labels(one: Segmentation, expected: np.ndarray) -> None:
    got = label_map_of(replace(one, annotation=None, absent_ids=())).numpy()
    wrong = got != expected
    assert wrong.sum() <= 3
    if wrong.any():
        assert one.probabilities.shape[1:] == expected.shape
        best = one.probabilities.topk(2, 0).values
        assert ((best[0] - best[1])[torch.from_numpy(wrong)] < NEAR_TIE).all()


def _check_long_term(run: Propagation, case: GoldenCase) -> None:
    if "final_long_key" not in case.arrays:
        return
    view = run.view
    stores: Iterator[tuple[str, str]] = iter((("long", "long_term"), ("temp", "working")))
    for theirs, ours in stores:
        for counter in ("use", "life"):
            want = torch.from_numpy(case.arrays[f"final_{theirs}_{counter}"]).flatten()
            assert_operation(view.tokens(counter, ours), want, f"{theirs} {counter}")
    key = torch.from_numpy(case.arrays["final_long_key"]).t()
    assert_operation(view.tokens("key", "long_term"), key, "long-term keys")
    shrinkage = torch.from_numpy(case.arrays["final_long_shrinkage"]).flatten()
    assert_operation(view.tokens("shrinkage", "long_term"), shrinkage, "long-term shrinkage")
