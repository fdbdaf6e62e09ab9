"""Memory does not grow with the length of the shot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PASS = """
import sys
import torch
from xmempp_core import Annotation, AnnotationSet, PropagationSettings, Runtime, load_model
from xmempp_core import open_frames, propagate
from xmempp_core.cli.progress import peak_memory_bytes

torch.set_num_threads(1)
film = open_frames(sys.argv[1])
mask = torch.zeros(1, *film.size)
mask[:, 60:120, 40:140] = 1
settings = PropagationSettings(internal_size=96, memorize_every=1)
network = load_model("lite", Runtime.choose("cpu"))
frames = range(int(sys.argv[2]))
annotations = AnnotationSet((Annotation(0, (1,), mask),))
for _ in propagate(network, film, annotations, settings, frame_range=frames):
    pass
print(peak_memory_bytes(torch.device("cpu")))
"""


def write_film(path: Path, count: int) -> None:
    """A film of moving noise, 320x192."""
    noise = np.random.default_rng(0).integers(0, 255, (192, 640, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        for t in range(count):
            picture = np.ascontiguousarray(noise[:, t % 320 : t % 320 + 320])
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def peak_bytes(film: Path, count: int) -> int:
    """Peak memory of a pass over `count` frames in a process of its own."""
    command = [sys.executable, "-c", PASS, str(film), str(count)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return int(answer.stdout)


@pytest.mark.slow
def test_400_frames_take_no_more_memory_than_100(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    write_film(film, 400)
    short, long = peak_bytes(film, 100), peak_bytes(film, 400)
    assert long < 1.1 * short, f"{short / 2**20:.0f} MB, then {long / 2**20:.0f} MB"
