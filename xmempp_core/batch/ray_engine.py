"""The batch on a Ray cluster: who does what, and what becomes of tasks whose worker is lost."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..errors import FormatError, InputError
from .local import FrameCount, Outcome, Progress, Tally
from .logs import shot_log, told_in_logs_alone
from .ray_cluster import TALK, RayCluster
from .tasks import Schedule, Stages, Task

MAX_LOSSES = 3
"""Workers that a task may lose while their machines live on; then it is at fault itself."""
MAX_FAILED_STARTS = 3
"""Workers in a row that cannot start; then no more are asked for."""
WAIT_FOR_MACHINES_SECONDS = 300.0
"""How long a batch without any worker waits for one."""
_LOOK_EVERY_SECONDS = 0.2
_ASK_EVERY_SECONDS = 1.0
_log = logging.getLogger(__name__)


def run_on_cluster(
    work: dict[str, Stages],
    tally: Tally,
    cluster: RayCluster,
    *,
    progress: Progress = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Does all tasks; neither a bad shot nor a lost machine stops the others.

    Args:
        work: tasks of each shot that is to be made.
        tally: takes how they end.
        cluster: whose workers do them.
        progress: called with frames done and frames in all, of all tasks.
        should_stop: asked some times a second; tasks then end between two frames.

    Raises:
        InputError: no worker could be started at all.
    """
    _Run(cluster, work, tally, progress).until_over(should_stop)


@dataclass(eq=False)
class _Worker:
    """A worker as the driver sees it."""

    actor: Any
    pending: Any
    """What it has promised: that it is ready, or an outcome; None while it has nothing to do."""
    node: str = ""
    """Ray's name of its machine; "" while it is being started."""
    task: Task | None = None
    answer: Any = None
    """How far it is, asked for and not yet answered."""


class _Run:
    """One batch on a cluster. A worker has one task at a time, so that none waits at a bad one."""

    def __init__(
        self, cluster: RayCluster, work: dict[str, Stages], tally: Tally, progress: Progress
    ) -> None:
        self._cluster, self._ray, self._tally = cluster, cluster.ray, tally
        self._schedule = Schedule(work.values())
        self._frames = FrameCount(work, tally.plans, progress)
        self._left = sum(len(stage) for stages in work.values() for stage in stages)
        self._workers: list[_Worker] = []
        self._lost_at: defaultdict[Task, list[str]] = defaultdict(list)
        self._failed_starts = 0
        self._start_fault = ""
        self._had_workers = self._is_stopped = False
        self._last_seen = self._last_asked = time.monotonic()

    def until_over(self, should_stop: Callable[[], bool]) -> None:
        """Returns once every task is done, has failed, or was stopped."""
        while not self._schedule.is_over:
            if should_stop() and not self._is_stopped:
                self._stop()
            self._start_workers()
            self._assign()
            self._take_in()
            self._ask()
            self._give_up()

    def _stop(self) -> None:
        self._is_stopped = True
        self._schedule.stop()
        for worker in self._workers:
            if worker.task is not None:
                self._talk(worker, "stop")

    def _start_workers(self) -> None:
        """Asks for workers while there is room for more of them and work."""
        if self._is_stopped or self._failed_starts >= MAX_FAILED_STARTS:
            return
        limit = self._cluster.choice.jobs or self._cluster.room()
        for _ in range(min(limit, self._left) - len(self._workers)):
            actor = self._cluster.start_worker()
            self._workers.append(_Worker(actor, actor.ready.remote()))

    def _assign(self) -> None:
        """Gives tasks to workers that have none."""
        for worker in self._workers:
            if worker.pending is None and (task := self._schedule.next()) is not None:
                worker.task = task
                plan = self._tally.plans[task.shot]
                worker.pending = worker.actor.do.remote(task, plan, is_again=task in self._lost_at)

    def _take_in(self) -> None:
        """Waits a moment for what workers have promised."""
        promised = {one.pending: one for one in self._workers if one.pending is not None}
        if not promised:
            time.sleep(_LOOK_EVERY_SECONDS)
            return
        ended, _ = self._ray.wait([*promised], num_returns=1, timeout=_LOOK_EVERY_SECONDS)
        for pending in ended:
            worker = promised[pending]
            take = self._take_start if worker.task is None else self._take_outcome
            take(worker, pending)

    def _take_start(self, worker: _Worker, pending: Any) -> None:
        try:
            fault, node = self._ray.get(pending)
        except self._ray.exceptions.RayError as error:
            fault, node = _last_line(error), ""
        if not fault:
            worker.node, worker.pending = node, None
            self._had_workers, self._failed_starts = True, 0
            return
        self._dismiss(worker)
        self._failed_starts, self._start_fault = self._failed_starts + 1, fault
        self._tally.said(f"a worker could not be started: {fault}")

    def _take_outcome(self, worker: _Worker, pending: Any) -> None:
        task = worker.task
        assert task is not None
        try:
            outcome = self._ray.get(pending)
        except self._ray.exceptions.RayTaskError as error:  # raised by the task itself
            outcome = Outcome("failed", 0.0, note=_last_line(error))
        except self._ray.exceptions.RayError as error:
            self._lose(worker, task, error)
            return
        worker.task = worker.pending = worker.answer = None
        self._settle(task, outcome)

    def _settle(self, task: Task, outcome: Outcome) -> None:
        """A task has ended, well or not."""
        self._tally.add(task, outcome)
        is_fine = outcome.state in ("done", "skipped")
        (self._schedule.done if is_fine else self._schedule.failed)(task)
        self._frames.settle(task)
        self._left -= 1

    def _lose(self, worker: _Worker, task: Task, error: Exception) -> None:
        """A worker is gone, or cannot be reached, in the midst of a task: another one does it."""
        self._dismiss(worker)
        self._lost_at[task].append(worker.node)
        plan, why = self._tally.plans[task.shot], _why_lost(error)
        with suppress(FormatError), told_in_logs_alone(), shot_log(plan.log, plan.name):
            _log.warning("%s: its worker was lost: %s", task, error)
        if self._is_stopped:
            self._settle(task, Outcome("stopped", 0.0, note="go on with --resume"))
        elif self._own_losses(task) < MAX_LOSSES:
            self._tally.said(f"{task}: its worker was lost ({why}); another one does it again")
            self._schedule.again(task)
        else:
            note = f"its worker was lost {MAX_LOSSES} times ({why}); see {plan.log}"
            self._settle(task, Outcome("failed", 0.0, note=note))

    def _own_losses(self, task: Task) -> int:
        """Workers lost over a task on machines that live on; that a machine dies is seen late."""
        return sum(map(self._cluster.is_alive, self._lost_at[task]))

    def _dismiss(self, worker: _Worker) -> None:
        """Ends a worker's process too, which may live on where it cannot be reached."""
        self._workers.remove(worker)
        self._ray.kill(worker.actor)

    def _ask(self) -> None:
        """Asks workers how far they are, and tells what they answered."""
        asked = {worker.answer: worker for worker in self._workers if worker.answer is not None}
        answered = self._ray.wait([*asked], num_returns=len(asked), timeout=0)[0] if asked else []
        for answer in answered:
            self._tell_frames(asked[answer], answer)
        now = time.monotonic()
        if now >= self._last_asked + _ASK_EVERY_SECONDS:
            self._last_asked = now
            for worker in self._workers:
                if worker.task is not None and worker.answer is None:
                    worker.answer = self._talk(worker, "frames")

    def _tell_frames(self, worker: _Worker, answer: Any) -> None:
        worker.answer = None
        try:
            done, total = self._ray.get(answer)
        except self._ray.exceptions.RayError:
            return  # the task's own promise says what became of the worker
        if worker.task is not None and total:
            self._frames.counter(worker.task)(done, total)

    def _talk(self, worker: _Worker, method: str) -> Any:
        """Calls a worker in the midst of a task."""
        return getattr(worker.actor, method).options(concurrency_group=TALK).remote()

    def _give_up(self) -> None:
        """Ends what nobody can do any more: no worker starts, or none has come for long."""
        now = time.monotonic()
        if any(worker.node for worker in self._workers) or self._is_stopped:
            self._last_seen = now
            return
        may_come = self._workers or self._failed_starts < MAX_FAILED_STARTS
        if may_come and now < self._last_seen + WAIT_FOR_MACHINES_SECONDS:
            return
        why = self._start_fault or f"no worker in {WAIT_FOR_MACHINES_SECONDS:.0f} s"
        if not self._had_workers:
            raise InputError(f"no worker of the Ray cluster could be started: {why}")
        while (task := self._schedule.next()) is not None:
            self._settle(task, Outcome("failed", 0.0, note=f"no worker was left to do it: {why}"))


def _last_line(error: Exception) -> str:
    """The gist of an error of Ray, which may hold whole tracebacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _why_lost(error: Exception) -> str:
    """What became of a worker, a clause."""
    if "low on memory" in str(error):
        return "its machine was out of memory"
    is_silent = type(error).__name__ == "ActorUnavailableError"
    return "it cannot be reached" if is_silent else "it ended"
