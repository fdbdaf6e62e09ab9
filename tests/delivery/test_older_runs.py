"""Runs that 0.1.0 left unfinished, kept as it wrote them, go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from xmempp_core.delivery.deliver import Delivery, deliver
from xmempp_core.errors import FormatError, InputError, Interrupted
from xmempp_core.formats.annotations.folder import load_annotations
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.formats.tracks import load_track
from xmempp_core.network.checkpoint import load_model
from xmempp_core.propagation.propagation import Propagation
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings

OLD = Path(__file__).parents[1] / "data" / "v0.1.0"
FRAMES = 6
STEPS_DONE = {"forward": 4, "bidirectional": 8}
RESULT_LEVEL = 1 / 255
"""Step of the probabilities that 0.1.0 kept."""


def pass_of(saved: dict[str, str], tmp_path: Path) -> Propagation:
    """The pass that was interrupted: two label maps, which became annotations of their own."""
    maps = tmp_path / "maps"
    maps.mkdir(exist_ok=True)
    for name in ("plate.1001.png", "plate.1004.png"):
        shutil.copy(OLD / "annotations" / name, maps)
    frames = open_frames(OLD / "frames")
    network = load_model(OLD / "converted.safetensors", Runtime(torch.device("cpu"), torch.float32))
    settings = PropagationSettings.from_json(saved["settings"])
    return Propagation(network, frames, load_annotations(maps, frames), settings=settings)


def copied(direction: str, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A copy of an unfinished output folder, and what it says the run is made from."""
    output = tmp_path / "out"
    shutil.copytree(OLD / "unfinished" / direction, output)
    saved = json.loads((output / ".resume" / "identity.json").read_text(encoding="utf-8"))
    assert saved["program version"] == "0.1.0"
    assert saved["settings"].find(f'"direction": "{direction}"') >= 0
    return output, saved


@pytest.mark.parametrize("direction", STEPS_DONE)
def test_an_unfinished_run_of_0_1_0_goes_on_to_a_whole_track(
    direction: str, tmp_path: Path
) -> None:
    output, saved = copied(direction, tmp_path)
    masks = {p.name: p.read_bytes() for p in (output / "masks").iterdir()}
    told = []
    track = deliver(
        pass_of(saved, tmp_path),
        Delivery(output, resume=True),
        progress=lambda done, total: told.append(done),
    )
    assert min(told) == STEPS_DONE[direction] + 1  # what 0.1.0 had made is not made again
    assert not (output / ".resume").exists()
    assert len(track) == FRAMES
    assert len(list((output / "masks").iterdir())) == FRAMES
    for name, content in masks.items():
        assert (output / "masks" / name).read_bytes() == content
    whole = deliver(pass_of(saved, tmp_path), Delivery(tmp_path / "whole"))
    again = load_track(output / "track.xmtrack")
    for t in range(FRAMES):
        torch.testing.assert_close(
            again.probabilities(t), whole.probabilities(t), atol=RESULT_LEVEL, rtol=0
        )


def test_an_unfinished_run_of_0_1_0_with_other_annotations_is_refused_and_kept(
    tmp_path: Path,
) -> None:
    output, saved = copied("forward", tmp_path)
    before = {p: p.read_bytes() for p in output.rglob("*") if p.is_file()}
    one = pass_of(saved, tmp_path)
    (tmp_path / "maps" / "plate.1004.png").unlink()
    frames = open_frames(OLD / "frames")
    fewer = load_annotations(tmp_path / "maps", frames)
    other = Propagation(one.network, frames, fewer, settings=one.settings)
    with pytest.raises(InputError, match=r"the annotations changed since.*--overwrite"):
        deliver(other, Delivery(output, resume=True))
    assert {p: p.read_bytes() for p in before} == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.mark.parametrize("name", ["identity.json", "state.safetensors"])
def test_an_unfinished_run_of_a_newer_version_is_refused_and_kept(
    name: str, tmp_path: Path
) -> None:
    output, saved = copied("forward", tmp_path)
    file = output / ".resume" / name
    if name == "identity.json":
        file.write_text(json.dumps({"format_version": 2, **saved}), encoding="utf-8")
    else:
        save_file(load_file(file), file, {"xmempp_format_version": "2"})
    before = contents(output)
    one = pass_of(saved, tmp_path)
    with pytest.raises(FormatError, match=rf"{name}: .*newer version.*update the program"):
        deliver(one, Delivery(output, resume=True))
    assert contents(output) == before


def test_notes_and_states_of_a_run_say_their_version(tmp_path: Path) -> None:
    _, saved = copied("forward", tmp_path)
    output = tmp_path / "new"
    steps: list[int] = []
    with pytest.raises(Interrupted):
        deliver(
            pass_of(saved, tmp_path),
            Delivery(output),
            progress=lambda done, total: steps.append(done),
            should_stop=lambda: bool(steps),
        )
    assert version_in(output / ".resume" / "identity.json") == 1
    with safe_open(output / ".resume" / "state.safetensors", "pt") as state:
        assert state.metadata()["xmempp_format_version"] == "1"
    deliver(pass_of(saved, tmp_path), Delivery(output, resume=True))
    assert version_in(output / "track.json") == 1
    report = json.loads((output / "track.json").read_text(encoding="utf-8"))
    (output / "track.json").write_text(json.dumps({**report, "format_version": 2}), "utf-8")
    before = contents(output)
    with pytest.raises(FormatError, match=r"track\.json: .*newer version.*update the program"):
        deliver(pass_of(saved, tmp_path), Delivery(output, resume=True))
    assert contents(output) == before


def version_in(path: Path) -> int:
    version: int = json.loads(path.read_text(encoding="utf-8"))["format_version"]
    return version
