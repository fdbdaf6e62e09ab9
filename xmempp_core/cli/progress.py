"""What a person at a terminal, or a farm's log, sees of a long run."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from tqdm import tqdm

LINE_EVERY_SECONDS = 10.0

Progress = Callable[[int, int], None]


@contextmanager
def shown_progress(label: str, *, unit: str = "frame", quiet: bool = False) -> Iterator[Progress]:
    """A callback for frames done and frames in all: a bar on a terminal, else a line every 10 s.

    Args:
        label: what is being done.
        unit: what is counted, in the singular.
        quiet: nothing is shown.
    """
    if quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        bar = _Bar(label, unit)
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield _LinePrinter(label, unit)


class _Bar:
    """A bar that is shown from the first call on."""

    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self._bar: tqdm | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:  # a resumed run counts its speed from where it started
            start = {"total": total, "initial": done - 1}
            self._bar = tqdm(desc=self._label, unit=self._unit, file=sys.stderr, **start)
        self._bar.update(done - self._bar.n)
        if done == total:
            self.close()

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()


class _LinePrinter:
    """Prints how far a run is, every 10 seconds and at the end of one that takes longer."""

    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self._next = time.monotonic() + LINE_EVERY_SECONDS
        self._is_long = False

    def __call__(self, done: int, total: int) -> None:
        if (done == total and self._is_long) or time.monotonic() >= self._next:
            self._is_long = True
            print(f"{self._label}: {done} of {total} {self._unit}s", file=sys.stderr, flush=True)
            self._next = time.monotonic() + LINE_EVERY_SECONDS


class Counter:
    """Counts calls of a progress callback and hands them on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.count = 0

    def __call__(self, done: int, total: int) -> None:
        self.count += 1
        self._progress(done, total)


@contextmanager
def stop_request() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or a termination was asked for; a second one interrupts at once."""
    asked = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = {n: signal.signal(n, remember) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def peak_memory_bytes(device: torch.device) -> int | None:
    """Peak memory of this process so far: on the GPU for CUDA, else of the host.

    None where the system does not say (Windows).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource  # Unix alone has it

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
