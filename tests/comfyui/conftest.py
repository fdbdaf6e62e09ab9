"""One real ComfyUI for all tests of this folder, which run in a process of their own."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

if TYPE_CHECKING:
    from bed import Bed

HERE = Path(__file__).parent

os.environ["CI"] = "1"  # so that precision auto is float32 and not measured


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


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames of 96x64 whose gray level counts them, with B-frames."""
    path = tmp_path_factory.mktemp("films") / "count.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(30):
            pixels = np.full((64, 96, 3), 8 * number, np.uint8)
            pixels[:32, :48, 0] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path
