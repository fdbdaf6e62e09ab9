"""Plans of training clips: which pictures move where, drawn on the CPU from a seeded generator.

A clip is a scene (a real sequence, or one picture in motion) with up to a few pasted objects on
top: targets, look-alikes without a label, other objects that distract or occlude. A plan holds
numbers only; `clips.render` makes the pixels of many plans at once on the training device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .library import Box, Index
from .motion import affine, blur_kernel, elastic_field, log_uniform, neighbors, track
from .settings import ClipShape, TrainingSettings

BLUR_SIZE = 5
"""Side of the blur kernels in pixels."""
_TARGETS = (0.6, 0.32, 0.08)
"""Probabilities of 1, 2 and 3 targets in the clips of a batch."""
_LOOK_ALIKE = 0.5
_OTHER_OBJECT = 0.25
_ABSENT = 0.2
_GROWING = 0.3
_BACKGROUND = 0.3
"""Share of the clips whose scene is a picture without an object, where there are any."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One moving picture or cut-out of a clip."""

    pictures: np.ndarray
    """(T,) positions in the library"""
    object_id: int
    """the object's id in the label maps of the pictures"""
    target: int
    """channel 1..N of the clip that the object is, or 0: not to be segmented"""
    to_source: np.ndarray
    """(T, 2, 3) from output to source pixels"""
    elastic: np.ndarray
    """(2, 2, 4, 4) displacement in output pixels at the first and the last frame"""
    part: np.ndarray
    """(3,) a, b, c: of the object only the side a x + b y + c > 0 (source pixels) is the target"""
    visible: np.ndarray
    """(T,) bool"""
    tint: np.ndarray
    """(3,) added to the color"""
    shrunk_edge: bool
    """whether the soft edge lies inside the object"""


@dataclass(frozen=True, eq=False)
class ClipPlan:
    """Everything drawn at random about one clip of T frames with N targets."""

    scene: Layer
    pasted: tuple[Layer, ...]
    color: np.ndarray
    """(3, 3) applied to RGB"""
    offset: np.ndarray
    """(T, 3) then added"""
    blur: np.ndarray
    """(T, 5, 5) kernels; a single 1 in the middle leaves the frame sharp"""


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """Clips of one shape, with the same number of targets and the same course of memory."""

    clips: tuple[ClipPlan, ...]
    shape: ClipShape
    targets: int
    given: tuple[bool, ...]
    """(T,) frames whose masks are given, as annotations are; at least one"""
    memorized: tuple[bool, ...]
    """(T,) frames that enter memory with their predicted masks"""


class _Cutout(NamedTuple):
    pictures: np.ndarray
    object_id: int
    boxes: list[Box]
    part: np.ndarray


@dataclass(frozen=True, eq=False)
class ClipPlanner:
    """Draws plans; the same generator state gives the same plan."""

    index: Index
    rng: np.random.Generator
    size: int
    """side of the clip in pixels"""
    frames: int
    _whole: np.ndarray = field(default_factory=lambda: np.array([0, 0, 1], np.float32))

    def draw(self, targets: int) -> ClipPlan:
        """A plan with that many targets, the scene's own object usually among them."""
        rng, index = self.rng, self.index
        if index.backgrounds and (not index.has_objects or rng.random() < _BACKGROUND):
            scene_is_target, scene = False, self._background()
        else:
            scene_is_target = rng.random() < (0.9 if targets == 1 else 0.75)
            scene = self._scene(int(scene_is_target))
        pasted = [self._paste(self._cutout(), n) for n in range(1 + scene_is_target, targets + 1)]
        if rng.random() < _LOOK_ALIKE:
            pasted.append(
                self.look_alike(pasted if self._is_background(scene) else [scene, *pasted])
            )
        if rng.random() < _OTHER_OBJECT:
            pasted.append(self._paste(self._cutout(), 0))
        color, offset = self._colors()
        order = rng.permutation(len(pasted))
        layers = tuple(pasted[i] for i in order)
        return ClipPlan(scene, layers, color, offset, self.blurs())

    # ---- the scene
    def _scene(self, target: int) -> Layer:
        index, rng = self.index, self.rng
        filmed = bool(index.sequences) and rng.random() < (0.4 if index.stills else 0.65)
        if filmed:
            pictures = self._sequence(index.sequences, 8)
        else:
            pictures = np.full(self.frames, self._picture_with_object())
        still = not filmed
        object_id = self._object_in(int(pictures[0]))
        boxes = self.boxes(pictures, object_id)
        part = self._half(boxes[0]) if still and rng.random() < 0.15 else self._whole
        matrices = self._camera(pictures, boxes, still)
        elastic = elastic_field(rng, self.size if still else 0)
        every = np.ones(self.frames, bool)
        no_tint = np.zeros(3, np.float32)
        return Layer(pictures, object_id, target, matrices, elastic, part, every, no_tint, False)

    def _background(self) -> Layer:
        """A picture without an object under a camera that looks at a part of it."""
        rng = self.rng
        pictures = np.full(self.frames, rng.choice(self.index.backgrounds))
        height, width = self.index.entries[int(pictures[0])].size
        w, h = (max(1, round(side * log_uniform(rng, 0.3, 1))) for side in (width, height))
        box = Box(int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h, w * h)
        matrices = self._camera(pictures, [box] * self.frames, True)
        every, no_tint = np.ones(self.frames, bool), np.zeros(3, np.float32)
        elastic = elastic_field(rng, self.size)
        return Layer(pictures, 1, 0, matrices, elastic, self._whole, every, no_tint, False)

    def _is_background(self, layer: Layer) -> bool:
        return int(layer.pictures[0]) in self.index.backgrounds

    def _camera(self, pictures: np.ndarray, boxes: list[Box], still: bool) -> np.ndarray:
        """The crop of each frame: about the object, with the scene's own motion if it is still."""
        rng, size, frames = self.rng, self.size, self.frames
        height, width = self.index.entries[int(pictures[0])].size
        wanted = size * log_uniform(rng, 0.2, 0.95) / max(boxes[0].width, boxes[0].height, 1)
        fitting = size / (1.15 * min(height, width))
        scale = max(fitting, min(wanted, 2.2, size / 80))
        zoom = self._zoom(6.0 if still else 2.5)
        scales = scale * np.exp(zoom + (track(rng, frames, 0.15, 0.02, 0.4) if still else 0))
        half = size / scales / 2
        centers = np.array([box.center for box in boxes])
        # a camera that follows the object as closely as this share of its way
        follow = rng.uniform(0, 1)
        centers = centers[:1] + follow * (centers - centers[:1]) + rng.normal(0, 0.3, 2) * half[0]
        middle = np.array([width / 2, height / 2])
        low = np.minimum(half[:, None], middle)
        centers = np.clip(centers, low, 2 * middle - low)
        shift = np.zeros((2, frames))
        angles = np.full(frames, rng.normal(0, 0.1))
        if still:
            shift = np.stack([track(rng, frames, 0.12 * size, 1.5, 0.4) for _ in range(2)])
            angles = angles + track(rng, frames, 0.2, 0.02, 0.4)
        flip = 1 if rng.random() < 0.5 else -1
        return affine(centers, scales, angles, flip, shift.T + size / 2)

    def _zoom(self, most: float) -> np.ndarray:
        """(T,) logarithm of a scale that grows or shrinks over the clip by up to `most`."""
        ramp = np.linspace(-0.5, 0.5, self.frames)
        if self.rng.random() >= _GROWING:
            return np.zeros(self.frames)
        return ramp * self.rng.uniform(-1, 1) * np.log(most)

    # ---- objects on top
    def _cutout(self) -> _Cutout:
        index, rng = self.index, self.rng
        if index.has_cutouts and (not index.has_objects or rng.random() < 0.4):
            pictures = self._alone()
        elif index.sequences and (not index.stills or rng.random() < 0.5):
            pictures = self._sequence(index.sequences, 6)
        else:
            pictures = np.full(self.frames, self._picture_with_object())
        object_id = self._object_in(int(pictures[0]))
        boxes = self.boxes(pictures, object_id)
        still = len(set(pictures.tolist())) == 1
        part = self._half(boxes[0]) if still and rng.random() < 0.25 else self._whole
        return _Cutout(pictures, object_id, boxes, part)

    def look_alike(self, layers: Sequence[Layer]) -> Layer:
        """The same object as one of the layers again, elsewhere and not to be segmented."""
        like = layers[int(self.rng.integers(len(layers)))]
        boxes = self.boxes(like.pictures, like.object_id)
        return self._paste(_Cutout(like.pictures, like.object_id, boxes, self._whole), 0)

    def _paste(self, cutout: _Cutout, target: int) -> Layer:
        rng, size, frames = self.rng, self.size, self.frames
        longest = max(cutout.boxes[0].width, cutout.boxes[0].height, 1)
        scale = np.clip(size * log_uniform(rng, 0.15, 0.7) / longest, 0.15, 3)
        scales = scale * np.exp(track(rng, frames, 0.2, 0.02, 0.25) + self._zoom(4.0))
        angles = rng.normal(0, 0.2) + track(rng, frames, 0.3, 0.03, 0.25)
        ways = [track(rng, frames, 0.25 * size, 1.5, 0.25) for _ in range(2)]
        places = rng.uniform(0.1, 0.9, 2) * size + np.stack(ways, 1)
        centers = np.array([box.center for box in cutout.boxes])
        flip = 1 if rng.random() < 0.5 else -1
        matrices = affine(centers, scales, angles, flip, places)
        tint = (rng.normal(0, 10, 3) * (rng.random() < 0.5)).astype(np.float32)
        visible = self._visible() if target else np.ones(frames, bool)
        elastic = elastic_field(rng, size)
        # alpha has no fringe to hide, and thin things would vanish
        has_matte = self.index.entries[int(cutout.pictures[0])].has_matte
        shrunk = bool(rng.random() < 0.5) and not has_matte
        return Layer(
            cutout.pictures, cutout.object_id, target, matrices, elastic, cutout.part, visible,
            tint, shrunk,
        )  # fmt: skip

    def _visible(self) -> np.ndarray:
        """(T,) bool: all frames, or all but a run of them."""
        visible = np.ones(self.frames, bool)
        if self.rng.random() < _ABSENT and self.frames > 1:
            first = int(self.rng.integers(self.frames))
            visible[first : first + int(self.rng.integers(1, self.frames))] = False
        return visible

    def _half(self, box: Box) -> np.ndarray:
        """A line through the object; targets may be parts (PUMaVOS)."""
        angle = self.rng.uniform(0, 2 * np.pi)
        a, b = np.cos(angle), np.sin(angle)
        x = box.x + box.width * self.rng.uniform(0.35, 0.65)
        y = box.y + box.height * self.rng.uniform(0.35, 0.65)
        return np.array([a, b, -a * x - b * y], np.float32)

    # ---- pictures
    def _sequence(self, sequences: Sequence[tuple[int, ...]], longest_step: int) -> np.ndarray:
        sequence = sequences[int(self.rng.integers(len(sequences)))]
        places = neighbors(self.rng, len(sequence), self.frames, longest_step)
        return np.array(sequence)[places]

    def _alone(self) -> np.ndarray:
        """(T,) pictures of an object that is good only for pasting, still or in motion."""
        index, rng = self.index, self.rng
        if index.moving_cutouts and (not index.cutouts or rng.random() < 0.5):
            return self._sequence(index.moving_cutouts, 4)
        return np.full(self.frames, rng.choice(index.cutouts))

    def _picture_with_object(self) -> int:
        index, rng = self.index, self.rng
        if index.stills and (not index.sequences or rng.random() < 0.6):
            return int(rng.choice(index.stills))
        sequence = index.sequences[int(rng.integers(len(index.sequences)))]
        shown = [i for i in sequence if index.entries[i].boxes]
        return int(rng.choice(shown))

    def _object_in(self, picture: int) -> int:
        ids = self.index.object_ids(picture)
        return int(self.rng.choice(ids)) if ids else 1

    def boxes(self, pictures: np.ndarray, object_id: int) -> list[Box]:
        """The object's box in each picture; where it is not seen, that of the nearest frame."""
        found = [self.index.entries[int(p)].boxes.get(object_id) for p in pictures]
        seen = [i for i, box in enumerate(found) if box]
        if not seen:
            height, width = self.index.entries[int(pictures[0])].size
            return [Box(0, 0, width, height, 0)] * len(found)
        nearest = [min(seen, key=lambda s: abs(s - i)) for i in range(len(found))]
        return [box for i in nearest if (box := found[i])]

    # ---- what is common to all layers
    def _colors(self) -> tuple[np.ndarray, np.ndarray]:
        """Contrast, brightness and gain of a clip, exposure over time, gray, swapped channels."""
        rng = self.rng
        gain = np.exp(rng.normal(0, 0.08, 3) + rng.normal(0, 0.15) + rng.normal(0, 0.12))
        offset = 110 - 110 * gain + rng.normal(0, 10)
        mix, kind = np.eye(3), rng.random()
        if kind < 0.05:
            mix = np.full((3, 3), 1 / 3)
        elif kind < 0.25:
            mix = np.eye(3)[rng.permutation(3)]
        exposure = rng.normal(0, 5, (self.frames, 1)) * (rng.random() < 0.4)
        return (mix * gain).astype(np.float32), (mix @ offset + exposure).astype(np.float32)

    def blurs(self) -> np.ndarray:
        rng = self.rng
        kernels = np.zeros((self.frames, BLUR_SIZE, BLUR_SIZE), np.float32)
        kernels[:, BLUR_SIZE // 2, BLUR_SIZE // 2] = 1
        if rng.random() < 0.2:
            for frame in np.flatnonzero(rng.random(self.frames) < 0.6):
                kernels[frame] = blur_kernel(rng, BLUR_SIZE)
        return kernels


def plan_batch(index: Index, settings: TrainingSettings, step: int) -> BatchPlan:
    """The plans of one step, a function of the settings and the step alone.

    So a run that is resumed sees the very clips it would have seen.
    """
    rng = np.random.default_rng([settings.seed, step])
    shapes = settings.shapes_at(step)
    shape = shapes[int(rng.integers(len(shapes)))]
    targets = 1 + int(rng.choice(len(_TARGETS), p=_TARGETS))
    # each further target costs about half as much again as a frame with one
    pixels = shape.size_pixels**2 * shape.frames * (1 + targets) / 2
    planner = ClipPlanner(index, rng, shape.size_pixels, shape.frames)
    count = max(1, round(settings.pixels_per_step / pixels))
    clips = tuple(planner.draw(targets) for _ in range(count))
    given = _given(rng, shape.frames)
    memorized = (rng.random(shape.frames) < 0.5) & ~given
    return BatchPlan(clips, shape, targets, tuple(given.tolist()), tuple(memorized.tolist()))


def _given(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(T,) bool: usually the first frame, often the last as well, at times any one."""
    given = np.zeros(frames, bool)
    given[0] = frames == 1 or rng.random() < 0.85
    if frames > 3 and rng.random() < 0.35:
        given[-1] = True
    if not given.any() or (frames > 3 and rng.random() < 0.15):
        given[int(rng.integers(frames))] = True
    return given
