"""Algorithm 1 against the recorded choices and dissimilarities of the reference program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tolerances import OPERATION, assert_operation

from xmempp_core.candidates.request import CandidateRequest
from xmempp_core.candidates.select import select_from_features

DATA = np.load(Path(__file__).parents[1] / "data" / "e_selection.npz")
CALLS = json.loads(str(DATA["settings"]))["calls"]


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_choices_and_dissimilarities_equal_the_recorded_ones(number: int) -> None:
    call = CALLS[number]
    result = select_from_features(
        torch.from_numpy(DATA["keys"]),
        torch.from_numpy(DATA["shrinkages"]),
        torch.from_numpy(DATA["selections"]),
        torch.from_numpy(DATA[call["masks"]]).float(),
        CandidateRequest(
            call["previous"],
            call["k"],
            alpha=call["alpha"],
            min_mask_pixels=0,
            min_mask_fraction=call["min_mask_presence_percent"] / 100,
        ),
    )

    assert list(result.indices) == call["chosen"]
    expected = torch.from_numpy(DATA[f"sel{number}_dissimilarity"])
    exact = result.is_exact
    assert exact[0].all()
    assert_operation(result.dissimilarity[exact], expected[exact])
    assert (result.dissimilarity >= expected - OPERATION[torch.float32]).all()  # upper bounds
    best = expected[range(call["k"]), call["chosen"]]
    assert_operation(torch.tensor(result.scores), best)
