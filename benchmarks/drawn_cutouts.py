"""Objects drawn with exact alpha: thin things, and shapes that wear a photograph's texture.

A painter gives the object at a time; frames are the mean over an open shutter, so motion blur has
the alpha that it has in a camera.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

SIDE_PIXELS = 192
_FINE = 8
"""Cells of a pixel along a side, of which coverage is the mean."""
_SHUTTER = 0.5
"""Share of the time of a frame that the shutter is open."""
_INSTANTS = 4

Painter = Callable[[float], np.ndarray]
"""The object at a time 0..1: (S, S, 4) float32 0..1 RGB times alpha, alpha."""


class Stroke(NamedTuple):
    """A line along points, or the area that they enclose."""

    points: np.ndarray
    """(P, 2) x and y, 0..1 of the side"""
    width_pixels: float
    """0 fills the area"""


Drawing = Callable[[float], list[Stroke]]
"""The strokes of an object at a time 0..1."""


def still(painter: Painter) -> np.ndarray:
    """(S, S, 4) uint8 with straight alpha: the object at time 0, sharp."""
    return _straight(painter(0.0))


def moving(painter: Painter, frames: int) -> Iterator[np.ndarray]:
    """The object in motion, frame by frame, (S, S, 4) uint8 with straight alpha."""
    for frame in range(frames):
        times = (frame + _SHUTTER * np.arange(_INSTANTS) / _INSTANTS) / frames
        yield _straight(np.mean([painter(float(time)) for time in times], 0))


def thin_thing(rng: np.random.Generator) -> Painter:
    """Strings, a wheel, a lattice, branches or a kite on its lines, of one color or two."""
    drawing = _THIN[int(rng.integers(len(_THIN)))](rng)
    first, second = rng.uniform(0, 1, (2, 3))
    ramp = np.linspace(0, 1, SIDE_PIXELS, dtype=np.float32)[:, None, None]
    color = first * (1 - ramp) + (second if rng.random() < 0.5 else first) * ramp
    return lambda time: _painted(np.broadcast_to(color, (SIDE_PIXELS,) * 2 + (3,)), drawing(time))


def textured_shape(rng: np.random.Generator, photographs: Sequence[np.ndarray]) -> Painter:
    """A shape that turns and bends, with a part of a photograph (H, W, 3) uint8 painted on it."""
    photograph = photographs[int(rng.integers(len(photographs)))]
    side = int(min(photograph.shape[:2]) * rng.uniform(0.25, 0.9))
    y, x = (int(rng.integers(length - side + 1)) for length in photograph.shape[:2])
    part = photograph[y : y + side, x : x + side]
    texture = cv2.resize(part, (2 * SIDE_PIXELS,) * 2, interpolation=cv2.INTER_AREA)
    outline, turn = _outline(rng), rng.normal(0, 0.8)
    angle = rng.uniform(0, 2 * np.pi)

    def paint(time: float) -> np.ndarray:
        turned = angle + turn * time
        matrix = cv2.getRotationMatrix2D((SIDE_PIXELS,) * 2, -np.degrees(turned), 1)
        matrix[:, 2] -= SIDE_PIXELS / 2
        color = cv2.warpAffine(
            texture, matrix, (SIDE_PIXELS,) * 2, borderMode=cv2.BORDER_REFLECT
        )  # fmt: skip
        points = _turned(outline(time), turned)
        return _painted(color / np.float32(255), [Stroke(points, 0)])

    return paint


# ---- shapes
def _outline(rng: np.random.Generator) -> Callable[[float], np.ndarray]:
    """A closed line about the middle over time: a smooth blob, or one with corners."""
    corners = int(rng.integers(3, 12)) if rng.random() < 0.4 else 120
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    waves = np.arange(1, 6)
    size = rng.normal(0, 0.35, 5) / waves
    phase, speed = rng.uniform(0, 2 * np.pi, 5), rng.normal(0, 1.5, 5)
    stretch = np.exp(rng.normal(0, 0.3))

    def at(time: float) -> np.ndarray:
        radius = np.exp((size * np.cos(np.outer(angles, waves) + phase + speed * time)).sum(1))
        points = radius[:, None] * np.stack([np.cos(angles) * stretch, np.sin(angles)], 1)
        return 0.5 + 0.45 * points / np.abs(points).max()

    return at


def _turned(points: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    turned = (points - 0.5) @ np.array([[cos, sin], [-sin, cos]])
    return 0.5 + turned * min(1.0, 0.48 / np.abs(turned).max())


# ---- thin things
@dataclass(frozen=True, eq=False)
class _Sway:
    """Something that swings to and fro."""

    size: float
    speed: float
    phase: float

    @classmethod
    def draw(cls, rng: np.random.Generator, size: float) -> _Sway:
        return cls(rng.normal(0, size), rng.uniform(2, 9), rng.uniform(0, 2 * np.pi))

    def __call__(self, time: float) -> float:
        return float(self.size * np.sin(self.phase + self.speed * time))


def _width(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(1), np.log(7))))


def _strings(rng: np.random.Generator) -> Drawing:
    along = np.linspace(0, 1, 40)
    strings = []
    for _ in range(int(rng.integers(1, 4))):
        ends, angle = rng.uniform(0.3, 0.7, 2), rng.uniform(0, np.pi)
        strings.append((ends, angle, _Sway.draw(rng, 0.2), rng.uniform(1, 3), _width(rng)))

    def at(time: float) -> list[Stroke]:
        strokes = []
        for ends, angle, sway, waves, width in strings:
            bend = sway(time) * np.sin(np.pi * waves * along)
            line = np.stack([0.04 + 0.92 * along, ends[0] + np.diff(ends) * along + bend], 1)
            strokes.append(Stroke(_turned(line, angle), width))
        return strokes

    return at


def _wheel(rng: np.random.Generator) -> Drawing:
    spokes, rim, width = int(rng.integers(5, 30)), _width(rng) * 1.5, _width(rng) * 0.6
    speed, tilt = rng.normal(0, 1.5), rng.uniform(0.4, 1)
    circle = np.linspace(0, 2 * np.pi, 90)

    def on_rim(angles: np.ndarray) -> np.ndarray:
        return 0.5 + 0.45 * np.stack([np.cos(angles) * tilt, np.sin(angles)], -1)

    def at(time: float) -> list[Stroke]:
        angles = speed * time + np.linspace(0, 2 * np.pi, spokes, endpoint=False)
        middle = np.array([0.5, 0.5])
        return [Stroke(on_rim(circle), rim)] + [
            Stroke(np.stack([middle, end]), width) for end in on_rim(angles)
        ]

    return at


def _lattice(rng: np.random.Generator) -> Drawing:
    """A ladder, a fence, a net."""
    columns, rows = int(rng.integers(2, 9)), int(rng.integers(2, 9))
    width, angle = _width(rng) * 0.8, rng.uniform(0, np.pi)
    high, turn, shear = rng.uniform(0.15, 0.45), _Sway.draw(rng, 0.3), _Sway.draw(rng, 0.15)

    def at(time: float) -> list[Stroke]:
        x, y = np.linspace(0.05, 0.95, columns), np.linspace(0.5 - high, 0.5 + high, rows)
        ends = [np.array([[a, y[0]], [a, y[-1]]]) for a in x]
        ends += [np.array([[x[0], b], [x[-1], b]]) for b in y]
        lean = np.array([[1, 0], [shear(time), 1]])
        return [Stroke(_turned(0.5 + (e - 0.5) @ lean, angle + turn(time)), width) for e in ends]

    return at


def _branches(rng: np.random.Generator) -> Drawing:
    bends = rng.normal(0, 0.5, (5, 16))
    sway, width, twigs = _Sway.draw(rng, 0.25), _width(rng) * 1.2, int(rng.integers(2, 4))

    def at(time: float) -> list[Stroke]:
        strokes = []
        ends = [(np.array([0.5, 0.97]), -np.pi / 2)]
        for depth in range(4 if twigs == 2 else 3):
            grown = []
            for number, (start, heading) in enumerate(ends):
                for twig in range(twigs if depth else 1):
                    bend = bends[depth, (number * twigs + twig) % 16] * (1 if depth else 0.2)
                    way = heading + bend + sway(time) * (depth + 1) / 4
                    end = start + 0.28 * 0.8**depth * np.array([np.cos(way), np.sin(way)])
                    strokes.append(Stroke(np.stack([start, end]), max(1.0, width * 0.7**depth)))
                    grown.append((end, way))
            ends = grown
        return strokes

    return at


def _kite(rng: np.random.Generator) -> Drawing:
    """A canopy, and something heavy that hangs on it by lines."""
    lines, width = int(rng.integers(2, 9)), _width(rng) * 0.4
    high, swing = rng.uniform(0.1, 0.25), _Sway.draw(rng, 0.15)
    bow = np.linspace(0, np.pi, 40)

    def at(time: float) -> list[Stroke]:
        upper = np.stack([0.5 - 0.44 * np.cos(bow), 0.06 + high - high * np.sin(bow)], 1)
        lower = upper[::-1] + np.array([0, 0.35 * high])
        load = np.array([0.5 + swing(time), 0.85])
        ends = lower[np.linspace(0, len(lower) - 1, lines).astype(int)]
        ball = load + 0.05 * np.stack([np.cos(2 * bow), 1.6 * np.sin(2 * bow)], 1)
        strokes = [Stroke(np.concatenate([upper, lower]), 0), Stroke(ball, 0)]
        return strokes + [Stroke(np.stack([end, load]), max(0.7, width)) for end in ends]

    return at


_THIN = (_strings, _wheel, _lattice, _branches, _kite)


# ---- pixels
def _painted(color: np.ndarray, strokes: Sequence[Stroke]) -> np.ndarray:
    """(S, S, 4) color times coverage, coverage."""
    fine = np.zeros((SIDE_PIXELS * _FINE,) * 2, np.uint8)
    for stroke in strokes:
        points = (stroke.points * fine.shape[0]).round().astype(np.int32)[None]
        if stroke.width_pixels:
            cv2.polylines(fine, points, False, 255, max(1, round(stroke.width_pixels * _FINE)))
        else:
            cv2.fillPoly(fine, points, 255)
    coverage = cv2.resize(fine.astype(np.float32), (SIDE_PIXELS,) * 2, interpolation=cv2.INTER_AREA)
    coverage = coverage[..., None] / 255
    return np.concatenate([color * coverage, coverage], 2, dtype=np.float32)


def _straight(premultiplied: np.ndarray) -> np.ndarray:
    alpha = premultiplied[..., 3:]
    color = premultiplied[..., :3] / np.maximum(alpha, 1e-4)
    return (np.concatenate([color, alpha], 2) * 255).round().clip(0, 255).astype(np.uint8)
