"""Export Mattes and Import Mattes call the core as the command line does: the same bytes."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from drawn import NamedShot
from matte_track import COUNT, FRAME_NAMES, IDS, SIZE, make_track
from recording import recording_comfyui
from shot_on_disk import files_below

ROOT = Path(__file__).parents[2]
PACKAGE = "mattes_pack"
WIDGETS = {
    "preset": "nuke",
    "shot": "sh010",
    "objects": "",
    "version": 3,
    "existing": "refuse",
    "steady": 0,
}


class Steps:
    """A progress bar that keeps what it is told."""

    seen: list[tuple[int, int]] = []  # noqa: RUF012 - shared on purpose

    def __init__(self, total: int) -> None:
        Steps.seen = []

    def step(self, done: int, total: int) -> None:
        Steps.seen.append((done, total))


@pytest.fixture(scope="module")
def pack() -> Any:
    """The nodes' modules over the stand-in, their results as plain values."""
    with recording_comfyui():
        package = ModuleType(PACKAGE)
        package.__path__ = [str(ROOT)]
        sys.modules[PACKAGE] = package
        sys.modules["comfy_api.latest"].io.NodeOutput = lambda *values, ui: (values, ui)
        yield lambda name: import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def placed(pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """ComfyUI's folders below a temporary one."""
    files, shown, host = (pack(f"nodes.{name}") for name in ("files", "shown", "host"))
    monkeypatch.setattr(files, "output_file", lambda name: (tmp_path / "output" / name, name))
    monkeypatch.setattr(files, "input_file", lambda name: tmp_path / "output" / name)
    monkeypatch.setattr(files, "temporary_file", lambda suffix: tmp_path / f"film{suffix}")
    monkeypatch.setattr(shown, "video", lambda path: {"film": path})
    monkeypatch.setattr(shown, "pictures", lambda pictures: {"pictures": pictures})
    monkeypatch.setattr(host, "Progress", Steps)
    monkeypatch.setattr(host, "blocked", lambda: "blocked")
    return SimpleNamespace(
        export=pack("nodes.export").ExportMattes,
        imported=pack("nodes.import_mattes").ImportMattes,
        convert=pack("nodes.convert"),
        output=tmp_path / "output",
    )


def track_of(pack: Any, tmp_path: Path) -> Any:
    """The track as the pack's own core has it."""
    from xmempp_core import save_track

    save_track(make_track(), tmp_path / "t.xmtrack")
    return pack("xmempp_core").load_track(tmp_path / "t.xmtrack")


@pytest.mark.parametrize("preset", ["nuke", "resolve", "cryptomatte", "png"])
def test_the_node_and_the_command_line_write_the_same_bytes(
    pack: Any, placed: SimpleNamespace, tmp_path: Path, preset: str
) -> None:
    from xmempp_core.cli.main import main

    track = track_of(pack, tmp_path)
    widgets = {**WIDGETS, "preset": preset, "grow_pixels": 0.5, "join": "both=2,5"}
    values, ui = placed.export.execute(track, "m", -1, **widgets)
    command = ["export", "--track", str(tmp_path / "t.xmtrack"), "--output", str(tmp_path / "c")]
    command += ["--preset", preset, "--shot", "sh010", "--matte-version", "3", "--quiet"]
    assert main([*command, "--matte-set", "grow_pixels=0.5", "--join", "both=2,5"]) == 0
    expected = files_below(tmp_path / "c")
    assert files_below(placed.output / "m") == expected
    first, last = (Path(value).relative_to(placed.output / "m") for value in values[:2])
    assert values[2] == "m"
    assert {str(first), str(last)} <= set(expected)
    assert ui["film"].is_file()
    assert Steps.seen[-1] == (COUNT, COUNT)


def test_a_preview_is_shown_and_nothing_is_written(
    pack: Any, placed: SimpleNamespace, tmp_path: Path
) -> None:
    track = track_of(pack, tmp_path)
    values, ui = placed.export.execute(track, "m", 2, **WIDGETS)
    assert values == ("", "", "blocked")
    assert ui["pictures"][0].shape == (3 * SIZE.height, SIZE.width, 3)
    assert not placed.output.exists()


def test_fields_change_the_preset_and_wrong_ones_are_named(
    pack: Any, placed: SimpleNamespace, tmp_path: Path
) -> None:
    track, error = track_of(pack, tmp_path), pack("xmempp_core").InputError
    placed.export.execute(track, "m", -1, **WIDGETS, fields="format=labels; first_frame=5")
    assert sorted(files_below(placed.output / "m"))[0] == "sh010_labels_v003.0005.png"
    with pytest.raises(error, match="there is no setting 'bit'"):
        placed.export.execute(track, "n", -1, **WIDGETS, fields="bit=3")
    with pytest.raises(error, match="need the frames of the shot"):
        placed.export.execute(track, "n", -1, **{**WIDGETS, "steady": 2})
    assert not (placed.output / "n").exists()


def test_what_was_exported_is_imported_as_annotations_and_as_a_track(
    pack: Any, placed: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = track_of(pack, tmp_path)
    placed.export.execute(track, "m", -1, **{**WIDGETS, "preset": "fusion"})
    monkeypatch.setattr(placed.convert, "frames_of", lambda _: NamedShot(FRAME_NAMES, SIZE))
    values, ui = placed.imported.execute("m/sh010_mattes_v003.json", None, 3, "auto", 0)
    annotations, again = values
    assert annotations.frame_indices == (0, 3)
    assert again.object_ids == IDS
    assert torch.equal(again.label_map(1), track.label_map(1))
    assert ui["text"] == (f"{COUNT} mattes of 3 objects, by frame number",)
    folder = "m/sh010_mattes_v003"
    pattern = f"{folder}/sh010_mattes_v003.####.exr"
    (annotations, _), _ = placed.imported.execute(pattern, None, 6, "auto", 0)
    assert annotations.frame_indices == (0,)
