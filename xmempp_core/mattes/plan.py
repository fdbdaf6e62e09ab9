"""Which files an export will write, known and checked before the first of them is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from ..errors import FormatError, InputError
from ..file_names import legal_name
from ..formats.mattes.cryptomatte_ids import manifest_of
from ..formats.mattes.names import distinct_names, layer_names, manifest_names, numbered_text
from ..paths import path_kind
from ..track.track import Shot, Track
from ..types import FrameSource
from .alpha import MatteObject, matte_objects
from .presets import MatteSettings

FIRST_FRAME = 1001
"""Number of the first frame where the plate has no numbers of its own."""

_LEAST_PADDING = 4
_DIGITS = re.compile(r"[0-9]+")

Existing = Literal["refuse", "version-up", "overwrite"]


@dataclass(frozen=True)
class MatteJob:
    """An export: what of a track goes where."""

    output: Path
    """Folder that the names of the settings' template lie in."""
    settings: MatteSettings
    shot: str | None = None
    """Name of the shot; None = made of the plate's name."""
    frames: tuple[int, ...] | None = None
    """Positions of the frames, ascending; None = all that the track holds."""
    object_ids: tuple[int, ...] = ()
    """Objects that get a matte each; empty = all, or none where mattes are joined."""
    joined: tuple[MatteObject, ...] = ()
    """Further mattes, each of several objects."""
    version: int = 1
    existing: Existing = "refuse"
    """What becomes of files that are there: nothing is written, the next version is, or they are
    replaced."""


@dataclass(frozen=True)
class MattePlan:
    """The files of an export by frame."""

    shot: str
    version: int
    frames: tuple[int, ...]
    numbers: tuple[int, ...]
    """number in the file name of each frame"""
    objects: tuple[MatteObject, ...]
    object_names: tuple[str, ...]
    """of each object, as it stands in file names"""
    layer_names: tuple[str, ...]
    """of each object, as it stands in a file of several: as a layer, or in a manifest"""
    paths: tuple[tuple[PurePosixPath, ...], ...]
    """files of each frame, or of all frames for films: one for each object, or one for all"""
    sidecar: str

    @property
    def files(self) -> list[PurePosixPath]:
        """All files but the sidecar, in order."""
        return [path for paths in self.paths for path in paths]


def planned(track: Track, job: MatteJob, version: int) -> MattePlan:
    """The files of a version.

    Raises:
        InputError: the job names what is not there, or two mattes would have one name.
    """
    settings, shot = job.settings, track.shot
    objects = matte_objects(track, job.object_ids, job.joined)
    if not objects:
        raise InputError("the track has no object, so there is no matte to export")
    if job.joined and settings.format == "labels":
        raise InputError("a label map holds each object under its own id; it cannot join objects")
    if settings.format == "cryptomatte":
        _check_in_one_matte(objects)
    frames = track.frame_indices if job.frames is None else job.frames
    if not frames:
        raise InputError("the track holds no frame, so there is no matte to export")
    name = legal_name(job.shot or shot_name(shot))
    all_numbers = frame_numbers(shot, settings.first_frame)
    numbers = tuple(all_numbers[i] for i in frames)
    named = dict(enumerate(one.name for one in objects))
    plan = MattePlan(
        name,
        version,
        frames,
        numbers,
        tuple(objects),
        tuple(distinct_names(named).values()),
        _layer_names(named, settings),
        (),
        _sidecar_name(name, version, settings),
    )
    paths = _paths(plan, shot, settings)
    _check_distinct(paths, settings)
    return replace(plan, paths=paths)


def _layer_names(named: dict[int, str], settings: MatteSettings) -> tuple[str, ...]:
    if settings.format != "cryptomatte":
        return tuple(layer_names(named).values())
    names = tuple(manifest_names(named).values())
    manifest_of(names)  # refuses names that cannot be told apart
    return names


def _check_in_one_matte(objects: Sequence[MatteObject]) -> None:
    owner: dict[int, str] = {}
    for one in objects:
        for object_id in one.object_ids:
            if object_id in owner:
                raise InputError(
                    f"object {object_id} is in the mattes {owner[object_id]!r} and {one.name!r}; "
                    "a Cryptomatte holds it once: leave it out of one of them"
                )
            owner[object_id] = one.name


def free_version(track: Track, job: MatteJob) -> MattePlan:
    """The plan of the version that is to be written.

    Raises:
        FormatError: files are there that must not be replaced.
        InputError: see `planned`.
    """
    plan = planned(track, job, job.version)
    if job.existing == "overwrite":
        return plan
    if job.existing == "version-up":
        if not job.settings.names.is_versioned:
            raise InputError(
                f"template {job.settings.template!r} has no {{version}} to count up; add it, "
                "or choose another folder"
            )
        highest = max(_versions_in(job.output, plan.shot), default=job.version - 1)
        plan = planned(track, job, max(highest + 1, job.version))
        while _first_existing(job.output, plan):
            plan = planned(track, job, plan.version + 1)
        return plan
    if found := _first_existing(job.output, plan):
        raise FormatError(
            found, "exists; --version-up writes the next version, --overwrite replaces this one"
        )
    return plan


def shot_name(shot: Shot) -> str:
    """Name of the plate without number: plate.1001 is "plate"; "shot" where there is none."""
    first = shot.names[0] if shot.names else ""
    digits = _digits_of_number(shot)
    return (first[: digits.start()] if digits else first).rstrip("._- ") or "shot"


def _digits_of_number(shot: Shot) -> re.Match[str] | None:
    """Where the first frame's name holds its number."""
    if not shot.names:
        return None
    number = abs(shot.numbers[0])
    found = [one for one in _DIGITS.finditer(shot.names[0]) if int(one.group()) == number]
    return found[-1] if found else None


def frame_numbers(shot: Shot, first_frame: int | None) -> list[int]:
    """Number of every frame of the shot in file names; gaps of the plate stay gaps.

    Args:
        shot: of the track.
        first_frame: number of the shot's first frame; None = the plate's own, and FIRST_FRAME for
            films and pictures without numbers.
    """
    own = list(shot.numbers)
    if first_frame is None:
        first_frame = FIRST_FRAME if shot.counts_positions else own[0]
    return [number - own[0] + first_frame for number in own]


def check_no_plate(plan: MattePlan, output: Path, source: FrameSource | None) -> None:
    """Refuses to write over the frames.

    Raises:
        InputError: a file of the plan is a frame of the source.
    """
    path_of = getattr(source, "path", None)
    if source is None or path_of is None:
        return
    plates = {Path(path_of(i)).resolve() for i in range(len(source))}
    for path in plan.files:
        if (output / path).resolve() in plates:
            raise InputError(f"{output / path} is a frame of the shot; choose another folder")


def _paths(
    plan: MattePlan, shot: Shot, settings: MatteSettings
) -> tuple[tuple[PurePosixPath, ...], ...]:
    names, padding = settings.names, settings.padding or _padding(shot)
    every: Sequence[tuple[str, MatteObject]] = list(
        zip(plan.object_names, plan.objects, strict=True)
    )
    if settings.in_one_file:
        every = [("mattes", MatteObject("mattes", (0,)))]

    def of_frame(text: str, name: str) -> tuple[PurePosixPath, ...]:
        return tuple(
            names.path(
                shot=plan.shot,
                object=object_name,
                id=one.object_ids[0],
                version=plan.version,
                frame=text,
                name=name,
            )
            for object_name, one in every
        )

    if settings.kind.is_film:
        return (of_frame("", ""),)
    return tuple(
        of_frame(numbered_text(number, padding), shot.name(index))
        for index, number in zip(plan.frames, plan.numbers, strict=True)
    )


def _padding(shot: Shot) -> int:
    """Digits of the plate's numbers, at least 4."""
    digits = None if shot.counts_positions else _digits_of_number(shot)
    return max(len(digits.group()) if digits else 0, _LEAST_PADDING)


def _check_distinct(paths: Iterable[tuple[PurePosixPath, ...]], settings: MatteSettings) -> None:
    seen: set[str] = set()
    for path in (path for one in paths for path in one):
        if str(path).lower() in seen:
            raise InputError(
                f"template {settings.template!r} gives two mattes the name {path}; "
                "add {object} to it"
            )
        seen.add(str(path).lower())


def _sidecar_name(shot: str, version: int, settings: MatteSettings) -> str:
    end = f"_v{version:03d}" if settings.names.is_versioned else ""
    return f"{shot}_mattes{end}.json"


def _versions_in(folder: Path, shot: str) -> list[int]:
    """Versions of the shot that have a sidecar in the folder."""
    if path_kind(folder) != "folder":
        return []
    pattern = re.compile(rf"{re.escape(shot)}_mattes_v(\d+)\.json")
    found = (pattern.fullmatch(path.name) for path in folder.iterdir())
    return [int(match[1]) for match in found if match]


def _first_existing(folder: Path, plan: MattePlan) -> Path | None:
    if path_kind(folder) != "folder":
        return None
    paths = [folder / plan.sidecar, *(folder / path for path in plan.files)]
    return next((path for path in paths if path.exists()), None)
