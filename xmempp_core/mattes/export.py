"""A track's mattes as files: all of them, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..folder_lock import locked_folder
from ..formats.mattes.exr import frame_rate_header, plate_header
from ..formats.mattes.picture import MattePicture
from ..track.segmentation import Segmentation, label_map_of
from ..track.track import Track
from ..types import FrameSource
from .alpha import alphas, soft_masks
from .edges import with_edges
from .plan import MatteJob, MattePlan, check_no_plate, free_version, planned
from .presets import MatteSettings
from .sidecar import sidecar_content, write_json
from .staged import StagedExport, staging_folder
from .writers import MatteWriters

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class MatteFrame:
    """The mattes of one frame."""

    frame_index: int
    mattes: tuple[Tensor, ...]
    """(H, W) float32 0..1 of each object of the plan"""
    labels: Tensor | None
    """(H, W) uint8 object ids, where they were asked for"""


@dataclass(frozen=True)
class ExportedMattes:
    """What an export wrote."""

    files: tuple[Path, ...]
    """All mattes, in order."""
    sidecar: Path
    """JSON with the settings, the objects and the content hash of every file."""
    version: int


def export_mattes(
    track: Track,
    job: MatteJob,
    *,
    source: FrameSource | None = None,
    progress: Progress | None = None,
    seen: Callable[[MatteFrame], None] | None = None,
) -> ExportedMattes:
    """Writes the mattes of a track, made from its records alone: every way gives the same bytes.

    Everything is written beside its place first, and moved there when all of it is whole.

    Args:
        track: of the shot.
        job: what goes where.
        source: the shot's frames; needed to steady, and where they lie under the mattes.
        progress: called after every frame with frames done and frames in all.
        seen: called with the mattes of every frame, to show them.

    Raises:
        InputError: the job does not fit the track, or frames are needed.
        FormatError: the folder cannot be written to, files are there already, or the disk is full.
    """
    _check_source(track, job, source)
    free_version(track, job)  # refused before a folder is made
    with locked_folder(job.output):
        plan = free_version(track, job)
        check_no_plate(plan, job.output, source)
        with staging_folder(job.output) as staging:
            work = StagedExport(plan, job.settings, job.output, staging)
            _write_all(track, work, source, _Watchers(progress, seen))
            content = sidecar_content(track, plan, job.settings, staging)
            write_json(staging / plan.sidecar, content)
            work.put_in_place()
    files = tuple(job.output / path for path in plan.files)
    return ExportedMattes(files, job.output / plan.sidecar, plan.version)


def matte_frames(
    track: Track, plan: MattePlan, settings: MatteSettings, source: FrameSource | None
) -> Iterator[MatteFrame]:
    """The mattes of each frame of a plan, in order."""
    for segmentation in soft_masks(track, plan.frames, source, settings.steady):
        index = segmentation.frame_index
        labels = None
        if settings.hard or settings.format == "labels":
            labels = label_map_of(segmentation) if settings.steady else track.label_map(index)
        mattes = alphas(segmentation, plan.objects, labels if settings.hard else None)
        if not settings.edges.is_off:
            mattes = _edged(mattes, segmentation, plan, settings, source)
        yield MatteFrame(index, tuple(mattes), labels)


def _edged(
    mattes: Sequence[Tensor],
    segmentation: Segmentation,
    plan: MattePlan,
    settings: MatteSettings,
    source: FrameSource | None,
) -> list[Tensor]:
    """Mattes with their edges controlled; what is annotated stands unless asked otherwise."""
    annotation = segmentation.annotation
    known = {*(annotation.object_ids if annotation else ()), *segmentation.absent_ids}
    refines = settings.edges.refine_pixels > 0 and source is not None
    plate = source.frame(segmentation.frame_index) if refines and source is not None else None
    return [
        matte
        if known >= set(one.object_ids) and not settings.edges_of_annotated
        else with_edges(matte, settings.edges, plate)
        for matte, one in zip(mattes, plan.objects, strict=True)
    ]


def preview_mattes(
    track: Track, job: MatteJob, *, frame_index: int, source: FrameSource | None = None
) -> tuple[MattePlan, MatteFrame]:
    """A frame's mattes as the export would write them, and the plan; writes nothing.

    Raises:
        InputError: see `export_mattes`.
    """
    _check_source(track, job, source)
    plan = planned(track, replace(job, frames=(frame_index,)), job.version)
    return plan, next(matte_frames(track, plan, job.settings, source))


def _check_source(track: Track, job: MatteJob, source: FrameSource | None) -> None:
    if source is None:
        if job.settings.needs_frames:
            raise InputError(
                "steadied mattes, and colors of the plate, need the frames of the shot; "
                "give them with --frames"
            )
    elif len(track.shot) != len(source) or track.size != source.size:
        raise InputError(
            f"the track is of {len(track.shot)} frames of {track.size}, but the frames given are "
            f"{len(source)} of {source.size}; give the shot that the track was made from"
        )


def _write_all(
    track: Track, work: StagedExport, source: FrameSource | None, watchers: _Watchers
) -> None:
    """Every file, below the staging folder."""
    plan, settings = work.plan, work.settings
    with MatteWriters(track, work, source) as writers:
        for done, frame in enumerate(matte_frames(track, plan, settings, source), 1):
            writers.write(_pictures(track, plan, settings, frame, source))
            if watchers.seen is not None:
                watchers.seen(frame)
            if watchers.progress is not None:
                watchers.progress(done, len(plan.frames))
    if settings.kind.finish is not None:
        settings.kind.finish([work.staging / path for path in plan.files])


def _pictures(
    track: Track,
    plan: MattePlan,
    settings: MatteSettings,
    frame: MatteFrame,
    source: FrameSource | None,
) -> list[MattePicture]:
    """What goes into each file of a frame."""
    uses_plate = settings.kind.has_colors and settings.fill == "plate" and source is not None
    plate = source.frame(frame.frame_index) if uses_plate and source is not None else None
    shared: dict[str, Any] = {"plate": plate}
    if settings.kind.suffix == ".exr":
        shared["exr_header"] = _exr_header(track, source, frame.frame_index)
    if settings.format == "labels" and frame.labels is not None:
        wanted = torch.tensor([i for one in plan.objects for i in one.object_ids])
        labels = frame.labels.where(torch.isin(frame.labels, wanted), 0)
        shared.update(labels=labels, colors=track.annotations.colors)
    if settings.in_one_file:
        return [MattePicture(dict(zip(plan.layer_names, frame.mattes, strict=True)), **shared)]
    return [MattePicture({"": alpha}, **shared) for alpha in frame.mattes]


def _exr_header(track: Track, source: FrameSource | None, index: int) -> dict[str, Any]:
    """Windows and attributes of an OpenEXR plate; the frame rate where only the track knows it."""
    header = frame_rate_header(track.frame_rate)
    path_of = getattr(source, "path", None)
    path = None if path_of is None else Path(path_of(index))
    if path is not None and path.suffix.lower() == ".exr":
        header.update(plate_header(path, track.size, getattr(source, "exr_window", "display")))
    return header


@dataclass(frozen=True)
class _Watchers:
    """Who is told of every frame."""

    progress: Progress | None
    seen: Callable[[MatteFrame], None] | None
