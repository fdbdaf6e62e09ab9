"""How the shots of a batch stand: a table for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..atomic import write_bytes

State = Literal["done", "skipped", "failed", "busy", "stopped", "waiting", "part"]

IN_WORDS: dict[State, str] = {
    "done": "made by this call",
    "skipped": "finished before, nothing has changed",
    "failed": "could not be made; its log says more",
    "busy": "is being made by another run",
    "stopped": "stopped, to be gone on with",
    "waiting": "not begun",
    "part": "the part that this call was to do is done",
}
_FINE = ("done", "skipped", "part")
_HEADS = ("shot", "state", "frames", "seconds", "frames/s", "note")


@dataclass(frozen=True)
class ShotStatus:
    """How one shot stands."""

    shot: str
    state: State
    frames: int
    """Frames of its results."""
    seconds: float = 0.0
    """Spent on it by this call."""
    computed: int = 0
    """Frames computed by this call; "bidirectional" computes them twice."""
    note: str = ""
    """Why it is as it is."""
    output: str = ""
    log: str = ""

    @property
    def frames_per_second(self) -> float | None:
        """Speed of the pass with everything that was written; None where nothing was computed."""
        return self.computed / self.seconds if self.computed and self.seconds else None


def exit_code(statuses: Iterable[ShotStatus]) -> int:
    """0 if every shot is whole, else 1."""
    return int(any(one.state not in _FINE for one in statuses))


def table(statuses: Sequence[ShotStatus]) -> str:
    """The shots as lines of text, and how many stand how."""
    return "\n".join([*columns([_HEADS, *map(_row, statuses)]), "", summary(statuses)])


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows under a head as lines; all columns but the first two and the last hold numbers."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numbers = range(2, len(widths) - 1)
    lines = [
        "  ".join(
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def summary(statuses: Sequence[ShotStatus]) -> str:
    """ "12 shots: 10 done, 2 failed"."""
    states = [one.state for one in statuses]
    counts = [f"{states.count(state)} {state}" for state in IN_WORDS if state in states]
    return f"{len(states)} shot{'' if len(states) == 1 else 's'}: {', '.join(counts) or 'none'}"


def as_json(statuses: Sequence[ShotStatus]) -> dict[str, Any]:
    """The same for programs."""
    states = [one.state for one in statuses]
    return {
        "exit_code": exit_code(statuses),
        "counts": {state: states.count(state) for state in IN_WORDS},
        "shots": [{**asdict(one), "frames_per_second": one.frames_per_second} for one in statuses],
    }


def write_status(path: Path, statuses: Sequence[ShotStatus]) -> None:
    """Writes the JSON.

    Raises:
        FormatError: it cannot be written.
    """
    text = json.dumps(as_json(statuses), indent=2, ensure_ascii=False)
    write_bytes(path, f"{text}\n".encode())


def _row(one: ShotStatus) -> tuple[str, ...]:
    rate = one.frames_per_second
    return (
        one.shot,
        one.state,
        str(one.frames),
        f"{one.seconds:.1f}" if one.seconds else "",
        f"{rate:.2f}" if rate else "",
        one.note.replace("\n", " "),
    )
