"""What a worker of a cluster does: tasks, one at a time, with networks that it loads once."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from .. import __version__
from ..errors import InputError
from ..runtime import Runtime, full_float32, processor_threads
from .bench import Bench, Watch
from .local import Outcome, attempt
from .logs import told_in_logs_alone
from .networks import Networks
from .path_maps import PathMap
from .plans import ShotPlan
from .tasks import Task

BUSY_SECONDS = 180.0
"""How long a lost worker's locks may outlive it on storage of the network."""
_LOOK_EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class WorkerSettings:
    """What the driver settles for all workers, so that all make the same bytes."""

    device: str
    """cpu or cuda."""
    dtype: str
    """float32, float16, bfloat16; not auto."""
    threads: int
    """Processor threads of a task."""
    resume: bool = False
    """Go on with unfinished shots where they were saved."""
    paths: PathMap = field(default_factory=PathMap)
    """Where folders of the driver's machine lie on the workers'."""
    version: str = __version__
    """Of the driver's program."""


class Worker:
    """Does tasks in a process of its own; told and asked from other threads meanwhile.

    Args:
        settings: those of the driver.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._networks = Networks()
        self._stop = Event()
        self._frames = (0, 0)

    def fault(self) -> str:
        """Why it cannot work, a clause; "" where it can."""
        settings = self._settings
        if settings.version != __version__:
            return (
                f"{platform.node()} has xmempp {__version__}, the driver {settings.version}; "
                "install the same on all"
            )
        try:
            self._bench(resume=False)
        except InputError as error:
            return f"{platform.node()}: {error}"
        return ""

    def do(self, task: Task, plan: ShotPlan, *, is_again: bool = False) -> Outcome:
        """Does a task; whatever goes wrong with it is its outcome.

        Args:
            task: what is to be done.
            plan: its shot with the driver's paths.
            is_again: another worker was lost over it. What that one saved is gone on with, and
                locks that it left are waited for.
        """
        self._frames = (0, 0)
        bench = self._bench(resume=self._settings.resume or is_again)
        watch = Watch(self._count, self._stop.is_set)
        here = moved_plan(plan, self._settings.paths)
        with ExitStack() as stack:
            stack.enter_context(processor_threads(self._settings.threads))
            stack.enter_context(full_float32(bench.runtime.device))
            stack.enter_context(told_in_logs_alone())
            return _patiently(
                lambda: attempt(task, here, bench, watch),
                BUSY_SECONDS if is_again else 0.0,
                watch.should_stop,
            )

    def frames(self) -> tuple[int, int]:
        """Frames done and frames in all of the task that is being done."""
        return self._frames

    def stop(self) -> None:
        """Ends the task between two frames."""
        self._stop.set()

    def _count(self, done: int, total: int) -> None:
        self._frames = (done, total)

    def _bench(self, *, resume: bool) -> Bench:
        runtime = Runtime.choose(self._settings.device, self._settings.dtype)
        return Bench(self._networks, runtime, resume)


def moved_plan(plan: ShotPlan, paths: PathMap) -> ShotPlan:
    """A plan with all of its paths where they lie on another machine."""
    entry = plan.entry
    exports = tuple(
        replace(one, choice=replace(one.choice, preset=paths.moved(one.choice.preset)))
        for one in entry.exports
    )
    entry = replace(
        entry,
        frames=paths.moved(entry.frames),
        annotations=paths.moved(entry.annotations),
        output=paths.moved(entry.output),
        model=paths.moved(entry.model),
        exports=exports,
    )
    state_folder, log = (Path(paths.moved(str(one))) for one in (plan.state_folder, plan.log))
    return replace(plan, entry=entry, state_folder=state_folder, log=log)


def _patiently(
    make: Callable[[], Outcome], patience_seconds: float, should_stop: Callable[[], bool]
) -> Outcome:
    """The outcome of a task, tried again for some time while another run holds its shot."""
    end = time.monotonic() + patience_seconds
    outcome = make()
    while outcome.state == "busy" and time.monotonic() < end and not should_stop():
        time.sleep(_LOOK_EVERY_SECONDS)
        outcome = make()
    return outcome
