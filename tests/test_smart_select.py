"""Smart select finds what was stroked, the same each time, and never leaves the ring."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmempp_core.errors import InputError, ShapeError
from xmempp_core.smart_select import SelectStroke, smart_select


def scene(height: int = 270, width: int = 480, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A speckled blue picture with an orange ellipse, and the ellipse (H, W) bool."""
    noise = np.random.default_rng(seed).integers(0, 50, (height, width, 3))
    rows, columns = np.mgrid[:height, :width]
    y, x = (rows - height / 2) / (height / 5), (columns - width / 2) / (width / 6)
    ellipse = x**2 + y**2 < 1
    colors = np.where(ellipse[..., None], [190, 110, 30], [20, 50, 150])
    return (colors + noise).clip(0, 255).astype(np.uint8), ellipse


def line(height: int, width: int, share: float = 0.08) -> tuple[tuple[float, float], ...]:
    y = height / 2
    return ((width * (0.5 - share), y), (width * (0.5 + share), y))


def ring(height: int, width: int) -> tuple[tuple[float, float], ...]:
    turns = np.linspace(0, 2 * np.pi, 40)
    x = width / 2 + width * 0.25 * np.cos(turns)
    y = height / 2 + height * 0.3 * np.sin(turns)
    return tuple(zip(x.tolist(), y.tolist(), strict=True))


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("size", [(270, 480), (1080, 1920), (60, 40)])
def test_a_stroke_and_a_ring_give_the_object(size: tuple[int, int]) -> None:
    frame, ellipse = scene(*size)
    stroke = SelectStroke(line(*size), ring(*size), radius_pixels=max(size[0] / 60, 1))
    assert iou(smart_select(frame, stroke), ellipse) > 0.93


def test_a_stroke_alone_gives_most_of_the_object() -> None:
    frame, ellipse = scene()
    height, width = ellipse.shape
    upright = ((width / 2, height * 0.34), (width / 2, height * 0.66))
    stroke = SelectStroke((*line(height, width, 0.14), *upright), radius_pixels=4)
    assert iou(smart_select(frame, stroke), ellipse) > 0.85


def test_the_same_stroke_gives_the_same_mask() -> None:
    frame, _ = scene()
    stroke = SelectStroke(line(270, 480), ring(270, 480))
    first = smart_select(frame, stroke)
    scene(seed=5)
    assert (smart_select(frame, stroke) == first).all()


@settings(max_examples=25)
@given(st.data())
def test_the_stroke_is_in_the_mask_and_nothing_outside_the_ring_is(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 99))
    frame = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)
    points = st.lists(st.tuples(st.floats(-9, 70), st.floats(-9, 55)), min_size=3, max_size=6)
    inside, around = (tuple(data.draw(points)) for _ in range(2))
    with_ring = data.draw(st.booleans())
    stroke = SelectStroke(inside, around if with_ring else None, data.draw(st.floats(0.5, 9)))
    mask = None
    with suppress(InputError):  # beside the frame or the ring
        mask = smart_select(frame, stroke)
    if mask is None:
        return
    assert mask.shape == (48, 64)
    assert mask.dtype == np.bool_
    assert mask.any()
    if with_ring:
        import cv2

        shape = np.zeros((48, 64), np.uint8)
        cv2.fillPoly(shape, [np.round(np.array(around)).astype(np.int32)], 1)
        assert not (mask & (shape == 0)).any()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"inside": ()}, "nothing is drawn"),
        ({"ring": ((0, 0), (1, 1))}, "less than 3 points"),
        ({"radius_pixels": 0}, "radius_pixels is 0"),
        ({"radius_pixels": float("nan")}, "radius_pixels is nan"),
        ({"inside": ((float("nan"), 1),)}, "leaves the picture"),
        ({"inside": ((float("inf"), 1),)}, "leaves the picture"),
        ({"inside": ((1, 1),) * 20_001}, "more than 20000 points"),
    ],
)
def test_a_stroke_that_cannot_be_is_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        SelectStroke(**{"inside": ((1, 1),), **values})  # type: ignore[arg-type]


def test_a_stroke_beside_the_frame_or_the_ring_is_refused() -> None:
    frame, _ = scene(60, 40)
    with pytest.raises(InputError, match="outside the frame"):
        smart_select(frame, SelectStroke(((500, 500),)))
    far = ((0, 0), (8, 0), (8, 8))
    with pytest.raises(InputError, match="outside the ring around it"):
        smart_select(frame, SelectStroke(((30, 50),), far, 1))
    with pytest.raises(InputError, match="the ring lies outside"):
        smart_select(frame, SelectStroke(((3, 5),), ((500, 500), (600, 500), (600, 600))))
    with pytest.raises(ShapeError):
        smart_select(frame.astype(np.float32), SelectStroke(((3, 5),)))
