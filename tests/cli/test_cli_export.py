"""The command line's mattes: `export`, `propagate --export`, and that both give the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
import torch
from drawn import NamedShot
from matte_track import COUNT, FIRST, FRAME_NAMES, SIZE, make_track
from shot_on_disk import SMALL_SETTINGS, files_below, make_shot

from xmempp_core.cli.main import main
from xmempp_core.formats.annotations.label_maps import read_label_map
from xmempp_core.formats.tracks import load_track, save_track
from xmempp_core.pictures.pictures import write_picture


@pytest.fixture(scope="module")
def track_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("track") / "shot.xmtrack"
    save_track(make_track(), path)
    return path


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plates")
    shot = NamedShot(FRAME_NAMES, SIZE)
    for index, name in enumerate(FRAME_NAMES):
        write_picture(folder / f"{name}.png", shot.frame(index))
    return folder


def export(track: Path, output: Path, *more: str) -> int:
    return main(["export", "--track", str(track), "--output", str(output), "--quiet", *more])


def test_propagate_and_export_give_the_same_bytes(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    base = ["propagate", "--frames", str(shot.frames), "--annotations", str(shot.annotations)]
    base += ["--model", str(shot.model()), "--device", "cpu", "--dtype", "float32", "--quiet"]
    base += [text for one in SMALL_SETTINGS for text in ("--set", one)]
    for preset, more in (("nuke", []), ("png", ["--steady", "1"])):
        run = tmp_path / f"run_{preset}"
        assert main([*base, "--output", str(run), "--export", preset, *more]) == 0
        again = tmp_path / f"again_{preset}"
        more = [*more, "--frames", str(shot.frames), "--preset", preset]
        assert export(run / "track.xmtrack", again, *more) == 0
        assert files_below(run / "mattes") == files_below(again)
    plain = load_track(tmp_path / "run_nuke" / "track.xmtrack")
    steady = load_track(tmp_path / "run_png" / "track.xmtrack")
    differing = 0
    for index, name in enumerate(shot.names()):
        assert torch.equal(plain.probabilities(index), steady.probabilities(index))
        mask = read_label_map(tmp_path / "run_png" / "masks" / f"{name}.png")
        differing += int((mask != plain.label_map(index)).sum())
    assert differing > 0


def test_range_handles_objects_joins_and_names(track_file: Path, tmp_path: Path) -> None:
    template = "{shot}-{object}.{frame}.png"
    more = ["--range", "1003-1003", "--handles", "1", "--objects", "5", "--join", "all=2,5,9"]
    more += ["--shot", "sh 010", "--template", template, "--matte-set", "bits=8"]
    assert export(track_file, tmp_path, *more) == 0
    names = {f"sh 010-{who}.{n}.png" for who in ("5", "all") for n in (1002, 1003, 1004)}
    assert set(files_below(tmp_path)) == names | {"sh 010_mattes.json"}
    assert export(track_file, tmp_path / "b", "--range", "1001-1002", "--handles", "9") == 0
    assert len(list((tmp_path / "b" / "5").iterdir())) == COUNT


def test_a_second_run_is_refused_counted_up_or_replaces(
    track_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(track_file, tmp_path, "--preset", "nuke", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["files"], summary["version"]) == (3 * COUNT, 1)
    assert export(track_file, tmp_path, "--preset", "nuke") == 2
    assert "--version-up writes the next version" in capsys.readouterr().err
    assert export(track_file, tmp_path, "--preset", "nuke", "--overwrite") == 0
    assert export(track_file, tmp_path, "--preset", "nuke", "--version-up", "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == 2


def test_a_preview_shows_one_frame_and_writes_no_matte(
    track_file: Path, plates: Path, tmp_path: Path
) -> None:
    more = ["--preview", "1003", "--frames", str(plates), "--matte-set", "grow_pixels=1.5"]
    assert export(track_file, tmp_path, *more) == 0
    (picture,) = tmp_path.iterdir()
    assert picture.name == "plate_preview.1003.png"
    assert cv2.imread(str(picture)).shape == (3 * SIZE.height, 2 * SIZE.width, 3)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--preset", "nook"], "there is no preset nook; presets are aftereffects"),
        (["--steady", "2"], "need the frames of the shot; give them with --frames"),
        (["--matte-set", "refine_pixels=8"], "need the frames of the shot"),
        (["--steady", "-1"], "steady is -1 rounds; allowed are 0 (off) to 10"),
        (["--matte-set", "bits"], "is not of the form NAME=VALUE"),
        (["--matte-set", "size=3"], "there is no setting 'size'"),
        (["--objects", "hut"], "there is no object 'hut'; objects are 2, 5, 9, Hat"),
        (["--join", "2,5"], "is not of the form NAME=ID,ID"),
        (["--template", "{frame}.tif"], "must end with .png"),
        (["--template", "{object}.png"], "must have the frame number last"),
        (["--template", "{thing}.{frame}.png"], "{thing} is no field; fields are {shot}"),
        (["--template", "../{object}.{frame}.png"], "is no name"),
        (["--template", "nul/{object}.{frame}.png"], "is the name of a device on Windows"),
        (["--range", "1-3"], "there is no frame 1: the shot has frames 1001 to 1006"),
        (["--range", "1001-1002", "--handles", "-1"], "handles are -1 frames"),
        (["--matte-version", "-1"], "the version is -1"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence_and_leaves_nothing(
    track_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    problem: str,
) -> None:
    assert export(track_file, tmp_path / "out", *more) == 2
    said = capsys.readouterr().err
    assert problem in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_frames_are_never_written_over(
    track_file: Path, plates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_below(plates)
    more = ["--template", "{name}.png", "--objects", "5", "--frames", str(plates), "--overwrite"]
    assert export(track_file, plates, *more) == 2
    assert f"plate.{FIRST}.png is a frame of the shot" in capsys.readouterr().err
    assert files_below(plates) == before
