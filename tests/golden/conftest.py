"""Networks with the weights of the golden cases, built once a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from seeded_weights import seeded_state

from xmempp_core.network.building import build
from xmempp_core.network.xmem import XMem


def _network(checkpoint: str) -> XMem:
    network = build(Path(f"{checkpoint}.pth"), dict(seeded_state(checkpoint)))
    assert isinstance(network, XMem)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def multi_network() -> XMem:
    """The usual checkpoint."""
    return _network("multi")


@pytest.fixture(scope="session")
def nohidden_network() -> XMem:
    """The checkpoint without sensory memory."""
    return _network("nohidden")


@pytest.fixture(scope="session")
def single4_network() -> XMem:
    """The single-object checkpoint, whose value encoder takes four channels."""
    return _network("single4")
