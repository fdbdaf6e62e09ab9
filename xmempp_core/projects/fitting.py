"""From a revision to annotations of the clip at hand, and back: what fits is kept, and said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..annotations import AbsenceRange, Annotation, AnnotationSet
from ..errors import FormatError, InputError
from ..formats.annotations.folder import fit_masks
from ..formats.annotations.label_maps import PALETTE
from ..types import Size
from .document import MAX_PROJECT_OBJECT_ID, VOID, Document, FrameSaid, ProjectObject
from .store import Project

# Okabe and Ito's colors, told apart by the color-blind; then the palette of label maps.
_COLORS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442")


@dataclass(frozen=True)
class Clip:
    """What a project must know of the clip."""

    key: str
    """Name of its content; see `Document.source`."""
    size: Size
    frame_count: int


@dataclass(frozen=True)
class ProjectNotice:
    """Something that the artist must know."""

    kind: Literal["clip", "size", "end", "mask"]
    """What is not as it was painted: the clip, its size, its end, or a mask that cannot be used."""
    text: str
    """A sentence with the remedy."""


@dataclass(frozen=True, eq=False)
class FittedFrame:
    """A frame of a revision at the size of a clip."""

    said: FrameSaid
    mask_size: Size
    """Of the label map as it is kept."""
    annotation: Annotation | None
    """None where nothing is left that it says."""


@dataclass(frozen=True, eq=False)
class FittedProject:
    """A revision as annotations of a clip."""

    annotations: AnnotationSet
    notices: tuple[ProjectNotice, ...]
    """What the artist must know; masks that cannot be used stand last."""
    missing: tuple[int, ...]
    """Frames whose label map is missing or damaged: they are left out."""
    frames: Mapping[int, FittedFrame] = field(repr=False)
    """By frame index; the next revision takes over what it says just so, too."""
    size: Size
    """Of the clip."""


def fitted_project(
    project: Project, document: Document, clip: Clip, before: FittedProject | None = None
) -> FittedProject:
    """The annotations of a revision at the size of a clip.

    What lies past the end of the clip is left out and said; it stays in the project.

    Args:
        project: where its label maps lie.
        document: the revision.
        clip: what it is fitted to.
        before: another revision, perhaps of another clip: frames of which the two say the same
            are not read again.

    Raises:
        ShapeError: the masks have other proportions than the frames.
    """
    known = before.frames if before is not None and before.size == clip.size else {}
    frames, problems = {}, {}
    for index, said in document.frames.items():
        if index >= clip.frame_count:
            continue
        kept = known.get(index)
        if kept is not None and kept.said == said and _is_there(project, said):
            frames[index] = kept
            continue
        try:
            labels = _labels(project, said, clip.size)
        except (FormatError, InputError) as error:
            problems[index] = _missing(index, said, error)
            continue
        annotation = _annotation(index, said, labels, clip.size)
        frames[index] = FittedFrame(said, Size(*labels.shape), annotation)
    result = AnnotationSet(
        tuple(one.annotation for one in frames.values() if one.annotation is not None),
        {one.object_id: one.name for one in document.objects if one.name.strip()},
        {one.object_id: one.rgb for one in document.objects},
        _absences(document, clip.frame_count),
    )
    other_sizes = {one.mask_size for one in frames.values()} - {clip.size}
    notices = (*_other_clip(document, clip, other_sizes), *problems.values())
    return FittedProject(result, notices, tuple(problems), frames, clip.size)


def document_from(
    annotations: AnnotationSet, project: Project, source: str, frame_count: int
) -> Document:
    """A first revision that says what a set of annotations says; its masks are put in the project.

    Raises:
        InputError: an object has the id 255, which a project cannot hold.
    """
    ids = {*annotations.object_ids, *(one.object_id for one in annotations.absences)}
    if ids and max(ids) > MAX_PROJECT_OBJECT_ID:
        raise InputError(
            f"object {max(ids)} is annotated, the annotator takes ids up to "
            f"{MAX_PROJECT_OBJECT_ID}; give the object another id"
        )
    objects = tuple(_object(annotations, i) for i in sorted(ids))
    frames = {}
    for one in annotations:
        listed = one.spelled_out(annotations.object_ids)
        mask = project.put_labels(_map_of(listed)) if listed.present_ids else ""
        frames[one.frame_index] = FrameSaid(mask, listed.present_ids, listed.absent_ids)
    frames = {i: said for i, said in frames.items() if said.object_ids or said.absent_ids}
    last = frame_count - 1
    absences = tuple(
        AbsenceRange(one.object_id, one.first_frame, min(one.last_frame, last))
        for one in annotations.absences
        if one.first_frame <= last
    )
    return Document(source, objects, frames, absences)


def _is_there(project: Project, said: FrameSaid) -> bool:
    return not said.mask or project.has_mask(said.mask)


def _labels(project: Project, said: FrameSaid, size: Size) -> Tensor:
    if not said.mask:
        return torch.zeros(size, dtype=torch.uint8)
    return torch.from_numpy(project.labels(said.mask))


def _annotation(index: int, said: FrameSaid, labels: Tensor, size: Size) -> Annotation | None:
    """The annotation of a frame; None where nothing is left that it says.

    An object that is listed without a pixel is not said: absence is said by `absent_ids` alone.
    """
    fitted = fit_masks(labels, size, f"the mask of frame {index}")
    present = [i for i in said.object_ids if (fitted == i).any()]
    ids = (*present, *said.absent_ids)
    if not ids:
        return None
    masks = torch.stack([fitted == i if i in present else torch.zeros_like(fitted) for i in ids])
    return Annotation(index, ids, masks.bool(), void=fitted == VOID)


def _absences(document: Document, frame_count: int) -> tuple[AbsenceRange, ...]:
    last = frame_count - 1
    return tuple(
        AbsenceRange(one.object_id, one.first_frame, min(one.last_frame, last))
        for one in document.absences
        if one.first_frame <= last
    )


def _missing(index: int, said: FrameSaid, error: Exception) -> ProjectNotice:
    return ProjectNotice(
        "mask",
        f"The mask of frame {index} cannot be used ({error}). Restore masks/{said.mask}.png from "
        "a copy of the project, or paint the frame again; until then nothing is computed.",
    )


def _other_clip(document: Document, clip: Clip, other_sizes: Iterable[Size]) -> list[ProjectNotice]:
    """What is not as it was when the revision was painted."""
    said = []
    if document.source and document.source != clip.key:
        said.append(
            ProjectNotice(
                "clip",
                "The frames are not those that this project was painted on: a new version of the "
                "plate, or another clip. Its annotations are kept by frame number; look at them "
                "before you propagate.",
            )
        )
    said += [
        ProjectNotice("size", f"Masks of {size} are scaled to the frames' {clip.size}.")
        for size in other_sizes
    ]
    past = [i for i in document.frames if i >= clip.frame_count]
    if past:
        shown = ", ".join(map(str, past[:5])) + (", ..." if len(past) > 5 else "")
        said.append(
            ProjectNotice(
                "end",
                f"Annotated frames past the end of the clip are left out ({shown}; it has "
                f"{clip.frame_count} frames). They stay in the project.",
            )
        )
    return said


def _object(annotations: AnnotationSet, object_id: int) -> ProjectObject:
    color = annotations.colors.get(object_id)
    if color is not None:
        text = "#{:02x}{:02x}{:02x}".format(*color)
    elif object_id <= len(_COLORS):
        text = _COLORS[object_id - 1]
    else:
        text = "#{:02x}{:02x}{:02x}".format(*PALETTE[object_id])
    name = annotations.names.get(object_id, f"object {object_id}")
    return ProjectObject(object_id, name[:200], text)


def _map_of(annotation: Annotation) -> np.ndarray:
    labels = annotation.label_map()
    if annotation.void is not None:
        labels = labels.masked_fill(annotation.void, VOID)
    return labels.cpu().numpy()
