"""Pieces of work of a batch, and the order in which they may be done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["shot", "adapt", "range", "join"]


@dataclass(frozen=True)
class Task:
    """What one worker does at one time."""

    shot: str
    """Name of the shot."""
    kind: Kind = "shot"
    """The whole shot; or its adaptation, some of its frames, or all of them put together."""
    first: int = 0
    """Position of a range's first frame."""
    last: int = 0
    """Position of its last one."""

    def __str__(self) -> str:
        if self.kind == "range":
            return f"{self.shot}, frames at {self.first} to {self.last}"
        return self.shot if self.kind == "shot" else f"{self.shot}, {self.kind}"

    @property
    def frames(self) -> range:
        """Positions of a range."""
        return range(self.first, self.last + 1)


Stages = tuple[tuple[Task, ...], ...]
"""Tasks of a shot; those of a stage wait for all of the stage before, not for one another."""


class Schedule:
    """Which task may be begun next. A shot's later stages wait for its earlier ones.

    Args:
        shots: the stages of each shot; shots in the order in which they are begun.
    """

    def __init__(self, shots: Iterable[Stages]) -> None:
        self._stages = [[list(stage) for stage in stages if stage] for stages in shots]
        self._running: dict[Task, int] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing is left and nothing runs."""
        return not self._running and not any(self._stages)

    def next(self) -> Task | None:
        """A task that may be begun; None while all wait for others."""
        for position, stages in enumerate(self._stages):
            if stages and stages[0]:
                task = stages[0].pop(0)
                self._running[task] = position
                return task
        return None

    def done(self, task: Task) -> None:
        """A task is done; its stage's end lets the next one begin."""
        position = self._running.pop(task)
        stages = self._stages[position]
        if stages and not stages[0] and not self._runs(position):
            stages.pop(0)

    def failed(self, task: Task) -> None:
        """A task cannot be done, and so nothing that comes after it in its shot."""
        position = self._running.pop(task)
        self._stages[position].clear()

    def again(self, task: Task) -> None:
        """A task was lost and is to be done again, before others of its stage."""
        position = self._running.pop(task)
        if self._stages[position]:
            self._stages[position][0].insert(0, task)

    def stop(self) -> None:
        """Nothing more is begun."""
        for stages in self._stages:
            stages.clear()

    def _runs(self, position: int) -> bool:
        return position in self._running.values()
