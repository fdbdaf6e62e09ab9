"""What one picture file holds: layouts of TIFF, parts of EXR, animations, rotation, limits."""

from __future__ import annotations

import io
import logging
import os
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
import torch
from PIL import Image

from xmempp_core.errors import CapacityError, FormatError, InputError
from xmempp_core.formats.frames import limits
from xmempp_core.formats.frames.images import read_image, read_image_header
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.formats.frames.video import VideoFrames
from xmempp_core.types import Size

CASES = Path(__file__).parents[1] / "data" / "cases"
RANDOM = np.random.default_rng(5)
HEIGHT, WIDTH = 20, 30
EIGHT = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
SIXTEEN = RANDOM.integers(0, 65536, (HEIGHT, WIDTH, 3), np.uint16)
SQUARE = (slice(48, 72), slice(16, 40))
"""Rows and columns of the red square in the first frame of the cases."""


def assert_shows_the_square(frame: torch.Tensor) -> None:
    values = frame.float() / (255 if frame.dtype == torch.uint8 else 1)
    is_red = (values[..., 0] > 0.6) & (values[..., 1] < 0.6)
    assert is_red[SQUARE].all()
    assert is_red.sum() == is_red[SQUARE].numel()


# ---- TIFF


def display(pixels: np.ndarray) -> np.ndarray:
    """What `read_image` makes of sRGB pixels."""
    return pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32) / 65535


@pytest.mark.parametrize("alpha", [0, 128, 255])
@pytest.mark.parametrize("pixels", [EIGHT, SIXTEEN], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
def test_tiff_alpha_changes_no_color(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, alpha: int, pixels: np.ndarray, kind: str
) -> None:
    rgba = np.dstack([pixels, np.full((HEIGHT, WIDTH), alpha, pixels.dtype)])
    path = tmp_path / "p.0000.tif"
    tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=[kind], compression="lzw")
    with caplog.at_level(logging.INFO):
        frame = open_frames(path).frame(0)
    assert np.array_equal(frame.numpy(), display(pixels))
    assert "p.0000.tif: the alpha channel is ignored" in caplog.text


@pytest.mark.parametrize("compression", [None, "lzw", "adobe_deflate", "packbits", "lzma", "zstd"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"rowsperstrip": 7}], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_tiff_is_read_in_every_layout(
    tmp_path: Path, compression: str | None, planar: str, layout: dict[str, Any], dtype: type
) -> None:
    pixels = {np.uint8: EIGHT, np.uint16: SIXTEEN}.get(dtype, (SIXTEEN / 65535).astype(dtype))
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, stored, photometric="rgb", planarconfig=planar, compression=compression, **layout
    )
    expected = pixels.astype(np.float32) if dtype in (np.float16, np.float32) else display(pixels)
    assert np.array_equal(read_image(path).numpy(), expected)
    assert read_image_header(path) == (Size(HEIGHT, WIDTH), False, 1)


@pytest.mark.parametrize("predictor", [2, 3])
def test_tiff_predictors_are_undone(tmp_path: Path, predictor: int) -> None:
    pixels = SIXTEEN if predictor == 2 else (SIXTEEN / 65535).astype(np.float32)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, pixels, photometric="rgb", compression="lzw", predictor=predictor, byteorder=">"
    )
    expected = display(pixels) if predictor == 2 else pixels
    assert np.array_equal(read_image(path).numpy(), expected)


@pytest.mark.parametrize("flags", [[], [cv2.IMWRITE_TIFF_COMPRESSION, 5]], ids=["default", "lzw"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiff_that_opencv_reads_right_is_read_alike(
    tmp_path: Path, flags: list[int], dtype: type
) -> None:
    pixels = {np.uint8: EIGHT, np.uint16: SIXTEEN}.get(dtype, (SIXTEEN / 65535).astype(dtype))
    # gray floats OpenCV does not read as color
    for image in (pixels, pixels[..., 0])[: 1 if dtype == np.float32 else 2]:
        cv2.imwrite(str(tmp_path / "a.tif"), image, flags)
        by_opencv = cv2.imread(str(tmp_path / "a.tif"), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        expected = by_opencv[..., ::-1] if dtype == np.float32 else display(by_opencv[..., ::-1])
        assert np.array_equal(read_image(tmp_path / "a.tif").numpy(), expected)


@pytest.mark.parametrize(("photometric", "inverted"), [("minisblack", False), ("miniswhite", True)])
def test_gray_tiff_is_read_whatever_zero_means(
    tmp_path: Path, photometric: str, inverted: bool
) -> None:
    gray = EIGHT[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", gray, photometric=photometric)
    expected = 255 - gray if inverted else gray
    frame = read_image(tmp_path / "a.tif").numpy()
    assert np.array_equal(frame, np.stack([expected] * 3, axis=-1))


def test_one_bit_and_palette_tiff_become_eight_bit_rgb(tmp_path: Path) -> None:
    bits = EIGHT[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / "bits.tif")
    frame = read_image(tmp_path / "bits.tif").numpy()
    assert np.array_equal(frame, np.stack([bits * np.uint8(255)] * 3, axis=-1))
    palette = Image.fromarray(EIGHT).quantize(16)
    palette.save(tmp_path / "palette.tif")
    assert np.array_equal(
        read_image(tmp_path / "palette.tif").numpy(), np.array(palette.convert("RGB"))
    )


@pytest.mark.parametrize(("bits", "largest"), [(4, 255), (12, 65535)])
def test_odd_bit_depths_fill_the_scale(tmp_path: Path, bits: int, largest: int) -> None:
    levels = np.arange(16)
    levels[0] = 2**bits - 1
    packed = int("".join(f"{level:0{bits}b}" for level in levels), 2).to_bytes(2 * bits, "big")
    tags = {256: 8, 257: 2, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: 2 * bits}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    start = 8 + len(packed)
    header = b"II*\0" + struct.pack("<I", start) + packed + struct.pack("<H", len(tags))
    (tmp_path / "a.tif").write_bytes(header + b"".join(entries) + bytes(4))
    frame = read_image(tmp_path / "a.tif").numpy()
    scaled = levels.reshape(2, 8) * largest // (2**bits - 1)
    assert np.allclose(frame[..., 0], scaled if bits < 8 else scaled / 65535)


@pytest.mark.parametrize("stored", ["RGB", "YCbCr"])
def test_jpeg_within_tiff_is_read_as_opencv_reads_it(tmp_path: Path, stored: str) -> None:
    smooth = cv2.resize(EIGHT[:3, :3], (32, 32), interpolation=cv2.INTER_LINEAR)
    Image.fromarray(smooth).convert(stored).save(tmp_path / "a.tif", compression="jpeg")
    by_opencv = cv2.imread(str(tmp_path / "a.tif"))[..., ::-1]
    frame = read_image(tmp_path / "a.tif").numpy()
    assert np.abs(frame.astype(int) - by_opencv).max() <= 2
    assert np.abs(frame.astype(int) - smooth).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_orientation_is_applied_and_known_beforehand(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, EIGHT, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    frame = read_image(path).numpy()
    # The tag means the same in a PNG, where OpenCV turns the picture.
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(EIGHT).save(tmp_path / "a.png", exif=exif)
    expected = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(frame, expected)
    header = read_image_header(path)
    assert header is not None
    assert header.size == frame.shape[:2]


@pytest.mark.parametrize(
    ("pixels", "photometric", "problem"),
    [
        (np.zeros((4, 4, 4), np.uint8), "separated", "has 4 samples a pixel of color SEPARATED"),
        (np.zeros((4, 4), np.uint32), "minisblack", "holds uint32 pixels; write it with 8 or 16"),
        (np.zeros((4, 4), np.int16), "minisblack", "holds int16 pixels; write it with 8 or 16"),
        (np.zeros((4, 4), np.complex64), "minisblack", "holds complex64 pixels; write it with 8"),
    ],
)
def test_tiff_of_another_kind_is_refused_by_what_it_is(
    tmp_path: Path, pixels: np.ndarray, photometric: str, problem: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric)
    with pytest.raises(FormatError, match=rf"a\.tif: {problem}"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [None, "lzw", "adobe_deflate"])
def test_every_cut_of_a_tiff_is_refused(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, EIGHT, photometric="rgb", compression=compression, rowsperstrip=4)
    data = path.read_bytes()
    for kept in range(0, len(data), 37):
        path.write_bytes(data[:kept])
        with pytest.raises(FormatError, match=r"a\.tif: is not a readable image"):
            read_image(path)


# ---- OpenEXR


def test_rgb_is_read_though_an_earlier_part_is_named_y() -> None:
    assert_shows_the_square(open_frames(CASES / "F07_part_y_first.exr").frame(0))


def test_rgb_is_read_though_a_channel_is_named_y(tmp_path: Path) -> None:
    gray = np.full((4, 4), 0.5, np.float32)
    channels = {"R": gray, "G": gray * 0, "B": gray, "Y": gray * 0}
    OpenEXR.File({}, {n: OpenEXR.Channel(c) for n, c in channels.items()}).write(
        str(tmp_path / "a.exr")
    )
    frame = open_frames(tmp_path / "a.exr", input_colorspace="srgb").frame(0)
    assert frame[0, 0].tolist() == [0.5, 0, 0.5]


# ---- several pictures in a file


def pictures(count: int = 6, size: tuple[int, int] = (HEIGHT, WIDTH)) -> list[np.ndarray]:
    return [RANDOM.integers(0, 256, (*size, 3), np.uint8) for _ in range(count)]


def save_animation(path: Path, frames: list[np.ndarray], **options: object) -> Path:
    first, *rest = map(Image.fromarray, frames)
    if path.suffix == ".webp":
        options |= {"lossless": True, "quality": 0}
    first.save(path, save_all=True, append_images=rest, duration=40, **options)
    return path


def save_pages(path: Path, frames: list[np.ndarray]) -> Path:
    with tifffile.TiffWriter(path) as file:
        for frame in frames:
            file.write(frame, photometric="rgb")
    return path


SAVE: dict[str, Callable[[Path, list[np.ndarray]], Path]] = {
    ".webp": save_animation,
    ".png": save_animation,
    ".tif": save_pages,
}


@pytest.mark.parametrize("suffix", SAVE)
def test_all_pictures_of_a_file_are_the_frames_of_a_clip(tmp_path: Path, suffix: str) -> None:
    frames = pictures()
    source = open_frames(SAVE[suffix](tmp_path / f"clip{suffix}", frames))
    assert (len(source), source.size) == (6, Size(HEIGHT, WIDTH))
    assert (source.number(5), source.name(5)) == (5, "00005")
    assert source.frame_rate == (None if suffix == ".tif" else 25)
    for order in (range(6), range(5, -1, -1), [3, 0, 5, 5, 2, 4]):
        for i in order:
            assert np.array_equal(source.frame(i).numpy(), frames[i])
    source.frame(2).zero_()
    assert np.array_equal(source.frame(2).numpy(), frames[2])
    assert open_frames(tmp_path / f"clip{suffix}").fingerprint == source.fingerprint


def test_the_thirty_frames_of_an_animated_webp_are_read() -> None:
    source = open_frames(CASES / "F08_animated.webp")
    assert len(source) == len(list(source)) == 30
    assert isinstance(source.frame_rate, Fraction)
    assert_shows_the_square(source.frame(0))
    assert not torch.equal(source.frame(0), source.frame(29))


def test_a_long_animation_is_kept_only_as_far_as_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xmempp_core.formats.frames.picture_clips._KEPT_BYTES", 2 * EIGHT.nbytes)
    frames = pictures()
    source = open_frames(save_animation(tmp_path / "clip.webp", frames))
    for i in range(5, -1, -1):
        assert np.array_equal(source.frame(i).numpy(), frames[i])


@pytest.mark.parametrize("suffix", SAVE)
def test_a_file_of_several_pictures_is_no_frame_of_a_sequence(tmp_path: Path, suffix: str) -> None:
    for number in (1, 2):
        Image.fromarray(EIGHT).save(tmp_path / f"a.{number}{suffix}")
    assert len(open_frames(tmp_path)) == 2
    SAVE[suffix](tmp_path / f"a.2{suffix}", pictures())
    expected = rf"a\.2\{suffix}: holds 6 pictures, where one frame is wanted; give this file alone"
    with pytest.raises(FormatError, match=expected):
        open_frames(tmp_path)


def test_pages_of_two_sizes_are_refused_by_page(tmp_path: Path) -> None:
    pages = [*pictures(2), *pictures(1, (HEIGHT, WIDTH + 1))]
    source = open_frames(save_pages(tmp_path / "a.tif", pages))
    with pytest.raises(FormatError, match=r"a\.tif: picture 3 of 3 is 31x20, the first is 30x20"):
        source.frame(2)


def test_a_preview_within_a_tiff_is_no_frame(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(EIGHT, photometric="rgb")
        file.write(EIGHT[::2, ::2], photometric="rgb", subfiletype=1)
    source = open_frames(tmp_path / "a.tif")
    assert len(source) == 1
    assert np.array_equal(source.frame(0).numpy(), EIGHT)


def test_a_damaged_animation_is_refused_by_picture(tmp_path: Path) -> None:
    path = save_animation(tmp_path / "clip.webp", pictures())
    data = bytearray(path.read_bytes())
    start = data.rfind(b"ANMF") + 40
    data[start : start + 400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"clip\.webp: picture \d of 6 cannot be decoded"):
        open_frames(path)


# ---- rotation, ends


def test_a_rotated_photograph_fits_to_one_stored_upright(tmp_path: Path) -> None:
    for name in ("f0", "f1"):
        (tmp_path / f"{name}.jpg").write_bytes((CASES / f"F16_{name}.jpg").read_bytes())
    source = open_frames(tmp_path)
    assert source.size == Size(96, 128)
    assert [tuple(frame.shape) for frame in source] == [(96, 128, 3)] * 2
    mean_difference = (source.frame(0).float() - source.frame(1).float()).abs().mean()
    assert mean_difference < 30, "both show the scene upright"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_photographs_that_become_different_by_rotation_are_refused(
    tmp_path: Path, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(EIGHT).save(tmp_path / f"a.1{suffix}")
    Image.fromarray(EIGHT).save(tmp_path / f"a.2{suffix}", exif=exif)
    with pytest.raises(FormatError, match=rf"a\.2\{suffix}: is 20x30, but a\.1\{suffix} is 30x20"):
        open_frames(tmp_path)


def jpeg(**options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(EIGHT).save(stream, "jpeg", **options)
    return stream.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    "behind",
    [b"\0" * 300, b"\xff\xda trailing", b"\xff" * 9, None],
    ids=["zeros", "scan marker", "fill", "half a second picture"],
)
def test_a_jpeg_with_bytes_behind_its_end_is_whole(
    tmp_path: Path, behind: bytes | None, progressive: bool
) -> None:
    whole = jpeg(progressive=progressive)
    (tmp_path / "a.jpg").write_bytes(whole)
    (tmp_path / "b.jpg").write_bytes(whole + (whole[:500] if behind is None else behind))
    assert torch.equal(read_image(tmp_path / "a.jpg"), read_image(tmp_path / "b.jpg"))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cut_anywhere_is_refused_though_a_preview_inside_has_an_end(
    tmp_path: Path, progressive: bool
) -> None:
    preview = b"Exif\0\0" + jpeg()
    marker = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    whole = jpeg(progressive=progressive)
    whole = whole[:2] + marker + whole[2:]
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert read_image(path).shape == (HEIGHT, WIDTH, 3)
    for kept in [*range(0, len(whole), 41), len(whole) - 2, len(whole) - 1]:
        path.write_bytes(whole[:kept])
        with pytest.raises(FormatError, match=r"a\.jpg: is not a readable image"):
            read_image(path)


# ---- limits


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("side", [14_000, 20_000, 60_000, 2_000_000_000])
def test_a_picture_over_the_limit_is_refused_before_memory_is_asked_for(
    tmp_path: Path, side: int
) -> None:
    (tmp_path / "a.png").write_bytes(png_header(side, side))
    with pytest.raises(FormatError, match=r"a\.png: is (\d+x\d+ pixels; more than|too large a)"):
        open_frames(tmp_path / "a.png")


def test_an_exr_over_the_limit_in_either_window_is_refused(tmp_path: Path) -> None:
    gray = np.zeros((4, 4), np.float32)
    window = (np.array([0, 0], np.int32), np.array([99_999, 99_999], np.int32))
    OpenEXR.File({"displayWindow": window}, {"Y": OpenEXR.Channel(gray)}).write(
        str(tmp_path / "a.exr")
    )
    with pytest.raises(FormatError, match=r"a\.exr: is 100000x100000 pixels; more than"):
        open_frames(tmp_path / "a.exr")


def test_a_tiff_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, EIGHT, photometric="rgb")
    data = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        tags = [file.pages[0].tags[code] for code in ("ImageWidth", "ImageLength")]
    for tag in tags:
        code, dtype = (256, 257)[tag is tags[1]], 4
        entry = struct.pack("<HHII", code, dtype, 1, 60_000)
        data = data[: tag.offset] + entry + data[tag.offset + 12 :]
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.tif: is 60000x60000 pixels; more than"):
        open_frames(path)


def test_a_film_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_animation(tmp_path / "a.png", pictures())
    monkeypatch.setattr(limits, "MAX_PIXELS", HEIGHT * WIDTH - 1)
    with pytest.raises(FormatError, match=r"a\.png: is 30x20 pixels; more than 599 in all"):
        VideoFrames(path)


@pytest.mark.parametrize("failure", [MemoryError(), cv2.error("(-4:Insufficient memory) Failed")])
def test_running_out_of_memory_does_not_blame_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    Image.fromarray(EIGHT).save(tmp_path / "a.png")

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(cv2, "imdecode", fail)
    with pytest.raises(CapacityError, match=r"a\.png: there is not enough memory to read it"):
        read_image(tmp_path / "a.png")


# ---- what is no regular file


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.exr", "a.mp4"])
def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(FormatError, match=rf"{name}: is a FIFO and no regular file; copy"):
        open_frames(tmp_path / name)
    with pytest.raises(FormatError, match=r"is a FIFO and no regular file|has no video stream"):
        (VideoFrames if name == "a.mp4" else read_image)(tmp_path / name)


def test_paths_that_cannot_be_looked_at_are_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    Image.fromarray(EIGHT).save(tmp_path / "a.png")
    for path, problem in [
        (tmp_path / "loop", "cannot be read (Too many levels of symbolic links)"),
        (tmp_path / ("n" * 300), "cannot be read (File name too long)"),
        (tmp_path / "a.png" / "b.png", "does not exist"),
        (Path("~nosuchuser/frames"), "begins with the home folder of a user who does not exist"),
        (Path("a\0b.png"), "cannot be the name of a file"),
    ]:
        with pytest.raises(FormatError) as caught:
            open_frames(path)
        assert problem in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_utf_8_cannot_write_is_refused_at_reading(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    for number in (1, 2):
        Image.fromarray(EIGHT).save(tmp_path / "a.png")
        os.rename(tmp_path / "a.png", os.path.join(folder, b"caf\xe9.%d.png" % number))
    with pytest.raises(FormatError, match=r"the name 'caf\\udce9\.1\.png' is not valid Unicode"):
        open_frames(tmp_path)
    with pytest.raises(FormatError, match=r"the name 'caf\\udce9\.2' is not valid Unicode; rename"):
        open_frames(Path(os.fsdecode(os.path.join(folder, b"caf\xe9.2.png"))))


def test_the_data_window_may_be_the_frame_if_it_stands_still(tmp_path: Path) -> None:
    def write(number: int, data: tuple[tuple[int, int], tuple[int, int]]) -> None:
        (left, top), (right, bottom) = data
        pixels = np.full((bottom - top + 1, right - left + 1), number / 10, np.float16)
        header = {"displayWindow": ((0, 0), (9, 9)), "dataWindow": data}
        OpenEXR.File(header, dict.fromkeys("RGB", pixels)).write(str(tmp_path / f"a.{number}.exr"))

    for number in (1, 2):
        write(number, ((-2, -1), (11, 12)))
    source = open_frames(tmp_path, exr_window="data")
    assert source.size == (14, 14)
    assert (source.frame(1) > 0).all()
    cut = open_frames(tmp_path)
    assert cut.size == (10, 10)
    assert cut.fingerprint != source.fingerprint
    assert torch.allclose(cut.frame(1), source.frame(1)[1:11, 2:12])
    write(2, ((-1, -1), (12, 12)))
    with pytest.raises(FormatError, match=r"another data window than a\.1\.exr; read the display"):
        open_frames(tmp_path, exr_window="data")
    with pytest.raises(InputError, match="window of OpenEXR files is 'all'; allowed is display or"):
        open_frames(tmp_path, exr_window="all")  # type: ignore[arg-type]
