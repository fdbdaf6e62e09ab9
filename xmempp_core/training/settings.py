"""TrainingSettings: every option of a training run, validated at birth, JSON in and out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import torch

from ..errors import SettingsError


class ClipShape(NamedTuple):
    """Side of the square crop in pixels, and frames of one training clip."""

    size_pixels: int
    frames: int


class Stage(NamedTuple):
    """A part of the schedule: the clip shapes drawn from, up to a share of all steps."""

    until: float
    shapes: tuple[ClipShape, ...]


# The shapes of a schedule cost about the same for each pixel, so one budget of pixels a step
# serves them all.
SCHEDULES: dict[str, tuple[Stage, ...]] = {
    "full": (
        Stage(0.3, (ClipShape(128, 3),)),
        Stage(0.6, (ClipShape(192, 4), ClipShape(256, 4))),
        Stage(0.9, (ClipShape(256, 6), ClipShape(384, 5))),
        Stage(1.0, (ClipShape(256, 12), ClipShape(384, 8))),
    ),
    # larger crops than before: a shot is segmented at 480 pixels, where objects are large
    "fine-tune": (
        Stage(
            1.0,
            (
                ClipShape(192, 8),
                ClipShape(256, 6),
                ClipShape(320, 5),
                ClipShape(384, 4),
                ClipShape(448, 3),
            ),
        ),
    ),
}


@dataclass(frozen=True)
class TrainingSettings:
    """Options of a run; the defaults train from ImageNet weights on one GPU."""

    steps: int = 8000
    """Optimizer steps of the whole run; may be changed when a run is resumed."""
    schedule: str = "full"
    """Clip shapes over the run, a key of SCHEDULES."""
    pixels_per_step: int = 8_400_000
    """Pixels of all frames of a batch; sets how many clips of a shape make a batch."""
    learning_rate: float = 1e-3
    """Peak rate of the heads."""
    trunk_rate: float = 0.1
    """Rate of the image trunk as a share of `learning_rate`."""
    frozen_blocks: int = 0
    """Leading blocks of the trunk (with the stem) that are not trained."""
    warm_up_steps: int = 300
    """Steps over which the rate rises from 0."""
    decay_from: float = 0.5
    """Share of the run after which the rate falls, linearly, to 2 % of its peak."""
    weight_decay: float = 0.01
    gradient_limit: float = 2.0
    """Largest norm of the gradient."""
    average_decay: float = 0.999
    """Decay of the moving average of the weights, a step."""
    hard_pixels: float = 0.15
    """Share of the pixels, the worst, that the cross entropy keeps in the end."""
    hard_from: float = 0.4
    """Share of the run over which it falls to that from all pixels; 0 = hard from the start."""
    seed: int = 1
    held_out_every: int = 9
    """Every so many-th sequence is kept for validation; 0 = none."""
    validate_every: int = 500
    """Steps between two validations."""
    save_every: int = 100
    """Steps between two checkpoints."""

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise SettingsError("schedule", self.schedule, "one of " + ", ".join(SCHEDULES))
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            whole = isinstance(getattr(type(self), name), int)
            right = isinstance(value, int) or (isinstance(value, float) and not whole)
            if isinstance(value, bool) or not right or not low <= value <= high:
                kind = "an integer" if whole else "a number"
                raise SettingsError(name, value, f"{kind} from {low} to {high}")

    def shapes_at(self, step: int) -> tuple[ClipShape, ...]:
        """The clip shapes that a step draws from."""
        share = min(step / self.steps, 1.0)
        stages = SCHEDULES[self.schedule]
        return next((stage.shapes for stage in stages if share < stage.until), stages[-1].shapes)

    def keep_at(self, step: int) -> float:
        """Share of the pixels that the cross entropy of a step keeps."""
        way = min(1.0, step / (self.hard_from * self.steps)) if self.hard_from else 1.0
        return 1 - (1 - self.hard_pixels) * way

    def rate_at(self, step: int) -> float:
        """The learning rate of a step as a share of the peak.

        A plateau with a linear end: unlike a cosine it lets a run be made longer or shorter while
        it is on the plateau.
        """
        warm_up = min(1.0, (step + 1) / max(1, self.warm_up_steps))
        left = (1 - step / self.steps) / max(1e-9, 1 - self.decay_from)
        return warm_up * (0.02 + 0.98 * min(1.0, max(0.0, left)))

    def to_dict(self) -> dict[str, Any]:
        """Field names and values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingSettings:
        """Settings from field names and values; unknown names raise SettingsError."""
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                allowed = "no such setting; known: " + ", ".join(known)
                raise SettingsError(name, values[name], allowed)
        return cls(**values)


def from_scratch(device: torch.device) -> TrainingSettings:
    """Settings of a run from ImageNet weights, by what the device can do in a reasonable time."""
    if device.type == "cuda":
        return TrainingSettings()
    return TrainingSettings(
        steps=20_000, pixels_per_step=300_000, learning_rate=6e-4, frozen_blocks=3,
        warm_up_steps=100, average_decay=0.998,
    )  # fmt: skip


def fine_tuning(device: torch.device) -> TrainingSettings:
    """Settings of a run from a trained model: a lower rate, larger crops, hard pixels at once."""
    on_gpu = device.type == "cuda"
    return TrainingSettings(
        steps=4000,
        schedule="fine-tune",
        pixels_per_step=8_400_000 if on_gpu else 600_000,
        learning_rate=5e-4 if on_gpu else 2.5e-4,
        frozen_blocks=0 if on_gpu else 5,
        warm_up_steps=100,
        average_decay=0.998,
        hard_from=0.0,
    )


_RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, 10_000_000),
    "pixels_per_step": (16 * 16, 10**9),
    "learning_rate": (0, 1),
    "trunk_rate": (0, 1),
    "frozen_blocks": (0, 11),
    "warm_up_steps": (0, 1_000_000),
    "decay_from": (0, 1),
    "weight_decay": (0, 1),
    "gradient_limit": (1e-6, 1e6),
    "average_decay": (0, 1),
    "hard_pixels": (0.01, 1),
    "hard_from": (0, 1),
    "seed": (0, 2**31),
    "held_out_every": (0, 10_000),
    "validate_every": (1, 10_000_000),
    "save_every": (1, 10_000_000),
}
