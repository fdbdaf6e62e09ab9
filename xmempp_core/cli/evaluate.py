"""`evaluate`: the experiments of the paper on any model and data set."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..delivery.output_folder import open_output
from ..errors import InputError
from ..formats.frames.number_lists import parse_numbers
from ..network.checkpoint import load_model
from ..paths import path_kind
from ..propagation.precision import choose_runtime
from .propagate import add_report_arguments, add_runtime_arguments, settings_from

EXPERIMENT_NAMES = ("counts", "selection", "augmentation", "effort")


def add_commands(commands: Any) -> None:
    """Adds `evaluate`."""
    parser = commands.add_parser(
        "evaluate",
        help="experiments on a data set in the layout of DAVIS",
        description="Experiments of the XMem++ paper on any model: counts (quality against the "
        "number of annotations), selection (Algorithm 1 against other choices), augmentation, "
        "effort (annotations needed for a quality). An interrupted run goes on where it stopped.",
    )
    add_evaluate_arguments(parser)
    parser.set_defaults(run=run_evaluate)


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `evaluate`."""
    parser.add_argument(
        "--data",
        required=True,
        nargs="+",
        metavar="FOLDER",
        help="folders that hold JPEGImages and Annotations",
    )
    parser.add_argument("--subset", metavar="NAME", help="list in ImageSets, such as val")
    parser.add_argument(
        "--sequences", default="", metavar="A,B,...", help="only these, of any list"
    )
    parser.add_argument(
        "--experiments",
        default=",".join(EXPERIMENT_NAMES),
        metavar="A,B,...",
        help="counts, selection, augmentation, effort (default: all four)",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="results")
    parser.add_argument("--overwrite", action="store_true", help="allow a folder with other files")
    parser.add_argument("--step", type=int, default=1, metavar="N", help="use every N-th frame")
    parser.add_argument(
        "--counts", default="1,2,3,5,10", metavar="N,N,...", help="numbers of annotated frames"
    )
    parser.add_argument(
        "--oracle-clips", type=int, default=3, metavar="N", help="sequences with a greedy oracle"
    )
    parser.add_argument("--settings", type=Path, metavar="FILE", help="settings as JSON")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one setting, such as internal_size=240; may be repeated",
    )
    add_runtime_arguments(parser)
    add_report_arguments(parser)


def run_evaluate(options: argparse.Namespace) -> int:
    """Runs `evaluate`."""
    _check_extra()
    from ..evaluation.datasets import open_datasets
    from ..evaluation.experiments import Plan, run_experiments

    settings = settings_from(options)
    counts = parse_numbers(options.counts, "--counts", least=1)
    if not counts:
        raise InputError("--counts is empty; give numbers of annotated frames, such as 1,2,5")
    plan = Plan(counts=counts, oracle_clips=options.oracle_clips)
    if options.step < 1:
        raise InputError(f"--step is {options.step}, allowed is 1 and up")
    clips = open_datasets(options.data, subset=options.subset, sequences=_words(options.sequences))
    network = load_model(
        options.model, choose_runtime(options.model, options.device, options.dtype)
    )
    goes_on = path_kind(options.output / "clips") == "folder"
    with (
        open_output(options.output, overwrite=options.overwrite or goes_on, resume=False),
        _shown_progress(options.quiet) as progress,
    ):
        tables = run_experiments(
            _words(options.experiments),
            network,
            clips,
            settings,
            options.output,
            plan=plan,
            step=options.step,
            progress=progress,
        )
    if options.json:
        files = {name: str(options.output / f"{name}.json") for name in tables}
        print(json.dumps({"output": str(options.output), "tables": files}))
    else:
        for name, table in tables.items():
            if len(table):
                print(
                    f"{name}: {len(table)} rows in {options.output / name}.csv, .json, .png, .svg"
                )
            else:
                print(f"{name}: no sequence has enough true masks that show an object")
    return 0


def _check_extra() -> None:
    missing = [n for n in ("matplotlib", "pandas") if importlib.util.find_spec(n) is None]
    if missing:
        raise InputError(
            f'evaluate needs {" and ".join(missing)}; install with pip install "xmempp[eval]"'
        )


def _words(text: str) -> list[str]:
    """The words between commas, each once."""
    return list(dict.fromkeys(word for part in text.split(",") if (word := part.strip())))


@contextmanager
def _shown_progress(quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A bar of clips times experiments; without a terminal it moves every 10 s at most."""
    interval = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(unit="part", file=sys.stderr, disable=quiet, mininterval=interval) as bar:

        def show(done: int, total: int, text: str) -> None:
            bar.total = total
            bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)

        yield show
