"""The node and the command line are two ways to the same pass."""

from __future__ import annotations

import filecmp
import subprocess
import sys
from pathlib import Path

from bed import PACK
from graphs import PROPAGATE, Graph

DEMO = PACK / "xmempp_core" / "assets" / "demo"


def test_the_node_saves_the_very_track_that_the_command_line_writes(bed, tmp_path):
    graph = Graph()
    shot = graph.add("XMemPPDemoShot")
    model = graph.add("XMemPPLoadModel", model="lite (bundled)", precision="float32")
    track = graph.add(
        "XMemPPPropagate",
        model=(model, 0),
        frames=(shot, 0),
        annotations=(shot, 1),
        **PROPAGATE,
    )
    graph.add("XMemPPSaveTrack", track=(track, 0), filename="one_way")
    assert bed.run(graph).success

    command = ["propagate", "--frames", DEMO / "bigbuckbunny.mp4", "--annotations", DEMO]
    command += ["--output", tmp_path / "out", "--device", "cpu", "--dtype", "float32", "--quiet"]
    chosen = {name: PROPAGATE[name] for name in ("internal_size", "memorize_every")}
    for name, value in chosen.items():
        command += ["--set", f"{name}={value}"]
    line = [sys.executable, "-m", "xmempp_core", *map(str, command)]
    subprocess.run(line, check=True, cwd=PACK)
    saved = next(Path(bed.base).rglob("one_way*.xmtrack"))
    assert filecmp.cmp(saved, tmp_path / "out" / "track.xmtrack", shallow=False)
