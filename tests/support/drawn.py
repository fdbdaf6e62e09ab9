"""A shot of given names, and pictures drawn for tests of annotations, tracks and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from xmempp_core.annotations import AnnotationSet
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.segmentation import Segmentation
from xmempp_core.types import ModelInfo, Size


class NamedShot:
    """Frames that differ in brightness; numbers are the last digits of their names."""

    fingerprint = "drawn"

    def __init__(
        self, names: Sequence[str], size: Size, frame_rate: Fraction | None = Fraction(25)
    ) -> None:
        self.names = list(names)
        self.size = size
        self.frame_rate = frame_rate

    def __len__(self) -> int:
        return len(self.names)

    def frame(self, index: int) -> Tensor:
        return torch.full((*self.size, 3), 40 + 5 * index % 200, dtype=torch.uint8)

    def number(self, index: int) -> int:
        return int(re.findall(r"\d+", self.names[index])[-1])

    def name(self, index: int) -> str:
        return self.names[index]

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.frame, range(len(self)))


def numbered_shot(count: int, size: Size, first: int = 0) -> NamedShot:
    """A shot with names such as 00012."""
    return NamedShot([f"{first + i:05d}" for i in range(count)], size)


def disk(size: Size, row: float, column: float, radius: float) -> Tensor:
    """(H, W) bool disk, the center in shares of the height and width, the radius of the height."""
    y = torch.arange(size.height)[:, None] - row * size.height
    x = torch.arange(size.width)[None] - column * size.width
    return y**2 + x**2 <= (radius * size.height) ** 2


def soft_segmentation(
    frame_index: int, object_ids: Sequence[int], internal: Size, size: Size, seed: int = 0
) -> Segmentation:
    """A random smooth segmentation that sums to 1."""
    generator = torch.Generator().manual_seed(1000 * seed + frame_index)
    logits = torch.randn(1, len(object_ids) + 1, 4, 5, generator=generator) * 6
    smooth = torch.nn.functional.interpolate(logits, size=tuple(internal), mode="bicubic")
    confidence = tuple(float(c) for c in torch.rand(len(object_ids), generator=generator))
    return Segmentation(frame_index, tuple(object_ids), smooth[0].softmax(0), size, confidence)


def model_info() -> ModelInfo:
    """Facts about a model that was never built."""
    return ModelInfo(
        name="tiny",
        path=Path("/somewhere/tiny.safetensors"),
        architecture="xmem",
        key_channels=8,
        value_channels=16,
        sensory_channels=4,
        parameter_count=123,
        sha256="0" * 64,
        license="MIT",
        note="seeded",
    )


class DrawnPass:
    """A pass whose results were drawn."""

    def __init__(
        self, source: NamedShot, annotations: AnnotationSet, segmentations: Sequence[Segmentation]
    ) -> None:
        self.source, self.annotations, self._segmentations = source, annotations, segmentations
        self.settings = PropagationSettings()
        self.network: Any = SimpleNamespace(info=model_info())
        self.frame_count = len(segmentations)

    def __iter__(self) -> Iterator[Segmentation]:
        return iter(self._segmentations)
