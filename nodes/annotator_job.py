"""What a run of the annotator works on: the linked values, the revision and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .annotator_results import RESULTS, ResultKey, ShotResult
from .annotator_sources import CLIPS
from .annotator_value import ShownRevision, shown_revision
from .results import check_same_clip
from .routes import project_of

if TYPE_CHECKING:
    from ..xmempp_core import (
        AnnotationSet,
        FittedProject,
        Project,
        ProjectNotice,
        PropagationSettings,
        Track,
    )
    from .annotator_sources import OpenClip
    from .model import LoadedModel


@dataclass(frozen=True, eq=False)
class Linked:
    """What is linked to the node."""

    model: LoadedModel | None
    """None where only the clip is looked at."""
    clip: OpenClip
    annotations: AnnotationSet | None = None
    track: Track | None = None

    @classmethod
    def of(
        cls,
        model: LoadedModel | None,
        frames: Any,
        annotations: AnnotationSet | None = None,
        track: Track | None = None,
    ) -> Linked:
        """The linked values; raises InputError where the track is of another clip."""
        clip = CLIPS.opened(frames)
        if track is not None:
            check_same_clip(track, clip.frames)
        return cls(model, clip, annotations, track)


@dataclass(frozen=True, eq=False)
class Job:
    """A revision on its clip."""

    linked: Linked
    shown: ShownRevision | None
    annotations: AnnotationSet
    """At the size of the frames."""
    frame_range: tuple[int, int]
    """First and last frame, as the revision says."""
    notices: tuple[ProjectNotice, ...] = ()
    missing: tuple[int, ...] = ()
    """Frames whose mask cannot be used."""

    @property
    def project_id(self) -> str:
        """ "" without a project."""
        return "" if self.shown is None else self.shown.project_id

    @property
    def revision(self) -> str:
        """ "" without a project."""
        return "" if self.shown is None else self.shown.revision

    def key(
        self, model: LoadedModel, settings: PropagationSettings, frames: tuple[int, int]
    ) -> ResultKey:
        """What a result of it is made of."""
        return ResultKey(
            self.linked.clip.key, self.annotations.fingerprint, _weights(model), settings, frames
        )

    def held_results(self, model: LoadedModel | None) -> list[ShotResult]:
        """What is computed of it already, the last asked for first, the linked track at the end.

        Args:
            model: what it is computed with; None = the one that it was last computed with.
        """
        said = self.annotations.fingerprint
        found = [one for one in RESULTS.newest() if one.key and one.key.says(self.clip_key, said)]
        weights = _weights(model) if model is not None else found[0].weights if found else ""
        own = [one for one in found if one.weights == weights]
        given = given_result(self.linked)
        return own if given is None else [*own, given]

    @property
    def clip_key(self) -> str:
        """Key of the clip."""
        return self.linked.clip.key


def _weights(model: LoadedModel) -> str:
    """What tells a model from others, and its precision."""
    return f"{model.info.sha256} {model.runtime.dtype}"


def whole_range(clip: OpenClip) -> tuple[int, int]:
    """First and last frame of a clip."""
    return 0, len(clip.frames) - 1


def given_result(linked: Linked) -> ShotResult | None:
    """The linked track as a result; None without one."""
    from ..xmempp_core import content_name

    track = linked.track
    if track is None or not len(track):
        return None
    facts = (linked.clip.key, track.annotations.fingerprint, track.settings, track.model.sha256)
    token = content_name(repr(("track", facts, track.stored_bytes)).encode())
    held = track.frame_indices
    return RESULTS.find(token) or RESULTS.keep(ShotResult(token, track, (held[0], held[-1])))


def job_of(linked: Linked, project: str) -> Job:
    """The job of a node's run.

    Raises:
        InputError: the revision or one of its masks is missing, or its masks do not fit the frames.
    """
    from ..xmempp_core import InputError

    shown = shown_revision(project)
    if shown is None:
        return Job(linked, None, _linked_annotations(linked), whole_range(linked.clip))
    fitted = said_by(shown, linked.clip)
    if fitted.project.missing:
        raise InputError(fitted.project.notices[-1].text)
    return fitted.job(linked, shown)


@dataclass(frozen=True, eq=False)
class Said:
    """What a revision says, and the frames it is to be propagated over."""

    project: FittedProject
    frame_range: tuple[int, int]

    def job(self, linked: Linked, shown: ShownRevision) -> Job:
        """The job of it."""
        fitted = self.project
        return Job(
            linked, shown, fitted.annotations, self.frame_range, fitted.notices, fitted.missing
        )


@dataclass(eq=False)
class _LastRead:
    """The revision that a prompt read last; prompts run one after the other."""

    facts: tuple[str, str, str] = ("", "", "")
    """Project, revision and clip."""
    said: Said | None = None


_last = _LastRead()


def said_by(shown: ShownRevision, clip: OpenClip) -> Said:
    """What a revision says on a clip.

    Raises:
        InputError: it is not in the input folder, or its masks have other proportions.
        FormatError: it is damaged.
    """
    from ..xmempp_core import InputError, fitted_project

    project = project_of(shown.project_id)
    if not project.has_document(shown.revision):
        latest = next(iter(project.revisions()), None)
        there = (
            f"the latest revision there is {latest.revision[:8]} of "
            f"{latest.saved.isoformat(sep=' ', timespec='minutes')}: open it in the list of "
            "revisions"
            if latest
            else f"copy the folder input/xmempp/{shown.project_id} from the machine where it was "
            "painted, or open its .zip file"
        )
        raise InputError(
            f"revision {shown.revision[:8]} of project {shown.project_id} is not in "
            f"input/xmempp: {there}"
        )
    last_read = _last.said
    facts = (shown.project_id, shown.revision, clip.key)
    if last_read is not None and _last.facts == facts and _is_there(project, last_read.project):
        return last_read
    document = project.document(shown.revision)
    first, last = whole_range(clip)
    if document.frame_range is not None and document.frame_range[0] <= last:
        first, last = document.frame_range[0], min(document.frame_range[1], last)
    before = None if last_read is None else last_read.project
    said = Said(fitted_project(project, document, clip.clip, before), (first, last))
    _last.facts, _last.said = facts, said
    return said


def _is_there(project: Project, fitted: FittedProject) -> bool:
    """Whether no label map of it was lost."""
    names = {one.said.mask for one in fitted.frames.values() if one.said.mask}
    return not fitted.missing and all(project.has_mask(name) for name in names)


def _linked_annotations(linked: Linked) -> AnnotationSet:
    """The linked set, or that of the linked track, at the size of the frames."""
    from ..xmempp_core import AnnotationSet
    from .annotation_sets import fit_annotations

    given = linked.annotations
    if given is None and linked.track is not None:
        given = linked.track.annotations
    return AnnotationSet() if given is None else fit_annotations(given, linked.clip.frames)
