"""Training data on disk: what is read, what is skipped, what is refused."""

from __future__ import annotations

import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_data import write_pair, write_training_data

from xmempp_core.errors import FormatError, InputError, SettingsError
from xmempp_core.training.library import PictureLibrary
from xmempp_core.training.packing import pack
from xmempp_core.training.sources import SourceFilter, read_sources, split_held_out
from xmempp_core.training.state import Origin, license_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_training_data(tmp_path / "data")


def test_sets_come_sorted_with_their_licenses(folder: Path) -> None:
    found = [(s.name, s.license, len(s.pictures)) for s in read_sources(folder)]
    assert found == [
        ("video/ball", "CC BY-NC 4.0", 6),
        ("video/kite", "CC BY-NC 4.0", 6),
        ("still/shapes", "MIT", 3),
    ]


def test_a_binary_mask_becomes_object_1(folder: Path) -> None:
    shapes = read_sources(folder)[-1]
    assert set(np.unique(shapes.pictures[0].labels)) == {0, 1}


def test_large_pictures_are_shrunk_with_their_masks(folder: Path) -> None:
    picture = read_sources(folder, short_side_pixels=32)[0].pictures[0]
    assert picture.rgb.shape == (32, 48, 3)
    assert picture.labels.shape == (32, 48)
    assert set(np.unique(picture.labels)) == {0, 1, 2}


def test_sets_are_excluded_by_license_and_by_name(folder: Path) -> None:
    free = read_sources(folder, SourceFilter(exclude_licenses=("*NC*",)))
    assert [s.name for s in free] == ["still/shapes"]
    named = read_sources(folder, SourceFilter(exclude_names=("video/kite", "still")))
    assert [s.name for s in named] == ["video/ball"]


def test_a_license_that_is_given_stands_above_the_file(folder: Path) -> None:
    choice = SourceFilter(licenses={"video/kite": "CC0"}, exclude_licenses=("CC BY-NC*",))
    assert [(s.name, s.license) for s in read_sources(folder, choice)] == [
        ("video/kite", "CC0"),
        ("still/shapes", "MIT"),
    ]


def test_weights_are_non_commercial_if_a_source_or_their_origin_is(folder: Path) -> None:
    every = [one.license for one in read_sources(folder)]
    free, tied = Origin("a", "Apache-2.0"), Origin("b", "non-commercial (trained on DAVIS)")
    assert license_of(every, free) == "non-commercial (made from CC BY-NC 4.0)"
    assert license_of(every[-1:], tied) == f"non-commercial (made from {tied.license})"
    assert license_of(every[-1:], free) == "made from Apache-2.0; MIT"


def test_broken_items_are_skipped_with_their_names(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ball = folder / "video" / "ball"
    (ball / "frames" / "001.png").write_bytes(b"not a picture")
    (ball / "frames" / "002.png").write_bytes(b"")
    (ball / "masks" / "003.png").write_bytes(b"\x89PNG cut off")
    (ball / "masks" / "004.png").unlink()
    Image.fromarray(np.ones((9, 9), np.uint8)).save(ball / "masks" / "005.png")
    (folder / "video" / "unmasked" / "frames").mkdir(parents=True)
    blank = np.zeros((64, 96, 3), np.uint8)
    write_pair(folder / "video" / "nothing", "frames", "000", blank, blank[..., 0])
    with caplog.at_level(logging.WARNING):
        sets = read_sources(folder)
    assert (sets[0].name, len(sets[0].pictures)) == ("video/ball", 1)
    assert "skipped 7 items" in caplog.text
    for name in ("ball/001", "ball/002", "ball/003", "ball/004", "ball/005", "unmasked", "nothing"):
        assert f"video/{name}: " in caplog.text
    assert "9x9, the picture 96x64" in caplog.text


def test_a_file_that_breaks_its_reader_is_skipped_like_any_other(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ball = folder / "video" / "ball"
    huge = _with_size((ball / "frames" / "001.png").read_bytes(), 100_000)
    (ball / "frames" / "001.png").write_bytes(huge)
    (ball / "masks" / "002.png").write_bytes(huge)
    (ball / "frames" / "003.png").unlink()
    (ball / "frames" / "003.png").mkdir()
    pixel = np.ones((1, 1, 3), np.uint8)
    write_pair(ball, "frames", "004", pixel, pixel[..., 0])
    with caplog.at_level(logging.WARNING):
        sets = read_sources(folder)
    assert [p.name for p in sets[0].pictures] == ["video/ball/000", "video/ball/005"]
    assert "skipped 4 items" in caplog.text
    assert "004: the picture has a side of less than 16 pixels" in caplog.text


def _with_size(png: bytes, side_pixels: int) -> bytes:
    """A PNG file whose header claims another size."""
    header = b"IHDR" + struct.pack(">II", side_pixels, side_pixels) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def test_a_damaged_file_in_a_packed_archive_is_skipped(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pack(folder, tmp_path / "data.zip")
    content = bytearray((tmp_path / "data.zip").read_bytes())
    content[content.index(b"video/kite/frames/003.jpg") + 200] ^= 255
    (tmp_path / "data.zip").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        sets = read_sources(tmp_path / "data.zip")
    assert [len(one.pictures) for one in sets] == [6, 5, 3]
    assert "video/kite/003: the picture cannot be decoded" in caplog.text


def test_frames_follow_their_numbers_and_a_license_may_hold_any_bytes(tmp_path: Path) -> None:
    picture = np.full((32, 32, 3), 80, np.uint8)
    for number in (998, 999, 1000, 1001):
        write_pair(tmp_path / "video" / "cat", "frames", f"cat.{number}", picture, picture[..., 0])
    (tmp_path / "LICENSE.txt").write_bytes(b"\xa9 me\n")
    (cat,) = read_sources(tmp_path)
    names = [Path(p.name).name for p in cat.pictures]
    assert names == ["cat.998", "cat.999", "cat.1000", "cat.1001"]
    assert cat.license.endswith(" me")


def test_a_matte_with_soft_edges_is_no_mask(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    ramp = np.linspace(0, 255, 96).astype(np.uint8)[None].repeat(64, 0)
    Image.fromarray(ramp).save(folder / "video" / "ball" / "masks" / "002.png")
    with caplog.at_level(logging.WARNING):
        sets = read_sources(folder)
    assert len(sets[0].pictures) == 5
    assert "ball/002: the mask has 96 levels of gray; expected a label map" in caplog.text


def test_a_short_side_without_a_cell_is_refused(folder: Path) -> None:
    with pytest.raises(SettingsError, match="short_side_pixels is 0, allowed is 16 and up"):
        read_sources(folder, short_side_pixels=0)


def test_data_without_anything_usable_stops_with_a_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="3 items skipped; the first is"):
        read_sources(folder, SourceFilter(exclude_names=("video", "still")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=r"holds no training data; expected video/"):
        read_sources(tmp_path / "empty")
    with pytest.raises(FormatError, match="neither a folder nor"):
        read_sources(tmp_path / "missing")


def test_cut_outs_alone_make_no_scene(folder: Path) -> None:
    sets = read_sources(folder, SourceFilter(exclude_names=("video",)))
    with pytest.raises(InputError, match="add a sequence or photographs"):
        PictureLibrary.build(sets, torch.device("cpu"))


def test_packed_data_reads_like_the_folder(folder: Path, tmp_path: Path) -> None:
    size = pack(folder, tmp_path / "data.zip")
    assert size == (tmp_path / "data.zip").stat().st_size
    for one, packed in zip(read_sources(folder), read_sources(tmp_path / "data.zip"), strict=True):
        assert (one.name, one.license) == (packed.name, packed.license)
        for a, b in zip(one.pictures, packed.pictures, strict=True):
            assert a.name == b.name
            assert np.array_equal(a.labels, b.labels)
            # JPEG loses a little
            assert np.abs(a.rgb.astype(int) - b.rgb).mean() < 9


def test_a_packed_file_that_cannot_be_written_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"a\.zip: cannot be written \(No such file or directory"):
        pack(folder, tmp_path / "nowhere" / "a.zip")


def test_every_nth_sequence_is_held_out_and_one_is_always_left(folder: Path) -> None:
    sets = read_sources(folder)
    training, held = split_held_out(sets, 2)
    assert [s.name for s in held] == ["video/kite"]
    assert [s.name for s in training] == ["video/ball", "still/shapes"]
    assert split_held_out(sets, 0)[1] == []
    assert split_held_out(sets[:1], 1) == (sets[:1], [])


def test_the_index_knows_boxes_and_plain_backgrounds(folder: Path) -> None:
    library = PictureLibrary.build(read_sources(folder), torch.device("cpu"))
    assert library.pictures.shape == (15, 4, 64, 96)
    assert [len(s) for s in library.index.sequences] == [6, 6]
    assert len(library.index.cutouts) == 3
    assert library.index.stills == ()
    assert tuple(library.index.entries[1].boxes[2]) == (18, 36, 24, 20, 480)


def _ring(side_pixels: int = 32) -> np.ndarray:
    """(H, W, 4) a red ring with soft edges; where it is transparent its color is green."""
    y, x = np.mgrid[:side_pixels, :side_pixels] - (side_pixels - 1) / 2
    alpha = np.clip(3.5 - np.abs(np.hypot(x, y) - side_pixels / 3), 0, 1)
    color = np.where(alpha[..., None] > 0, (200, 30, 40), (0, 255, 0))
    return np.concatenate([color, alpha[..., None] * 255], 2).round().astype(np.uint8)


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def cutouts(tmp_path: Path) -> Path:
    """Two rings, a ring of 12 frames that is gone at the end, and two backgrounds."""
    root = tmp_path / "cutouts"
    for name in "ab":
        _write(root / f"cutout/rings/images/{name}.png", _ring())
        _write(root / f"background/walls/images/{name}.png", np.full((40, 60, 3), 90, np.uint8))
    for frame in range(12):
        pixels = _ring() * np.array((1, 1, 1, frame < 11), np.uint8)
        _write(root / f"cutout_video/ring/frames/{frame + 95}.png", pixels)
    (root / "LICENSE.txt").write_text("CC0 1.0\n", encoding="utf-8")
    return root


def test_a_cut_out_keeps_its_alpha_and_its_color_goes_on_beyond_its_edge(cutouts: Path) -> None:
    by_name = {s.name: s for s in read_sources(cutouts)}
    assert list(by_name) == ["cutout/rings", "cutout_video/ring", "background/walls"]
    ring = by_name["cutout/rings"].pictures[0]
    assert np.array_equal(ring.labels, _ring()[..., 3])
    near = ring.labels[:, 16] > 0
    near = near | np.roll(near, 2) | np.roll(near, -2)
    assert np.abs(ring.rgb[near, 16].astype(int) - (200, 30, 40)).max() <= 2
    moving = by_name["cutout_video/ring"].pictures
    assert [p.name.rsplit("/", 1)[1] for p in moving[:6]] == ["95", "96", "97", "98", "99", "100"]
    assert [p.shows_object for p in moving] == [True] * 11 + [False]
    shrunk = read_sources(cutouts, short_side_pixels=16)[0].pictures[0]
    assert shrunk.labels.shape == (16, 16)
    assert abs(shrunk.labels.mean() - ring.labels.mean()) < 1


def test_the_index_puts_cut_outs_and_backgrounds_to_their_use(cutouts: Path) -> None:
    index = PictureLibrary.build(read_sources(cutouts), torch.device("cpu")).index
    assert index.cutouts == (0, 1)
    assert index.moving_cutouts == (tuple(range(2, 14)),)
    assert index.backgrounds == (14, 15)
    assert (index.sequences, index.stills) == ((), ())
    assert list(index.entries[0].boxes) == [1]
    assert index.entries[13].boxes == {}


def test_packed_cut_outs_and_backgrounds_read_like_the_folder(
    cutouts: Path, tmp_path: Path
) -> None:
    pack(cutouts, tmp_path / "data.zip")
    for one, packed in zip(read_sources(cutouts), read_sources(tmp_path / "data.zip"), strict=True):
        assert (one.name, one.license) == (packed.name, packed.license)
        for a, b in zip(one.pictures, packed.pictures, strict=True):
            assert (a.name, a.has_matte) == (b.name, b.has_matte)
            assert np.array_equal(a.labels, b.labels)
            assert np.abs(a.rgb.astype(int) - b.rgb).mean() < 9


@pytest.mark.parametrize(
    ("matte", "mode"),
    [
        (_ring()[..., 3] // 255, "label map"),
        (_ring()[..., 3].astype(np.uint16) * 257, "16 bits"),
        (_ring()[..., 3], "8 bits"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_matte_beside_the_picture_takes_the_place_of_alpha(
    tmp_path: Path, matte: np.ndarray, mode: str
) -> None:
    _write(tmp_path / "cutout/rings/images/a.png", _ring()[..., :3])
    _write(tmp_path / "cutout/rings/masks/a.png", matte)
    read = read_sources(tmp_path)[0].pictures[0].labels
    want = _ring()[..., 3]
    assert np.array_equal(read, want // 255 * 255 if mode == "label map" else want)


def test_what_is_no_cut_out_or_background_is_skipped_with_its_reason(
    cutouts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = cutouts / "cutout" / "rings" / "images"
    opaque = np.full((32, 32, 4), 255, np.uint8)
    _write(images / "opaque.png", opaque)
    _write(images / "photograph.png", opaque[..., :3])
    _write(images / "other.png", _ring())
    _write(cutouts / "cutout/rings/masks/other.png", np.zeros((20, 32), np.uint8))
    (images / "broken.png").write_bytes(b"no picture")
    _write(cutouts / "cutout/faint/images/a.png", _ring() // np.array((1, 1, 1, 3), np.uint8))
    write_pair(cutouts / "background/masked", "images", "a", opaque[..., :3], opaque[..., 0])
    (cutouts / "cutout_video" / "nothing").mkdir()
    with caplog.at_level(logging.WARNING):
        found = read_sources(cutouts)
    assert [len(s.pictures) for s in found] == [2, 12, 2]
    for line in (
        "cutout/rings/opaque: a cut-out has transparent pixels around its object",
        "cutout/rings/photograph: a cut-out needs an alpha channel, or a matte in masks/",
        "cutout/rings/other: the matte is 32x20, the picture 32x32",
        "cutout/rings/broken: the picture cannot be decoded",
        "cutout/faint: every mask is empty",
        "background/masked: a background shows no object to follow",
        "cutout_video/nothing: no pictures (expected them in a folder frames)",
    ):
        assert line in caplog.text


def test_backgrounds_alone_have_nothing_to_segment(cutouts: Path) -> None:
    sets = read_sources(cutouts, SourceFilter(exclude_names=("cutout", "cutout_video")))
    with pytest.raises(InputError, match="holds only backgrounds; add objects"):
        PictureLibrary.build(sets, torch.device("cpu"))
