"""AdaptationSettings: every option of an adaptation, validated at birth, JSON in and out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from ..errors import InputError, SettingsError
from ..training.settings import TrainingSettings
from ..types import STRIDE

AdaptationMode = Literal["quick", "auto"]


@dataclass(frozen=True)
class AdaptationSettings:
    """Options of an adaptation; the defaults are what measured best."""

    mode: AdaptationMode = "auto"
    """"quick": one round, on the annotated frames. "auto": from three annotated frames on also a
    second round on the shot's own results, taken where it is clearly steadier."""
    steps: int | None = None
    """Steps of the first round; None = 40 for one annotated frame, else 100."""
    second_round_steps: int = 150
    """Steps of the second round."""
    crop_pixels: int = 320
    """Side of the square crops at a short side of 480 pixels; a multiple of 16."""
    pixels_per_step: int = 300_000
    """Pixels of all frames of a step."""
    learning_rate: float = 6e-4
    """Peak rate; the image trunk learns at a tenth of it."""
    still_share: float = 0.1
    """Share of the clips that are one animated frame; the others pair annotated frames."""
    pair_motion_share: float = 0.0
    """Share of the pairs that move artificially, too; the motion between annotated frames is large
    as it is."""
    unsteadiness_limit: float = 2.0
    """How many times as unsteady as with the given network the masks may become; else that one
    stays. 0 = not checked, which saves the passes of mode "quick"."""
    seed: int = 1

    def __post_init__(self) -> None:
        if self.mode not in get_args(AdaptationMode):
            raise SettingsError("mode", self.mode, "one of " + ", ".join(get_args(AdaptationMode)))
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name == "steps":
                continue
            whole = name not in _FRACTIONS
            right = isinstance(value, int) or (isinstance(value, float) and not whole)
            if isinstance(value, bool) or not right or not low <= value <= high:
                kind = "an integer" if whole else "a number"
                raise SettingsError(name, value, f"{kind} from {low} to {high}")
        if self.crop_pixels % STRIDE:
            raise SettingsError("crop_pixels", self.crop_pixels, f"a multiple of {STRIDE}")

    def to_json(self) -> str:
        """The settings as a JSON object, one key for each field."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> AdaptationSettings:
        """Settings from a JSON object; missing fields keep their defaults.

        Raises:
            InputError: the text is not a JSON object.
            SettingsError: a field is unknown or out of range.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"adaptation settings are not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise InputError('adaptation settings must be a JSON object such as {"steps": 60}')
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AdaptationSettings:
        """Settings from field names and values; unknown names raise SettingsError."""
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                raise SettingsError(
                    name, values[name], "no such setting; known: " + ", ".join(known)
                )
        return cls(**values)

    def steps_for(self, annotated_frames: int) -> int:
        """Steps of the first round."""
        if self.steps is not None:
            return self.steps
        return 40 if annotated_frames == 1 else 100


def training_settings(settings: AdaptationSettings, steps: int) -> TrainingSettings:
    """How a round trains: hard pixels from the first step, the rate falls from 30 % on."""
    return TrainingSettings(
        steps=steps, pixels_per_step=settings.pixels_per_step,
        learning_rate=settings.learning_rate, trunk_rate=0.1, frozen_blocks=5, warm_up_steps=10,
        decay_from=0.3, weight_decay=0.01, average_decay=0.98, hard_pixels=0.15, hard_from=0.0,
        seed=settings.seed,
    )  # fmt: skip


_FRACTIONS = ("learning_rate", "still_share", "pair_motion_share", "unsteadiness_limit")
_RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, 100_000),
    "second_round_steps": (1, 100_000),
    "crop_pixels": (STRIDE, 4096),
    "pixels_per_step": (16 * 16, 10**9),
    "learning_rate": (0, 1),
    "still_share": (0, 1),
    "pair_motion_share": (0, 1),
    "unsteadiness_limit": (0, 1000),
    "seed": (0, 2**31),
}
