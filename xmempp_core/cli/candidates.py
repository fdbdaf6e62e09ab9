"""`candidates`: which frames of a shot to annotate next."""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
from pathlib import Path
from typing import Any, get_args

from ..annotations import AnnotationSet
from ..atomic import replacing
from ..candidates.request import CandidateMethod, CandidateRequest
from ..candidates.select import Candidates, select_candidates
from ..delivery.output_folder import OutputFolder, open_output
from ..formats.annotations.folder import load_annotations
from ..formats.tracks import load_track
from ..network.checkpoint import load_model
from ..pictures.overlays import draw_overlay
from ..pictures.pictures import write_picture
from ..pictures.sheets import contact_sheet
from ..propagation.precision import choose_runtime
from ..track.track import Track
from ..types import FrameSource
from .progress import shown_progress
from .propagate import add_report_arguments, add_runtime_arguments, tell_found
from .reading import add_reading_arguments, frames_from

CONTENT, SHEET, CURVE = "candidates.json", "contact_sheet.png", "curve.png"

logger = logging.getLogger(__name__)


def add_commands(commands: Any) -> None:
    """Adds `candidates`."""
    parser = commands.add_parser(
        "candidates",
        help="which frames to annotate next",
        description="Proposes the frames whose objects and surroundings differ most from all "
        "annotated ones (Algorithm 1 of XMem++). Writes candidates.json, a contact sheet of the "
        "proposed frames with their masks, and a plot of the curve.",
    )
    add_candidates_arguments(parser)
    parser.set_defaults(run=run_candidates)


def add_candidates_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `candidates`."""
    parser.add_argument(
        "--frames", required=True, metavar="PATH", help="video, folder or pattern plate.####.png"
    )
    parser.add_argument(
        "--annotations", required=True, metavar="FOLDER", help="the frames annotated so far"
    )
    parser.add_argument(
        "--track", required=True, type=Path, metavar="FILE", help="track.xmtrack of `propagate`"
    )
    parser.add_argument("--count", type=int, default=5, metavar="K", help="frames to propose")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="results")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    parser.add_argument(
        "--alpha", type=float, default=0.5, help="0 = the whole picture counts, 1 = objects alone"
    )
    parser.add_argument(
        "--min-mask-pixels", type=int, default=9, metavar="N", help="least pixels of an object"
    )
    parser.add_argument(
        "--min-mask-fraction", type=float, default=0.0, metavar="X", help="least part of a picture"
    )
    parser.add_argument(
        "--method",
        default="algorithm1",
        choices=get_args(CandidateMethod),
        help='"uncertainty" also weighs how unsure the track is; it costs one more pass',
    )
    add_reading_arguments(parser)
    add_runtime_arguments(parser)
    add_report_arguments(parser)


def run_candidates(options: argparse.Namespace) -> int:
    """Runs `candidates`."""
    runtime = choose_runtime(options.model, options.device, options.dtype)
    source = frames_from(options)
    annotations = load_annotations(options.annotations, source)
    track = load_track(options.track)
    request = CandidateRequest(
        annotations.frame_indices,
        options.count,
        alpha=options.alpha,
        min_mask_pixels=options.min_mask_pixels,
        min_mask_fraction=options.min_mask_fraction,
        method=options.method,
    )
    network = load_model(options.model, runtime)
    if network.info.sha256 != track.model.sha256:
        logger.info("the track was made with model %s, not this one", track.model.name)
    tell_found(annotations, source)
    with (
        open_output(options.output, overwrite=options.overwrite, resume=False) as output,
        shown_progress("candidates", quiet=options.quiet) as progress,
    ):
        result = select_candidates(network, source, track, request, progress=progress)
        content = _content(options, result, source, annotations)
        _write(output, content, result, source, track)
    _report(options, content, result)
    return 0


def _content(
    options: argparse.Namespace,
    result: Candidates,
    source: FrameSource,
    annotations: AnnotationSet,
) -> dict[str, Any]:
    """What candidates.json says; frames by the source's own numbers."""
    proposed = zip(result.indices, result.scores, strict=True)
    return {
        "method": options.method,
        "alpha": options.alpha,
        "min_mask_pixels": options.min_mask_pixels,
        "min_mask_fraction": options.min_mask_fraction,
        "annotated": [source.number(i) for i in annotations.frame_indices],
        "candidates": [
            {"frame": source.number(i), "frame_index": i, "name": source.name(i), "score": score}
            for i, score in proposed
        ],
        "frame_step": result.frame_step,
        "frames": [source.number(i) for i in result.frame_indices],
        "dissimilarity": result.dissimilarity.tolist(),
        "is_exact": result.is_exact.tolist(),
    }


def _write(
    output: OutputFolder,
    content: dict[str, Any],
    result: Candidates,
    source: FrameSource,
    track: Track,
) -> None:
    output.write_json(CONTENT, content)
    if result.indices:
        colors = track.annotations.colors
        pictures = (
            draw_overlay(source.frame(i), track.label_map(i), colors) for i in result.indices
        )
        names = [f"{rank}: {source.name(i)}" for rank, i in enumerate(result.indices, start=1)]
        write_picture(output.root / SHEET, contact_sheet(pictures, names))
    if importlib.util.find_spec("matplotlib") is None:
        logger.info('%s is left out: it needs matplotlib (pip install "xmempp[eval]")', CURVE)
        return
    from ..evaluation.plots import plot_curve

    proposed = [one["frame"] for one in content["candidates"]]
    figure = plot_curve(
        content["frames"], content["dissimilarity"][0], proposed, content["annotated"]
    )
    with replacing(output.root / CURVE) as path:
        figure.savefig(path, format="png", dpi=130)


def _report(options: argparse.Namespace, content: dict[str, Any], result: Candidates) -> None:
    if result.frame_step > 1:
        logger.info("every %d-th frame was looked at", result.frame_step)
    if len(result.indices) < options.count:
        logger.info(
            "%d of %d frames proposed: no other differs and holds enough of an object",
            len(result.indices),
            options.count,
        )
    if options.json:
        print(json.dumps({"output": str(options.output), "candidates": content["candidates"]}))
        return
    print("rank  frame  score")
    for rank, one in enumerate(content["candidates"], start=1):
        print(f"{rank:4d}  {one['frame']:5d}  {one['score']:.4f}")
