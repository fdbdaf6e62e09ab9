"""Random motion: tracks of numbers over time, affine matrices, elastic fields, frame spacing."""

from __future__ import annotations

import numpy as np

ELASTIC_POINTS = 4
"""Control points of an elastic field on each side."""


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number from low to high, each octave equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def track(
    rng: np.random.Generator, frames: int, drift: float, noise: float, jumping: float
) -> np.ndarray:
    """(T,) a number over time: steady drift with a little noise, or independent jumps.

    Args:
        drift: standard deviation of the way from the first to the last frame.
        noise: standard deviation in each frame.
        jumping: probability of jumps instead.
    """
    if rng.random() < jumping:
        return rng.normal(0, drift * 1.2, frames)
    way = rng.normal(0, drift) * np.linspace(0, 1, frames)
    return way + rng.normal(0, noise, frames)


def affine(
    centers: np.ndarray, scales: np.ndarray, angles: np.ndarray, flip: int, places: np.ndarray
) -> np.ndarray:
    """(T, 2, 3) float32 matrices from output pixels to source pixels.

    The source point `centers` (T, 2) appears at the output point `places` (T, 2), enlarged by
    `scales` (T,), turned by `angles` (T,) in radians, mirrored where `flip` is -1.
    """
    cos, sin = np.cos(angles), np.sin(angles)
    # inverse of the rotation, then of the flip: rows are x and y of the source
    rows = np.stack([np.stack([cos * flip, sin * flip], -1), np.stack([-sin, cos], -1)], 1)
    linear = rows / np.reshape(scales, (-1, 1, 1))
    shift = centers - np.einsum("tij,tj->ti", linear, np.broadcast_to(places, centers.shape))
    return np.concatenate([linear, shift[..., None]], -1).astype(np.float32)


def elastic_field(rng: np.random.Generator, size: int) -> np.ndarray:
    """(2, 2, 4, 4) float32 displacements in pixels at the first and the last frame."""
    strength = abs(rng.normal(0, 0.02)) * size
    shape = (2, 2, ELASTIC_POINTS, ELASTIC_POINTS)
    return rng.normal(0, strength, shape).astype(np.float32)


def neighbors(rng: np.random.Generator, length: int, count: int, longest_step: int) -> np.ndarray:
    """(count,) positions in a sequence: evenly spaced, the spacing log-uniform from 1.

    Each end lies, at times, much farther away, as an annotation does; half of the time the order
    is reversed. Sequences shorter than `count` repeat frames.
    """
    if length < count:
        return np.linspace(0, length - 1, count).round().astype(int)
    room = length - 1
    step = int(log_uniform(rng, 1, min(longest_step, room // max(1, count - 1)) + 0.999))
    gaps = np.full(count - 1, step)
    for end in (0, -1):
        spare = room - int(gaps.sum())
        if count > 2 and spare > 0 and rng.random() < 0.3:
            gaps[end] += int(log_uniform(rng, 1, spare + 0.999))
    first = int(rng.integers(room - int(gaps.sum()) + 1))
    positions = first + np.concatenate([[0], np.cumsum(gaps)]).astype(int)
    return positions if rng.random() < 0.5 else positions[::-1].copy()


def blur_kernel(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size) float32 kernel of sum 1: soft focus, or motion along a row or a column."""
    spread = np.arange(size) - size // 2
    if rng.random() < 0.5:
        bell = np.exp(-0.5 * (spread / rng.uniform(0.6, 1.6)) ** 2)
        kernel = np.outer(bell, bell)
    else:
        line = (np.abs(spread) <= rng.integers(1, size // 2 + 1)).astype(float)
        kernel = np.outer(line, spread == 0)
        kernel = kernel if rng.random() < 0.5 else kernel.T
    return (kernel / kernel.sum()).astype(np.float32)
