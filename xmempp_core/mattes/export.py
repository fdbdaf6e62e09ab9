"""A track's mattes as files: all of them, or none."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from ..errors import FormatError, InputError, XMemError
from ..folder_lock import locked_folder
from ..formats.frames.time_codes import TimeCode, of_count
from ..formats.mattes.exr import frame_rate_header, plate_header
from ..formats.mattes.films import MatteFilm, open_film
from ..formats.mattes.picture import FilmFacts, MattePicture
from ..track.segmentation import Segmentation, label_map_of
from ..track.track import Track
from ..types import FrameSource
from .alpha import alphas, soft_masks
from .edges import with_edges
from .plan import MatteJob, MattePlan, check_no_plate, free_version, planned
from .presets import MatteSettings
from .sidecar import files_of_sidecar, sidecar_content, write_json

log = logging.getLogger(__name__)

DEFAULT_FRAME_RATE = Fraction(24)

_STAGING = ".export-"

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
        with _staging(job.output) as staging:
            work = _Work(plan, job.settings, job.output, staging)
            _write_all(track, work, source, _Watchers(progress, seen))
            content = sidecar_content(track, plan, job.settings, staging)
            write_json(staging / plan.sidecar, content)
            _put_in_place(work)
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


def _write_all(track: Track, work: _Work, source: FrameSource | None, watchers: _Watchers) -> None:
    """Every file, below the staging folder."""
    plan, settings = work.plan, work.settings
    _check_room(work, _film_bytes(track, work))
    with ExitStack() as stack:
        films = [stack.enter_context(film) for film in _films(track, work, source)]
        for done, frame in enumerate(matte_frames(track, plan, settings, source), 1):
            pictures = _pictures(track, plan, settings, frame, source)
            if films:
                for film, picture in zip(films, pictures, strict=True):
                    film.add(picture)
            else:
                _write_stills(work, pictures, plan.paths[done - 1])
            if done == 1 and not films:
                _check_room(work, len(plan.frames) * sum(_sizes(work.staging)))
            if watchers.seen is not None:
                watchers.seen(frame)
            if watchers.progress is not None:
                watchers.progress(done, len(plan.frames))
    if settings.kind.finish is not None:
        settings.kind.finish([work.staging / path for path in plan.files])


def _write_stills(
    work: _Work, pictures: Sequence[MattePicture], paths: Sequence[PurePosixPath]
) -> None:
    write = work.settings.kind.write
    assert write is not None  # films have no stills
    for path, picture in zip(paths, pictures, strict=True):
        write(work.staging / path, picture, work.settings.picture_options)


def _films(track: Track, work: _Work, source: FrameSource | None) -> list[MatteFilm]:
    if not work.settings.kind.is_film:
        return []
    rate = track.frame_rate or DEFAULT_FRAME_RATE
    facts = FilmFacts(track.size, rate, _start_time_code(work, rate, source))
    options = work.settings.picture_options
    return [
        open_film(work.settings.format, work.staging / path, facts, options)
        for path in work.plan.files
    ]


def _start_time_code(work: _Work, rate: Fraction, source: FrameSource | None) -> TimeCode:
    """That of the first frame in the shot's files where they say one, else by its number."""
    by_number = of_count(work.plan.numbers[0], rate)
    time_code_of = getattr(source, "time_code", None)
    found = None if time_code_of is None else time_code_of(work.plan.frames[0])
    if found is None or work.settings.first_frame is not None:
        return by_number
    if not found.fits(rate):
        log.warning(
            "the frames' time code %s does not fit %s frames a second; films start at %s, "
            "by frame number",
            found,
            rate,
            by_number,
        )
        return by_number
    return found


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


def _film_bytes(track: Track, work: _Work) -> float:
    area = track.size.height * track.size.width
    return work.settings.kind.bytes_a_pixel * area * len(work.plan.frames) * len(work.plan.files)


def _sizes(folder: Path) -> Iterator[int]:
    return (path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _check_room(work: _Work, needed_bytes: float) -> None:
    free_bytes = shutil.disk_usage(work.staging).free
    if needed_bytes > free_bytes:
        raise FormatError(
            work.output,
            f"has {free_bytes / 2**30:.2f} GB free, the mattes need about "
            f"{needed_bytes / 2**30:.2f} GB; free space or choose another disk",
        )


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
    """A hidden folder in the output that is gone afterwards; leftovers of killed runs go too."""
    for leftover in output.glob(f"{_STAGING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = output / f"{_STAGING}{secrets.token_hex(4)}"
    try:
        folder.mkdir()
        yield folder
    except XMemError:
        raise
    except OSError as error:
        raise FormatError(output, f"cannot be written to: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put_in_place(work: _Work) -> None:
    """Moves every file to its name, the sidecar last; what an earlier export wrote more goes."""
    sidecar = PurePosixPath(work.plan.sidecar)
    earlier = files_of_sidecar(work.output / sidecar)
    for path in (*work.plan.files, sidecar):
        target = work.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(work.staging / path, target)
    for path in earlier - set(work.plan.files):
        (work.output / path).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Work:
    """An export under way."""

    plan: MattePlan
    settings: MatteSettings
    output: Path
    staging: Path


@dataclass(frozen=True)
class _Watchers:
    """Who is told of every frame."""

    progress: Progress | None
    seen: Callable[[MatteFrame], None] | None
