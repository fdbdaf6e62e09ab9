"""What is done for each kind of task."""

from __future__ import annotations

from .bench import Bench, Watch
from .plans import ShotPlan
from .ranges import adapt_shot, join_shot, run_range
from .shot_run import Done, run_shot
from .tasks import Task


def run_task(task: Task, plan: ShotPlan, bench: Bench, watch: Watch) -> Done:
    """Does a task of a shot.

    Raises:
        XMemError: what cannot be done.
        Interrupted, KeyboardInterrupt: `watch` stopped it; it can be gone on with.
    """
    if task.kind == "adapt":
        return adapt_shot(plan, bench, watch)
    if task.kind == "range":
        return run_range(plan, task, bench, watch)
    if task.kind == "join":
        return join_shot(plan, bench, watch)
    return run_shot(plan, bench, watch)
