"""Export Batch Manifest writes what the command line makes: a section and annotations."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from recording import recording_comfyui
from show import make_show

ROOT = Path(__file__).parents[2]
PACKAGE = "batch_pack"


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
    """A shot below ComfyUI's input folder, and its annotations by position."""
    files = pack("nodes.files")
    show = make_show(tmp_path / "input", ("sh010",))
    monkeypatch.setattr(
        files, "output_file", lambda name, end: (tmp_path / "out" / (name + end), name + end)
    )
    monkeypatch.setattr(files, "input_file", lambda name: tmp_path / "input" / name)
    core, shot = pack("xmempp_core"), show.shot("sh010")
    annotations = core.load_annotations(shot.annotations, core.open_frames(shot.frames))
    return SimpleNamespace(
        node=pack("nodes.export_batch").ExportBatch,
        annotations=annotations,
        core=core,
        manifest=tmp_path / "out" / "show.toml",
        model=str(show.root / "tiny.safetensors"),
    )


def put(placed: SimpleNamespace, shot: str = "sh010", **more: Any) -> Any:
    given = {"plates": "shots/sh010/plates", "preset": "png", "adapt": "off", **more}
    given.setdefault("annotations", placed.annotations)
    return placed.node.execute(shot=shot, manifest="show", model=placed.model, **given)


def test_what_the_node_writes_is_made_by_the_command_line(placed: SimpleNamespace) -> None:
    from xmempp_core.cli.main import main

    values, ui = put(placed, settings="top_k=5; internal_size=null", frame_range="1002-1006")
    assert values == ("show.toml", f'xmempp batch "{placed.manifest}"')
    assert "sh010 in show.toml" in ui["text"][0]
    assert main(["batch", str(placed.manifest), "--device", "cpu", "--quiet"]) == 0
    result = placed.manifest.parent / "results" / "sh010"
    assert sorted(path.name for path in (result / "masks").iterdir()) == [
        f"plate.{number}.png" for number in range(1002, 1007)
    ]
    track = placed.core.load_track(result / "track.xmtrack")
    assert (track.settings.top_k, track.settings.internal_size) == (5, None)
    assert track.annotations.fingerprint == placed.annotations.fingerprint


def test_other_shots_and_comments_of_the_manifest_stay(placed: SimpleNamespace) -> None:
    put(placed, "a")
    text = placed.manifest.read_text(encoding="utf-8")
    placed.manifest.write_text(f"# mine\n{text}\n[defaults]\nsteady = 1\n", encoding="utf-8")
    put(placed, "b")
    put(placed, "a", preset="none", adapt="quick")
    text = placed.manifest.read_text(encoding="utf-8")
    assert text.startswith("# mine\n")
    assert "[defaults]\nsteady = 1\n" in text
    assert text.count("[[shot]]") == 2
    assert text.index('name = "b"') < text.index('name = "a"')
    assert 'adapt = "quick"' in text
    assert text.count("exports") == 1


def test_a_part_of_the_plates_is_put_where_it_belongs(placed: SimpleNamespace) -> None:
    part = placed.annotations.moved(-3)
    put(placed, annotations=part, first_frame=3)
    maps = sorted(path.name for path in (placed.manifest.parent / "annotations/sh010").iterdir())
    assert maps == ["annotations.json", "plate.1004.png", "plate.1009.png"]
    with pytest.raises(placed.core.InputError):
        placed.annotations.moved(-4)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"shot": "a/b"}, "shot name 'a/b' contains '/'"),
        ({"plates": "nowhere"}, "does not exist"),
        ({"first_frame": 100}, "103"),
        ({"settings": "top_k"}, "not of the form NAME=VALUE"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_written(
    placed: SimpleNamespace, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(placed.core.XMemError, match=said):
        put(placed, **more)
    assert not placed.manifest.exists()
