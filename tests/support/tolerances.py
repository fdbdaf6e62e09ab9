"""How far a result may lie from the recorded one: the only place that says so.

Another processor (other vector width, other convolution algorithm) takes float32 sums in another
order; single operations then differ by some 3e-6 of the largest value in the tensor. Anything
tighter than these bounds tests the processor, not the program. Nothing here may be loosened to make
a test pass.
"""

from __future__ import annotations

import torch
from torch import Tensor

OPERATION = {torch.float32: 1e-5, torch.float64: 1e-5}
"""By dtype: largest difference of a single operation, for each unit of the largest value, and at
least of 1. In double precision the same: the recorded numbers are float32."""
SENSORY = 5e-5
"""Largest difference of a hidden (sensory) state, and of its means."""
PROBABILITY = 1e-4
"""Largest difference of a probability in a whole clip."""
NEAR_TIE = 2e-4
"""Pixels where the two best probabilities are this close may round to either label."""


def assert_operation(got: Tensor, expected: Tensor, what: str = "result") -> None:
    """Asserts that a single operation gave the recorded tensor, within `OPERATION`."""
    largest = expected.abs().max().item() if expected.numel() else 0.0
    _assert_within(got, expected, OPERATION[got.dtype] * max(1.0, largest), what)


def assert_sensory(got: Tensor, expected: Tensor, what: str = "sensory state") -> None:
    """Asserts that a hidden state is the recorded one, within `SENSORY`."""
    _assert_within(got, expected, SENSORY, what)


def assert_probabilities(got: Tensor, expected: Tensor, what: str = "probabilities") -> None:
    """Asserts that probabilities of a clip are the recorded ones, within `PROBABILITY`."""
    _assert_within(got, expected, PROBABILITY, what)


def _assert_within(got: Tensor, expected: Tensor, bound: float, what: str) -> None:
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    difference = (got - expected).abs().max().item() if got.numel() else 0.0
    assert difference <= bound, f"{what}: off by {difference:.3g}, allowed are {bound:.3g}"
