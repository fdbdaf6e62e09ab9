"""Soft masks steadied along the motion of the picture.

A plain average or median of neighboring frames smears whatever moves. Here the neighbors' masks are
carried along dense optical flow first, and weigh as much as the flow can be trusted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat

import cv2
import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, ShapeError
from ..types import Size
from .flow import Correspondence, correspondences, flow_picture, odd_pixels_at, warped

REACH_FRAMES = 2
"""Neighbors to each side that a round takes into account."""

MAX_ROUNDS = 10

_WEIGHT_PER_FRAME = 0.7
_THIN_PIXELS = 5


@dataclass(frozen=True, eq=False)
class SoftFrame:
    """One frame of a shot with its soft masks."""

    frame_index: int
    """0-based position in the shot."""
    picture: Tensor
    """(H, W, 3) RGB uint8 or float32 display values 0..1, of any size."""
    probabilities: Tensor
    """(N + 1, h, w) float32, channel 0 background, sum 1."""
    known: tuple[bool, ...]
    """For each of the N objects: an annotation or absence says where it is; its mask stands."""

    def __post_init__(self) -> None:
        channels = self.probabilities.shape[0] if self.probabilities.ndim == 3 else 0
        if channels != len(self.known) + 1:
            what = f"soft masks of frame {self.frame_index}"
            expected = f"({len(self.known) + 1}, h, w)"
            raise ShapeError(what, expected, tuple(self.probabilities.shape))


def check_rounds(rounds: int) -> int:
    """The number itself; raises InputError unless steadying can be done so often."""
    if not isinstance(rounds, int) or not 0 <= rounds <= MAX_ROUNDS:
        raise InputError(f"steady is {rounds!r} rounds; allowed are 0 (off) to {MAX_ROUNDS}")
    return rounds


def steadied(frames: Iterable[SoftFrame], rounds: int) -> Iterator[Tensor]:
    """Probabilities (N + 1, h, w) float32 of each frame, steadied; as many as there are frames.

    In each round a frame's masks become the mean of its own (weight 1) and of those of up to two
    frames to each side, carried along the flow (weight: its trust, times 0.7 for each frame
    further away). All channels share one weight, so that their sum stays 1. Masks of known objects
    stand, and so pull their neighbors; where any mask is thinner than about five pixels (at a
    short side of 480), all masks stand, as an average would erase ropes and wires.

    Streams: five frames for each round are held, and the flow between them is computed once.

    Args:
        frames: ascending by frame; frames that are missing in between are nobody's neighbors.
        rounds: 0 gives the frames' own probabilities.
    """
    flows = _Flows()
    held: Iterator[_Held] = map(_Held.of, frames)
    for _ in range(check_rounds(rounds)):
        held = _one_round(held, flows)
    for frame in held:
        yield frame.probabilities()
        flows.forget_up_to(frame.frame_index)


def thin_parts(mask: Tensor, width_pixels: int) -> Tensor:
    """(H, W) bool: the parts of a mask (H, W) bool thinner than a disk, and their surroundings."""
    hard = mask.cpu().numpy().astype(np.uint8)
    side = (width_pixels, width_pixels)
    opened = cv2.morphologyEx(
        hard, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, side)
    )
    return torch.from_numpy(cv2.dilate(hard - opened, np.ones(side, np.uint8)) > 0)


@dataclass(frozen=True, eq=False)
class _Held:
    """A frame in the window of a round."""

    frame_index: int
    picture: Tensor
    """as the flow takes it"""
    maps: Tensor
    """(N, h, w) of the objects; background is the rest"""
    known: tuple[bool, ...]
    protected: Tensor
    """(h, w) bool: where all masks stand"""

    @classmethod
    def of(cls, frame: SoftFrame) -> _Held:
        probabilities = frame.probabilities.detach().float().cpu()
        return cls(
            frame.frame_index,
            flow_picture(frame.picture),
            probabilities[1:],
            frame.known,
            _protected(probabilities),
        )

    @property
    def size(self) -> Size:
        return Size(self.maps.shape[1], self.maps.shape[2])

    def probabilities(self) -> Tensor:
        """(N + 1, h, w), channel 0 background."""
        background = (1 - self.maps.sum(0, keepdim=True)).clamp(min=0)
        return torch.cat([background, self.maps])


def _protected(probabilities: Tensor) -> Tensor:
    """(h, w) bool: where any object's mask is thin."""
    size = Size(*probabilities.shape[1:])
    width_pixels = odd_pixels_at(_THIN_PIXELS, size, least=3)
    labels = torch.zeros(size, dtype=torch.uint8)
    best = probabilities[0].clone()
    for channel, plane in enumerate(probabilities[1:], 1):
        labels.masked_fill_(plane > best, channel)
        torch.maximum(best, plane, out=best)
    protected = torch.zeros(size, dtype=torch.bool)
    for channel in range(1, len(probabilities)):
        protected |= thin_parts(labels == channel, width_pixels)
    return protected


class _Flows:
    """Correspondences between held frames, computed once for all rounds and objects."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], Correspondence] = {}

    def between(self, frame: _Held, other: _Held) -> Correspondence:
        """From a frame to another."""
        key = (frame.frame_index, other.frame_index)
        if key not in self._kept:
            there, back = correspondences(frame.picture, other.picture)
            self._kept[key], self._kept[key[::-1]] = there, back
        return self._kept[key].at(frame.size)

    def forget_up_to(self, frame_index: int) -> None:
        """Drops what no later frame asks for."""
        for key in [key for key in self._kept if max(key) <= frame_index]:
            del self._kept[key]


def _one_round(frames: Iterable[_Held], flows: _Flows) -> Iterator[_Held]:
    for frame, neighbors in _windows(frames):
        if all(frame.known):
            yield frame
        else:
            mean = _mean_along_flow(frame, neighbors, flows)
            maps = torch.where(frame.protected, frame.maps, mean)
            yield replace(frame, maps=_with_known(maps, frame))


def _windows(frames: Iterable[_Held]) -> Iterator[tuple[_Held, list[_Held]]]:
    """Each frame with its neighbors."""
    empty: Iterable[_Held | None] = repeat(None, REACH_FRAMES)
    window: deque[_Held | None] = deque(repeat(None, 2 * REACH_FRAMES + 1), 2 * REACH_FRAMES + 1)
    for newest in chain(frames, empty):
        window.append(newest)
        frame = window[REACH_FRAMES]
        if frame is not None:
            others = [one for one in window if one is not None and one is not frame]
            near = [o for o in others if abs(o.frame_index - frame.frame_index) <= REACH_FRAMES]
            yield frame, near


def _mean_along_flow(frame: _Held, neighbors: Sequence[_Held], flows: _Flows) -> Tensor:
    """(N, h, w) weighted mean of the frame's masks and its neighbors' where they belong."""
    total = frame.maps.clone()
    weight = torch.ones(frame.size)
    for other in neighbors:
        distance = abs(other.frame_index - frame.frame_index)
        along = flows.between(frame, other)
        share = along.trust * _WEIGHT_PER_FRAME ** (distance - 1)
        total.addcmul_(share.expand_as(total), warped(other.maps, along))
        weight += share
    return total / weight


def _with_known(maps: Tensor, frame: _Held) -> Tensor:
    """The maps with known objects as they were; the others and background share the rest."""
    known = [channel for channel, one in enumerate(frame.known) if one]
    if not known:
        return maps
    own = frame.maps[known]
    total = 1 - maps[known].sum(0)
    rest = (1 - own.sum(0)).clamp(min=0)
    maps = maps * (rest / total.clamp(min=1e-6))
    maps[known] = own
    return maps
