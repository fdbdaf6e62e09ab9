"""What `adapt` and `propagate --adapt` share: options, settings, a shown adaptation."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

from ..adaptation.adaptation import Adaptation, AdaptationStep
from ..adaptation.keep import adapt_into
from ..adaptation.settings import AdaptationSettings
from ..errors import SettingsError
from ..network.adapted import AnyNetwork
from .progress import Progress, shown_progress, stop_request

MODES = ("quick", "auto")

_log = logging.getLogger(__name__)


def add_adapt_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of an adaptation before a pass."""
    parser.add_argument(
        "--adapt",
        choices=("off", *MODES),
        default="off",
        help="first fine-tune the model on the annotated frames: quick (one round) or auto (from "
        "three of them on two; the second is taken where it is clearly steadier); kept in the "
        "output folder (default: off)",
    )
    add_steps_argument(parser)


def add_steps_argument(parser: argparse.ArgumentParser) -> None:
    """The option that makes an adaptation shorter or longer."""
    parser.add_argument(
        "--adapt-steps",
        type=int,
        metavar="N",
        help="steps of the first round (default: 40 with one annotated frame, else 100)",
    )


def adaptation_settings(mode: str, steps: int | None) -> AdaptationSettings:
    """The settings that the options make."""
    try:
        settings = AdaptationSettings.from_dict({"mode": mode})
        return settings if steps is None else replace(settings, steps=steps)
    except SettingsError as error:
        raise SettingsError("adapt-steps", steps, error.allowed) from error


def adapt_shown(path: Path, adaptation: Adaptation, *, quiet: bool) -> AnyNetwork:
    """The adapted network, kept in a file, while a person or a log sees how far it is."""
    with (
        shown_progress("adapt", unit="step", quiet=quiet) as progress,
        stop_request() as should_stop,
    ):
        shown = _Shown(progress)
        network = adapt_into(
            path, adaptation, progress=shown, should_stop=should_stop, overwrite=True
        )
    notes = json.loads(network.info.adaptation)
    _log.info("adapted: the %s; unsteadiness %s", notes["network"], notes["unsteadiness"])
    return network


class _Shown:
    """Steps on the progress bar, each new stage as a line."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stage = ""

    def __call__(self, step: AdaptationStep) -> None:
        if step.stage != self._stage:
            self._stage = step.stage
            _log.info("adapt: %s", step.stage)
        self._progress(step.done, step.total)
