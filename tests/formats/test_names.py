"""Which number of a name is the frame's, and which frame a map belongs to."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import NamedShot
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xmempp_core.cli.main import main
from xmempp_core.errors import FormatError, InputError
from xmempp_core.formats.annotations.folder import load_annotations
from xmempp_core.formats.annotations.label_maps import write_label_map
from xmempp_core.formats.frames.number_lists import MAX_NUMBERS, parse_numbers, runs_of
from xmempp_core.formats.frames.numbering import parse_range
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.types import FrameSource, Size

SIZE = Size(6, 8)


def plates(folder: Path, names: Iterable[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(folder / name)
    return folder


def maps(folder: Path, names: Iterable[str]) -> Path:
    labels = torch.zeros(SIZE, dtype=torch.uint8)
    labels[1:3, 1:4] = 1
    for name in names:
        write_label_map(folder / name, labels)
    return folder


def facts(source: FrameSource) -> dict[str, int]:
    return {source.name(i): source.number(i) for i in range(len(source))}


# ---- the number of a sequence


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["0001_v02", "0002_v02", "0010_v02"], [1, 2, 10]),
        (["sh010_v003.0998_left", "sh010_v003.0999_left"], [998, 999]),
        (["a1_cam2_-0002", "a1_cam2_-0001", "a1_cam2_0000"], [-2, -1, 0]),
        (["0001_v02"], [1]),
        (["plate_v02"], [2]),
        (["v1_0005", "v1_0006"], [5, 6]),
        (["v1", "v2", "v3"], [1, 2, 3]),
    ],
)
def test_the_number_of_a_sequence_is_the_one_that_varies(
    tmp_path: Path, names: list[str], expected: list[int]
) -> None:
    source = open_frames(plates(tmp_path, [f"{name}.png" for name in names]))
    assert facts(source) == dict(zip(names, expected, strict=True))


def test_range_and_maps_follow_a_number_before_the_version(tmp_path: Path) -> None:
    names = [f"{n:04d}_v02" for n in range(1, 9)]
    source = open_frames(plates(tmp_path / "frames", [f"{name}.png" for name in names]))
    assert [source.name(i) for i in parse_range("3-5", source)] == names[2:5]
    roto = maps(tmp_path / "roto", ["0005.png"])
    assert load_annotations(roto, source).frame_indices == (4,)


def test_two_numbers_that_vary_together_are_refused_with_the_pattern_to_give(
    tmp_path: Path,
) -> None:
    names = ["f_0001_t0.040.png", "f_0002_t0.080.png", "f_0003_t0.120.png"]
    plates(tmp_path, names)
    with pytest.raises(FormatError, match=r"2 numbers vary") as caught:
        open_frames(tmp_path)
    pattern = str(caught.value).rsplit("'", 2)[1]
    assert pattern == str(tmp_path / "f_####_t0.*.png")
    assert [*facts(open_frames(pattern)).values()] == [1, 2, 3]


def test_several_versions_of_a_sequence_are_refused_with_their_patterns(tmp_path: Path) -> None:
    plates(tmp_path, [f"{n:04d}_v{v}.png" for n in (7, 8) for v in (1, 2, 3)])
    with pytest.raises(FormatError, match=r"holds 3 sequences, ####_v1\.png, ####_v2\.png") as got:
        open_frames(tmp_path)
    pattern = str(got.value).rsplit("as in ", 1)[1]
    assert facts(open_frames(pattern)) == {"0007_v1": 7, "0008_v1": 8}


def test_two_files_that_a_star_gives_one_frame_are_refused(tmp_path: Path) -> None:
    plates(tmp_path, ["0001_v1.png", "0001_v2.png"])
    with pytest.raises(FormatError, match=r"two files for frame 1, 0001_v1\.png and 0001_v2"):
        open_frames(tmp_path / "####_v*.png")


@pytest.mark.parametrize("mark", ["####", "%04d", "$F4", "@@@@", "#"])
@pytest.mark.parametrize("width", [3, 4])
def test_patterns_take_negative_numbers_with_the_sign_counted_or_not(
    tmp_path: Path, mark: str, width: int
) -> None:
    names = [f"plate.-{n:0{width}d}.png" for n in (3, 2, 1)] + ["plate.0000.png", "plate.0001.png"]
    plates(tmp_path, names)
    assert [*facts(open_frames(tmp_path / f"plate.{mark}.png")).values()] == [-3, -2, -1, 0, 1]
    ranged = open_frames(tmp_path / f"plate.-2-0{mark}.png")
    assert [*facts(ranged).values()] == [-2, -1, 0]


def test_a_hyphen_after_a_letter_is_no_sign(tmp_path: Path) -> None:
    plates(tmp_path, ["shot-0001.png", "shot-0002.png"])
    assert [*facts(open_frames(tmp_path / "shot-####.png")).values()] == [1, 2]
    with pytest.raises(FormatError, match="has such a name"):
        open_frames(tmp_path / "shot####.png")


def test_a_pattern_of_files_that_are_not_read_says_so(tmp_path: Path) -> None:
    for n in (1, 2):
        (tmp_path / f"plate.{n:04d}.dpx").write_bytes(b"SDPX")
    with pytest.raises(FormatError, match=r"2 files have such names, but \.dpx is not read; conv"):
        open_frames(tmp_path / "plate.####.dpx")


def test_a_range_in_a_pattern_is_bounded_before_it_is_expanded(tmp_path: Path) -> None:
    plates(tmp_path, ["a.1.png"])
    with pytest.raises(FormatError, match="holds 999999999 numbers, at most 1000000"):
        open_frames(tmp_path / "a.1-999999999#.png")


def test_a_name_that_utf8_cannot_write_is_refused_at_reading(tmp_path: Path) -> None:
    plates(tmp_path / "frames", ["a.1.png"])
    (tmp_path / "frames" / "a.1.png").rename(tmp_path / "frames" / "a\udcff.1.png")
    for path in (tmp_path / "frames", tmp_path / "frames" / "*.#.png"):
        with pytest.raises(FormatError, match=r"the name 'a\\udcff.1.png' is not valid Unicode"):
            open_frames(path)
    roto = maps(tmp_path / "roto", ["1.png"])
    (roto / "1.png").rename(roto / "\udcff1.png")
    with pytest.raises(FormatError, match=r"the name '\\udcff1.png' is not valid Unicode"):
        load_annotations(roto, NamedShot(["1"], SIZE))


# ---- the frame of a map


PADDED = [f"{n:04d}" for n in range(8)]
SIGNED = [f"plate.{n:05d}" if n < 0 else f"plate.{n:04d}" for n in range(-3, 4)]


@pytest.mark.parametrize(
    ("frames", "files", "expected"),
    [
        (PADDED, ["0006_v02"], ["0006"]),
        (PADDED, ["v002.0006"], ["0006"]),
        (PADDED, ["roto_3"], ["0003"]),
        (PADDED, ["mask_00003"], ["0003"]),
        (PADDED, ["2_0004", "2_0005"], ["0004", "0005"]),
        (PADDED, ["7_v1", "7_v2"], ["0001", "0002"]),
        (PADDED, ["task-5-x-3", "task-6-x-3"], ["0005", "0006"]),
        (["0001_v0001", "0002_v0001", "0003_v0001"], ["r_0002_v5"], ["0002_v0001"]),
        (SIGNED, ["roto.-0003"], ["plate.-0003"]),
        (SIGNED, ["roto.0003"], ["plate.0003"]),
        (SIGNED, ["roto-3"], ["plate.0003"]),
        (SIGNED, ["-2"], ["plate.-0002"]),
    ],
)
def test_a_map_belongs_to_the_frame_that_its_number_names(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    frames: list[str],
    files: list[str],
    expected: list[str],
) -> None:
    shot = open_frames(plates(tmp_path / "frames", [f"{name}.png" for name in frames]))
    with caplog.at_level(logging.INFO):
        annotations = load_annotations(maps(tmp_path / "m", [f"{f}.png" for f in files]), shot)
    assert sorted(shot.name(i) for i in annotations.frame_indices) == sorted(expected)
    for file, frame in zip(files, expected, strict=True):
        assert f"{file}.png -> frame {frame}" in caplog.text


def test_a_map_of_the_whole_name_is_matched_without_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shot = NamedShot(["0006_v02", "0006_v06"], SIZE)
    with caplog.at_level(logging.INFO):
        annotations = load_annotations(maps(tmp_path, ["0006_v06.png"]), shot)
    assert annotations.frame_indices == (1,)
    assert "->" not in caplog.text


def test_a_map_whose_numbers_name_several_frames_is_refused_and_lists_them(tmp_path: Path) -> None:
    maps(tmp_path, ["task-5-annotation-3-by-1-tag-Car-0.png"])
    with pytest.raises(FormatError, match=r"matches 4 frames by its numbers, 0000, 0001, 0003, 00"):
        load_annotations(tmp_path, NamedShot(PADDED, SIZE))


def test_a_map_without_any_number_is_refused(tmp_path: Path) -> None:
    maps(tmp_path, ["final.png"])
    with pytest.raises(FormatError, match=r"final.png matches no frame by name or number"):
        load_annotations(tmp_path, NamedShot(PADDED, SIZE))


def test_many_matches_are_told_in_one_short_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shot = NamedShot([f"{n:04d}" for n in range(100)], SIZE)
    with caplog.at_level(logging.INFO):
        load_annotations(maps(tmp_path, [f"m{n}.png" for n in range(100)]), shot)
    (line,) = [one for one in caplog.messages if "->" in one]
    assert line.endswith(", 92 more, m99.png -> frame 0099")


# ---- lists of numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("0, 24, 48-50", [0, 24, 48, 49, 50]),
        (" 3 - 4 ;1\t1", [1, 3, 4]),
        ("-3--1, -2-0", [-3, -2, -1, 0]),
        ("007", [7]),
    ],
)
def test_a_list_of_numbers_is_read(text: str, expected: list[int]) -> None:
    assert parse_numbers(text, "list") == tuple(expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "list 'x' is not a list of numbers such as"),
        ("1.5", "is not a list of numbers"),
        ("1-", "is not a list of numbers"),
        ("#1", "is not a list of numbers"),
        ("1-9x2", "is not a list of numbers"),
        ("9" * 5000, r"list '9{60}\.\.\.' is not a list of numbers"),
        ("7-3", "list '7-3': 7-3 runs backward; write 3-7"),
        ("0-999999999", "holds 1000000000 numbers, at most 1000000 are allowed"),
        ("-1", "holds -1, allowed is 0 and up"),
    ],
)
def test_a_list_that_cannot_be_read_says_why(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_numbers(text, "list", least=0)


def test_the_longest_list_is_one_run() -> None:
    assert runs_of(parse_numbers(f"0-{MAX_NUMBERS - 1}", "list")) == [range(MAX_NUMBERS)]


@given(st.sets(st.integers(-1000, 1000)))
def test_runs_hold_all_numbers_and_never_touch(numbers: set[int]) -> None:
    runs = runs_of(sorted(numbers))
    assert [n for run in runs for n in run] == sorted(numbers)
    assert all(a.stop < b.start for a, b in pairwise(runs))


# ---- the command line


def test_a_range_of_negative_numbers_is_read_behind_its_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = plates(tmp_path / "frames", [f"{name}.png" for name in SIGNED])
    roto = maps(tmp_path / "roto", ["plate.0000.png"])
    inputs = ["--frames", str(frames), "--annotations", str(roto), "--output", str(tmp_path / "o")]
    assert main(["propagate", *inputs, "--range", "-9-0", "--device", "cpu"]) == 2
    assert "there is no frame -9: the shot has frames -3 to 3" in capsys.readouterr().err
    assert main(["propagate", *inputs, "--use", "-3,0", "--device", "cpu"]) == 2
    assert "--use '-3,0': frame -3 is not annotated; annotated are 0" in capsys.readouterr().err
