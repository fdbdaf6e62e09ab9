"""`import-mattes`: mattes of other programs as annotations, or as a track."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, get_args

from ..errors import FormatError, InputError
from ..formats.annotations.folder import save_annotations
from ..formats.frames.number_lists import parse_numbers
from ..formats.frames.numbering import index_of_number
from ..formats.tracks import save_track
from ..mattes.imported import (
    ImportedMattes,
    Matching,
    every_nth_matte,
    mattes_as_annotations,
    mattes_as_track,
    open_mattes,
)
from ..paths import user_path
from ..types import FrameSource
from .propagate import add_report_arguments
from .reading import add_window_argument, frames_from

Subparsers = Any


def add_commands(commands: Subparsers) -> None:
    """Adds `import-mattes`."""
    parser = commands.add_parser(
        "import-mattes",
        help="mattes of other programs as annotations, or as a track to be corrected",
        description="Reads mattes (OpenEXR, PNG, TIFF, films with alpha, label maps) and writes "
        "them as a folder of annotations, or as a track.",
    )
    parser.add_argument(
        "--mattes",
        required=True,
        metavar="PATH",
        help="file, pattern matte.####.exr, folder (of folders), or the JSON of an export",
    )
    parser.add_argument("--frames", required=True, metavar="PATH", help="the shot")
    add_window_argument(parser)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--output", type=Path, metavar="FOLDER", help="annotations go here")
    target.add_argument("--track", type=Path, metavar="FILE", help="or all into this .xmtrack")
    parser.add_argument(
        "--channel",
        metavar="NAME",
        help="layer or channel, as hat, hat.A or R; objects of a Cryptomatte, as hat or hat,coat",
    )
    parser.add_argument(
        "--match",
        default="auto",
        choices=get_args(Matching),
        help="frames by their number, or in order (auto: by number if all are the shot's)",
    )
    parser.add_argument(
        "--offset", type=int, default=0, metavar="N", help="added to the mattes' numbers or order"
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--use", metavar="N,N,...", help="only these frames as annotations")
    chosen.add_argument("--every", type=int, metavar="N", help="only every Nth frame")
    parser.add_argument("--overwrite", action="store_true", help="replace the track file")
    add_report_arguments(parser)
    parser.set_defaults(run=run_import)


def run_import(options: argparse.Namespace) -> int:
    """Runs `import-mattes`."""
    source = frames_from(options)
    found = open_mattes(
        user_path(options.mattes),
        source,
        channel=options.channel,
        matching=options.match,
        offset=options.offset,
    )
    frames = _chosen(options, found, source)
    if options.track is None:
        save_annotations(mattes_as_annotations(found, source, frames), options.output, source)
        written, count = options.output, len(frames or found.frame_indices)
    else:
        if options.track.exists() and not options.overwrite:
            raise FormatError(options.track, "exists; --overwrite replaces it")
        track = mattes_as_track(found, source, frames or found.frame_indices[:1])
        save_track(track, options.track)
        written, count = options.track, len(track)
    if options.json:
        ids = sorted(found.object_ids)
        print(json.dumps({"output": str(written), "frames": count, "objects": ids}))
    if not options.quiet:
        print(f"{count} frames of {len(found.clips)} objects: {written}", file=sys.stderr)
    return 0


def _chosen(
    options: argparse.Namespace, found: ImportedMattes, source: FrameSource
) -> tuple[int, ...] | None:
    """Positions of --use or --every; None = not said."""
    if options.every is not None:
        return every_nth_matte(found, options.every)
    if not options.use:
        return None
    frames = []
    for number in parse_numbers(options.use, "--use"):
        index = index_of_number(source, number)
        if index not in found.frame_indices:
            raise InputError(f"--use {number}: there is no matte for this frame")
        frames.append(index)
    return tuple(sorted(set(frames)))
