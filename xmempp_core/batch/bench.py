"""A place to work at: a device, its networks, and who watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from ..runtime import Runtime
from .networks import Networks

# Adaptations seed one random state for the whole process, so that two must not run at a time.
one_adaptation = Lock()


@dataclass(frozen=True)
class Bench:
    """Where tasks are done."""

    networks: Networks
    runtime: Runtime
    resume: bool = False
    """Go on with unfinished shots where they were saved; else they are begun anew."""


@dataclass(frozen=True)
class Watch:
    """Who is told how far a task is, and may stop it."""

    progress: Callable[[int, int], None] = field(default=lambda done, total: None)
    """Called after every computed frame with frames done and frames in all."""
    should_stop: Callable[[], bool] = field(default=lambda: False)
