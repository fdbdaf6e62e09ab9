"""What the view of the annotator asks for, each as a prompt in ComfyUI's own queue."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import annotator_work
from .annotation_sets import fit_annotations
from .annotator_job import Job, Linked, given_result, job_of, said_by
from .annotator_value import Request, shown_revision
from .routes import project_of
from .track import ask_to_paint

if TYPE_CHECKING:
    from ..xmempp_core import AnnotationSet, Track
    from .annotator_results import ShotResult
    from .model import LoadedModel

log = logging.getLogger(__name__)

Ui = dict[str, Any]


def done(linked: Linked, project: str, request: Request) -> Ui:
    """The ui part of a request that was carried out.

    Raises:
        XMemError: it cannot be; the message is a sentence.
    """
    if request.action == "open":
        return opened(linked, project, request)
    job = job_of(linked, project)
    model = model_for(job, request.is_adapted)
    return _ACTIONS[request.action](job, model, request) | message_ui(job.notices)


def _answer(job: Job, model: LoadedModel, request: Request) -> Ui:
    return results_ui([annotator_work.answered(job, model, request.frames)])


def _propagate(job: Job, model: LoadedModel, request: Request) -> Ui:
    from ..xmempp_core import PropagationSettings

    settings = PropagationSettings.from_dict({"direction": request.direction})
    frames = request.frame_range or job.frame_range
    return results_ui([annotator_work.propagated(job, model, settings, frames)])


_ACTIONS: dict[str, Callable[[Job, LoadedModel, Request], Ui]] = {
    "answer": _answer,
    "propagate": _propagate,
}


@dataclass(frozen=True, eq=False)
class Delivered:
    """What the node hands on."""

    annotations: AnnotationSet
    track: Track | None
    """None while nothing is annotated."""
    ui: Ui


def delivered(linked: Linked, project: str) -> Delivered:
    """What a normal run of the node gives: the pass that is held, or a new one.

    Without a project the linked track goes on as it is.

    Raises:
        XMemError: the revision or its masks cannot be used, or the pass failed.
    """
    job = job_of(linked, project)
    ui: Ui = {"xmempp_source": [linked.clip.facts]} | message_ui(job.notices)
    if job.shown is None and linked.track is not None:
        given = given_result(linked)
        ui |= results_ui([] if given is None else [given])
        return Delivered(linked.track.annotations, linked.track, ui)
    if not job.annotations.object_ids:
        return Delivered(job.annotations, None, ui | ask_to_paint())
    model = model_for(job, job.shown is not None and job.shown.is_adapted)
    held = [one for one in job.held_results(model) if one.is_pass_of(job.frame_range)]
    result = held[0] if held else _passed(job, model)
    return Delivered(job.annotations, result.track(job.annotations), ui | results_ui([result]))


def _passed(job: Job, model: LoadedModel) -> ShotResult:
    from ..xmempp_core import PropagationSettings

    return annotator_work.propagated(job, model, PropagationSettings(), job.frame_range)


def model_for(job: Job, is_adapted: bool) -> LoadedModel:
    """The linked model, or the one that was adapted to the project."""
    return job.linked.model


def opened(linked: Linked, project: str, request: Request) -> Ui:
    """The clip, the project on it, and what is computed of it; trouble with it is a message."""
    from ..xmempp_core import XMemError

    ui: Ui = {"xmempp_source": [linked.clip.facts]}
    try:
        shown = shown_revision(project)
        if shown is not None:
            job = said_by(shown, linked.clip).job(linked, shown)
            return ui | results_ui(job.held_results(linked.model)) | message_ui(job.notices)
        if linked.annotations is not None and request.project_id:
            ui |= _taken_over(linked, request.project_id)
    except XMemError as error:
        ui |= message_ui([str(error)])
    given = given_result(linked)
    return ui | results_ui([] if given is None else [given])


def _taken_over(linked: Linked, project_id: str) -> Ui:
    """The linked annotations as the first revision of a new project."""
    from ..xmempp_core import document_from

    assert linked.annotations is not None
    clip, project = linked.clip, project_of(project_id)
    fitted = fit_annotations(linked.annotations, clip.frames)
    document = document_from(fitted, project, clip.key, len(clip.frames))
    revision = project.put_document(document)
    value = {"project": project_id, "revision": revision}
    return {"xmempp_document": [document.to_dict()], "xmempp_value": [value]}


def results_ui(results: list[ShotResult]) -> Ui:
    """The ui part that names results."""
    return {"xmempp_result": [one.summary() for one in results]} if results else {}


def message_ui(sentences: Any) -> Ui:
    """The ui part of what the artist must know; it is in the log, too."""
    sentences = list(sentences)
    for one in sentences:
        log.warning(one)
    return {"xmempp_message": sentences} if sentences else {}
