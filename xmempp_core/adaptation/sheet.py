"""What the rounds of an adaptation made of a shot, side by side."""

from __future__ import annotations

from itertools import combinations

import cv2
import torch
from torch import Tensor

from ..errors import InputError
from ..pictures.overlays import draw_overlay, to_uint8
from ..pictures.sheets import contact_sheet
from ..types import Size
from .adaptation import FIRST, GIVEN, SECOND, Adaptation
from .results import SoftMasks
from .signals import overlaps

FRAMES = 3
"""Frames shown."""


def comparison_sheet(adaptation: Adaptation) -> Tensor:
    """(H, W, 3) uint8: a row for each of the frames where the rounds differ most.

    The name of the result that was taken says so.

    Args:
        adaptation: run to its end by this process.

    Raises:
        InputError: it made no passes to compare.
    """
    rounds = {name: adaptation.masks_of(name) for name in (GIVEN, FIRST, SECOND)}
    made = {name: masks for name, masks in rounds.items() if masks is not None}
    if len(made) < 2:
        raise InputError("the adaptation made no passes to compare; set unsteadiness_limit above 0")
    frames = frames_that_differ(list(made.values()), set(adaptation.annotations.frame_indices))
    tiles = [(t, name) for t in frames for name in made]
    pictures = (_tile(adaptation, made[name], t) for t, name in tiles)
    titles = {name: name + (", taken" if name == adaptation.chosen else "") for name in made}
    names = [f"{adaptation.source.name(t)} {titles[name]}" for t, name in tiles]
    return contact_sheet(pictures, names, columns=len(made))


def frames_that_differ(results: list[SoftMasks], annotated: set[int]) -> list[int]:
    """The frames whose masks differ most, ascending and not beside each other.

    Args:
        results: masks of the same frames.
        annotated: frames that are known and so left out.
    """
    frames = results[0].frame_indices
    differences = {t: _difference(results, t) for t in frames if t not in annotated}
    chosen: list[int] = []
    for frame in sorted(differences, key=lambda t: -differences[t]):
        if all(abs(frame - other) > len(frames) // 10 for other in chosen):
            chosen.append(frame)
    return sorted(chosen[:FRAMES] or frames[:1])


def _difference(results: list[SoftMasks], frame_index: int) -> float:
    hard = [one.hard(frame_index) for one in results]
    return sum(float(1 - overlaps(a, b).min()) for a, b in combinations(hard, 2))


def _tile(adaptation: Adaptation, masks: SoftMasks, frame_index: int) -> Tensor:
    soft = masks.get(frame_index)
    size = Size(*soft.shape[1:])
    picture = to_uint8(adaptation.source.frame(frame_index)).cpu().numpy()
    small = torch.from_numpy(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA))
    background = (1 - soft.sum(0, keepdim=True)).clamp(min=0)
    ids = torch.tensor([0, *adaptation.annotations.object_ids], dtype=torch.uint8)
    labels = ids[torch.cat([background, soft]).argmax(0)]
    return draw_overlay(small, labels, adaptation.annotations.colors)
