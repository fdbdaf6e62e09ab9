"""The parts of XMemLite against numbers of the research prototype that its weights came from.

The weights are drawn by the seed rule below, so that the numbers outlive the bundled weights.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from tolerances import assert_operation, assert_sensory
from torch import Tensor

from xmempp_core.network.lite import XMemLite
from xmempp_core.types import Features

DATA_FILE = Path(__file__).parents[1] / "data" / "lite_ops.npz"


def seeded_tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    """Weights that keep the variance, biases to 0.05, scales about 1 and shifts about 0."""
    generator = np.random.RandomState(zlib.crc32(name.encode("ascii")))
    unit = 2 * generator.random_sample(math.prod(shape)).reshape(shape) - 1
    if name.startswith("backbone.s") and not name.startswith("backbone.stem"):
        values = 0.2 * unit + (1 if "scale" in name else 0)
    else:
        values = unit * (math.sqrt(3 / math.prod(shape[1:])) if len(shape) > 1 else 0.05)
    return torch.from_numpy(values.astype(np.float32))


def load_golden() -> dict[str, Tensor]:
    with np.load(DATA_FILE) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


GOLDEN = load_golden()


@pytest.fixture(scope="module")
def network() -> XMemLite:
    network = XMemLite()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: seeded_tensor(name, shape) for name, shape in shapes.items()})
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def features(network: XMemLite) -> Features:
    return network.encode(GOLDEN["frame"])


@pytest.mark.parametrize("name", ["key", "shrinkage", "selection", "f16", "f8", "f4"])
def test_features_equal_the_recorded_ones(features: Features, name: str) -> None:
    assert_operation(getattr(features, name), GOLDEN[name], name)


def test_values_and_reinforced_state_equal_the_recorded_ones(
    network: XMemLite, features: Features
) -> None:
    value, reinforced = network.memorize(
        features, GOLDEN["frame"], GOLDEN["masks"], GOLDEN["sensory"]
    )
    assert_operation(value, GOLDEN["value"])
    assert_sensory(reinforced, GOLDEN["reinforced"])


def test_logits_and_updated_state_equal_the_recorded_ones(
    network: XMemLite, features: Features
) -> None:
    logits, updated = network.decode(features, GOLDEN["readout"], GOLDEN["sensory"])
    assert_operation(logits, GOLDEN["logits"])
    assert_sensory(updated, GOLDEN["updated"])
