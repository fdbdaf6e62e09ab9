"""The experiments of the XMem++ paper on any model and data set in the layout of DAVIS.

Every experiment yields rows; passes that several of them need are computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..atomic import write_bytes
from ..errors import InputError
from ..network.lite import XMemLite
from ..network.xmem import XMem
from ..propagation.augment import AUGMENTATIONS, SETS
from ..settings import PropagationSettings
from .baselines import random_candidates, uniform_candidates
from .datasets import Clip
from .passes import ClipPasses, Method, PassScore
from .plots import save_plot

Row = dict[str, Any]
Progress = Callable[[int, int, str], None]

_BEST3 = SETS["best3"]
XMEM = Method("XMem", {"memory": "xmem"})
XMEMPP = Method("XMem++", {})
CURVES = (
    XMEM,
    XMEMPP,
    Method("XMem++, augmented", {}, _BEST3),
    Method("XMem++, no working memory", {"working_memory": False}),
    Method("XMem++, no working memory, augmented", {"working_memory": False}, _BEST3),
    Method("XMem++, each frame alone", {"direction": "independent"}),
    Method("nearest mask", {}, baseline="copy"),
    Method("optical flow", {}, baseline="flow"),
)
THRESHOLDS = (0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Plan:
    """How much of each experiment is run."""

    counts: tuple[int, ...] = (1, 2, 3, 5, 10)
    """Numbers of annotated frames."""
    selection_counts: tuple[int, ...] = (2, 3, 5)
    """Numbers of annotated frames, the first frame included, at which selections are compared."""
    seeds: int = 5
    """Random selections."""
    oracle_clips: int = 3
    """Clips, from the first, on which the greedy oracle is run."""
    oracle_frames: int = 12
    """Evenly spaced frames that the oracle tries."""
    augmentation_count: int = 3
    """Annotated frames at which augmentations are compared."""


def annotation_counts(passes: ClipPasses, plan: Plan, number: int) -> Iterator[Row]:
    """Quality against the number of annotations, evenly spread (the paper's Fig. 14)."""
    for count in _possible(plan.counts, passes):
        annotated = _spread(passes.clip, count)
        for method in CURVES:
            yield _row(passes, method.name, count, passes.score(method, annotated))


def selections(passes: ClipPasses, plan: Plan, number: int) -> Iterator[Row]:
    """Algorithm 1 against other ways to choose frames (the paper's Fig. 12 and Table 4).

    The total number of annotated frames is equal; all but "uniform" begin with the first frame.
    """
    clip = passes.clip
    first = min(clip.mask_files)
    counts = _possible(plan.selection_counts, passes)
    added, most = max(counts, default=1) - 1, _proposals(plan, passes)
    orders: list[tuple[str, Sequence[int], float]] = []
    for name, method in (("Algorithm 1", "algorithm1"), ("with uncertainty", "uncertainty")):
        if most:
            choice = passes.choice(method, first, most)  # type: ignore[arg-type]
            orders.append((name, choice.frames, choice.seconds))
    for seed in range(plan.seeds):
        orders.append(("random", _drawn(clip, first, seed, added), 0.0))
    if number < plan.oracle_clips:
        orders.append(("greedy oracle", _oracle(passes, plan, first, added), 0.0))
    for count in counts:
        score = passes.score(XMEMPP, _spread(clip, count))
        yield _row(passes, "uniform", count, score, selection_seconds=0.0)
        for name, order, seconds in orders:
            if len(order) >= count - 1:
                score = passes.score(XMEMPP, [first, *order[: count - 1]])
                yield _row(passes, name, count, score, selection_seconds=seconds)


def augmentations(passes: ClipPasses, plan: Plan, number: int) -> Iterator[Row]:
    """Each augmentation alone, the best three and all eleven (the paper's Table 5)."""
    for count in _possible((plan.augmentation_count,), passes):
        annotated = _spread(passes.clip, count)
        kinds = {"none": (), **{kind: (kind,) for kind in AUGMENTATIONS}, **SETS}
        for name, augment in kinds.items():
            score = passes.score(Method(name, {}, augment), annotated)
            yield _row(passes, name, count, score)


def effort(passes: ClipPasses, plan: Plan, number: int) -> Iterator[Row]:
    """Annotations that each method needs until J&F reaches 0.8, 0.9 and 0.95."""
    clip = passes.clip
    first = min(clip.mask_files)
    counts = _possible(plan.counts, passes)
    most = _proposals(plan, passes)
    order = passes.choice("algorithm1", first, most).frames if most else ()
    runs: list[tuple[str, Method, Callable[[int], Sequence[int]]]] = [
        (method.name, method, lambda count: _spread(clip, count)) for method in CURVES
    ]
    runs.append(("XMem++, Algorithm 1", XMEMPP, lambda count: [first, *order[: count - 1]]))
    for name, method, frames in runs:
        given = {count: frames(count) for count in counts}
        reached = {
            count: passes.score(method, annotated).jf
            for count, annotated in given.items()
            if len(annotated) == count
        }
        for threshold in THRESHOLDS if reached else ():
            enough = [count for count, jf in reached.items() if jf >= threshold]
            yield {
                "sequence": clip.name,
                "method": name,
                "threshold": threshold,
                "count": min(enough) if enough else None,
            }


EXPERIMENTS: dict[str, Callable[[ClipPasses, Plan, int], Iterator[Row]]] = {
    "counts": annotation_counts,
    "selection": selections,
    "augmentation": augmentations,
    "effort": effort,
}


def run_experiments(
    names: Sequence[str],
    network: XMem | XMemLite,
    clips: Sequence[Clip],
    settings: PropagationSettings,
    output: Path,
    *,
    plan: Plan | None = None,
    step: int = 1,
    progress: Progress | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of the experiments, also written to `output` as CSV, JSON, PNG and SVG.

    A run that was interrupted goes on where it stopped.

    Args:
        names: of EXPERIMENTS, at least one, each once.
        network: from `load_model`.
        clips: from `open_dataset`, names unlike each other.
        settings: of every pass.
        output: folder; per-clip results lie in its folder "clips".
        plan: how much is run; None = all of it.
        step: every `step`-th frame of a clip is used.
        progress: called with parts done, parts in all and what comes next.

    Raises:
        InputError: an experiment is unknown or named twice, or two clips have one name.
        FormatError: the folder holds results of another run.
    """
    _check_names(names, clips)
    plan = plan or Plan()
    run = {"model": network.info.sha256, "settings": settings.to_json(), "step": step}
    rows: dict[str, list[Row]] = {name: [] for name in names}
    total = len(clips) * len(names)
    for number, clip in enumerate(clips):
        thin = clip.every(step)
        path = output / "clips" / f"{clip.name}.json"
        passes = ClipPasses(network, thin, settings, path, run)
        for place, name in enumerate(names):
            if progress:
                progress(number * len(names) + place, total, f"{clip.name}: {name}")
            rows[name] += EXPERIMENTS[name](passes, plan, number)
    if progress:
        progress(total, total, "done")
    return {name: _written(name, pd.DataFrame(rows[name]), output) for name in names}


def _written(name: str, table: pd.DataFrame, output: Path) -> pd.DataFrame:
    write_bytes(output / f"{name}.csv", table.to_csv(index=False).encode())
    write_bytes(output / f"{name}.json", table.to_json(orient="records", indent=1).encode())
    if len(table):
        save_plot(name, table, output)
    return table


def _check_names(names: Sequence[str], clips: Sequence[Clip]) -> None:
    if not names or len(set(names)) < len(names):
        raise InputError(f"experiments are {list(names)}, allowed is one or more, each once")
    for name in names:
        if name not in EXPERIMENTS:
            raise InputError(f"experiment {name!r} is unknown; use {', '.join(EXPERIMENTS)}")
    seen: set[str] = set()
    for clip in clips:
        if clip.name in seen:
            raise InputError(f"two sequences are named {clip.name}; evaluate them one by one")
        seen.add(clip.name)


def _row(passes: ClipPasses, method: str, count: int, score: PassScore, **more: Any) -> Row:
    return {
        "sequence": passes.clip.name,
        "method": method,
        "count": count,
        "j": score.j,
        "f": score.f,
        "jf": score.jf,
        "dtssd": score.dtssd,
        "seconds": score.seconds,
        **more,
    }


def _possible(counts: Sequence[int], passes: ClipPasses) -> list[int]:
    """The counts that leave a frame to score that shows an object, whichever are annotated."""
    shown = sum(bool(labels.any()) for labels in passes.truth.values())
    return [count for count in counts if count < shown]


def _proposals(plan: Plan, passes: ClipPasses) -> int:
    """Frames that a selection proposes, the same for all experiments so that they share it."""
    return max(_possible((*plan.counts, *plan.selection_counts), passes), default=1) - 1


def _spread(clip: Clip, count: int) -> list[int]:
    """Evenly spread frames among those that have a true mask."""
    with_mask = list(clip.mask_files)
    return [with_mask[i] for i in uniform_candidates(len(with_mask), count)]


def _drawn(clip: Clip, first: int, seed: int, count: int) -> list[int]:
    """Frames drawn by chance among those that have a true mask."""
    with_mask = list(clip.mask_files)
    if count == 0:
        return []
    taken = [with_mask.index(first)]
    drawn = random_candidates(len(with_mask), count, seed=seed, annotated=taken)
    return [with_mask[i] for i in drawn]


def _oracle(passes: ClipPasses, plan: Plan, first: int, count: int) -> list[int]:
    """Frames chosen one by one by what they gain, as only one who knows the truth can."""
    number = min(plan.oracle_frames, len(passes.clip.mask_files))
    open_frames = [t for t in _spread(passes.clip, number) if t != first]
    order: list[int] = []
    while open_frames and len(order) < count:
        gains = {t: passes.score(XMEMPP, [first, *order, t]).jf for t in open_frames}
        best = max(open_frames, key=lambda t: gains[t])
        order.append(best)
        open_frames.remove(best)
    return order
