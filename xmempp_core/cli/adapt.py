"""`adapt`: a model fine-tuned on the annotated frames of one shot."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from ..adaptation.adaptation import Adaptation
from ..adaptation.keep import kept_model
from ..errors import FormatError
from ..network.adapted import AnyNetwork
from ..network.checkpoint import load_model
from ..runtime import Runtime
from .adapting import MODES, adapt_shown, adaptation_settings, add_steps_argument
from .propagate import (
    add_input_arguments,
    add_report_arguments,
    add_runtime_arguments,
    add_setting_values,
    inputs_from,
    settings_from,
)


def add_commands(commands: Any) -> None:
    """Adds `adapt`."""
    parser = commands.add_parser(
        "adapt",
        help="a model fine-tuned on the annotated frames of one shot",
        description="Fine-tunes a model on the annotated frames of one shot and writes what "
        "changed; give the file to --model. An adaptation that was stopped goes on after its last "
        "finished round when the command is given again.",
    )
    add_input_arguments(parser)
    parser.add_argument(
        "--output", required=True, type=Path, metavar="MODEL", help="the .safetensors to write"
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="auto",
        help="quick: one round on the annotated frames; auto: from three of them on also a second "
        "round on the shot's own results, taken where it is clearly steadier (default: auto)",
    )
    add_steps_argument(parser)
    add_setting_values(parser)
    add_runtime_arguments(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace another model file")
    add_report_arguments(parser)
    parser.set_defaults(run=run_adapt)


def run_adapt(options: argparse.Namespace) -> int:
    """Runs `adapt`."""
    if options.output.suffix.lower() != ".safetensors":
        problem = "models are written as .safetensors; choose a name that ends so"
        raise FormatError(options.output, problem)
    settings = settings_from(options)
    adapting = adaptation_settings(options.mode, options.adapt_steps)
    runtime = Runtime.choose(options.device, options.dtype)
    source, annotations = inputs_from(options)
    network = load_model(options.model, runtime)
    adaptation = Adaptation(network, source, annotations, adapting, settings)
    is_taken = options.output.exists() and kept_model(options.output, adaptation) is None
    if is_taken and not options.overwrite:
        problem = "holds another model; give another --output, or --overwrite to replace it"
        raise FormatError(options.output, problem)
    start = time.monotonic()
    adapted = adapt_shown(options.output, adaptation, quiet=options.quiet)
    _report(options, adapted, time.monotonic() - start)
    return 0


def _report(options: argparse.Namespace, network: AnyNetwork, seconds: float) -> None:
    notes = json.loads(network.info.adaptation)
    if options.json:
        summary = {"output": str(options.output), "seconds": round(seconds, 3), **notes}
        print(json.dumps(summary))
    if not options.quiet:
        print(f"adapted in {seconds:.1f} s: {options.output}", file=sys.stderr)
