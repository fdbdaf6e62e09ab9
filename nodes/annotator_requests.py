"""What the view of the annotator asks for, each as a prompt in ComfyUI's own queue."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import annotator_models, annotator_suggest, annotator_work
from .annotation_sets import fit_annotations
from .annotator_job import Job, Linked, given_result, job_of, said_by
from .annotator_models import model_for
from .annotator_results import RESULTS
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
    return _ACTIONS[request.action](job, request) | notices_ui(job)


def _answer(job: Job, request: Request) -> Ui:
    model = model_for(job, request.is_adapted)
    return _asked_for(job, annotator_work.answered(job, model, request.frames))


def _propagate(job: Job, request: Request) -> Ui:
    from ..xmempp_core import PropagationSettings

    model = model_for(job, request.is_adapted)
    settings = PropagationSettings.from_dict({"direction": request.direction})
    frames = request.frame_range or job.frame_range
    return _asked_for(job, annotator_work.propagated(job, model, settings, frames))


def _adapt(job: Job, request: Request) -> Ui:
    return {"xmempp_adapted": [{"text": annotator_models.adapted(job, request.mode)}]}


def _suggest(job: Job, request: Request) -> Ui:
    model = model_for(job, request.is_adapted)
    found = annotator_suggest.suggested(job, model, request.count, request.way)
    return {"xmempp_candidates": found}


def _asked_for(job: Job, result: ShotResult) -> Ui:
    RESULTS.ask_for(result, job.revision)
    return results_ui([result])


_ACTIONS: dict[str, Callable[[Job, Request], Ui]] = {
    "answer": _answer,
    "propagate": _propagate,
    "adapt": _adapt,
    "suggest": _suggest,
}


def mark_of(project: str) -> str:
    """Text that changes when the view asked for another pass of the revision that it shows."""
    from ..xmempp_core import InputError

    try:
        shown = shown_revision(project)
    except InputError:  # said when the node runs
        return ""
    return "" if shown is None else RESULTS.last_pass(shown.revision)


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
    ui: Ui = {"xmempp_source": [linked.clip.facts]} | notices_ui(job)
    if job.shown is None and linked.track is not None:
        given = given_result(linked)
        ui |= results_ui([] if given is None else [given])
        return Delivered(linked.track.annotations, linked.track, ui)
    if not job.annotations.object_ids:
        return Delivered(job.annotations, None, ui | ask_to_paint())
    model = model_for(job, is_adapted=False)
    held = [one for one in job.held_results(model) if one.is_pass_of(job.frame_range)]
    result = held[0] if held else _passed(job, model)
    return Delivered(job.annotations, result.track(job.annotations), ui | results_ui([result]))


def _passed(job: Job, model: LoadedModel) -> ShotResult:
    from ..xmempp_core import PropagationSettings

    return annotator_work.propagated(job, model, PropagationSettings(), job.frame_range)


def opened(linked: Linked, project: str, request: Request) -> Ui:
    """The clip, the project on it, and what is computed of it; trouble with it is a message."""
    from ..xmempp_core import XMemError

    ui: Ui = {"xmempp_source": [linked.clip.facts]}
    try:
        shown = shown_revision(project)
        if shown is not None:
            job = said_by(shown, linked.clip).job(linked, shown)
            model = None if linked.model is None else model_for(job, request.is_adapted)
            return ui | results_ui(job.held_results(model)) | notices_ui(job)
        if linked.annotations is not None and request.project_id:
            ui |= _taken_over(linked, request.project_id)
    except XMemError as error:
        ui |= message_ui([("", str(error))])
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


def notices_ui(job: Job) -> Ui:
    """The ui part of what is not as it was painted."""
    ui = message_ui([(one.kind, one.text) for one in job.notices])
    return ui | ({"xmempp_missing": list(job.missing)} if job.missing else {})


def message_ui(messages: list[tuple[str, str]]) -> Ui:
    """The ui part of what the artist must know, each a kind and a sentence; also in the log."""
    for _, text in messages:
        log.warning(text)
    listed = [{"kind": kind, "text": text} for kind, text in messages]
    return {"xmempp_message": listed} if listed else {}
