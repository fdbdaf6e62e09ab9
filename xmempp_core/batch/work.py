"""What is done for each kind of task."""

from __future__ import annotations

from .bench import Bench, Watch
from .plans import ShotPlan
from .shot_run import Done, run_shot
from .tasks import Task


def run_task(task: Task, plan: ShotPlan, bench: Bench, watch: Watch) -> Done:
    """Does a task of a shot.

    Raises:
        XMemError: what cannot be done.
        Interrupted, KeyboardInterrupt: `watch` stopped it; it can be gone on with.
    """
    return run_shot(plan, bench, watch)
