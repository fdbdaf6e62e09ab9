"""Some frames of a source, in any order, as a source of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from ...types import FrameSource, Size


@dataclass(frozen=True)
class ChosenFrames:
    """The frames of `source` at the positions `indices`, in that order."""

    source: FrameSource
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def size(self) -> Size:
        """Size of every frame."""
        return self.source.size

    @property
    def frame_rate(self) -> Fraction | None:
        """Unknown: the frames need not be evenly spaced in time."""
        return None

    @property
    def fingerprint(self) -> str:
        """That of the source with the positions."""
        return f"{self.source.fingerprint}:{','.join(map(str, self.indices))}"

    def frame(self, index: int) -> Tensor:
        """Frame at a position among the chosen ones: (H, W, 3)."""
        return self.source.frame(self.indices[index])

    def number(self, index: int) -> int:
        """The source's own number of the frame."""
        return self.source.number(self.indices[index])

    def name(self, index: int) -> str:
        """The source's name of the frame."""
        return self.source.name(self.indices[index])

    def __iter__(self) -> Iterator[Tensor]:
        return (self.source.frame(i) for i in self.indices)
