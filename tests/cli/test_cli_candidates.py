"""The commands candidates and evaluate, from arguments to files, and what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from xmempp_core.annotations import AnnotationSet
from xmempp_core.cli.main import main
from xmempp_core.evaluation.experiments import CURVES
from xmempp_core.formats.annotations.label_maps import write_label_map
from xmempp_core.formats.tracks import load_track, save_track
from xmempp_core.track.track import Track


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    """A data set of one clip: a bright square that moves over a ground; frame 1001 annotated."""
    frames, masks, annotated = (tmp_path / n for n in ("JPEGImages", "Annotations", "annotated"))
    for folder in (frames, masks, annotated):
        folder.mkdir()
    ground = np.random.default_rng(0).integers(0, 120, (64, 96, 3), np.uint8)
    ground = cv2.GaussianBlur(ground, (9, 9), 3)
    for t in range(6):
        picture, labels = ground.copy(), torch.zeros(64, 96, dtype=torch.uint8)
        picture[20:44, 10 + 8 * t : 34 + 8 * t] = (40, 220, 250)
        labels[20:44, 10 + 8 * t : 34 + 8 * t] = 1
        cv2.imwrite(str(frames / f"plate.{1001 + t}.png"), picture)
        write_label_map(masks / f"plate.{1001 + t}.png", labels)
    name = "plate.1001.png"
    (annotated / name).write_bytes((masks / name).read_bytes())
    return tmp_path


@pytest.fixture
def track(shot: Path) -> Path:
    frames, annotated = shot / "JPEGImages", shot / "annotated"
    arguments = ["propagate", "--frames", str(frames), "--annotations", str(annotated), "--quiet"]
    assert main([*arguments, "--output", str(shot / "result")]) == 0
    return shot / "result" / "track.xmtrack"


def candidates(shot: Path, track: Path, *more: str) -> int:
    arguments = ["candidates", "--frames", str(shot / "JPEGImages"), "--track", str(track)]
    arguments += ["--annotations", str(shot / "annotated"), "--output", str(shot / "out")]
    return main([*arguments, *more])


def test_candidates_prints_a_table_and_writes_three_files(shot, track, capsys) -> None:
    assert candidates(shot, track, "--count", "2") == 0

    content = json.loads((shot / "out" / "candidates.json").read_text())
    assert content["annotated"] == [1001]
    assert content["frames"] == list(range(1001, 1007))
    assert len(content["candidates"]) == 2
    best = content["candidates"][0]
    curve = content["dissimilarity"][0]
    assert best["score"] == pytest.approx(max(curve))
    assert best["frame"] == 1001 + curve.index(max(curve))
    assert all(content["is_exact"][0])
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["rank", "frame", "score"]
    assert table[1].split()[:2] == ["1", str(best["frame"])]
    for name in ("contact_sheet.png", "curve.png"):
        assert cv2.imread(str(shot / "out" / name)).std() > 0


def test_candidates_as_json_with_uncertainty(shot, track, capsys) -> None:
    assert candidates(shot, track, "--count", "1", "--method", "uncertainty", "--json") == 0

    summary = json.loads(capsys.readouterr().out)
    assert len(summary["candidates"]) <= 1
    assert summary["output"] == str(shot / "out")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--count", "7"], "7 frames were asked for, allowed is 1 to the clip's 6"),
        (["--alpha", "2"], "alpha is 2.0"),
        (["--track", "/nowhere.xmtrack"], "/nowhere.xmtrack"),
    ],
)
def test_a_bad_request_is_one_sentence_and_exit_code_2(shot, track, capsys, more, said) -> None:
    assert candidates(shot, track, *more) == 2

    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (shot / "out" / "candidates.json").exists()


def test_what_belongs_to_another_clip_is_one_sentence_too(shot, track, capsys) -> None:
    shorter, other, nothing = (shot / name for name in ("shorter", "other", "nothing"))
    shutil.copytree(shot / "JPEGImages", shorter)
    (shorter / "plate.1006.png").unlink()
    (shorter / "plate.1005.png").unlink()
    shutil.copytree(shot / "JPEGImages", other)
    shutil.copy(other / "plate.1001.png", other / "plate.1006.png")
    shutil.copytree(shot / "Annotations", shot / "stray")
    (shot / "stray" / "plate.1001.png").rename(shot / "stray" / "plate.1007.png")
    nothing.mkdir()
    empty = shot / "empty.xmtrack"
    made = load_track(track)
    save_track(Track(made.shot, AnnotationSet(), made.settings, made.model), empty)
    for more, said in (
        (["--frames", str(shorter)], "another clip: 6 frames of 96x64, while this clip has 4"),
        (["--frames", str(other)], "another clip of the same length and size"),
        (["--annotations", str(shot / "stray")], "plate.1007.png matches no frame"),
        (["--annotations", str(nothing)], "holds no label-map PNG"),
        (["--track", str(empty)], "the track holds no object"),
    ):
        assert candidates(shot, track, *more) == 2
        (error,) = capsys.readouterr().err.strip().splitlines()
        assert said in error


def test_evaluate_writes_tables_and_goes_on_in_its_own_folder(shot, capsys) -> None:
    arguments = ["evaluate", "--data", str(shot), "--experiments", "counts", "--counts", "1,2"]
    arguments += ["--output", str(shot / "scores"), "--quiet", "--json"]

    assert main(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    rows = json.loads(Path(first["tables"]["counts"]).read_text())
    assert main(arguments) == 0

    assert main([*arguments, "--experiments", "counts, counts"]) == 0
    assert len(rows) == 2 * len(CURVES)
    assert {row["sequence"] for row in rows} == {shot.name}
    assert json.loads((shot / "scores" / "counts.json").read_text()) == rows


def test_evaluate_says_where_too_few_masks_make_no_table(shot, capsys) -> None:
    for path in sorted((shot / "Annotations").iterdir())[1:]:
        path.unlink()
    arguments = ["evaluate", "--data", str(shot), "--experiments", "counts", "--quiet"]

    assert main([*arguments, "--output", str(shot / "scores")]) == 0

    said = capsys.readouterr().out.strip()
    assert said == "counts: no sequence has enough true masks that show an object"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--experiments", "all"], "experiment 'all' is unknown"),
        (["--counts", "1,x"], "--counts '1,x' is not a list of numbers"),
        (["--counts", " "], "--counts is empty"),
        (["--step", "0"], "--step is 0"),
        (["--sequences", "cat"], "lacks the sequence cat"),
    ],
)
def test_evaluate_refuses_in_one_sentence(shot, capsys, more, said) -> None:
    arguments = ["evaluate", "--data", str(shot), "--output", str(shot / "scores"), "--quiet"]

    assert main([*arguments, *more]) == 2

    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1
