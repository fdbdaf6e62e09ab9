"""What flows through the package: frozen dataclasses and protocols.

Dimension letters, used everywhere: T frames, N objects, H W pixels, h w cells at stride 16,
CK CV CH channels of key, value and hidden (sensory) state, L memory tokens, Q query cells.
One token is one cell of one memorized frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

STRIDE = 16
"""Pixels of a cell's side."""


class Size(NamedTuple):
    """Height and width of a picture in pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class Padding(NamedTuple):
    """Pixels added around a picture so that both sides are multiples of 16."""

    left: int
    right: int
    top: int
    bottom: int


@runtime_checkable
class FrameSource(Protocol):
    """The frames of a shot, readable in any order."""

    def __len__(self) -> int:
        """Number of frames."""
        ...

    @property
    def size(self) -> Size:
        """Size of every frame."""
        ...

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second; None where the source does not say."""
        ...

    @property
    def fingerprint(self) -> str:
        """Text that changes when the frames change; equal for the same source."""
        ...

    def frame(self, index: int) -> Tensor:
        """Frame at 0-based position: (H, W, 3) RGB, uint8 or float32 display values 0..1."""
        ...

    def number(self, index: int) -> int:
        """The source's own number of a frame: plate.1001.png is 1001; a video's is the position."""
        ...

    def name(self, index: int) -> str:
        """Name of a frame without suffix, for the files made from it: "plate.1001", "00012"."""
        ...

    def __iter__(self) -> Iterator[Tensor]:
        """All frames in order."""
        ...


@dataclass(frozen=True, eq=False)
class Features:
    """What a network's image encoder says about one frame (padded to multiples of 16).

    Of a batch of frames every tensor has one more axis in front.
    """

    key: Tensor
    """(CK, h, w)"""
    shrinkage: Tensor
    """(1, h, w), at least 1"""
    selection: Tensor
    """(CK, h, w), 0..1"""
    f16: Tensor
    """(C16, h, w) features at stride 16"""
    f8: Tensor
    """(C8, 2h, 2w) features at stride 8"""
    f4: Tensor
    """(C4, 4h, 4w) features at stride 4"""
    padding: Padding
    """what was added around the frame"""

    @property
    def is_batch(self) -> bool:
        """Whether they are of a batch of frames."""
        return self.key.ndim == 4

    @property
    def size_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(t.nbytes for t in self._tensors)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Features:
        """The features with every tensor changed."""
        key, shrinkage, selection, f16, f8, f4 = map(change, self._tensors)
        return Features(key, shrinkage, selection, f16, f8, f4, self.padding)

    @staticmethod
    def batch(frames: Sequence[Features]) -> Features:
        """The features of several frames of one size as those of a batch."""
        joined = map(torch.stack, zip(*(one._tensors for one in frames), strict=True))
        key, shrinkage, selection, f16, f8, f4 = joined
        return Features(key, shrinkage, selection, f16, f8, f4, frames[0].padding)

    def of_frame(self, place: int) -> Features:
        """The features of one frame of a batch."""
        return self.mapped(lambda tensor: tensor[place])

    @property
    def _tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        return self.key, self.shrinkage, self.selection, self.f16, self.f8, self.f4


@dataclass(frozen=True)
class ModelInfo:
    """What is known about a model file."""

    name: str
    """The bundled model's name or the file's name without suffix."""
    path: Path
    architecture: str
    """"xmem" or "xmemlite-1"."""
    key_channels: int
    value_channels: int
    sensory_channels: int
    """0 without sensory memory."""
    parameter_count: int
    """Learned values; running statistics are not counted."""
    sha256: str
    """SHA-256 of the file, hexadecimal."""
    license: str
    """What the weights may be used for, as far as the file says."""
    note: str
    """How the model was made, as far as the file says."""
    adaptation: str = ""
    """How it was adapted to a shot, a JSON object; empty for a model that was not."""


@runtime_checkable
class Network(Protocol):
    """The calls a segmentation network offers; none of them writes to its arguments.

    "Padded" is the size of the frame plus `features.padding`. All calls also take a batch of
    frames: every tensor then has one more axis in front, and gradients flow through them.
    """

    key_channels: int
    value_channels: int
    sensory_channels: int
    architecture: str
    info: ModelInfo
    """Where the weights come from; its sha256 changes with them."""

    @property
    def device(self) -> torch.device:
        """Where its weights are; frames are brought there."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The type its convolutions run in."""
        ...

    def encode(self, frame: Tensor) -> Features:
        """Features of a frame (3, H, W) float32 RGB 0..1; normalizes and pads it itself."""
        ...

    def memorize(
        self, features: Features, frame: Tensor, masks: Tensor, sensory: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Values (N, CV, h, w) and reinforced sensory state (N, CH, h, w).

        Args:
            features: of the frame.
            frame: (3, H, W) as given to `encode`, not padded.
            masks: (N, H', W') float32 0..1, aggregated, padded.
            sensory: (N, CH, h, w) float32.
        """
        ...

    def decode(self, features: Features, readout: Tensor, sensory: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, H', W') float32, padded, and updated sensory state (N, CH, h, w).

        Args:
            features: of the frame.
            readout: (N, CV, h, w).
            sensory: (N, CH, h, w) float32.
        """
        ...

    def initial_sensory(self, n: int, features: Features) -> Tensor:
        """Zeros (n, CH, h, w) float32; CH is 0 for a network without sensory memory."""
        ...
