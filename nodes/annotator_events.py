"""What the view hears while frames are computed: which are there, not the frames themselves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import host

if TYPE_CHECKING:
    from .annotator_job import Job
    from .annotator_results import ShotResult

EVENT = "xmempp.annotator"
EVERY_SECONDS = 1 / 12
"""Time between two events; the browser's queue has no back-pressure."""


class FinishedFrames:
    """Tells the browser of finished frames, some at once where they come fast.

    Args:
        job: what is worked on.
        result: where the frames are kept.
    """

    def __init__(self, job: Job, result: ShotResult) -> None:
        self._job, self._result = job, result
        self._waiting: list[int] = []
        self._next = 0.0

    def done(self, frame_index: int) -> None:
        """A frame is computed and kept."""
        self._waiting.append(frame_index)
        if time.monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        """Tells of those that wait."""
        if not self._waiting:
            return
        job, result = self._job, self._result
        data = {
            "project": job.project_id,
            "revision": job.revision,
            "token": result.token,
            "kind": result.kind,
            "frame": self._waiting[-1],
            "frames": self._waiting,
        }
        host.send(EVENT, data)
        self._waiting = []
        self._next = time.monotonic() + EVERY_SECONDS
