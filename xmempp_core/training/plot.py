"""The plot of a run's log: loss, validation J&F and speed over samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FormatError, InputError
from .log import read_log

PLOT_NAME = "log.png"
_POINTS = 60


def plot_log(folder: str | Path) -> Path:
    """Draws log.png from the log of a run; its path.

    Raises:
        FormatError: there is no log in the folder.
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            'the plot of a training run needs matplotlib; install the extra "train"'
        ) from error
    folder = Path(folder)
    rows = read_log(folder)
    if not rows:
        raise FormatError(folder, "holds no log of a training run")
    samples = np.cumsum([row["samples"] for row in rows]) / 1000
    figure = Figure(figsize=(8, 9), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    for name in ("total", "cross_entropy", "dice", "readout"):
        panels[0].plot(*_smoothed(samples, [row[name] for row in rows]), label=name)
    panels[0].set(ylabel="loss", yscale="log")
    _plot_validation(panels[1], samples, rows)
    speed = [row["samples"] / row["seconds"] for row in rows]
    share = [100 * row["data_seconds"] / row["seconds"] for row in rows]
    panels[2].plot(*_smoothed(samples, speed), label="samples a second")
    panels[2].plot(*_smoothed(samples, share), label="time on data in %")
    panels[2].set(xlabel="samples (frames of clips) in thousands", ylabel="speed")
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(folder / PLOT_NAME, dpi=120)
    return folder / PLOT_NAME


def _plot_validation(panel: Any, samples: np.ndarray, rows: Sequence[dict[str, Any]]) -> None:
    panel.plot(*_smoothed(samples, [row["overlap"] for row in rows]), label="overlap in training")
    for name in ("jf_1", "jf_5"):
        at = [i for i, row in enumerate(rows) if name in row]
        label = f"validation J&F, {name[3:]} annotated"
        panel.plot(samples[at], [rows[i][name] for i in at], marker="o", label=label)
    panel.set(ylabel="J&F, overlap")


def _smoothed(x: np.ndarray, y: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """At most 60 points, each the mean of a stretch of values."""
    parts = min(len(y), _POINTS)
    means = [np.array([p.mean() for p in np.array_split(v, parts)]) for v in (x, np.asarray(y))]
    return means[0], means[1]
