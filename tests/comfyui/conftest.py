"""One real ComfyUI for all tests of this folder, which run in a process of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bed import Bed

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.comfyui)


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    """ComfyUI with the pack and the test pack, in a folder of its own."""
    from bed import PACK, TEST_PACK, Bed

    return Bed(tmp_path_factory.mktemp("comfyui"), [PACK, TEST_PACK])


@pytest.fixture(autouse=True)
def fresh(bed: Bed) -> None:
    """Every test starts with an empty cache and hears only its own messages."""
    bed.reset_cache()
    bed.received.clear()
    bed.server.listeners.clear()
