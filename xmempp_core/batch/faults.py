"""What is wrong with a manifest: all of it at once, each with file and line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import FormatError, XMemError


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong."""

    path: Path
    """The manifest."""
    line: int
    """Line in it, counted from 1."""
    problem: str
    """What is wrong and what to do, a sentence."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}"

    @classmethod
    def of(cls, path: Path, line: int, where: str, error: XMemError) -> Fault:
        """The fault that an error at a place of the manifest is.

        Args:
            path: the manifest.
            line: line in it.
            where: the shot and the key, "shot sh010: range".
            error: what the core said.
        """
        return cls(path, line, f"{where}: {error}")


class ManifestError(FormatError):
    """A manifest cannot be run; the message has a line for each fault.

    Args:
        path: the manifest.
        faults: at least one.
    """

    def __init__(self, path: Path, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line))
        super().__init__(path, "\n".join(map(str, self.faults)))

    def __str__(self) -> str:
        return self.problem
