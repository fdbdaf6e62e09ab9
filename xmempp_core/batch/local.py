"""The batch on this machine: threads that share one network a device."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Lock

from ..errors import FormatError, Interrupted, XMemError, is_out_of_memory
from ..runtime import full_float32
from .bench import Bench, Watch
from .logs import shot_log
from .plans import ShotPlan
from .shot_run import Done
from .status import ShotStatus, State
from .tasks import Schedule, Stages, Task
from .work import run_task

_LOOK_EVERY_SECONDS = 0.2
_log = logging.getLogger(__name__)

OUT_OF_MEMORY = "out of memory; lower internal_size in its settings, or --jobs"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Outcome:
    """How a task ended."""

    state: State
    seconds: float
    computed: int = 0
    note: str = ""


@dataclass
class ShotTally:
    """What is known of a shot while its tasks are done."""

    state: State = "waiting"
    seconds: float = 0.0
    computed: int = 0
    note: str = ""

    def add(self, outcome: Outcome) -> None:
        """Counts a task of the shot; what went wrong stands above what did not."""
        self.seconds += outcome.seconds
        self.computed += outcome.computed
        if self.state not in ("failed", "busy", "stopped"):
            self.state, self.note = outcome.state, outcome.note


@dataclass
class Tally:
    """What is known of all shots, and who is told of it."""

    plans: dict[str, ShotPlan]
    said: Callable[[str], None] = field(default=lambda line: None)
    """Takes a line whenever a task has ended."""
    shots: defaultdict[str, ShotTally] = field(default_factory=lambda: defaultdict(ShotTally))

    def add(self, task: Task, outcome: Outcome) -> None:
        """Counts a task that ended."""
        self.shots[task.shot].add(outcome)
        note = f": {outcome.note}" if outcome.note else f" in {outcome.seconds:.1f} s"
        self.said(f"{task}: {outcome.state}{note}")

    def statuses(self, unfinished: frozenset[str] = frozenset()) -> list[ShotStatus]:
        """How every shot stands.

        Args:
            unfinished: shots of which this run did all that it was to do, but others have to do
                more before they are whole.
        """
        return [self._status(plan, unfinished) for plan in self.plans.values()]

    def _status(self, plan: ShotPlan, unfinished: frozenset[str]) -> ShotStatus:
        one = self.shots[plan.name]
        state, note = one.state, one.note
        if plan.is_finished:
            state, note = "skipped", ""
        elif state == "done" and plan.name in unfinished:
            state, note = "part", "this call's part is done; batch --join makes the results"
        return ShotStatus(
            plan.name,
            state,
            len(plan.frame_range),
            round(one.seconds, 3),
            one.computed,
            note or plan.redo,
            str(plan.output),
            str(plan.log),
        )


def attempt(task: Task, plan: ShotPlan, bench: Bench, watch: Watch) -> Outcome:
    """Does a task; whatever goes wrong with it is its outcome, and stands in the shot's log."""
    start = time.monotonic()

    def ended(state: State, done: Done | None = None, note: str = "") -> Outcome:
        seconds = time.monotonic() - start
        return Outcome(state, seconds, done.computed if done else 0, note)

    try:
        with shot_log(plan.log, plan.name):
            try:
                _log.info("%s: begun on %s, process %d", task, platform.node(), os.getpid())
                done = run_task(task, plan, bench, watch)
                _log.info("%s: %s", task, "finished before" if done.was_finished else "done")
                return ended("skipped" if done.was_finished else "done", done)
            except (Interrupted, KeyboardInterrupt) as stop:
                _log.warning("%s: stopped: %s", task, stop)
                return ended("stopped", note="go on with --resume")
            except XMemError as error:
                _log.error("%s: %s", task, error)
                return ended("busy" if _is_busy(error, plan) else "failed", note=str(error))
            except (MemoryError, OSError, RuntimeError) as error:
                _log.exception("%s: failed", task)
                note = OUT_OF_MEMORY if is_out_of_memory(error) else f"{error}; see {plan.log}"
                return ended("failed", note=note)
    except FormatError as error:  # the log cannot be written
        return ended("failed", note=str(error))


def _is_busy(error: XMemError, plan: ShotPlan) -> bool:
    """Whether another run holds the shot."""
    is_of_shot = isinstance(error, FormatError) and plan.state_folder in (
        error.path,
        *error.path.parents,
    )
    return is_of_shot and "written to by another run" in str(error)


def run_here(
    work: dict[str, Stages],
    tally: Tally,
    benches: Sequence[Bench],
    jobs: int,
    *,
    progress: Progress = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Does all tasks, several at a time; a bad shot does not stop the others.

    Args:
        work: tasks of each shot that is to be made.
        tally: takes how they end.
        benches: one for each device.
        jobs: tasks at a time, dealt out over the devices.
        progress: called with frames done and frames in all, of all tasks.
        should_stop: asked by every task between two frames.
    """
    schedule = Schedule(work.values())
    frames = FrameCount(work, tally.plans, progress)
    free = [benches[number % len(benches)] for number in range(jobs)][::-1]
    running: dict[Future[Outcome], tuple[Task, Bench]] = {}
    with ExitStack() as stack:
        for device in {bench.runtime.device for bench in benches}:
            # Held throughout: tasks that end would put it back under the others.
            stack.enter_context(full_float32(device))
        executor = stack.enter_context(ThreadPoolExecutor(jobs, "shot"))
        while not schedule.is_over:
            if should_stop():
                schedule.stop()
            while free and (task := schedule.next()) is not None:
                watch = Watch(frames.counter(task), should_stop)
                bench = free.pop()
                plan = tally.plans[task.shot]
                running[executor.submit(attempt, task, plan, bench, watch)] = (task, bench)
            ended = wait(running, _LOOK_EVERY_SECONDS, FIRST_COMPLETED).done
            for future in ended:
                task, bench = running.pop(future)
                free.append(bench)
                outcome = future.result()
                tally.add(task, outcome)
                is_fine = outcome.state in ("done", "skipped")
                (schedule.done if is_fine else schedule.failed)(task)
                frames.settle(task)


class FrameCount:
    """Frames done of all tasks together."""

    def __init__(
        self, work: dict[str, Stages], plans: dict[str, ShotPlan], progress: Progress
    ) -> None:
        self._progress, self._lock = progress, Lock()
        tasks = [task for stages in work.values() for stage in stages for task in stage]
        self._totals = {task: _frames_of(task, plans[task.shot]) for task in tasks}
        self._done = dict.fromkeys(tasks, 0)

    def counter(self, task: Task) -> Progress:
        """The callback of a task."""

        def count(done: int, total: int) -> None:
            # A pass both ways counts its frames twice.
            self.set(task, done * self._totals[task] // max(total, 1))

        return count

    def set(self, task: Task, done: int) -> None:
        """So many frames of a task are done."""
        with self._lock:
            self._done[task] = done
            if total := sum(self._totals.values()):
                self._progress(sum(self._done.values()), total)

    def settle(self, task: Task) -> None:
        """A task has ended, well or not: nothing more is to come of it."""
        if self._totals[task] != self._done[task]:
            self.set(task, self._totals[task])


def _frames_of(task: Task, plan: ShotPlan) -> int:
    if task.kind == "range":
        return len(task.frames)
    return len(plan.frame_range) if task.kind == "shot" else 0
