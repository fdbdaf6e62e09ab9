"""J and F agree with the public benchmark code and with what they must be on drawn masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vos_benchmark.evaluator import Evaluator

from xmempp_core.errors import InputError, ShapeError
from xmempp_core.evaluation.metrics import (
    contour_accuracy,
    mean_score,
    region_similarity,
    score_frames,
    temporal_error,
)


def drawn_clip(
    seed: int, frames: int, height: int, width: int, objects: int
) -> dict[int, np.ndarray]:
    """Label maps with ellipses, some of them cut by the border or missing."""
    generator = np.random.default_rng(seed)
    clip = {}
    for t in range(frames):
        labels = np.zeros((height, width), np.uint8)
        for object_id in range(1, objects + 1):
            if generator.random() < 0.2:
                continue
            center = (int(generator.integers(0, width)), int(generator.integers(0, height)))
            axes = (int(generator.integers(1, width // 2)), int(generator.integers(1, height // 2)))
            angle = float(generator.integers(0, 180))
            cv2.ellipse(labels, center, axes, angle, 0, 360, object_id, -1)
        clip[t] = labels
    return clip


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(6, 150),
    width=st.integers(6, 200),
    objects=st.integers(1, 3),
)
def test_scores_agree_with_the_public_benchmark(seed, height, width, objects):
    truth = drawn_clip(seed, 4, height, width, objects)
    predicted = drawn_clip(seed + 1, 4, height, width, objects)
    oracle = Evaluator()
    for t in truth:
        oracle.feed_frame(predicted[t], truth[t])
    expected_j, expected_f = oracle.conclude()

    scores = score_frames(predicted, truth)

    assert {s.object_id for s in scores} == set(expected_j)
    for object_id in expected_j:
        own = [s for s in scores if s.object_id == object_id]
        assert np.mean([s.j for s in own]) == pytest.approx(expected_j[object_id] / 100, abs=1e-6)
        assert np.mean([s.f for s in own]) == pytest.approx(expected_f[object_id] / 100, abs=1e-6)
    if expected_j:
        score = mean_score(scores)
        assert score.j == pytest.approx(np.mean(list(expected_j.values())) / 100, abs=1e-6)
        assert score.jf == pytest.approx((score.j + score.f) / 2)


def test_equal_masks_score_one_and_distant_ones_zero() -> None:
    left, right = np.zeros((2, 100, 200), bool)
    left[20:50, 10:40] = True
    right[20:50, 150:180] = True
    nothing = np.zeros_like(left)

    assert region_similarity(left, left) == contour_accuracy(left, left) == 1
    assert region_similarity(left, right) == contour_accuracy(left, right) == 0
    assert region_similarity(nothing, nothing) == contour_accuracy(nothing, nothing) == 1
    assert region_similarity(left, nothing) == contour_accuracy(left, nothing) == 0
    assert contour_accuracy(nothing, left) == 0


def test_a_shift_within_the_tolerance_costs_j_but_not_f() -> None:
    mask, shifted, far = np.zeros((3, 100, 200), bool)
    mask[20:50, 10:40] = True
    shifted[20:50, 12:42] = True  # 0.8 % of the diagonal are 1.8, rounded up to 2 pixels
    far[20:50, 16:46] = True

    assert region_similarity(mask, shifted) == pytest.approx(28 / 32)
    assert contour_accuracy(mask, shifted) == 1
    assert contour_accuracy(mask, far) < 0.9


def test_annotated_frames_are_not_counted_and_truth_may_be_sparse() -> None:
    truth = {t: m for t, m in drawn_clip(2, 6, 40, 60, 2).items() if t % 2 == 0}
    predicted = dict(drawn_clip(3, 6, 40, 60, 2))

    scores = score_frames(predicted, truth, annotated=[2])

    assert {s.frame_index for s in scores} == {0, 4}


def test_what_cannot_be_scored_is_refused() -> None:
    truth = drawn_clip(2, 3, 40, 60, 2)

    with pytest.raises(InputError, match="frame 2 has a true mask but was not predicted"):
        score_frames({t: truth[t] for t in (0, 1)}, truth)
    with pytest.raises(ShapeError, match="predicted mask of frame 0"):
        score_frames({t: m[:-1] for t, m in truth.items()}, truth)
    with pytest.raises(InputError, match="no frame can be scored"):
        mean_score(score_frames(truth, truth, annotated=[0, 1, 2]))


def test_temporal_error_counts_what_changes_in_the_masks_alone() -> None:
    truth = {t: np.zeros((4, 5), np.uint8) for t in range(4)}
    for labels in truth.values():
        labels[1, 1] = 3
    still = {t: labels.copy() for t, labels in truth.items()}
    assert temporal_error(still, truth) == 0
    offset = {t: labels * 0 + (labels == 0) * np.uint8(3) for t, labels in truth.items()}
    assert temporal_error(offset, truth) == 0  # wrong, but steady
    boiling = {t: labels.copy() for t, labels in truth.items()}
    boiling[2][0, :5] = 3
    # pairs 0-1, 1-2, 2-3: five of twenty pixels change in two of them
    assert temporal_error(boiling, truth) == pytest.approx(2 / 3 * (5 / 20) ** 0.5)
    assert temporal_error(boiling, truth, (0, 1)) == pytest.approx((5 / 20) ** 0.5)
    moving = {t: np.roll(labels, t, 1) for t, labels in truth.items()}
    assert temporal_error(moving, moving) == 0
    assert temporal_error(still, moving) == pytest.approx((2 / 20) ** 0.5)


def test_temporal_error_needs_two_neighbors_and_an_object() -> None:
    labels = np.ones((4, 5), np.uint8)
    assert temporal_error({0: labels, 2: labels}, {0: labels, 2: labels}) is None
    empty = dict.fromkeys(range(3), labels * 0)
    assert temporal_error(empty, empty) is None
    full = dict.fromkeys(range(3), labels)
    assert temporal_error(full, full, (0, 1, 2)) is None


def test_void_pixels_count_in_no_score() -> None:
    truth = {t: np.zeros((20, 30), np.uint8) for t in range(2)}
    void = {0: np.zeros((20, 30), bool)}
    for labels in truth.values():
        labels[3:12, 3:12] = 1
    void[0][12:16] = True
    predicted = {t: labels.copy() for t, labels in truth.items()}
    predicted[0][12:16, 3:12] = 1
    predicted[0][14, 20] = 2
    blamed = score_frames(predicted, truth)
    spared = score_frames(predicted, truth, void=void)
    assert blamed[0].j < 1
    assert [(s.object_id, s.j, s.f) for s in spared] == [(1, 1.0, 1.0)] * 2
    assert temporal_error(predicted, truth) > 0
    assert temporal_error(predicted, truth, void=void) == 0
