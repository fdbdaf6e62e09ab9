"""A toy shot: two squares that cross a textured background, and its exact masks."""

from __future__ import annotations

import torch
from torch import Tensor

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.types import FrameSource

HEIGHT, WIDTH = 64, 96


def toy_frames(count: int = 12) -> tuple[Tensor, Tensor]:
    """Frames (T, H, W, 3) uint8 and label maps (T, H, W) uint8 with objects 3 and 7."""
    generator = torch.Generator().manual_seed(0)
    background = torch.randint(60, 120, (HEIGHT, WIDTH, 3), generator=generator)
    frames, labels = [], []
    for t in range(count):
        frame, label = background.clone(), torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)
        x = (4 + 5 * t) % (WIDTH - 24)
        frame[8:28, x : x + 20] = torch.tensor([220, 40, 30])
        label[8:28, x : x + 20] = 3
        frame[36:58, WIDTH - 24 - x : WIDTH - x] = torch.tensor([30, 60, 220])
        label[36:58, WIDTH - 24 - x : WIDTH - x] = 7
        frames.append(frame.to(torch.uint8))
        labels.append(label)
    return torch.stack(frames), torch.stack(labels)


def toy_shot(
    annotated: tuple[int, ...] = (0, 6), count: int = 12
) -> tuple[FrameSource, AnnotationSet]:
    """The toy shot with exhaustive annotations of some frames."""
    frames, labels = toy_frames(count)
    maps = tuple(Annotation.from_label_map(t, labels[t]) for t in annotated)
    return open_frames(frames), AnnotationSet(maps)
