"""The command lines `train` and `pack-training-data`."""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..errors import FormatError, InputError, SettingsError
from ..paths import path_kind
from ..runtime import Runtime
from ..training.library import PictureLibrary
from ..training.loop import Run, train
from ..training.packing import pack
from ..training.plot import plot_log
from ..training.settings import SCHEDULES, TrainingSettings, fine_tuning, from_scratch
from ..training.sources import SourceFilter, SourceSet, read_sources, split_held_out
from ..training.start import IMAGENET, imagenet_network, starting_network
from ..training.state import CHECKPOINT_NAME, MODEL_NAME, Origin, TrainingState, license_of

logger = logging.getLogger(__name__)

FROM_IMAGENET = "imagenet"
_SETTINGS_HELP = {
    "steps": "optimizer steps of the whole run",
    "schedule": "clip shapes over the run",
    "pixels_per_step": "pixels of all frames of a batch; lower it if memory runs out",
    "learning_rate": "peak rate",
    "trunk_rate": "rate of the image trunk as a share of the peak",
    "frozen_blocks": "leading blocks of the trunk that are not trained",
    "warm_up_steps": "steps over which the rate rises",
    "decay_from": "share of the run after which the rate falls",
    "weight_decay": "of AdamW",
    "gradient_limit": "largest norm of the gradient",
    "average_decay": "decay of the moving average of the weights",
    "hard_pixels": "share of the pixels, the worst, that the cross entropy keeps",
    "hard_from": "share of the run over which it falls to that",
    "seed": "of clips and weights",
    "held_out_every": "every so many-th sequence is for validation; 0 = none",
    "validate_every": "steps between validations",
    "save_every": "steps between checkpoints",
}


def add_commands(commands: Any) -> None:
    """Adds `train` and `pack-training-data` to the subparsers of a command line."""
    trainer = commands.add_parser(
        "train",
        help="train or fine-tune the lite model",
        description="Trains XMemLite on pictures with masks. The output folder gets checkpoint.pt, "
        "log.jsonl, log.png and model.safetensors. Interrupt it at any time; --resume goes on.",
    )
    add_train_arguments(trainer)
    trainer.set_defaults(run=run_train)
    packer = commands.add_parser(
        "pack-training-data",
        help="pack training data into one file",
        description="Writes the usable pictures and masks of a training data folder as one .zip, "
        "which train --data reads.",
    )
    add_pack_arguments(packer)
    packer.set_defaults(run=run_pack)


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `train` to a parser."""
    _add_data_arguments(parser)
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="DIR", help="folder of the run")
    add("--from", dest="start", default=FROM_IMAGENET, metavar="MODEL",
        help="model to fine-tune: lite or a model file (default: ImageNet weights)")  # fmt: skip
    add("--resume", action="store_true", help="continue the run in --output")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    add("--dtype", default="auto", help="auto, float32 or bfloat16 (default: auto)")
    add("--workers", type=int, default=0, help="processes that plan clips ahead (default: 0)")
    settings = parser.add_argument_group("settings", "defaults depend on --from and the device")
    for field in dataclasses.fields(TrainingSettings):
        flag = "--" + field.name.replace("_", "-")
        choices = list(SCHEDULES) if field.name == "schedule" else None
        kind = type(field.default)
        settings.add_argument(flag, type=kind, choices=choices, help=_SETTINGS_HELP[field.name])


def run_train(args: argparse.Namespace) -> int:
    """Trains as the options of `add_train_arguments` say; the exit status.

    The output folder gets the checkpoint, the log with its plot, and the averaged model.

    Raises:
        XMemError: data, model, options or the run in the output folder cannot be used.
    """
    runtime = _runtime(args)
    if args.workers < 0:
        raise InputError(f"--workers is {args.workers}, allowed is 0 and up")
    checkpoint = args.output / CHECKPOINT_NAME
    _check_output(checkpoint, args.resume)
    settings = _settings(args, runtime, checkpoint)
    sets = read_sources(args.data, _choice(args), short_side_pixels=args.short_side)
    training, held_out = split_held_out(sets, settings.held_out_every)
    library = PictureLibrary.build(training, runtime.device)
    count = len(library.index.entries)
    logger.info("%d pictures of %d sets, validation on %s", count, len(training), _names(held_out))
    run = Run(settings, library, tuple(held_out), args.output, runtime, args.workers)
    if args.resume:
        state = TrainingState.load(checkpoint, settings, runtime.device)
    else:
        state = _start(args.start, run)
    state.licenses |= {one.license for one in training}
    _train_with_bar(run, state)
    note = f"{state.step} steps from {state.origin.name} on {_names(training)}"
    state.export(args.output / MODEL_NAME, note, license_of(state.licenses, state.origin))
    logger.info("model written to %s, plot to %s", args.output / MODEL_NAME, plot_log(args.output))
    return 0


def add_pack_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `pack-training-data` to a parser."""
    _add_data_arguments(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.zip", help="the file to write"
    )


def run_pack(args: argparse.Namespace) -> int:
    """Packs training data into one file; the exit status.

    Raises:
        XMemError: nothing usable is there, or the file cannot be written.
    """
    size = pack(args.data, args.output, _choice(args), short_side_pixels=args.short_side)
    logger.info("%s written, %.1f MB", args.output, size / 1e6)
    return 0


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR",
        help="folder or packed .zip: video/*/{frames,masks}, still/*/{images,masks}")  # fmt: skip
    add("--short-side", type=int, default=288, metavar="PIXELS",
        help="larger pictures are shrunk to this (default: 288)")  # fmt: skip
    add("--exclude", action="append", default=[], metavar="NAME",
        help="leave sets out: video/bear, still/*; may be repeated")  # fmt: skip
    add("--exclude-license", action="append", default=[], metavar="PATTERN",
        help="leave sets of a license out, such as *NC*; may be repeated")  # fmt: skip
    add("--license", action="append", default=[], metavar="NAME=LICENSE",
        help="license of sets, such as video='CC BY-NC 4.0'; may be repeated")  # fmt: skip


def _choice(args: argparse.Namespace) -> SourceFilter:
    licenses = dict(_license(text) for text in args.license)
    return SourceFilter(tuple(args.exclude), tuple(args.exclude_license), licenses)


def _license(text: str) -> tuple[str, str]:
    name, equals, license_name = text.partition("=")
    if not equals or not name or not license_name:
        raise InputError(f"--license {text!r} is not NAME=LICENSE, such as video='CC BY-NC 4.0'")
    return name, license_name


def _runtime(args: argparse.Namespace) -> Runtime:
    runtime = Runtime.choose(args.device, args.dtype)
    if runtime.dtype == torch.float16:
        if args.dtype != "auto":
            raise SettingsError("dtype", args.dtype, "auto, float32 or bfloat16 for training")
        return dataclasses.replace(runtime, dtype=torch.float32)
    return runtime


def _check_output(checkpoint: Path, resume: bool) -> None:
    """Refuses a folder that cannot be used, before minutes are spent on reading data."""
    there = path_kind(checkpoint)
    if resume and there != "file":
        raise FormatError(checkpoint, "there is no run to resume; leave --resume out")
    if not resume and there != "nothing":
        problem = "holds a run; continue it with --resume or choose another folder"
        raise FormatError(checkpoint.parent, problem)
    try:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot be made ({error.strerror}); give another folder as --output"
        raise FormatError(checkpoint.parent, problem) from error


def _settings(args: argparse.Namespace, runtime: Runtime, checkpoint: Path) -> TrainingSettings:
    """The given options over those of the run that is resumed, or over the defaults."""
    names = [field.name for field in dataclasses.fields(TrainingSettings)]
    given = {n: getattr(args, n) for n in names if getattr(args, n) is not None}
    if args.resume:
        base = TrainingState.settings_of(checkpoint)
    else:
        base = (from_scratch if args.start == FROM_IMAGENET else fine_tuning)(runtime.device)
    return TrainingSettings.from_dict({**base.to_dict(), **given})


def _start(model: str, run: Run) -> TrainingState:
    """The state before the first step of a new run."""
    if model == FROM_IMAGENET:
        network = imagenet_network(run.library, run.settings)
        return TrainingState.start(network, run.settings, IMAGENET)
    network = starting_network(model, run.runtime.device)
    origin = Origin(network.info.name, network.info.license)
    return TrainingState.start(network, run.settings, origin)


def _names(sets: Sequence[SourceSet]) -> str:
    return ", ".join(one.name for one in sets) or "nothing"


def _train_with_bar(run: Run, state: TrainingState) -> None:
    with tqdm(total=run.settings.steps, initial=state.step, unit="step") as bar:
        meter = _Meter()

        def show(done: int, _: int, figures: dict[str, Any]) -> None:
            bar.update(done - bar.n)
            bar.set_postfix(meter.add(figures), refresh=False)

        train(run, state, show)


@dataclass(eq=False)
class _Meter:
    """Moving means of the figures that the progress bar shows."""

    loss: float = 0
    seconds: float = 0
    data_seconds: float = 0
    samples: float = 0
    weight: float = 0

    def add(self, figures: dict[str, Any]) -> dict[str, str]:
        """The means, as the bar shows them."""
        keep = 0.98
        for name in ("seconds", "data_seconds", "samples"):
            setattr(self, name, keep * getattr(self, name) + figures[name])
        self.weight = keep * self.weight + 1
        self.loss = keep * self.loss + figures["total"]
        return {
            "loss": f"{self.loss / self.weight:.3f}",
            "samples/s": f"{self.samples / self.seconds:.1f}",
            "data": f"{self.data_seconds / self.seconds:.0%}",
        }
