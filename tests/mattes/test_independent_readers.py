"""What other libraries read of the mattes: OpenImageIO, and FFmpeg's own program."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813 - the name its manual uses
import pytest
import torch
from drawn import model_info
from matte_track import COUNT, FIRST, FRAME_NAMES, IDS, SIZE, make_track

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.mattes.choices import chosen_settings
from xmempp_core.mattes.export import export_mattes
from xmempp_core.mattes.imported import open_mattes
from xmempp_core.mattes.plan import MatteJob
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.segmentation import Segmentation
from xmempp_core.track.track import Shot, Track
from xmempp_core.types import FrameSource, Size


@pytest.fixture(scope="module")
def track() -> Track:
    return make_track()


def wanted(track: Track, index: int, object_id: int) -> np.ndarray:
    return track.probabilities(index)[1 + IDS.index(object_id)].numpy()


def pixels_of(path: Path) -> tuple[np.ndarray, oiio.ImageSpec]:
    picture = oiio.ImageInput.open(str(path))
    spec = picture.spec()
    return picture.read_image(spec.format), spec


def test_openimageio_reads_half_exr_with_layers_rate_and_windows(
    track: Track, tmp_path: Path
) -> None:
    settings = chosen_settings("fusion", {})
    done = export_mattes(track, MatteJob(tmp_path, settings))
    for index, path in enumerate(done.files):
        values, spec = pixels_of(path)
        assert sorted(spec.channelnames) == ["Hat_left_right.A", "hat_left_right_2.A", "object_5.A"]
        assert (spec.width, spec.height) == (SIZE.width, SIZE.height)
        assert (spec.full_x, spec.full_width) == (0, SIZE.width)
        assert spec.getattribute("compression") == "zip"
        rate = spec.getattribute("FramesPerSecond")
        assert Fraction(int(rate[0]), int(rate[1])) == Fraction(24000, 1001)
        five = values[..., list(spec.channelnames).index("object_5.A")]
        assert five.dtype == np.float16
        assert np.array_equal(five, wanted(track, index, 5).astype(np.float16))


def test_openimageio_reads_16_bit_gray_exactly(track: Track, tmp_path: Path) -> None:
    settings = chosen_settings("png", {"template": "{id}.{frame}.png"})
    export_mattes(track, MatteJob(tmp_path, settings))
    for index in range(COUNT):
        values, spec = pixels_of(tmp_path / f"9.{FIRST + index}.png")
        assert (spec.nchannels, values.dtype) == (1, np.uint16)
        alpha = wanted(track, index, 9).astype(np.float64)
        assert np.array_equal(values[..., 0], np.rint(alpha * 65535))


def write_plates(folder: Path, display: Size, data: tuple[int, int, int, int]) -> FrameSource:
    """Plates with a bright square at (20..29, 10..19) of the display window, and overscan."""
    left, top, right, bottom = data
    folder.mkdir()
    for name in FRAME_NAMES:
        pixels = np.full((bottom - top + 1, right - left + 1), 0.1, np.float16)
        pixels[10 - top : 20 - top, 20 - left : 30 - left] = 1
        header = {
            "displayWindow": ((0, 0), (display.width - 1, display.height - 1)),
            "dataWindow": ((left, top), (right, bottom)),
            "timeCode": OpenEXR.TimeCode(10, 11, 12, 5, *([0] * 14)),
        }
        OpenEXR.File(header, dict.fromkeys("RGB", pixels)).write(str(folder / f"{name}.exr"))
    return open_frames(folder, exr_window="data")


@pytest.mark.parametrize(
    ("preset", "channel"), [("nuke", "A"), ("cryptomatte", "CryptoObject00.G")]
)
def test_the_mattes_of_an_overscanned_plate_cover_its_data_window_and_lie_right(
    tmp_path: Path, preset: str, channel: str
) -> None:
    display, data = Size(50, 90), (-8, -5, 98, 55)
    source = write_plates(tmp_path / "p", display, data)
    assert source.size == SIZE
    bright = source.frame(0)[..., 0] > 0.9
    annotations = AnnotationSet((Annotation(1, (5,), bright[None], exhaustive=True),))
    track = Track(Shot.of(source), annotations, PropagationSettings(), model_info())
    soft = torch.stack([~bright, bright]).float()
    track.add(Segmentation.of(1, (5,), soft, SIZE, annotations.at(1), ()))
    job = MatteJob(tmp_path / preset, chosen_settings(preset, {}))
    done = export_mattes(track, job, source=source)
    matte = oiio.ImageBuf(str(done.files[0]))
    spec = matte.spec()
    assert (spec.x, spec.y, spec.width, spec.height) == (-8, -5, SIZE.width, SIZE.height)
    assert (spec.full_x, spec.full_y) == (0, 0)
    assert (spec.full_width, spec.full_height) == (display.width, display.height)
    plate = oiio.ImageBuf(str(tmp_path / "p" / f"{FRAME_NAMES[1]}.exr"))
    place = list(spec.channelnames).index(channel)
    for x in range(-8, 99):
        for y in range(-5, 56):
            is_bright = 20 <= x < 30 and 10 <= y < 20
            assert (plate.getpixel(x, y)[0] > 0.9) == is_bright
            assert (matte.getpixel(x, y)[place] == 1) == is_bright
    (found,) = open_mattes(tmp_path / preset, source).clips
    assert torch.equal(next(found.alphas()) == 1, bright)
    in_display = next(found.alphas(size=display))
    assert torch.equal(in_display == 1, bright[5:55, 8:98])


def test_films_start_at_the_time_code_of_the_plates(track: Track, tmp_path: Path) -> None:
    source = write_plates(tmp_path / "p", SIZE, (0, 0, SIZE.width - 1, SIZE.height - 1))
    for first_frame, expected in ((None, "10:11:12:05"), (1001, "00:00:41:17")):
        values = {"template": "{id}.mov", "first_frame": first_frame}
        output = tmp_path / str(first_frame)
        job = MatteJob(output, chosen_settings("aftereffects", values))
        export_mattes(track, job, source=source)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(output / "5.mov")]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        assert expected in said


def test_ffmpegs_program_reads_ten_bits_of_alpha(track: Track, tmp_path: Path) -> None:
    settings = chosen_settings("aftereffects", {"template": "{id}.mov"})
    export_mattes(track, MatteJob(tmp_path, settings))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(tmp_path / "5.mov")]
    command += ["-vf", "alphaextract,format=gray16le", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    frames = np.frombuffer(raw, np.uint16).reshape(COUNT, *SIZE) / 65535
    for index, alpha in enumerate(frames):
        assert np.abs(alpha - wanted(track, index, 5)).max() < 1.5 / 1023
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(tmp_path / "5.mov")]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    for part in ("prores", "4444", "yuva444p", "bt709", "23.98 fps", "timecode", "00:00:41:17"):
        assert part in said
