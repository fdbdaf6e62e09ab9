"""One shot through Python calls and through the command line: the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shot_on_disk import SMALL_SETTINGS, ShotOnDisk, files_below, make_shot
from tiny import ARCHITECTURES
from toy import toy_frames

import xmempp_core as xmempp
from xmempp_core.cli.main import main

SMALL = xmempp.PropagationSettings(
    memorize_every=2,
    working_memory_max_frames=3,
    working_memory_min_frames=1,
    long_term_prototypes=8,
    long_term_max_elements=20,
    internal_size=None,
    top_k=10,
)


@pytest.fixture
def shot(tmp_path: Path) -> ShotOnDisk:
    return make_shot(tmp_path)


class NamedAs:
    """The pictures of one source under the names of another."""

    def __init__(self, pictures: xmempp.FrameSource, names: xmempp.FrameSource) -> None:
        self.frame, self._names = pictures.frame, names

    def __len__(self) -> int:
        return len(self._names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._names, name)


def by_calls(shot: ShotOnDisk, network: xmempp.Network, frames: object, output: Path) -> None:
    """What `propagate` writes, made with the public names alone."""
    files = xmempp.open_frames(shot.frames)
    source = NamedAs(xmempp.open_frames(frames), files)  # type: ignore[arg-type]
    annotations = xmempp.load_annotations(shot.annotations, files)
    track = xmempp.Track.collect(xmempp.propagate(network, source, annotations, SMALL))
    for index in track.frame_indices:
        name = track.frame_names[index]
        xmempp.write_label_map(output / "masks" / f"{name}.png", track.label_map(index))
    xmempp.save_track(track, output / "track.xmtrack")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_calls_and_command_line_write_the_same_bytes(shot: ShotOnDisk, architecture: str) -> None:
    model = shot.model(architecture)
    network = xmempp.load_model(model, xmempp.Runtime.choose("cpu", "float32"))
    by_calls(shot, network, shot.frames, shot.root / "calls")
    by_calls(shot, network, toy_frames()[0], shot.root / "array")
    command = ["propagate", "--frames", str(shot.frames), "--annotations", str(shot.annotations)]
    command += ["--output", str(shot.root / "command"), "--model", str(model), "--quiet"]
    command += ["--device", "cpu", "--dtype", "float32"]
    command += [text for one in SMALL_SETTINGS for text in ("--set", one)]
    assert main(command) == 0

    expected = files_below(shot.root / "calls")
    assert len(expected) == 13
    assert files_below(shot.root / "array") == expected
    written = files_below(shot.root / "command")
    assert {name: written[name] for name in expected} == expected
