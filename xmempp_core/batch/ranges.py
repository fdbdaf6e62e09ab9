"""One shot in ranges of frames, on as many machines: adapted once, computed apart, joined."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..adaptation.keep import kept_model
from ..atomic import write_bytes
from ..delivery.identity import Identity
from ..delivery.joined import deliver_joined
from ..delivery.output_folder import ADAPTED
from ..errors import FormatError, InputError, Interrupted
from ..folder_lock import locked_folder
from ..formats.tracks import read_records, save_records
from ..network.adapted import AnyNetwork
from ..paths import read_text
from ..strict_json import parse_json
from ..track.records import FrameRecord
from ..track.track import Track
from .bench import Bench, Watch
from .notes import content_hash
from .opened import OpenShot
from .plans import ShotPlan
from .shot_run import (
    Done,
    adaptation_of,
    finished_notes,
    network_of,
    noted,
    pass_of,
    reopened,
    write_exports,
)
from .tasks import Stages, Task

_FOLDER = "ranges"
DIRECTION = "independent"


def check_can_split(plan: ShotPlan) -> None:
    """Refuses a shot whose frames need one another.

    Raises:
        InputError: says which setting would allow it.
    """
    direction = dict(plan.entry.settings).get("direction", "outward")
    if direction != DIRECTION:
        raise InputError(
            f"shot {plan.name} cannot be split: in direction {direction} each frame needs its "
            f'neighbors; set direction = "{DIRECTION}" in its settings, or leave --split out'
        )


def stages_of(plan: ShotPlan, frames: int) -> Stages:
    """The tasks of a shot in ranges of so many frames: adapt once, then ranges, then join.

    Raises:
        InputError: the shot cannot be split.
    """
    check_can_split(plan)
    whole = plan.frame_range
    starts = range(whole.start, whole.stop, frames)
    ranges = tuple(
        Task(plan.name, "range", start, min(start + frames, whole.stop) - 1) for start in starts
    )
    adapt = (Task(plan.name, "adapt"),) if plan.entry.adapt != "off" else ()
    return (adapt, ranges, (Task(plan.name, "join"),))


def adapt_shot(plan: ShotPlan, bench: Bench, watch: Watch) -> Done:
    """Adapts the model to a shot; made before of the very same, it is left as it is."""
    with locked_folder(plan.state_folder):
        shot = reopened(plan, bench)
        if shot.adapting is not None:
            network_of(shot, bench, watch)
    return Done()


def run_range(plan: ShotPlan, task: Task, bench: Bench, watch: Watch) -> Done:
    """Computes the frames of a range and keeps their results for the join.

    Raises:
        InputError: the shot cannot be split, or its adapted model is not there.
    """
    check_can_split(plan)
    place = _Range(plan, task)
    with locked_folder(place.folder):
        if place.circumstances() is not None:
            return Done(was_finished=True)
        shot = reopened(plan, bench)
        pass_ = pass_of(shot, _network_for_range(shot, bench), task.frames)
        track = Track.of(pass_)
        for segmentation in pass_:
            track.add(segmentation)
            watch.progress(len(track), len(task.frames))
            if watch.should_stop():
                raise Interrupted(len(track), len(task.frames), plan.output)
        save_records(track.records(), place.records)
        place.note(Identity.of(pass_, {}).circumstances)
    return Done(len(task.frames))


def join_shot(plan: ShotPlan, bench: Bench, watch: Watch) -> Done:
    """Writes the results of a shot whose ranges are all there.

    Raises:
        InputError: ranges are missing, or were computed under different circumstances.
    """
    check_can_split(plan)
    with locked_folder(plan.state_folder):
        if finished_notes(plan) is not None:
            return Done(was_finished=True)
        parts = _parts(plan)
        circumstances = _same_circumstances(plan, parts)
        shot = reopened(plan, bench)
        with noted(plan):
            pass_ = pass_of(shot, _network_for_range(shot, bench))
            track = deliver_joined(
                pass_,
                _records(parts, shot),
                shot.delivery(resume=False),
                circumstances,
                progress=watch.progress,
                should_stop=watch.should_stop,
            )
            write_exports(track, shot, watch)
        for part in parts:
            part.remove()
    return Done()


def _network_for_range(shot: OpenShot, bench: Bench) -> AnyNetwork:
    base = bench.networks.get(shot.entry.model, bench.runtime)
    if shot.adapting is None:
        return base
    path = shot.output / ADAPTED
    network = kept_model(path, adaptation_of(shot, base))
    if network is None:
        raise InputError(
            f"{path} is not there or was made from other things or in another precision; run "
            "batch --adapt-only first"
        )
    return network


@dataclass(frozen=True)
class _Range:
    """Where a range's results are kept until the join, by what they are made from."""

    plan: ShotPlan
    task: Task

    @property
    def folder(self) -> Path:
        """A folder for each content, so that what changed is never mixed in."""
        content = content_hash(self.plan.facts)[:16]
        name = f"{self.task.first:07d}-{self.task.last:07d}"
        return self.plan.state_folder / _FOLDER / content / name

    @property
    def records(self) -> Path:
        """The results."""
        return self.folder / "results.xmrecords"

    def note(self, circumstances: dict[str, str]) -> None:
        """Says that the results are whole, and how they were made."""
        text = json.dumps(circumstances, indent=1)
        write_bytes(self.folder / "whole.json", f"{text}\n".encode(), durable=True)

    def circumstances(self) -> dict[str, str] | None:
        """How the results were made; None while they are not whole."""
        try:
            content = parse_json(read_text(self.folder / "whole.json"))
        except (FormatError, ValueError):
            return None
        return content if isinstance(content, dict) and self.records.is_file() else None

    def remove(self) -> None:
        """Forgets the results."""
        for name in ("whole.json", "results.xmrecords"):
            (self.folder / name).unlink(missing_ok=True)


def _parts(plan: ShotPlan) -> list[_Range]:
    """The ranges that are whole; together they hold every frame."""
    folder = _Range(plan, Task(plan.name, "range")).folder.parent
    parts, covered = [], set[int]()
    for path in sorted(folder.glob("*-*")):
        first, _, last = path.name.partition("-")
        part = _Range(plan, Task(plan.name, "range", int(first), int(last)))
        if part.circumstances() is not None:
            parts.append(part)
            covered.update(part.task.frames)
    if missing := [index for index in plan.frame_range if index not in covered]:
        number = plan.first_number + missing[0] - plan.frame_range.start
        raise InputError(
            f"shot {plan.name}: {len(missing)} of {len(plan.frame_range)} frames are missing, "
            f"from about frame {number} on; run its ranges again, then batch --join"
        )
    return parts


def _same_circumstances(plan: ShotPlan, parts: list[_Range]) -> dict[str, str]:
    """How all ranges were made; where they differ in what decides the last bits, all that were."""
    found = [part.circumstances() or {} for part in parts]
    names = dict.fromkeys(name for one in found for name in one)
    told = {n: " and ".join(sorted({one.get(n, "") for one in found})) for n in names}
    precision = {one.get("device or precision") for one in found}
    if len(precision) > 1:
        raise InputError(
            f"shot {plan.name}: its ranges were computed as {' and '.join(map(str, precision))}; "
            "name one device and --dtype for all, and run it again"
        )
    return told


def _records(parts: list[_Range], shot: OpenShot) -> Iterator[FrameRecord]:
    for part in parts:
        yield from read_records(part.records, shot.source.size)
