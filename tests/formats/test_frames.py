"""Image sequences, stills and arrays: which files, in which order, with which values."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xmempp_core.errors import FormatError, InputError, ShapeError
from xmempp_core.formats.frames.numbering import index_of_number, parse_range
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.types import FrameSource, Size

RANDOM = np.random.default_rng(3)
SMALL = Size(6, 8)


def picture(value: int = 0, size: Size = SMALL) -> np.ndarray:
    """A BGR picture whose first red value is `value`."""
    image = RANDOM.integers(0, 255, (*size, 3), np.uint8)
    image[0, 0, 2] = value
    return image


def write(path: Path, image: np.ndarray | None = None) -> np.ndarray:
    """Writes a picture whatever the path's suffix says in case and spelling."""
    image = picture() if image is None else image
    ok, data = cv2.imencode(path.suffix.lower(), image)
    assert ok
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())
    return image


def write_all(folder: Path, names: Iterable[str]) -> Path:
    """Pictures whose first red value is their place in the list."""
    for value, name in enumerate(names):
        write(folder / name, picture(value))
    return folder


def write_exr(path: Path, channels: dict[str, np.ndarray], **header: object) -> None:
    OpenEXR.File(
        header, {n: OpenEXR.Channel(np.ascontiguousarray(c)) for n, c in channels.items()}
    ).write(str(path))


def order(source: FrameSource) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in source]


def numbers(source: FrameSource) -> list[int]:
    return [source.number(i) for i in range(len(source))]


# ---- which files, in which order


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    source = open_frames(write_all(tmp_path, ["f8.png", "f9.png", "f10.png", "f100.png"]))
    assert order(source) == [0, 1, 2, 3]
    assert numbers(source) == [8, 9, 10, 100]
    assert source.name(3) == "f100"
    assert source.size == Size(6, 8)
    assert source.frame_rate is None


def test_names_keep_their_own_padding(tmp_path: Path) -> None:
    source = open_frames(write_all(tmp_path, ["plate.1001.png", "plate.1002.png"]))
    assert (source.number(0), source.name(0)) == (1001, "plate.1001")


def test_hidden_files_folders_and_other_files_are_ignored(tmp_path: Path) -> None:
    write_all(tmp_path, ["a.1.png", "a.2.png"])
    write(tmp_path / "._a.1.png")
    write(tmp_path / ".hidden.png")
    write(tmp_path / "inner" / "b.1.png")
    (tmp_path / "folder.3.png").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "Thumbs.db").write_bytes(b"\0")
    assert numbers(open_frames(tmp_path)) == [1, 2]


def test_suffixes_are_read_in_any_case_and_spelling(tmp_path: Path) -> None:
    upper = write_all(tmp_path / "upper", ["a.1.JPG", "a.2.jpg", "a.3.Jpg"])
    assert numbers(open_frames(upper)) == [1, 2, 3]
    long = write_all(tmp_path / "long", ["00000.jpeg", "00001.jpeg"])
    assert [open_frames(long).name(i) for i in range(2)] == ["00000", "00001"]


def test_paths_with_spaces_accents_and_marks_are_read(tmp_path: Path) -> None:
    folder = write_all(
        tmp_path / "söme #2 shot@home %04d", ["täke één.0001.png", "täke één.0002.png"]
    )
    assert order(open_frames(folder)) == [0, 1]
    assert order(open_frames(str(folder / "täke één.####.png"))) == [0, 1]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["ComfyUI_00009_.png", "ComfyUI_00010_.png"], [9, 10]),
        (["shot-0001.png", "shot-0002.png"], [1, 2]),
        (["plate.-2.png", "plate.-1.png", "plate.0.png"], [-2, -1, 0]),
        (["2024-05-01.png", "2024-05-02.png"], [1, 2]),
    ],
)
def test_the_last_digits_are_the_number(
    tmp_path: Path, names: list[str], expected: list[int]
) -> None:
    source = open_frames(write_all(tmp_path, names))
    assert numbers(source) == expected
    assert order(source) == list(range(len(names)))


def test_stills_without_numbers_are_sorted_by_name_and_numbered_by_position(
    tmp_path: Path,
) -> None:
    source = open_frames(write_all(tmp_path, ["alley.png", "bear.jpg", "cup2b.png", "cup10a.png"]))
    assert numbers(source) == [0, 1, 2, 3]
    assert [source.name(i) for i in range(4)] == ["alley", "bear", "cup2b", "cup10a"]


def test_a_single_image_is_a_shot_of_one_frame(tmp_path: Path) -> None:
    write_all(tmp_path, ["plate.1001.png", "plate.1002.png"])
    source = open_frames(tmp_path / "plate.1002.png")
    assert (len(source), source.number(0), source.name(0)) == (1, 1002, "plate.1002")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("plate.####.png", [998, 999, 1000, 1001]),
        ("plate.@@@@.png", [998, 999, 1000, 1001]),
        ("plate.%04d.png", [998, 999, 1000, 1001]),
        ("plate.$F4.png", [998, 999, 1000, 1001]),
        ("plate.#.png", [998, 999, 1000, 1001]),
        ("plate.%d.png", [998, 999, 1000, 1001]),
        ("plate.999-1000####.png", [999, 1000]),
        ("plate.998-1001x2%04d.png", [998, 1000]),
        ("plate.998,1000-1001#.png", None),
        ("plate.998-999,1001#.png", [998, 999, 1001]),
        ("plate.1001-1000####.png", [1000, 1001]),
    ],
)
def test_a_pattern_picks_one_sequence_out_of_a_folder(
    tmp_path: Path, pattern: str, expected: list[int] | None
) -> None:
    write_all(tmp_path, [f"plate.{n:04d}.png" for n in range(998, 1002)])
    write_all(tmp_path, ["matte.0998.png", "plate.0998.jpg", "plate.998b.png"])
    if expected is None:  # a number alone before the mark belongs to the name
        with pytest.raises(FormatError, match=r"no file in .+ has such a name"):
            open_frames(tmp_path / pattern)
        return
    assert numbers(open_frames(tmp_path / pattern)) == expected


def test_a_pattern_asks_for_its_padding(tmp_path: Path) -> None:
    write_all(tmp_path, ["a.1.png", "a.0002.png", "a.12345.png", "a.00003.png"])
    assert numbers(open_frames(tmp_path / "a.####.png")) == [2, 12345]


def test_a_pattern_may_have_its_mark_in_the_middle(tmp_path: Path) -> None:
    write_all(tmp_path, ["shot_0001_v2.png", "shot_0002_v2.png", "shot_0001_v3.png"])
    assert numbers(open_frames(tmp_path / "shot_####_v2.png")) == [1, 2]


def test_gaps_in_the_numbers_are_closed_and_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        source = open_frames(write_all(tmp_path, ["a.1.png", "a.2.png", "a.5.png"]))
    assert numbers(source) == [1, 2, 5]
    assert "2 frame numbers are missing" in caplog.text


# ---- what is refused, and the sentence for it


def refused(path: Path, match: str) -> None:
    with pytest.raises(FormatError, match=match) as caught:
        open_frames(path)
    assert "\n" not in str(caught.value)


def test_two_sequences_in_a_folder_are_both_named(tmp_path: Path) -> None:
    write_all(tmp_path, ["plate.1001.png", "plate.1002.png", "matte.1.png", "matte.10.png"])
    refused(
        tmp_path,
        r"2 sequences, matte\.#\.png, plate\.####\.png; name one of them, as in .+matte\.#\.png",
    )
    assert numbers(open_frames(tmp_path / "plate.####.png")) == [1001, 1002]


def test_a_sequence_and_a_stray_image_are_not_mixed(tmp_path: Path) -> None:
    write_all(tmp_path, ["a.1.png", "a.2.png", "a.1.jpg", "cover.png"])
    refused(tmp_path, r"holds 3 sequences, a\.#\.png, .*cover\.png.*; name one .+a\.#\.png")


def test_one_number_twice_is_refused(tmp_path: Path) -> None:
    write_all(tmp_path, ["a.1.png", "a.2.png", "a.02.png"])
    refused(tmp_path, r"two files for frame 2, a\.02\.png and a\.2\.png; remove one")


def test_stills_of_one_name_are_refused(tmp_path: Path) -> None:
    write_all(tmp_path, ["alley.png", "alley.jpg"])
    refused(tmp_path, r"two images of one name, alley\.jpg and alley\.png; remove one")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, r"has no images to read, nothing; images end in \.png, ")


def test_a_folder_of_other_files_is_refused_and_named(tmp_path: Path) -> None:
    for name in ("a.dpx", "b.dpx", "c.dpx", "d.dpx"):
        (tmp_path / name).write_bytes(b"SDPX")
    refused(tmp_path, r"has no images to read, only a\.dpx, b\.dpx, c\.dpx, \.\.\.; images end in")


@pytest.mark.parametrize("name", ["none", "none.mp4", "none.png"])
def test_a_missing_path_is_refused(tmp_path: Path, name: str) -> None:
    refused(tmp_path / name, rf"{name}: does not exist")


def test_patterns_without_files_are_refused(tmp_path: Path) -> None:
    write_all(tmp_path, ["a.0001.png", "a.0003.png"])
    refused(tmp_path / "b.####.png", r"no file in .+ has such a name")
    refused(tmp_path / "none" / "a.####.png", r"there is no folder .+none")
    refused(tmp_path / "a.####.dpx", r"does not exist, nor do images it could name; they end in")
    refused(tmp_path / "a.1-4####.png", r"frames 2,4 of the range are missing")


def test_mixed_sizes_are_refused_at_once_naming_the_file(tmp_path: Path) -> None:
    write_all(tmp_path, ["a.1.png", "a.2.png"])
    write(tmp_path / "a.3.png", picture(size=Size(6, 9)))
    refused(
        tmp_path, r"a\.3\.png: is 9x6, but a\.1\.png is 8x6; all frames of a shot must have one"
    )


def test_a_file_that_changes_its_size_after_opening_is_refused_when_read(tmp_path: Path) -> None:
    source = open_frames(write_all(tmp_path, ["a.1.tif", "a.2.tif"]))
    write(tmp_path / "a.2.tif", picture(size=Size(6, 9)).astype(np.float32))
    with pytest.raises(FormatError, match=r"a\.2\.tif: is 9x6, but a\.1\.tif is 8x6"):
        source.frame(1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".exr", ".webp"])
@pytest.mark.parametrize("kept", [0, 0.6, 0.9])
def test_images_cut_off_are_refused_by_name(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"a.1{suffix}"
    if suffix == ".exr":
        write_exr(path, dict.fromkeys("RGB", RANDOM.random((64, 64)).astype(np.float32)))
    else:
        write(path, picture(size=Size(64, 64)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    refused(path, rf"a\.1\{suffix}: (is not a readable image|cannot be read as OpenEXR)")


def test_a_file_that_is_no_image_is_refused_when_read(tmp_path: Path) -> None:
    write_all(tmp_path, ["a.1.png"])
    (tmp_path / "a.2.png").write_text("no image")
    source = open_frames(tmp_path)
    with pytest.raises(FormatError, match=r"a\.2\.png: is not a readable image: it is damaged"):
        source.frame(1)


def test_a_file_that_vanishes_is_refused_when_read(tmp_path: Path) -> None:
    source = open_frames(write_all(tmp_path, ["a.1.png", "a.2.png"]))
    (tmp_path / "a.2.png").unlink()
    with pytest.raises(FormatError, match=r"a\.2\.png: does not exist"):
        source.frame(1)


# ---- values


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_eight_bit_images_come_as_they_are(tmp_path: Path, suffix: str) -> None:
    image = write(tmp_path / f"a{suffix}")
    frame = open_frames(tmp_path).frame(0)
    assert frame.dtype == torch.uint8
    assert np.array_equal(frame.numpy(), image[..., ::-1])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_images_come_as_float(tmp_path: Path, suffix: str) -> None:
    image = write(tmp_path / f"a{suffix}", RANDOM.integers(0, 65536, (6, 8, 3), np.uint16))
    frame = open_frames(tmp_path).frame(0)
    assert frame.dtype == torch.float32
    assert np.array_equal(frame.numpy(), image[..., ::-1].astype(np.float32) / 65535)


def test_grey_images_become_rgb(tmp_path: Path) -> None:
    image = write(tmp_path / "a.png", picture()[..., 0])
    assert np.array_equal(open_frames(tmp_path).frame(0).numpy(), np.stack([image] * 3, axis=-1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_ignored_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dtype: type
) -> None:
    image = RANDOM.integers(0, 255, (6, 8, 4)).astype(dtype)
    image[..., 3] = 0
    write(tmp_path / "a.1.png", image)
    with caplog.at_level(logging.INFO):
        frame = open_frames(tmp_path).frame(0)
    scale = 1 if dtype == np.uint8 else np.float32(65535)
    assert np.array_equal(frame.numpy(), image[..., 2::-1] / scale)
    assert "a.1.png: the alpha channel is ignored" in caplog.text


def srgb(linear: np.ndarray) -> np.ndarray:
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_exr_is_linear_light_clipped_to_the_screen(tmp_path: Path, dtype: type) -> None:
    rgb = (RANDOM.random((6, 8, 3)) * 3 - 1).astype(dtype)
    rgb[0, 0] = (np.nan, np.inf, -np.inf)
    write_exr(tmp_path / "a.1.exr", {n: rgb[..., i] for i, n in enumerate("RGB")})
    frame = open_frames(tmp_path).frame(0).numpy()
    assert frame.dtype == np.float32
    assert frame[0, 0].tolist() == pytest.approx([0, 1, 0])
    expected = srgb(np.clip(rgb.astype(np.float64), 0, 1))
    assert np.allclose(frame[1:], expected[1:], atol=1e-6)


def test_exr_that_is_already_srgb_is_only_clipped(tmp_path: Path) -> None:
    grey = (RANDOM.random((6, 8)) * 2).astype(np.float32)
    write_exr(tmp_path / "a.exr", {"Y": grey})
    frame = open_frames(tmp_path, input_colorspace="srgb").frame(0).numpy()
    assert np.array_equal(frame, np.stack([grey.clip(0, 1)] * 3, axis=-1))


def test_exr_alpha_is_ignored_with_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    grey = np.full((4, 4), 0.5, np.float16)
    write_exr(tmp_path / "a.exr", {"R": grey, "G": grey, "B": grey, "A": grey * 0})
    with caplog.at_level(logging.INFO):
        frame = open_frames(tmp_path).frame(0)
    assert frame.shape == (4, 4, 3)
    assert frame.mean() == pytest.approx(0.7354, abs=1e-3)
    assert "a.exr: the alpha channel is ignored" in caplog.text


def test_exr_is_placed_in_its_display_window(tmp_path: Path) -> None:
    """Data of 4x3 at (-1, 1) in a display of 5x5: a column is overscan, the rest is black."""
    grey = np.arange(1, 13, dtype=np.float32).reshape(3, 4) / 12
    data = (np.array([-1, 1], np.int32), np.array([2, 3], np.int32))
    display = (np.array([0, 0], np.int32), np.array([4, 4], np.int32))
    channels = dict.fromkeys("RGB", grey)
    write_exr(tmp_path / "a.exr", channels, dataWindow=data, displayWindow=display)
    source = open_frames(tmp_path, input_colorspace="srgb")
    expected = np.zeros((5, 5), np.float32)
    expected[1:4, 0:3] = grey[:, 1:]
    assert source.size == Size(5, 5)
    assert np.array_equal(source.frame(0)[..., 0].numpy(), expected)


def test_exr_without_colors_is_refused_by_its_channels(tmp_path: Path) -> None:
    write_exr(tmp_path / "depth.exr", {"Z": np.zeros((4, 4), np.float32)})
    refused(tmp_path, r"depth\.exr: has no channels R, G and B, only Z; write the picture as RGB")


def test_log_follows_the_cineon_curve() -> None:
    codes = torch.tensor([95, 445, 470, 685, 1000]) / 1023
    frames = codes.view(1, 1, -1, 1).expand(1, 1, 5, 3)
    values = open_frames(frames, input_colorspace="log").frame(0)[0, :, 0]
    floor = 10 ** ((95 - 685) * 0.002 / 0.6)
    grey = (10 ** ((470 - 685) * 0.002 / 0.6) - floor) / (1 - floor)
    assert 0.17 < grey < 0.19, "code 470 is the 18 % grey card"
    assert values[[0, 3, 4]].tolist() == pytest.approx([0, 1, 1], abs=1e-5)
    assert values[2].item() == pytest.approx(float(srgb(np.array(grey))), abs=1e-5)
    assert values[0] < values[1] < values[2]


def test_an_unknown_color_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="'rec709' is not known; allowed are auto, srgb, linear, log"
    ):
        open_frames(write_all(tmp_path, ["a.png"]), input_colorspace="rec709")  # type: ignore[arg-type]


# ---- arrays


def test_an_array_is_read_by_position() -> None:
    array = RANDOM.integers(0, 255, (3, 6, 8, 3), np.uint8)
    for source in (open_frames(array), open_frames(torch.from_numpy(array))):
        assert (len(source), source.size, source.frame_rate) == (3, Size(6, 8), None)
        assert (source.number(2), source.name(2)) == (2, "00002")
        assert np.array_equal(torch.stack(list(source)).numpy(), array)
        assert isinstance(source, FrameSource)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_float_array_is_clipped_and_left_as_it_was(dtype: torch.dtype) -> None:
    frames = torch.tensor([-1, 0, 0.25, 1, 7]).view(1, 1, 5, 1).expand(1, 1, 5, 3).to(dtype)
    before = frames.clone()
    frame = open_frames(frames).frame(0)
    assert frame.dtype == torch.float32
    assert frame[0, :, 0].tolist() == [0, 0, 0.25, 1, 1]
    assert torch.equal(frames, before)
    assert open_frames(frames).fingerprint == open_frames(before).fingerprint


def test_arrays_that_cannot_be_written_and_sixteen_bits_are_read() -> None:
    array = RANDOM.integers(0, 65536, (2, 4, 4, 3), np.uint16)
    array.flags.writeable = False
    assert np.array_equal(open_frames(array).frame(1).numpy(), array[1].astype(np.float32) / 65535)


def test_a_fourth_channel_of_an_array_is_ignored() -> None:
    array = torch.rand(2, 4, 4, 4)
    assert torch.equal(open_frames(array).frame(1), array[1, ..., :3])


@pytest.mark.parametrize("shape", [(4, 4, 3), (2, 3, 5, 5), (2, 4, 4, 1)])
def test_arrays_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"frames: expected shape \(T, H, W, 3\), got \("):
        open_frames(torch.zeros(shape))


@pytest.mark.parametrize("array", [np.zeros((1, 2, 2, 3), np.int64), np.zeros((1, 2, 2, 3), bool)])
def test_arrays_of_another_type_are_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError, match="allowed are uint8, uint16 and floating point"):
        open_frames(array)


def test_arrays_without_pixels_and_other_things_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(0, 4, 4, 3\) hold no pixel"):
        open_frames(torch.zeros(0, 4, 4, 3))
    with pytest.raises(InputError, match="cannot be read from a int; give a path or an array"):
        open_frames(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("index", [-1, 3])
def test_positions_outside_the_shot_are_refused(tmp_path: Path, index: int) -> None:
    folder = open_frames(write_all(tmp_path, ["a.1.png", "a.2.png", "a.3.png"]))
    for source in (folder, open_frames(torch.zeros(3, 4, 4, 3))):
        for read in (source.frame, source.number, source.name):
            with pytest.raises(InputError, match=rf"position {index} is outside the shot; its 3"):
                read(index)


# ---- fingerprints


def test_a_copied_sequence_keeps_its_fingerprint(tmp_path: Path) -> None:
    folder = write_all(tmp_path / "a", ["a.1.png", "a.2.png"])
    copy = shutil.copytree(folder, tmp_path / "b", copy_function=shutil.copyfile)
    first = open_frames(folder).fingerprint
    assert open_frames(folder).fingerprint == first == open_frames(copy).fingerprint
    assert open_frames(folder, input_colorspace="srgb").fingerprint == first
    assert open_frames(folder, input_colorspace="linear").fingerprint != first


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write(folder / "a.2.png", picture(9)),
        lambda folder: write(folder / "a.3.png"),
        lambda folder: (folder / "a.2.png").rename(folder / "a.4.png"),
        lambda folder: (folder / "a.2.png").unlink(),
    ],
    ids=["pixels", "one more", "renamed", "one less"],
)
def test_a_changed_sequence_changes_its_fingerprint(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder = write_all(tmp_path, ["a.1.png", "a.2.png"])
    before = open_frames(folder).fingerprint
    change(folder)
    assert open_frames(folder).fingerprint != before


def test_a_changed_array_changes_its_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = torch.rand(8, 8, 8, 3)
    first = open_frames(frames).fingerprint
    assert open_frames(frames.clone()).fingerprint == first
    assert open_frames(frames.double()).fingerprint != first
    changed = frames.clone()
    changed[5, 5, 5, 1] += 0.5
    assert open_frames(changed).fingerprint != first
    monkeypatch.setattr(
        "xmempp_core.formats.frames.fingerprints.ARRAY_SAMPLE_BYTES", frames.nbytes // 4
    )
    sampled = open_frames(frames).fingerprint
    assert sampled != first
    changed = frames.clone()
    changed[5, 5] += 0.5  # frame 5 starts at row 1, every fourth row counts
    assert open_frames(changed).fingerprint != sampled


# ---- numbers and ranges


@pytest.fixture
def numbered(tmp_path: Path) -> FrameSource:
    return open_frames(write_all(tmp_path, [f"a.{n}.png" for n in (1001, 1002, 1003, 1006)]))


def test_numbers_lead_to_positions(numbered: FrameSource) -> None:
    assert [index_of_number(numbered, n) for n in (1001, 1003, 1006)] == [0, 2, 3]


@pytest.mark.parametrize("number", [0, 1000, 1007])
def test_numbers_outside_name_the_range(numbered: FrameSource, number: int) -> None:
    with pytest.raises(InputError, match=rf"no frame {number}: the shot has frames 1001 to 1006$"):
        index_of_number(numbered, number)


def test_a_number_in_a_gap_is_said_to_be_missing(numbered: FrameSource) -> None:
    with pytest.raises(InputError, match="frames 1001 to 1006, where this one is missing"):
        index_of_number(numbered, 1004)


def test_ranges_are_inclusive_and_in_the_numbers_of_the_source(numbered: FrameSource) -> None:
    assert parse_range("1002-1006", numbered) == range(1, 4)
    assert parse_range(" 1001 - 1001 ", numbered) == range(1)
    assert parse_range("1003", numbered) == range(2, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "range '' is not of the form FIRST-LAST"),
        ("a-b", "range 'a-b' is not of the form FIRST-LAST, such as 1001-1050"),
        ("1001-", "range '1001-' is not of the form"),
        ("1003-1001", "range '1003-1001' ends before it starts; write 1001-1003"),
        ("1-1003", "no frame 1: the shot has frames 1001 to 1006"),
    ],
)
def test_ranges_that_cannot_be_read_say_why(numbered: FrameSource, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_range(text, numbered)


@given(first=st.integers(0, 19), length=st.integers(1, 20))
def test_every_range_of_an_array_is_understood(first: int, length: int) -> None:
    source = open_frames(torch.zeros(20, 1, 1, 3))
    last = min(first + length - 1, 19)
    assert parse_range(f"{first}-{last}", source) == range(first, last + 1)


def test_negative_numbers_make_ranges(tmp_path: Path) -> None:
    source = open_frames(write_all(tmp_path, ["a.-2.png", "a.-1.png", "a.0.png"]))
    assert parse_range("-2--1", source) == range(2)
    assert parse_range("-1-0", source) == range(1, 3)
