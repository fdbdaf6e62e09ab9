"""Pictures of the experiments' tables, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..atomic import replacing

if TYPE_CHECKING:  # plots are also drawn where only matplotlib is installed
    import pandas as pd


def save_plot(name: str, table: pd.DataFrame, output: Path) -> None:
    """Draws the table of an experiment into `output`/`name`.png and .svg."""
    figure = PLOTS[name](table)
    for suffix in ("png", "svg"):
        with replacing(output / f"{name}.{suffix}") as path:
            figure.savefig(path, format=suffix, dpi=130)


def plot_counts(table: pd.DataFrame) -> Figure:
    """J&F against the number of annotations, one curve a method, mean over the sequences."""
    figure, (axes,) = _figure(1, width=7)
    complete = table.groupby(["method", "count"])["sequence"].transform("nunique")
    whole = table[complete == table["sequence"].nunique()]
    for method, group in whole.groupby("method", sort=False):
        means = group.groupby("count")["jf"].mean()
        axes.plot(means.index, means, marker="o", label=str(method))
    axes.set(xlabel="annotated frames", ylabel="J&F of the other frames")
    axes.set_xticks(sorted(whole["count"].unique()))
    axes.legend(fontsize=8)
    return figure


def plot_selection(table: pd.DataFrame) -> Figure:
    """J and F as box plots over sequences (and seeds), one group a number of annotations."""
    figure, places = _figure(2, width=11)
    for axes, column in zip(places, ("j", "f"), strict=True):
        _boxes(axes, table, column)
    _legend_below(figure, places[0])
    return figure


def plot_augmentation(table: pd.DataFrame) -> Figure:
    """Gain in J&F over no augmentation, mean over the sequences."""
    figure, (axes,) = _figure(1, width=7)
    means = table.groupby("method", sort=False)["jf"].mean()
    gains = (means - means["none"]).drop("none")
    axes.barh(gains.index[::-1], gains.iloc[::-1])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("gain in J&F over no augmentation")
    return figure


def plot_effort(table: pd.DataFrame) -> Figure:
    """Share of the sequences that reach each J&F against the number of annotations."""
    thresholds = sorted(table["threshold"].unique())
    figure, places = _figure(len(thresholds), width=13)
    for axes, threshold in zip(places, thresholds, strict=True):
        part = table[table["threshold"] == threshold]
        counts = sorted(table["count"].dropna().unique())
        for method, group in part.groupby("method", sort=False):
            shares = [(group["count"] <= count).mean() for count in counts]
            axes.plot(counts, shares, marker="o", label=str(method))
        axes.set(xlabel="annotated frames", title=f"J&F at least {threshold}", ylim=(-0.02, 1.02))
    places[0].set_ylabel("share of the sequences")
    _legend_below(figure, places[0])
    return figure


def plot_curve(
    frame_labels: list[int], values: list[float], proposed: list[int], annotated: list[int]
) -> Figure:
    """Dissimilarity of every frame to the annotated ones, with the proposed frames marked.

    Args:
        frame_labels: the frames' numbers, ascending.
        values: one for each frame.
        proposed: numbers of the proposed frames, best first.
        annotated: numbers of the annotated frames.
    """
    figure, (axes,) = _figure(1, width=9)
    axes.plot(frame_labels, values, color="tab:blue", linewidth=1)
    at = dict(zip(frame_labels, values, strict=True))
    axes.plot(annotated, [at[i] for i in annotated], "k^", label="annotated", clip_on=False)
    axes.plot(proposed, [at[i] for i in proposed], "o", color="tab:orange", label="proposed")
    for rank, number in enumerate(proposed, start=1):
        axes.annotate(str(rank), (number, at[number]), (0, 5), textcoords="offset points")
    axes.set(xlabel="frame", ylabel="dissimilarity to the annotated frames", ylim=(0, None))
    axes.legend(fontsize=8)
    return figure


PLOTS: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "counts": plot_counts,
    "selection": plot_selection,
    "augmentation": plot_augmentation,
    "effort": plot_effort,
}


def _figure(columns: int, *, width: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, 4.6), layout="constrained")
    places = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    for axes in places:
        axes.grid(alpha=0.3)
    return figure, places


def _boxes(axes: Axes, table: pd.DataFrame, column: str) -> None:
    methods, counts = list(table["method"].unique()), sorted(table["count"].unique())
    width = 0.8 / len(methods)
    for place, method in enumerate(methods):
        part = table[table["method"] == method]
        groups = [part[part["count"] == count][column] for count in counts]
        shift = (place - (len(methods) - 1) / 2) * width
        boxes = axes.boxplot(
            groups,
            positions=[i + shift for i in range(len(counts))],
            widths=0.85 * width,
            patch_artist=True,
            manage_ticks=False,
        )
        for box in boxes["boxes"]:
            box.set_facecolor(f"C{place}")
        axes.plot([], [], color=f"C{place}", linewidth=6, label=_label(method, part, table))
    axes.set_xticks(range(len(counts)), [str(count) for count in counts])
    axes.set(xlabel="annotated frames", ylabel=column.upper())


def _label(method: str, part: pd.DataFrame, table: pd.DataFrame) -> str:
    """The method's name, with the number of sequences where it was not run on all."""
    own, every = part["sequence"].nunique(), table["sequence"].nunique()
    return method if own == every else f"{method} ({own} of {every} sequences)"


def _legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
