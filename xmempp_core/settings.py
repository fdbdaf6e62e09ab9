"""PropagationSettings: every option of a pass, validated at birth, JSON in and out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from .errors import InputError, SettingsError
from .strict_json import parse_json

MemoryMode = Literal["xmem++", "xmem"]
Direction = Literal["forward", "outward", "bidirectional", "independent"]
AbsenceMode = Literal["memory", "presence"]


@dataclass(frozen=True)
class PropagationSettings:
    """Options of a pass; the defaults hold for every bundled and official network."""

    memory: MemoryMode = "xmem++"
    """"xmem++": every annotated frame is permanent. "xmem": only the first is, for comparison."""
    working_memory: bool = True
    """False: nothing is read but permanent memory (the paper's disabled temporary memory)."""
    long_term_memory: bool = True
    """False: working memory is never consolidated and grows with the shot."""
    direction: Direction = "outward"
    """"forward": frame 0 to the end. "outward": from the first annotated frame to both ends.
    "bidirectional": both ways, blended between annotations. "independent": each frame alone, from
    permanent memory; see `ignored`."""
    absence: AbsenceMode = "memory"
    """How a declared absence acts on other frames: "memory" reads it like any annotation,
    "presence" also weighs each object's evidence against the frames where it is absent."""
    internal_size: int | None = 480
    """Short side in pixels at which the network works, never enlarging; None = native."""
    antialias: bool = True
    """Whether frames are low-pass filtered when shrunk to `internal_size`."""
    memorize_every: int = 10
    """Frames between two entries of working memory."""
    deep_update_every: int | None = None
    """Frames between two reinforcements of sensory memory; None = at each memorized frame."""
    top_k: int | None = 30
    """Memory tokens read by each query cell; None = all."""
    working_memory_max_frames: int = 10
    """Frames of working memory at which it is consolidated."""
    working_memory_min_frames: int = 5
    """Frames of working memory that a consolidation keeps."""
    long_term_prototypes: int = 128
    """Tokens that a consolidation adds to long-term memory."""
    long_term_max_elements: int = 10000
    """Tokens that long-term memory holds at most."""

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingsError(name, getattr(self, name), "one of " + ", ".join(choices))
        for name in ("working_memory", "long_term_memory", "antialias"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(name, getattr(self, name), "true or false")
        for name, (low, high, nullable) in _RANGES.items():
            _check_range(name, getattr(self, name), low, high, nullable)
        if self.memory == "xmem" and self.direction == "bidirectional":
            allowed = 'forward or outward where memory is "xmem": it has one permanent frame'
            raise SettingsError("direction", self.direction, allowed)
        if self.memory == "xmem" and self.direction == "independent":
            allowed = 'another where memory is "xmem": alone, a frame has permanent memory only'
            raise SettingsError("direction", self.direction, allowed)
        if self.working_memory_min_frames >= self.working_memory_max_frames:
            allowed = f"0 to working_memory_max_frames - 1 = {self.working_memory_max_frames - 1}"
            raise SettingsError(
                "working_memory_min_frames", self.working_memory_min_frames, allowed
            )
        if self.long_term_prototypes > self.long_term_max_elements:
            allowed = f"1 to long_term_max_elements = {self.long_term_max_elements}"
            raise SettingsError("long_term_prototypes", self.long_term_prototypes, allowed)

    @property
    def ignored(self) -> str:
        """Settings without effect in this direction that differ from their defaults.

        They speak of a frame's neighbors, which "independent" does not have. "" = none.
        """
        if self.direction != "independent":
            return ""
        defaults = {f.name: f.default for f in fields(self)}
        differing = (n for n in _OF_NEIGHBORS if getattr(self, n) != defaults[n])
        return ", ".join(f"{n}={json.dumps(getattr(self, n))}" for n in differing)

    def to_json(self) -> str:
        """The settings as a JSON object, one key for each field."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> PropagationSettings:
        """Settings from a JSON object; missing fields keep their defaults.

        Raises:
            InputError: the text is not a JSON object.
            SettingsError: a field is unknown or out of range.
        """
        return cls.from_dict(cls.values_from_json(text))

    @staticmethod
    def values_from_json(text: str) -> dict[str, Any]:
        """Field names and values of a JSON object, not yet checked."""
        try:
            values = parse_json(text)
        except ValueError as error:
            raise InputError(f"settings are not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise InputError('settings must be a JSON object such as {"top_k": 20}')
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PropagationSettings:
        """Settings from field names and values; unknown names raise SettingsError."""
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                raise SettingsError(
                    name, values[name], "no such setting; known: " + ", ".join(known)
                )
        return cls(**values)


_OF_NEIGHBORS = (
    "working_memory",
    "long_term_memory",
    "memorize_every",
    "deep_update_every",
    "working_memory_max_frames",
    "working_memory_min_frames",
    "long_term_prototypes",
    "long_term_max_elements",
)
_CHOICES: dict[str, tuple[str, ...]] = {
    "memory": get_args(MemoryMode),
    "direction": get_args(Direction),
    "absence": get_args(AbsenceMode),
}
# field: lowest, highest, may be None
_RANGES: dict[str, tuple[int, int, bool]] = {
    "internal_size": (32, 8192, True),
    "memorize_every": (1, 100_000, False),
    "deep_update_every": (1, 100_000, True),
    "top_k": (1, 100_000, True),
    "working_memory_max_frames": (1, 10_000, False),
    "working_memory_min_frames": (0, 10_000, False),
    "long_term_prototypes": (1, 1_000_000, False),
    "long_term_max_elements": (1, 10_000_000, False),
}


def _check_range(name: str, value: object, low: int, high: int, nullable: bool) -> None:
    if value is None and nullable:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        allowed = f"an integer from {low} to {high}" + (" or null" if nullable else "")
        raise SettingsError(name, value, allowed)
