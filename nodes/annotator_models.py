"""The model of an annotator project: the linked one, or the one that was adapted to its shot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import adapt
from .routes import project_of

if TYPE_CHECKING:
    from pathlib import Path

    from .annotator_job import Job
    from .model import LoadedModel


def linked_model(job: Job) -> LoadedModel:
    """The linked model; raises InputError where none is."""
    from ..xmempp_core import InputError

    if job.linked.model is None:
        raise InputError("no model is linked; link Load XMem++ to the input model")
    return job.linked.model


def model_for(job: Job, is_adapted: bool) -> LoadedModel:
    """The linked model, or what the project made of it.

    Raises:
        InputError: no model is linked, or the project has none adapted from it.
        FormatError: the file of the adapted one is damaged.
    """
    from ..xmempp_core import InputError, read_adapted

    base = linked_model(job)
    if not is_adapted and not (job.shown is not None and job.shown.is_adapted):
        return base
    if job.project_id not in base.adapted:
        path = _path(job, base)
        network = read_adapted(path, base.patcher.model.network) if path.is_file() else None
        if network is None:
            raise InputError(
                "this project has no model that was adapted from the linked one; adapt it to the "
                "shot, or go on with the plain model"
            )
        base.adapted[job.project_id] = adapt.loaded(network, base)
    return base.adapted[job.project_id]


def adapted(job: Job, mode: str) -> str:
    """Adapts the linked model to the shot and keeps it with the project.

    Returns:
        Which round was taken, in words.

    Raises:
        InputError: nothing is annotated, there is no project, or the mode is unknown.
    """
    from ..xmempp_core import AdaptationSettings, InputError, PropagationSettings

    base = linked_model(job)
    if job.shown is None or not job.annotations.object_ids:
        raise InputError("nothing is painted that the model could be adapted to; paint first")
    settings = AdaptationSettings.from_dict({"mode": mode})
    frames, path = job.linked.clip.frames, _path(job, base)
    _, network = adapt.adapted(base, frames, job.annotations, settings, PropagationSettings(), path)
    base.adapted[job.project_id] = adapt.loaded(network, base)
    return adapt.verdict_of(network)


def _path(job: Job, base: LoadedModel) -> Path:
    """Where the project keeps what it adapted from a model."""
    return project_of(job.project_id).model_path(base.info.sha256[:40])
