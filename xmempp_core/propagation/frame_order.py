"""In which order a pass visits the frames, and what becomes of each result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..annotations import AnnotationSet

Action = Literal["yield", "skip", "keep", "yield_kept", "blend"]


@dataclass(frozen=True)
class Step:
    """One frame of the plan and what becomes of its result.

    "keep" puts it aside for a later step of the same frame: "yield_kept" hands it out, "blend"
    mixes it with the forward result.
    """

    frame_index: int
    action: Action
    starts_leg: bool = False
    """The first frame in a direction: all but permanent memory is cleared before it."""
    ends_leg: bool = False
    """The last frame in a direction: nothing is memorized after it."""


def plan_steps(annotated: tuple[int, ...], frames: range, direction: str) -> list[Step]:
    """The steps of a pass.

    Without an annotated frame among `frames` it starts from the one nearest to any.

    Args:
        annotated: annotated frames, ascending, at least one; they may lie outside `frames`.
        frames: the frames to segment.
        direction: "forward", "outward", "bidirectional" or "independent".
    """
    first, last = frames[0], frames[-1]
    if direction == "forward":
        return _leg(range(first, last + 1), "yield")
    if direction == "independent":
        return [Step(t, "yield", starts_leg=True, ends_leg=True) for t in frames]
    inside = [i for i in annotated if i in frames]
    if not inside:
        inside = [min(frames, key=lambda t: min(abs(t - a) for a in annotated))]
    start, end = inside[0], inside[-1]
    if direction == "outward":
        forward = _leg(range(start, last + 1), "yield")
        backward = _leg(range(start, first - 1, -1), "yield", skip_first=True)
        return forward + (backward if start > first else [])
    backward = _leg(range(end, first - 1, -1), "keep")
    before = [Step(t, "yield_kept") for t in range(first, start)]
    forward = _leg(range(start, last + 1), "yield")
    blended = [replace(s, action="blend") if s.frame_index <= end else s for s in forward]
    return backward + before + blended


def inward_steps(annotated: tuple[int, ...], frames: range) -> list[Step]:
    """Steps toward the first annotated frame: the opposite of "outward".

    Forward from the start up to it, then backward from the end down to it.
    """
    first, last = frames[0], frames[-1]
    start = min(max(annotated[0], first), last + 1)
    forward = _leg(range(first, start), "yield")
    return forward + _leg(range(last, start - 1, -1), "yield")


def _leg(indices: range, action: Action, *, skip_first: bool = False) -> list[Step]:
    """Steps over all indices in one direction."""
    return [
        Step(
            t,
            "skip" if skip_first and n == 0 else action,
            starts_leg=n == 0,
            ends_leg=n == len(indices) - 1,
        )
        for n, t in enumerate(indices)
    ]


def forward_weight(annotations: AnnotationSet, object_id: int, frame_index: int) -> float:
    """Share of the forward result: (b - t) / (b - a) between the object's annotations a < t < b."""
    listed = [a.frame_index for a in annotations if a.exhaustive or object_id in a.object_ids]
    before = max((t for t in listed if t <= frame_index), default=None)
    after = min((t for t in listed if t >= frame_index), default=None)
    if before is None:
        return 0.0
    if after is None or after == before:
        return 1.0
    return (after - frame_index) / (after - before)
