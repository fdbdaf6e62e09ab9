"""Which frames to annotate next, and why: the annotator's suggestions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import convert, host
from .track import WHEN_MEMORY_ENDS

if TYPE_CHECKING:
    from ..xmempp_core import Track
    from .annotator_job import Job
    from .annotator_value import Way
    from .model import LoadedModel

WHY = {
    "keys": "The objects look unlike those of the annotated frames (difference {score:.3f}).",
    "pictures": "The picture looks unlike the annotated frames (difference {score:.3f}).",
    "uncertainty": "The masks may be wrong: a pass from the other side gives others, or they are "
    "unsure ({score:.3f}).",
}


def suggested(job: Job, model: LoadedModel, count: int, way: Way) -> list[dict[str, Any]]:
    """Frames worth annotating, best first, each with a sentence why.

    Raises:
        InputError: nothing is annotated, more frames are asked for than the clip has, or
            uncertainty is asked for before a pass.
    """
    from ..xmempp_core import CandidateRequest, PropagationSettings, select_candidates

    track = _track(job, model)
    settings = PropagationSettings() if track is None else track.settings
    method = "uncertainty" if way == "uncertainty" else "algorithm1"
    request = CandidateRequest(job.annotations.frame_indices, count, method=method)
    frames = job.linked.clip.frames
    # the linked frames may be the IMAGE of the file behind a linked track
    fingerprint = None if track is None else track.shot.fingerprint
    watched = convert.Watched(frames, host.check_interrupted, fingerprint)
    with host.working(WHEN_MEMORY_ENDS):
        chosen = select_candidates(
            model.network(settings),
            watched,
            track,
            request,
            settings=settings,
            cache=model.shelf.cache_for(frames, settings),
            progress=host.Progress(len(frames)).step,
        )
    why = WHY["pictures" if track is None else way]
    return [
        {"frame": index, "why": why.format(score=score)}
        for index, score in zip(chosen.indices, chosen.scores, strict=True)
    ]


def _track(job: Job, model: LoadedModel) -> Track | None:
    """The present track: of the last pass, or the linked one, if it holds what is annotated."""
    passes = [one for one in job.held_results(model) if one.kind != "answers"]
    found = next((one for one in passes if one.holds(job.annotations.frame_indices)), None)
    if found is None:
        return None
    return job.linked.track if found.kind == "track" else found.track(job.annotations)
