"""What a batch will take, from one measured frame of each kind of shot."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path

from ..delivery.deliver import deliver
from ..delivery.output_folder import MASKS, PROBABILITIES, TRACK
from ..mattes.export import export_mattes
from ..resize import internal_size
from .bench import Bench
from .opened import OpenShot
from .plans import ShotPlan
from .shot_run import adaptation_of, pass_of, reopened

MEASURED_FRAMES = 2
"""The first of them also pays for what is done once."""
OVERLAY_BYTES_A_PIXEL = 0.05
"""Of the overlay film, whose size two frames do not tell."""


@dataclass(frozen=True)
class FrameCost:
    """What was measured on one shot of a kind."""

    picture_seconds: float
    """For each annotated picture or augmentation that enters memory."""
    frame_seconds: float
    """For each frame of the pass with everything that is written of it."""
    step_seconds: float
    """For each step of an adaptation; 0 without one."""
    frame_bytes: float
    """Written for each frame, but for the overlay film."""


@dataclass(frozen=True)
class Estimate:
    """What one shot will take."""

    shot: str
    frames: int
    action: str
    """make, redo, or skip."""
    seconds: float = 0.0
    disk_bytes: int = 0
    note: str = ""


def estimate(
    plans: Sequence[ShotPlan], bench: Bench, told: Callable[[str], None] = lambda line: None
) -> list[Estimate]:
    """What each shot will take; the first of each kind is measured, in a temporary folder.

    Args:
        plans: all shots of the batch.
        bench: where they will be made.
        told: takes a line for each measurement.
    """
    costs: dict[tuple[object, ...], FrameCost] = {}
    found = []
    for plan in plans:
        if plan.is_finished:
            found.append(Estimate(plan.name, len(plan.frame_range), "skip", note="finished"))
            continue
        shot = reopened(plan, bench)
        kind = _kind(shot)
        if kind not in costs:
            told(f"measuring two frames of {plan.name}")
            costs[kind] = measured(shot, bench)
        found.append(_estimate(plan, shot, bench, costs[kind]))
    return found


def _kind(shot: OpenShot) -> tuple[object, ...]:
    """Shots of one kind take the same time a frame."""
    entry = shot.entry
    exports = tuple((job.settings, len(plan.objects)) for job, plan in shot.exports)
    return (
        entry.model,
        shot.source.size,
        shot.settings,
        len(shot.annotations.object_ids),
        entry.steady,
        entry.probabilities,
        shot.adapting,
        exports,
    )


def measured(shot: OpenShot, bench: Bench) -> FrameCost:
    """Two frames of a shot, made as the batch will make them, into a folder that is removed."""
    network = bench.networks.get(shot.entry.model, bench.runtime)
    step_seconds = 0.0
    if shot.adapting is not None:
        step_seconds = _spans(adaptation_of(shot, network).steps(), 2)[-1]
    first = min(shot.frame_range.start, shot.frame_range.stop - MEASURED_FRAMES)
    frames = range(max(first, 0), shot.frame_range.stop)[:MEASURED_FRAMES]
    pass_ = pass_of(shot, network, frames)
    with tempfile.TemporaryDirectory(prefix="xmempp-measure-") as folder:
        marks: list[float] = []
        pictures = _spans(pass_.prepare(), None)
        delivery = replace(shot.delivery(resume=False), output=Path(folder) / "shot")
        track = deliver(pass_, delivery, progress=lambda *_: marks.append(time.monotonic()))
        start = time.monotonic()
        for number, (job, _) in enumerate(shot.exports):
            one = replace(job, output=Path(folder) / "mattes" / str(number), frames=tuple(frames))
            export_mattes(track, one, source=shot.source)
        export_seconds = (time.monotonic() - start) / len(frames)
        bytes_a_frame = _bytes_below(Path(folder)) / len(frames)
    frame_seconds = marks[-1] - marks[-2] if len(marks) > 1 else 0.0
    picture_seconds = sum(pictures) / max(len(pictures), 1)
    return FrameCost(picture_seconds, frame_seconds + export_seconds, step_seconds, bytes_a_frame)


def _spans(steps: Iterable[object], count: int | None) -> list[float]:
    """Seconds that each of the first steps takes; all steps where no count is given."""
    marks = [time.monotonic()]
    marks += [time.monotonic() for _ in islice(steps, count)]
    return [later - earlier for earlier, later in pairwise(marks)]


def _bytes_below(folder: Path) -> int:
    """Of masks, probabilities, mattes and track."""
    counted = (MASKS, PROBABILITIES, "mattes")
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and (path.name == TRACK or {*path.parts} & {*counted})
    )


def _estimate(plan: ShotPlan, shot: OpenShot, bench: Bench, cost: FrameCost) -> Estimate:
    network = bench.networks.get(shot.entry.model, bench.runtime)
    pass_ = pass_of(shot, network)
    pictures = len(shot.annotations.frame_indices) * (1 + len(shot.augment))
    seconds = pictures * cost.picture_seconds + pass_.step_count * cost.frame_seconds
    if shot.adapting is not None:
        adaptation = adaptation_of(shot, network)
        steps = shot.adapting.steps_for(adaptation.annotated_count)
        steps += shot.adapting.second_round_steps if adaptation.has_second_round else 0
        judged = max(adaptation.step_count - steps, 0)
        seconds += steps * cost.step_seconds + judged * cost.frame_seconds
    frames = len(plan.frame_range)
    area = shot.source.size.height * shot.source.size.width
    disk_bytes = round(frames * (cost.frame_bytes + OVERLAY_BYTES_A_PIXEL * area))
    small = internal_size(shot.source.size, shot.settings.internal_size)
    note = f"{shot.source.size}, computed at {small}, {len(shot.annotations.object_ids)} objects"
    action = "redo" if plan.redo else "make"
    return Estimate(plan.name, frames, action, seconds, disk_bytes, plan.redo or note)
