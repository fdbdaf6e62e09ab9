"""Objects that are drawn for training: exact alpha, motion, blur that an open shutter gives."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import drawn_cutouts
from benchmarks.drawn_cutouts import SIDE_PIXELS, moving, still, textured_shape, thin_thing


def _coverage(frame: np.ndarray) -> float:
    return float(frame[..., 3].mean() / 255)


@pytest.mark.parametrize("kind", range(len(drawn_cutouts._THIN)))
def test_a_thin_thing_is_thin_and_inside_of_its_frame(
    kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn_cutouts, "_THIN", drawn_cutouts._THIN[kind : kind + 1])
    for seed in range(4):
        frame = still(thin_thing(np.random.default_rng(seed)))
        assert frame.shape == (SIDE_PIXELS, SIDE_PIXELS, 4)
        assert 0.002 < _coverage(frame) < 0.5
        border = np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]])
        assert (border[:, 3] == 0).mean() > 0.9


def test_the_coverage_of_a_line_is_its_width() -> None:
    line = drawn_cutouts.Stroke(np.array([[0.25, 0.5], [0.75, 0.5]]), 2.0)
    painted = drawn_cutouts._painted(np.ones((SIDE_PIXELS, SIDE_PIXELS, 3)), [line])
    across = painted[:, SIDE_PIXELS // 2, 3].sum()
    assert abs(across - 2.0) < 0.2  # a line is drawn a cell or so wider than asked for


def test_a_textured_shape_wears_the_colors_of_the_photograph() -> None:
    photograph = np.zeros((120, 200, 3), np.uint8)
    photograph[..., 0] = 200
    frame = still(textured_shape(np.random.default_rng(0), [photograph]))
    opaque = frame[..., 3] == 255
    assert 0.1 < opaque.mean() < 0.9
    assert np.array_equal(np.unique(frame[opaque][:, :3], axis=0), [[200, 0, 0]])


def test_motion_blur_spreads_the_object_and_keeps_its_area() -> None:
    def square_at(time: float) -> np.ndarray:
        painted = np.zeros((SIDE_PIXELS, SIDE_PIXELS, 4), np.float32)
        first = round(40 + 160 * time)
        painted[60:100, first : first + 40] = (0.5, 0, 0, 1)
        return painted

    frames = list(moving(square_at, 2))
    assert len(frames) == 2
    for frame in frames:
        # a shutter of half a frame, four instants of 10 pixels of way each
        assert (frame[..., 3] > 0).any(0).sum() == 70
        assert abs(_coverage(frame) * SIDE_PIXELS**2 - 40 * 40) < 10
        assert np.array_equal(np.unique(frame[frame[..., 3] > 0][:, :3], axis=0), [[128, 0, 0]])


def test_the_same_seed_draws_the_same_object() -> None:
    first, second = (list(moving(thin_thing(np.random.default_rng(7)), 3)) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first[0], first[2])
