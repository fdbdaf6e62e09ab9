"""One shot of a batch from its inputs to its last file, as `propagate` and `export` make it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..adaptation.adaptation import Adaptation
from ..adaptation.keep import adapt_into
from ..delivery.deliver import deliver
from ..delivery.output_folder import ADAPTED
from ..errors import InputError, Interrupted
from ..folder_lock import locked_folder
from ..mattes.export import export_mattes
from ..network.adapted import AnyNetwork
from ..propagation.propagation import Propagation
from ..track.track import Track
from .bench import Bench, Watch, one_adaptation
from .notes import ShotNotes, read_notes, write_notes
from .opened import OpenShot, open_shot
from .plans import ShotPlan, facts_of


@dataclass(frozen=True)
class Done:
    """What came of a task."""

    computed: int = 0
    """Frames computed."""
    was_finished: bool = False
    """Somebody else had finished it already; nothing was done."""


def run_shot(plan: ShotPlan, bench: Bench, watch: Watch) -> Done:
    """Makes a shot; what was finished meanwhile is left as it is.

    Raises:
        XMemError: what cannot be done.
        Interrupted, KeyboardInterrupt: `watch` stopped it; it can be gone on with.
    """
    with locked_folder(plan.state_folder):
        shot = reopened(plan, bench)
        if finished_notes(plan) is not None:
            return Done(was_finished=True)
        with noted(plan) as before:
            resume = bench.resume and before is not None and not before.changed_from(plan.facts)
            network = network_of(shot, bench, watch)
            pass_ = pass_of(shot, network)
            computed = 0

            def count(done: int, total: int) -> None:
                nonlocal computed
                computed += 1
                watch.progress(done, total)

            track = deliver(
                pass_,
                shot.delivery(resume=resume),
                progress=count,
                should_stop=watch.should_stop,
            )
            write_exports(track, shot, watch)
    return Done(computed)


def reopened(plan: ShotPlan, bench: Bench) -> OpenShot:
    """The shot of a plan, opened.

    Raises:
        InputError: it is no longer what was planned.
    """
    info = bench.networks.get(plan.entry.model, bench.runtime).info
    shot = open_shot(plan.entry, info)
    assert shot is not None  # faults are raised
    facts = facts_of(shot, info, bench.runtime)
    if changed := [name for name in facts if facts[name] != plan.facts.get(name)]:
        raise InputError(
            f"the {' and the '.join(changed)} changed since the batch was checked; run it again"
        )
    return shot


def finished_notes(plan: ShotPlan) -> ShotNotes | None:
    """The notes of results that are whole and made from the very same; None where they are not."""
    notes = read_notes(plan.state_folder)
    if notes is None or not notes.is_finished or notes.changed_from(plan.facts):
        return None
    return None if notes.missing_file(plan.output) else notes


@contextmanager
def noted(plan: ShotPlan) -> Iterator[ShotNotes | None]:
    """Notes that a shot is begun, and at the end that it is finished.

    Files of earlier results that are no longer made are removed then. Gives what was noted before.
    """
    before, start = read_notes(plan.state_folder), time.monotonic()
    known = tuple(dict.fromkeys((*plan.files, *(before.files if before else ()))))
    begun = ShotNotes("begun", plan.facts, known)
    write_notes(plan.state_folder, begun)
    yield before
    for name in known[len(plan.files) :]:
        _remove(plan.output / name, plan.output)
    sizes = tuple((plan.output / name).stat().st_size for name in plan.files)
    seconds = round(time.monotonic() - start, 3)
    finished = replace(
        begun, state="finished", files=plan.files, sizes_bytes=sizes, seconds=seconds
    )
    write_notes(plan.state_folder, finished)


def _remove(path: Path, output: Path) -> None:
    """Removes a file, and folders below the output that are empty then."""
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == output:
            return
        with suppress(OSError):  # not empty
            folder.rmdir()


def network_of(shot: OpenShot, bench: Bench, watch: Watch) -> AnyNetwork:
    """The network of the pass, adapted where that is asked for."""
    base = bench.networks.get(shot.entry.model, bench.runtime)
    if shot.adapting is None:
        return base
    with one_adaptation:
        return adapt_into(
            shot.output / ADAPTED,
            adaptation_of(shot, base),
            should_stop=watch.should_stop,
            overwrite=True,
        )


def adaptation_of(shot: OpenShot, base: AnyNetwork) -> Adaptation:
    """The adaptation of a shot that has one, not yet run."""
    return Adaptation(base, shot.source, shot.annotations, shot.adapting, shot.settings)


def pass_of(shot: OpenShot, network: AnyNetwork, frames: range | None = None) -> Propagation:
    """The pass over a shot, or over some of its frames."""
    return Propagation(
        network,
        shot.source,
        shot.annotations,
        shot.settings,
        frame_range=shot.frame_range if frames is None else frames,
        augment=shot.augment,
    )


def write_exports(track: Track, shot: OpenShot, watch: Watch) -> None:
    """All exports of a shot's track."""

    def check(done: int, total: int) -> None:
        if watch.should_stop():
            raise Interrupted(len(track), len(track), shot.output)

    for job, _ in shot.exports:
        export_mattes(track, job, source=shot.source, progress=check)
