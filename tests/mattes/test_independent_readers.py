"""What other libraries read of the mattes: OpenImageIO, and FFmpeg's own program."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name its manual uses
import pytest
from matte_track import COUNT, FIRST, IDS, SIZE, make_track

from xmempp_core.mattes.choices import chosen_settings
from xmempp_core.mattes.export import export_mattes
from xmempp_core.mattes.plan import MatteJob
from xmempp_core.track.track import Track


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
