"""`propagate`: a shot and its annotations in, a folder of masks out."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from ..adaptation.adaptation import Adaptation
from ..annotations import AnnotationSet
from ..delivery.deliver import Delivery, deliver
from ..delivery.output_folder import ADAPTED, check_apart, check_vacant
from ..delivery.precision import runtime_of_run
from ..errors import FormatError, InputError
from ..formats.annotations.chosen import chosen_annotations
from ..formats.annotations.folder import load_annotations
from ..formats.annotations.summary import found_objects
from ..formats.frames.numbering import parse_range
from ..mattes.presets import load_preset
from ..network.adapted import AnyNetwork
from ..network.checkpoint import load_model
from ..paths import read_file, user_path
from ..propagation.augment import parse_augmentations
from ..propagation.propagation import Propagation
from ..runtime import Runtime
from ..settings import PropagationSettings
from ..strict_json import parse_json
from ..track.track import Track
from ..types import FrameSource
from .adapting import adapt_shown, adaptation_settings, add_adapt_arguments
from .progress import Counter, peak_memory_bytes, shown_progress, stop_request
from .reading import add_reading_arguments, frames_from

Subparsers = Any

logger = logging.getLogger(__name__)


def add_commands(commands: Subparsers) -> None:
    """Adds `propagate`."""
    parser = commands.add_parser(
        "propagate",
        help="masks for every frame of a shot from a few annotated frames",
        description="Masks for every frame of a shot from a few annotated frames. Frames are named "
        "by the sequence's own numbers (plate.1001.png is 1001), those of a video by position.",
    )
    add_input_arguments(parser)
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="results")
    parser.add_argument("--range", metavar="A-B", help="limit the pass to frames A to B")
    add_settings_arguments(parser)
    add_runtime_arguments(parser)
    add_adapt_arguments(parser)
    parser.add_argument(
        "--export", metavar="PRESET", help="also mattes: a preset of `export`, or its TOML file"
    )
    parser.add_argument(
        "--mattes",
        action="store_const",
        const="png",
        dest="export",
        help="the same as --export png: 16-bit soft mattes by object",
    )
    parser.add_argument(
        "--steady",
        type=int,
        default=0,
        metavar="ROUNDS",
        help="steady masks, overlay and mattes along motion (2 is a good value); not the track",
    )
    parser.add_argument(
        "--save-probabilities", action="store_true", help="also float16 probabilities (.npz)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    add_report_arguments(parser)
    parser.set_defaults(run=run_propagate)


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say what is read: frames, annotations, absences."""
    parser.add_argument(
        "--frames", required=True, metavar="PATH", help="video, folder or pattern plate.####.png"
    )
    parser.add_argument(
        "--annotations", required=True, metavar="FOLDER", help="label maps named as the frames"
    )
    parser.add_argument("--use", metavar="N,N,...", help="only these annotated frames")
    parser.add_argument(
        "--absent",
        action="append",
        default=[],
        metavar="ID:A-B",
        help="object ID is not on frames A to B; may be repeated",
    )
    add_reading_arguments(parser)


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that make the settings and the augmentation."""
    add_setting_values(parser)
    parser.add_argument(
        "--augment",
        default="none",
        metavar="KINDS",
        help="looks of each annotation kept beside it: none, best3, all or names",
    )


def add_setting_values(parser: argparse.ArgumentParser) -> None:
    """Arguments that make the settings."""
    parser.add_argument("--settings", type=Path, metavar="FILE", help="settings as JSON")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one setting, such as internal_size=720; may be repeated",
    )


def add_runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that choose model, device and precision."""
    parser.add_argument(
        "--model",
        default="lite",
        metavar="lite|lite-free|FILE",
        help="bundled (lite: non-commercial; lite-free: any use) or a file; lite is the default",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--dtype",
        default="auto",
        help="auto, float32, float16 or bfloat16 (auto: the fastest here with the same masks, "
        "measured once for a model; float32 to adapt a model on a CPU)",
    )


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say how much is told."""
    parser.add_argument("--quiet", action="store_true", help="no progress and no notes")
    parser.add_argument("--json", action="store_true", help="a summary as JSON on stdout")


def run_propagate(options: argparse.Namespace) -> int:
    """Runs `propagate`."""
    settings = settings_from(options)
    augment = parse_augmentations(options.augment)
    runtime = _runtime(options)
    _check_output(options)
    delivery = Delivery(
        options.output,
        mattes=load_preset(options.export) if options.export else None,
        steady_rounds=options.steady,
        probabilities=options.save_probabilities,
        overwrite=options.overwrite,
        resume=options.resume,
    )
    source, annotations = inputs_from(options)
    frame_range = parse_range(options.range, source) if options.range else None
    network = _network(options, load_model(options.model, runtime), source, annotations, settings)
    pass_ = Propagation(
        network, source, annotations, settings, frame_range=frame_range, augment=augment
    )
    tell_found(annotations, source)
    start = time.monotonic()
    with (
        shown_progress("annotations", unit="picture", quiet=options.quiet) as preparing,
        shown_progress("propagate", quiet=options.quiet) as progress,
        stop_request() as stop,
    ):
        counter = Counter(progress)
        track = deliver(pass_, delivery, preparing=preparing, progress=counter, should_stop=stop)
    seconds = time.monotonic() - start
    _report(options, track, counter.count / seconds, seconds, peak_memory_bytes(runtime.device))
    return 0


def _runtime(options: argparse.Namespace) -> Runtime:
    """Device and dtype; a run that goes on keeps its dtype, to adapt it is that of the device."""
    if options.adapt != "off":
        return Runtime.choose(options.device, options.dtype)
    return runtime_of_run(
        options.output, options.model, options.device, options.dtype, resume=options.resume
    )


def _network(
    options: argparse.Namespace,
    network: AnyNetwork,
    source: FrameSource,
    annotations: AnnotationSet,
    settings: PropagationSettings,
) -> AnyNetwork:
    """The network of the pass, adapted to the shot where that is asked for."""
    if options.adapt == "off":
        return network
    check_vacant(options.output, overwrite=options.overwrite, resume=options.resume)
    adapting = adaptation_settings(options.adapt, options.adapt_steps)
    adaptation = Adaptation(network, source, annotations, adapting, settings)
    return adapt_shown(options.output / ADAPTED, adaptation, quiet=options.quiet)


def inputs_from(options: argparse.Namespace) -> tuple[FrameSource, AnnotationSet]:
    """The frames and annotations that the arguments name."""
    source = frames_from(options)
    annotations = load_annotations(options.annotations, source)
    return source, chosen_annotations(
        annotations,
        source,
        use=options.use or "",
        absent=options.absent,
        words=("--use", "--absent"),
    )


def tell_found(annotations: AnnotationSet, source: FrameSource) -> None:
    """Says which objects are annotated on which frames."""
    logger.info("annotations: %s", found_objects(annotations, source.name))


def settings_from(options: argparse.Namespace) -> PropagationSettings:
    """The settings of --settings and --set together."""
    values: dict[str, Any] = {}
    if options.settings is not None:
        values = _settings_file(options.settings)
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text!r} is not of the form NAME=VALUE, such as top_k=20")
        values[name.strip()] = _value(value.strip())
    return PropagationSettings.from_dict(values)


def _settings_file(path: Path) -> dict[str, Any]:
    try:
        text = read_file(user_path(path)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(path, f"settings cannot be read: {error}") from error
    try:
        return PropagationSettings.values_from_json(text)
    except InputError as error:
        raise FormatError(path, str(error)) from error


def _value(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text


def _check_output(options: argparse.Namespace) -> None:
    """Refuses an output that would replace what is read."""
    inputs = {f"--{name}": getattr(options, name) for name in ("frames", "annotations", "settings")}
    check_apart(options.output, inputs, word="--output")


def _report(
    options: argparse.Namespace, track: Track, rate: float, seconds: float, peak: int | None
) -> None:
    """What was done and how fast; `rate` counts the frames computed in this run."""
    if options.json:
        summary = {
            "output": str(options.output),
            "frames": len(track),
            "objects": list(track.object_ids),
            "seconds": round(seconds, 3),
            "frames_per_second": round(rate, 3),
            "peak_memory_bytes": peak,
        }
        print(json.dumps(summary))
    if rate and not options.quiet:
        memory = "" if peak is None else f", peak memory {peak / 2**20:.0f} MB"
        print(
            f"{len(track)} frames in {seconds:.1f} s, {rate:.2f} frames per second{memory}: "
            f"{options.output}",
            file=sys.stderr,
        )
