"""Odd files and paths: each is refused in one sentence that names it, and none makes it wait."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from drawn import numbered_shot

from xmempp_core.annotations import AnnotationSet
from xmempp_core.cli.main import main
from xmempp_core.errors import FormatError, InputError
from xmempp_core.formats.annotations.folder import load_annotations, save_annotations
from xmempp_core.formats.annotations.label_maps import read_label_map, write_label_map
from xmempp_core.formats.annotations.notes import NOTES_NAME, notes_from_json
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.formats.tracks import load_track
from xmempp_core.types import Size

SIZE = Size(6, 8)
SHOT = numbered_shot(4, SIZE)


def folder_of_maps(folder: Path) -> Path:
    write_label_map(folder / "00001.png", torch.ones(SIZE, dtype=torch.uint8))
    return folder


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ('{"absences": [{"object": 1, "first": %s, "last": 3}]}' % ("9" * 5000), "4300 digits"),
        ('{"absences": [{"object": 1, "first": 0, "last": 1e999}]}', "number 1e999 is too large"),
        (f'{{"names": {{"{"9" * 5000}": "x"}}}}', r"object id '9+\.\.\. is not an integer"),
        ('{"version": NaN}', "NaN is no number in JSON"),
        (
            '{"absences": [{"object": 1, "first": -Infinity, "last": 3}]}',
            "-Infinity is no number in JSON",
        ),
        ('{"names": {"1": "\\ud800"}}', "holds text that is not valid Unicode"),
        ('{"frames": {"\\ud800": {"absent": [1]}}}', "holds text that is not valid Unicode"),
        (b"\0\0", "is not valid: Expecting value"),
        (b'{"names": {"1": "\xff"}}', "holds text that is not valid Unicode"),
        (f'{{"{"k" * 9999}": 1}}', r"unknown key 'k+\.\.\.; known are version"),
    ],
)
def test_notes_that_no_program_should_read_are_refused_in_a_short_sentence(
    text: str | bytes, problem: str
) -> None:
    with pytest.raises(FormatError, match=problem) as caught:
        notes_from_json(text, Path("annotations.json"))
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def fifo(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
@pytest.mark.parametrize(
    "read",
    [
        lambda root: load_annotations(fifo(root / "m" / NOTES_NAME).parent, SHOT),
        lambda root: load_annotations(fifo(root / "m" / "00001.png").parent, SHOT),
        lambda root: load_annotations(fifo(root / "m"), SHOT),
        lambda root: read_label_map(fifo(root / "m.png")),
        lambda root: load_track(fifo(root / "m.xmtrack")),
        lambda root: open_frames(fifo(root / "m.png")),
    ],
    ids=["notes", "map in a folder", "folder", "map", "track", "frames"],
)
def test_a_fifo_is_refused_and_not_waited_for(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    with pytest.raises(FormatError, match="is a FIFO and no regular file"):
        read(tmp_path)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    maps = folder_of_maps(tmp_path / "maps")
    (maps / "00002.png").symlink_to(maps / "00002.png")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(FormatError, match=r"00002.png: cannot be read \(.+\)"):
        load_annotations(maps, SHOT)
    with pytest.raises(FormatError, match=r"loop: cannot be read \(.+\)"):
        load_annotations(tmp_path / "loop", SHOT)


def test_names_too_long_for_the_file_system_are_refused(tmp_path: Path) -> None:
    for read in (lambda p: load_annotations(p, SHOT), read_label_map, open_frames):
        with pytest.raises(FormatError, match="cannot be read"):
            read(tmp_path / ("x" * 300))


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(FormatError, match="home folder of a user who does not exist"):
        load_annotations("~nosuchuser/maps", SHOT)


@pytest.mark.parametrize("closed", ["frames", "maps"])
def test_a_closed_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    """Closed by hand: the administrator, who may run this, can read everything."""

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    folder_of_maps(tmp_path)
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(FormatError, match=r"cannot be read \(Permission denied\)"):
        open_frames(tmp_path) if closed == "frames" else load_annotations(tmp_path, SHOT)


def test_a_map_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    folder_of_maps(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(FormatError, match=r"00001.png: cannot be read \(Permission denied\)"):
        load_annotations(tmp_path, SHOT)


def test_a_nul_in_the_name_of_a_map_is_refused(tmp_path: Path) -> None:
    text = '{"frames": {"00001": {"overlaps": {"1": "a\\u0000.png"}}}}'
    (folder_of_maps(tmp_path) / NOTES_NAME).write_text(text)
    with pytest.raises(FormatError, match="cannot be the name of a file"):
        load_annotations(tmp_path, SHOT)


def test_an_object_name_that_no_file_could_keep_is_refused_at_birth() -> None:
    with pytest.raises(InputError, match=r"object 3 has the name '\\ud800', which is not valid"):
        AnnotationSet(names={3: "\ud800"})


def test_saving_below_a_file_is_refused(tmp_path: Path) -> None:
    annotations = load_annotations(folder_of_maps(tmp_path), SHOT)
    with pytest.raises(FormatError, match="cannot be written"):
        save_annotations(annotations, tmp_path / "00001.png" / "below", SHOT)
    assert stat.S_ISREG((tmp_path / "00001.png").stat().st_mode)


@pytest.mark.parametrize("option", ["frames", "annotations", "settings", "output"])
@pytest.mark.parametrize("path", ["~nosuchuser/x", "x" * 300, "loop", "file/below"])
def test_the_command_line_tells_odd_paths_in_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    path: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder_of_maps(tmp_path / "maps")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("x")
    options = {"frames": "maps", "annotations": "maps", "output": "out", "device": "cpu"}
    pairs = [
        text for name, value in {**options, option: path}.items() for text in (f"--{name}", value)
    ]
    assert main(["propagate", *pairs, "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("xmempp: ")
    assert not (tmp_path / "out" / "masks").exists()
