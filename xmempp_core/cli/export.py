"""`export`: the mattes of a track as files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..formats.frames.numbering import parse_range
from ..formats.mattes.table import FORMATS
from ..formats.tracks import load_track
from ..mattes.choices import MatteChoice, matte_job, matte_values
from ..mattes.export import export_mattes, preview_mattes
from ..mattes.plan import Existing, MatteJob
from ..mattes.presets import preset_names
from ..mattes.preview import preview_picture
from ..pictures.pictures import write_picture
from ..track.track import Track
from ..types import FrameSource
from .progress import shown_progress
from .propagate import add_report_arguments
from .reading import add_reading_arguments, frames_from

Subparsers = Any


def add_commands(commands: Subparsers) -> None:
    """Adds `export`."""
    parser = commands.add_parser(
        "export",
        help="mattes of a track for Nuke, After Effects, Resolve, Fusion and others",
        description="Writes the mattes of a track (.xmtrack) as files: all of them, or none. "
        f"Presets are {', '.join(preset_names())}; they are TOML files to copy and change.",
    )
    parser.add_argument("--track", required=True, type=Path, metavar="FILE", help=".xmtrack file")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="for mattes")
    parser.add_argument(
        "--frames", metavar="PATH", help="the shot, for steadying, plate fills and EXR attributes"
    )
    add_reading_arguments(parser)
    add_matte_arguments(parser)
    parser.add_argument("--range", metavar="A-B", help="only frames A to B")
    parser.add_argument(
        "--handles", type=int, default=0, metavar="N", help="and N frames before and after them"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--version-up", action="store_true", help="write the next version")
    existing.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    parser.add_argument(
        "--preview", metavar="FRAME", help="only a picture of this frame's mattes, as PNG"
    )
    add_report_arguments(parser)
    parser.set_defaults(run=run_export)


def add_matte_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say what mattes look like and how they are named."""
    parser.add_argument(
        "--preset", default="png", metavar="NAME|FILE", help=f"{', '.join(preset_names())} or TOML"
    )
    parser.add_argument("--format", choices=tuple(FORMATS), help="instead of the preset's")
    parser.add_argument("--template", metavar="TEXT", help="names, as {shot}_{object}.{frame}.png")
    parser.add_argument(
        "--matte-set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one field of the preset, such as bits=32 or steady=2; may be repeated",
    )
    parser.add_argument(
        "--steady", type=int, metavar="ROUNDS", help="steady edges along the motion of the frames"
    )
    parser.add_argument("--shot", metavar="NAME", help="name of the shot in file names")
    parser.add_argument(
        "--matte-version", type=int, default=1, metavar="N", help="version in file names"
    )
    parser.add_argument("--objects", metavar="ID,ID", help="only these objects, by id or name")
    parser.add_argument(
        "--join",
        action="append",
        default=[],
        metavar="NAME=ID,ID",
        help="a matte of several objects together; may be repeated",
    )


def run_export(options: argparse.Namespace) -> int:
    """Runs `export`."""
    track = load_track(options.track)
    source = frames_from(options) if options.frames else None
    job = job_from(options, track)
    if options.preview:
        _write_preview(options, job, track, source)
        return 0
    with shown_progress("export", quiet=options.quiet) as progress:
        done = export_mattes(track, job, source=source, progress=progress)
    if options.json:
        summary = {
            "output": str(options.output),
            "files": len(done.files),
            "version": done.version,
            "sidecar": str(done.sidecar),
        }
        print(json.dumps(summary))
    if not options.quiet:
        first, last = done.files[0], done.files[-1]
        print(f"{len(done.files)} files, {first} to {last}, and {done.sidecar}", file=sys.stderr)
    return 0


def job_from(options: argparse.Namespace, track: Track) -> MatteJob:
    """What the arguments ask for."""
    existing: Existing = "refuse"
    if options.version_up or options.overwrite:
        existing = "version-up" if options.version_up else "overwrite"
    values = matte_values(options.matte_set)
    for name in ("format", "template", "steady"):
        if getattr(options, name) is not None:
            values[name] = getattr(options, name)
    choice = MatteChoice(
        options.preset,
        values,
        objects=options.objects or "",
        joined=options.join,
        frame_range=options.range or "",
        handles_frames=options.handles,
        shot=options.shot or "",
        version=options.matte_version,
        existing=existing,
    )
    return matte_job(track, options.output, choice)


def _write_preview(
    options: argparse.Namespace, job: MatteJob, track: Track, source: FrameSource | None
) -> None:
    frames = parse_range(options.preview, track.shot)
    if len(frames) != 1:
        raise InputError(f"--preview {options.preview} is {len(frames)} frames; give one")
    index = frames[0]
    plan, frame = preview_mattes(track, job, frame_index=index, source=source)
    plate = None if source is None else source.frame(index)
    path = options.output / f"{plan.shot}_preview.{plan.numbers[0]}.png"
    write_picture(path, preview_picture(frame.mattes, plate))
    if not options.quiet:
        print(f"preview of frame {options.preview}: {path}", file=sys.stderr)
