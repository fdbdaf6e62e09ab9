"""Plans of the clips of one shot: annotated frames in random order under one common crop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..training.motion import affine, elastic_field, log_uniform, track
from ..training.plans import BatchPlan, ClipPlan, ClipPlanner, Layer
from ..training.settings import ClipShape
from ..types import STRIDE
from .settings import AdaptationSettings
from .shot_pictures import ShotPictures

FRAMES = 3
"""Frames of a clip."""
MAX_TARGETS = 3
"""Objects of a clip; of more a clip shows some."""
REFERENCE_SHORT_SIDE = 480
"""Short side in pixels of the pictures for which the crop is meant."""
_LOOK_ALIKE = 0.1
_LAST_GIVEN = 0.6
_MEMORIZED = 0.3
_SCALE = (0.95, 1.1)


def plan_step(shot: ShotPictures, settings: AdaptationSettings, step: int) -> BatchPlan:
    """The plans of one step, a function of the shot, the settings and the step alone."""
    rng = np.random.default_rng([settings.seed, step])
    side, pixels = _size(shot, settings)
    targets = _targets(shot, rng)
    drawing = _Drawing(shot, settings, ClipPlanner(shot.library.index, rng, side, FRAMES), targets)
    count = max(1, round(pixels / (side * side * FRAMES * (1 + len(targets)) / 2)))
    clips = tuple(drawing.clip() for _ in range(count))
    given = np.zeros(FRAMES, bool)
    given[0] = True
    given[-1] = rng.random() < _LAST_GIVEN
    memorized = (rng.random(FRAMES) < _MEMORIZED) & ~given
    course = tuple(given.tolist()), tuple(memorized.tolist())
    return BatchPlan(clips, ClipShape(side, FRAMES), len(targets), *course)


def _size(shot: ShotPictures, settings: AdaptationSettings) -> tuple[int, float]:
    """Side of the crops in pixels, and pixels of a step: both follow pictures of another size."""
    scale = min(1.0, shot.short_side / REFERENCE_SHORT_SIDE)
    side = math.ceil(settings.crop_pixels * scale / STRIDE) * STRIDE
    return side, settings.pixels_per_step * scale**2


def _targets(shot: ShotPictures, rng: np.random.Generator) -> tuple[int, ...]:
    """An object, and others of which all pictures about it speak, too."""
    ids = shot.object_ids
    first = ids[int(rng.integers(len(ids)))] if len(ids) > 1 else ids[0]
    about = shot.pictures_about(first)
    others = [i for i in ids if i != first and all(i in shot.known_ids[p] for p in about)]
    chosen = rng.permutation(others)[: MAX_TARGETS - 1].tolist() if others else []
    return (first, *chosen)


@dataclass(frozen=True, eq=False)
class _Drawing:
    """Draws the clips of one step."""

    shot: ShotPictures
    settings: AdaptationSettings
    planner: ClipPlanner
    targets: tuple[int, ...]
    """Object ids; target n of the clip is the n-th."""

    def clip(self) -> ClipPlan:
        """One clip."""
        rng = self.planner.rng
        scene = self._scene()
        # the other objects of the same pictures lie where they are
        others = [
            replace(scene, object_id=object_id, target=target)
            for target, object_id in enumerate(self.targets[1:], start=2)
        ]
        layers = [scene, *others]
        if rng.random() < _LOOK_ALIKE:
            layers.append(self.planner.look_alike(layers))
        color, offset = self._colors()
        return ClipPlan(scene, tuple(layers[1:]), color, offset, self.planner.blurs())

    def _scene(self) -> Layer:
        rng = self.planner.rng
        about = self.shot.pictures_about(self.targets[0])
        is_still = len(about) < 2 or rng.random() >= 1 - self.settings.still_share
        pictures = self._still(about) if is_still else self._several(about)
        moves = is_still or rng.random() < self.settings.pair_motion_share
        boxes = self.planner.boxes(pictures, self.targets[0])
        matrices = self._crop(pictures, np.array([box.center for box in boxes]), moves)
        elastic = elastic_field(rng, self.planner.size if is_still else 0)
        whole = np.array([0, 0, 1], np.float32)
        every, no_tint = np.ones(FRAMES, bool), np.zeros(3, np.float32)
        return Layer(
            pictures, self.targets[0], 1, matrices, elastic, whole, every, no_tint, False
        )  # fmt: skip

    def _several(self, about: list[int]) -> np.ndarray:
        """(T,) different pictures, or any where there are not so many."""
        rng, count = self.planner.rng, len(about)
        places = rng.permutation(count) if count >= FRAMES else rng.integers(0, count, FRAMES)
        return np.array(about)[places[:FRAMES]]

    def _still(self, about: list[int]) -> np.ndarray:
        """(T,) one picture that shows the object."""
        entries = self.shot.library.index.entries
        shown = [p for p in about if self.targets[0] in entries[p].boxes]
        return np.full(FRAMES, self.planner.rng.choice(shown))

    def _crop(self, pictures: np.ndarray, centers: np.ndarray, moves: bool) -> np.ndarray:
        """(T, 2, 3) to source pixels: about the object, nearly at the size of the pass."""
        rng, size = self.planner.rng, self.planner.size
        height, width = self.planner.index.entries[int(pictures[0])].size
        fitting = size / (1.15 * min(height, width)) if size < min(height, width) else 1.0
        scales = np.full(FRAMES, max(fitting, log_uniform(rng, *_SCALE)))
        if moves:
            scales = scales * np.exp(track(rng, FRAMES, 0.10, 0.02, 0.4))
        half = size / scales / 2
        centers = centers + rng.normal(0, 0.35, 2) * half[0]
        middle = np.array([width / 2, height / 2])
        low = np.minimum(half[:, None], middle)
        centers = np.clip(centers, low, 2 * middle - low)
        angles = np.full(FRAMES, rng.normal(0, 0.05))
        shift = np.zeros((2, FRAMES))
        if moves:
            shift = np.stack([track(rng, FRAMES, 0.10 * size, 1.5, 0.4) for _ in range(2)])
            angles = angles + track(rng, FRAMES, 0.12, 0.02, 0.4)
        flip = 1 if rng.random() < 0.5 else -1
        return affine(centers, scales, angles, flip, shift.T + size / 2)

    def _colors(self) -> tuple[np.ndarray, np.ndarray]:
        """A light change of gain and brightness, at times of exposure from frame to frame."""
        rng = self.planner.rng
        gain = np.exp(rng.normal(0, 0.04, 3) + rng.normal(0, 0.1))
        offset = 110 - 110 * gain + rng.normal(0, 5)
        exposure = rng.normal(0, 4, (FRAMES, 1)) * (rng.random() < 0.4)
        return (np.eye(3) * gain).astype(np.float32), (offset + exposure).astype(np.float32)
