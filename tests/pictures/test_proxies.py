"""Proxies: the right frame at the right width, kept on disk, written ahead, made again if lost."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from xmempp_core.errors import FormatError, InputError
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.pictures import proxies as module
from xmempp_core.pictures.proxies import FrameProxies


def clip(count: int = 5, size: tuple[int, int] = (60, 1200)) -> Any:
    """Gray frames that count, 20 levels each."""
    levels = torch.arange(count, dtype=torch.uint8)[:, None, None, None] * 20 + 10
    return open_frames(levels.expand(count, *size, 3).contiguous())


def picture(data: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(data)))


def test_each_width_shows_the_frame_that_was_asked_for(tmp_path: Path) -> None:
    frames = FrameProxies(clip(), clip(), tmp_path)
    for width, shape in ((0, (60, 1200)), (960, (48, 960)), (160, (8, 160))):
        shown = picture(frames.jpeg(3, width))
        assert shown.shape == (*shape, 3)
        assert abs(int(shown.mean()) - 70) <= 1


def test_a_small_frame_is_not_enlarged(tmp_path: Path) -> None:
    small = clip(size=(20, 30))
    assert picture(FrameProxies(small, small, tmp_path).jpeg(0, 960)).shape == (20, 30, 3)


def test_what_is_written_ahead_is_not_decoded_again(tmp_path: Path) -> None:
    class Closed:
        """A clip that gives no frame."""

        def __len__(self) -> int:
            return 5

        def frame(self, index: int) -> torch.Tensor:
            raise AssertionError(f"frame {index} was decoded")

    frames = FrameProxies(clip(), Closed(), tmp_path)  # type: ignore[arg-type]
    frames.start()
    frames.wait()
    levels = [int(picture(frames.jpeg(i, 160)).mean()) for i in range(5)]
    assert all(abs(level - 10 - 20 * i) <= 1 for i, level in enumerate(levels))
    again = FrameProxies(Closed(), clip(), tmp_path)  # type: ignore[arg-type]
    again.start()
    again.wait()


def test_a_lost_file_is_made_again_and_a_frame_that_fails_stops_no_other(tmp_path: Path) -> None:
    class Torn:
        """A clip whose second frame is damaged."""

        def __init__(self) -> None:
            self.whole = clip()

        def __len__(self) -> int:
            return 5

        def frame(self, index: int) -> torch.Tensor:
            if index == 1:
                raise FormatError("clip", "frame 1 is damaged")
            return self.whole.frame(index)

    frames = FrameProxies(Torn(), Torn(), tmp_path)  # type: ignore[arg-type]
    frames.start()
    frames.wait()
    assert sorted(p.name for p in (tmp_path / "160").iterdir()) == [
        f"{i:05d}.jpg" for i in (0, 2, 3, 4)
    ]
    with pytest.raises(FormatError, match="frame 1 is damaged"):
        frames.jpeg(1, 960)
    (tmp_path / "160" / "00002.jpg").unlink()
    assert picture(frames.jpeg(2, 160)).shape == (8, 160, 3)
    assert (tmp_path / "160" / "00002.jpg").is_file()


def test_whole_frames_are_kept_within_a_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE_BYTES", 1)
    frames = FrameProxies(clip(), clip(), tmp_path)
    assert frames.jpeg(0) == frames.jpeg(0)
    frames.jpeg(1)
    assert len(frames._whole) == 1


def test_a_disk_that_refuses_costs_no_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise FormatError("x", "cannot be written: no space left")

    monkeypatch.setattr(module, "write_bytes", full)
    assert FrameProxies(clip(), clip(), tmp_path).jpeg(4, 160)


@pytest.mark.parametrize(("index", "width"), [(-1, 0), (5, 0), (0, 5), (0, -1)])
def test_frames_and_widths_that_are_not_there_are_refused(
    tmp_path: Path, index: int, width: int
) -> None:
    with pytest.raises(InputError, match=r"its frames are 0 to 4|allowed is one of 0, 160, 960"):
        FrameProxies(clip(), clip(), tmp_path).jpeg(index, width)
