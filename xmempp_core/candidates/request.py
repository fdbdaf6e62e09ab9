"""CandidateRequest: what frames are asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import InputError

CandidateMethod = Literal["algorithm1", "uncertainty"]


@dataclass(frozen=True)
class CandidateRequest:
    """How many frames to propose, and by which measure; checked at birth."""

    annotated: Sequence[int]
    """Frames annotated already, at least one; always compared against."""
    count: int
    """Frames to propose, 1 to the number of frames."""
    alpha: float = 0.5
    """How much the objects count against the whole picture, 0..1."""
    min_mask_pixels: int = 9
    """Pixels of an object that a frame must have to be proposed."""
    min_mask_fraction: float = 0.0
    """The same as a fraction 0..1 of the picture; the larger one counts."""
    method: CandidateMethod = "algorithm1"
    """"algorithm1" as in the paper, or "uncertainty": scores are multiplied by
    `frame_uncertainty`, which costs one more pass. Of features at hand only the first."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "annotated", tuple(sorted(set(self.annotated))))
        if not self.annotated:
            raise InputError("no frame is annotated; annotate one frame before asking for the next")
        if not 0 <= self.alpha <= 1:
            raise InputError(
                f"alpha is {self.alpha}, allowed is 0 (whole picture) to 1 (objects alone)"
            )
        if not 0 <= self.min_mask_fraction <= 1:
            raise InputError(
                f"min_mask_fraction is {self.min_mask_fraction}, allowed is 0 to 1; "
                "0.0025 is 0.25 %"
            )
        if self.min_mask_pixels < 0:
            raise InputError(f"min_mask_pixels is {self.min_mask_pixels}, allowed is 0 and up")
        if self.method not in get_args(CandidateMethod):
            raise InputError(f"method {self.method!r} is unknown; use algorithm1 or uncertainty")

    def minimum_pixels(self, picture_pixels: int) -> int:
        """Pixels of an object that a proposable frame of this size has at least."""
        return max(self.min_mask_pixels, math.ceil(self.min_mask_fraction * picture_pixels - 1e-9))

    def check(self, frame_count: int) -> None:
        """Raises InputError where a clip of so many frames cannot meet it."""
        check_count(frame_count, self.count)
        for wrong in (self.annotated[0], self.annotated[-1]):
            if not 0 <= wrong < frame_count:
                raise InputError(
                    f"annotated frame {wrong} is outside the clip; its frames are "
                    f"0 to {frame_count - 1}"
                )


def check_count(frame_count: int, count: int) -> None:
    """Raises InputError where more frames are asked for than the clip has, or none."""
    if not 1 <= count <= frame_count:
        raise InputError(
            f"{count} frames were asked for, allowed is 1 to the clip's {frame_count}; "
            "ask for fewer"
        )
