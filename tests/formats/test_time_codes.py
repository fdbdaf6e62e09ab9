"""Time codes: of frame numbers and films, with and without dropped numbers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenEXR
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmempp_core.formats.frames.open import open_frames
from xmempp_core.formats.frames.time_codes import TimeCode, of_count, parsed

NTSC, PAL, FILM = Fraction(30000, 1001), Fraction(25), Fraction(24000, 1001)
NTSC_FAST = Fraction(60000, 1001)


@pytest.mark.parametrize(
    ("text", "frames", "rate", "expected"),
    [
        ("00:00:41:17", 7, FILM, "00:00:42:00"),
        ("01:00:00:00", 25 * 3600, PAL, "02:00:00:00"),
        ("23:59:59:24", 1, PAL, "00:00:00:00"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:00;00", 17982, NTSC, "00:10:00;00"),
        ("00:00:59;59", 1, NTSC_FAST, "00:01:00;04"),
        ("01:00:00;00", 0, NTSC, "01:00:00;00"),
        ("10:00:00.00", 1, NTSC, "10:00:00;01"),
    ],
)
def test_known_time_codes(text: str, frames: int, rate: Fraction, expected: str) -> None:
    code = parsed(text)
    assert code is not None
    assert str(code.later(frames, rate)) == expected


@given(
    st.integers(0, 24 * 3600 * 24),
    st.integers(0, 10**6),
    st.sampled_from([NTSC, NTSC_FAST, PAL, FILM]),
    st.booleans(),
)
def test_later_is_counting_on(count: int, more: int, rate: Fraction, drop: bool) -> None:
    drop = drop and rate in (NTSC, NTSC_FAST)
    code = of_count(count, rate, is_drop_frame=drop)
    assert code.fits(rate)
    assert code == parsed(str(code))
    assert code.later(more, rate) == of_count(count + more, rate, is_drop_frame=drop)
    skipped = code.is_drop_frame and code.seconds == 0 and code.minutes % 10 != 0
    assert not skipped or code.frames >= (2 if rate == NTSC else 4)


@pytest.mark.parametrize("text", ["", "1:2:3:4", "25:00:00:00", "00:60:00:00", "aa:bb:cc:dd"])
def test_what_is_no_time_code_is_none(text: str) -> None:
    assert parsed(text) is None


def write_film(path: Path, rate: Fraction, time_code: str | None) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        if time_code:
            stream.metadata["timecode"] = time_code
        for _ in range(4):
            picture = np.zeros((32, 32, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("rate", "said", "third"),
    [
        (PAL, "10:20:30:24", "10:20:31:01"),
        (NTSC, "00:00:59;29", "00:01:00;03"),
        (FILM, None, None),
    ],
)
def test_a_films_time_code_is_that_of_its_track(
    tmp_path: Path, rate: Fraction, said: str | None, third: str | None
) -> None:
    write_film(tmp_path / "f.mov", rate, said)
    code = open_frames(tmp_path / "f.mov").time_code(2)  # type: ignore[attr-defined]
    assert (None if code is None else str(code)) == third


def test_openexr_says_time_code_and_rate_and_png_says_neither(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), np.float16)
    header = {"timeCode": OpenEXR.TimeCode(1, 2, 3, 4, *([0] * 14)), "framesPerSecond": PAL}
    OpenEXR.File(header, dict.fromkeys("RGB", pixels)).write(str(tmp_path / "a.0001.exr"))
    OpenEXR.File({}, dict.fromkeys("RGB", pixels)).write(str(tmp_path / "a.0002.exr"))
    source = open_frames(tmp_path)
    assert source.frame_rate == PAL
    assert source.time_code(0) == TimeCode(1, 2, 3, 4)  # type: ignore[attr-defined]
    assert source.time_code(1) is None  # type: ignore[attr-defined]
    plain = open_frames(tmp_path / "a.0002.exr")
    assert plain.frame_rate is None
