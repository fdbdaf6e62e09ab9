"""The log of a run: one JSON object a line, and its plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..strict_json import parse_json

LOG_NAME = "log.jsonl"


class TrainingLog:
    """Appends figures to the log of a run; lines of steps that will be done again are dropped.

    Args:
        folder: of the run, made if it is not there.
        first_step: steps already done; later lines, from after the checkpoint, are dropped.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / LOG_NAME
        kept = [row for row in read_log(folder) if row["step"] <= first_step]
        path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def write(self, figures: dict[str, Any]) -> None:
        """Adds one line, at once on disk."""
        self._file.write(json.dumps(figures) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """All complete lines of a run's log; none if there is no log."""
    path = folder / LOG_NAME
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = []
    for line in lines:
        try:
            rows.append(parse_json(line))
        except ValueError:
            continue  # the last line of a run that was killed while writing
    return rows
