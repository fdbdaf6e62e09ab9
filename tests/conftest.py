"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

# Nothing is measured in tests: dtype "auto" is float32, whatever the processor. Also for the
# processes that tests start.
os.environ["CI"] = "1"


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    """A test leaves the number of threads as it was: with another, results differ by rounding."""
    before = torch.get_num_threads()
    yield
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert after == before, f"the test left {after} threads where there were {before}"
