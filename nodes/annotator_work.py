"""Answers and passes of the annotator: frames of one result, computed where they are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from . import host
from .annotator_events import FinishedFrames
from .annotator_job import Job, whole_range
from .annotator_results import RESULTS, ShotResult
from .track import WHEN_MEMORY_ENDS
from .watch import WatchedPass

if TYPE_CHECKING:
    from ..xmempp_core import Propagation, PropagationSettings
    from .model import LoadedModel

NOTHING_SAID = (
    "no frame is annotated with an object yet; paint an object on a frame, then ask again"
)


def answered(job: Job, model: LoadedModel, frames: Iterable[int]) -> ShotResult:
    """The result that holds these frames, each from permanent memory alone.

    Raises:
        InputError: nothing is annotated, or a frame is not in the clip.
        CapacityError: memory ran out.
    """
    from ..xmempp_core import CapacityError, PropagationSettings

    settings = PropagationSettings(direction="independent")
    result = _result(job, model, settings, whole_range(job.linked.clip))
    missing = [i for i in dict.fromkeys(frames) if not result.has(i)]
    try:
        _answer(job, model, result, missing, settings)
    except CapacityError:
        model.answering.forget()
        raise
    return result


def propagated(
    job: Job, model: LoadedModel, settings: PropagationSettings, frames: tuple[int, int]
) -> ShotResult:
    """The result of a pass; one that is complete is taken as it is.

    Raises:
        InputError: nothing is annotated, or the range does not lie in the clip.
        CapacityError: memory ran out.
    """
    if settings.direction == "independent":
        return answered(job, model, range(frames[0], frames[1] + 1))
    result = _result(job, model, settings, frames)
    if result.missing:
        _run(job, model, result, settings)
    return result


def _result(
    job: Job, model: LoadedModel, settings: PropagationSettings, frames: tuple[int, int]
) -> ShotResult:
    """The result that is held, or an empty one."""
    from ..xmempp_core import InputError, Track

    first, last = whole_range(job.linked.clip)
    if not job.annotations.object_ids:
        raise InputError(NOTHING_SAID)
    if not first <= frames[0] <= frames[1] <= last:
        raise InputError(f"the range {frames[0]} to {frames[1]} does not lie in 0 to {last}")
    key = job.key(model, settings, frames)
    result = RESULTS.find(key.token)
    if result is None:
        track = Track(job.linked.clip.shot, job.annotations, settings, model.info)
        result = RESULTS.keep(ShotResult(key.token, track, frames, key))
        result.revision = job.revision
    return result


def _answer(
    job: Job,
    model: LoadedModel,
    result: ShotResult,
    missing: list[int],
    settings: PropagationSettings,
) -> None:
    if not missing:
        return
    told, bar = FinishedFrames(job, result), host.Progress(len(missing))
    clip = job.linked.clip
    with host.working(WHEN_MEMORY_ENDS):
        pass_ = model.answering.pass_of(model, clip, job.annotations, settings)
        for done, segmentation in enumerate(pass_.segment(missing), start=1):
            result.add(segmentation)
            told.done(segmentation.frame_index)
            bar.step(done)
    told.flush()


def _run(job: Job, model: LoadedModel, result: ShotResult, settings: PropagationSettings) -> None:
    """A pass over the frames of a result."""
    from ..xmempp_core import propagate

    frames, source = range(result.frames[0], result.frames[1] + 1), job.linked.clip.frames
    watched = WatchedPass(source, settings, len(frames), preview=None)
    with host.working(WHEN_MEMORY_ENDS), model.shelf.reported(source, settings) as cache:
        start = partial(
            propagate,
            model.network(settings),
            watched.frames,
            job.annotations,
            settings,
            frame_range=frames,
            cache=cache,
        )
        _collect(start, watched, FinishedFrames(job, result), result)


def _collect(
    start: Callable[[], Propagation],
    watched: WatchedPass,
    told: FinishedFrames,
    result: ShotResult,
) -> None:
    """Runs a pass, which lives in this call alone: where it fails, its memory goes."""
    pass_ = start()
    watched.prepare(pass_)
    try:
        for segmentation in watched.results(iter(pass_)):
            result.add(segmentation)
            told.done(segmentation.frame_index)
    finally:
        told.flush()
