"""`demo`: the bundled model on the bundled clip."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..delivery.output_folder import MASKS, OVERLAY, TRACK
from ..formats.frames.open import open_frames
from ..formats.tracks import load_track
from ..pictures.pictures import write_picture
from ..pictures.sheets import track_contact_sheet
from .propagate import add_report_arguments, add_runtime_arguments, run_propagate

CLIP = Path(__file__).parents[1] / "assets" / "demo"
VIDEO = CLIP / "bigbuckbunny.mp4"
CONTACT_SHEET = "contact_sheet.png"


def add_commands(commands: Any) -> None:
    """Adds `demo`."""
    parser = commands.add_parser("demo", help="the bundled model on the bundled clip")
    parser.add_argument(
        "--output", type=Path, default=Path("demo_output"), metavar="FOLDER", help="results"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--range", metavar="A-B", help="limit the pass to frames A to B")
    add_runtime_arguments(parser)
    add_report_arguments(parser)
    parser.set_defaults(
        run=run_demo,
        frames=str(VIDEO),
        annotations=str(CLIP),
        use=None,
        absent=[],
        input_colorspace="auto",
        exr_window="display",
        settings=None,
        set=[],
        augment="none",
        adapt="off",
        adapt_steps=None,
        export=None,
        steady=0,
        save_probabilities=False,
    )


def run_demo(options: argparse.Namespace) -> int:
    """Runs `demo`."""
    run_propagate(options)
    track = load_track(options.output / TRACK)
    sheet = options.output / CONTACT_SHEET
    write_picture(sheet, track_contact_sheet(track, open_frames(options.frames)))
    if not options.json:
        print(f"contact sheet  {sheet}")
        print(f"overlay        {options.output / OVERLAY}")
        print(f"masks          {options.output / MASKS}")
    return 0
