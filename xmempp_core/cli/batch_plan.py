"""What `batch --dry-run` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..batch.estimate import Estimate
from ..batch.status import columns

_HEADS = ("shot", "action", "frames", "time", "disk", "note")


def plan_table(estimates: Sequence[Estimate], peak_bytes: int | None, jobs: int) -> str:
    """The plan as lines of text, with sums."""
    seconds = sum(one.seconds for one in estimates)
    disk = size_text(sum(one.disk_bytes for one in estimates))
    to_make = sum(one.action != "skip" for one in estimates)
    memory = "not measured on this system" if peak_bytes is None else size_text(peak_bytes)
    return "\n".join(
        [
            *columns([_HEADS, *map(_row, estimates)]),
            "",
            f"{to_make} of {len(estimates)} shots to make: about {time_text(seconds)} of work, "
            f"{disk} on disk; memory while measuring {memory}",
            f"estimated from measured frames, one shot at a time; with --jobs {jobs}: at best "
            f"{time_text(seconds / jobs)}",
        ]
    )


def plan_json(estimates: Sequence[Estimate], peak_bytes: int | None, jobs: int) -> dict[str, Any]:
    """The same for programs."""
    return {
        "jobs": jobs,
        "seconds": round(sum(one.seconds for one in estimates), 3),
        "disk_bytes": sum(one.disk_bytes for one in estimates),
        "peak_memory_bytes": peak_bytes,
        "shots": [
            {
                "shot": one.shot,
                "action": one.action,
                "frames": one.frames,
                "seconds": round(one.seconds, 3),
                "disk_bytes": one.disk_bytes,
                "note": one.note,
            }
            for one in estimates
        ],
    }


def time_text(seconds: float) -> str:
    """ "2 h 05 min", "3 min 20 s", "4.5 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size_text(size_bytes: float) -> str:
    """ "1.25 GB", "340 MB"."""
    if size_bytes >= 2**30:
        return f"{size_bytes / 2**30:.2f} GB"
    return f"{size_bytes / 2**20:.1f} MB"


def _row(one: Estimate) -> tuple[str, ...]:
    if one.action == "skip":
        return one.shot, one.action, str(one.frames), "", "", one.note
    times, disk = time_text(one.seconds), size_text(one.disk_bytes)
    return one.shot, one.action, str(one.frames), times, disk, one.note
