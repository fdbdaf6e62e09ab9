"""The command line: arguments in, the public calls, exit codes out.

Exit codes: 0 done, 2 user error (one sentence on stderr), 3 out of memory, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from ..errors import CapacityError, Interrupted, XMemError, is_out_of_memory

EXIT_USER_ERROR, EXIT_OUT_OF_MEMORY, EXIT_INTERRUPTED = 2, 3, 130

# command: module that adds it, help. Only the module of the command that runs is imported, so that
# help comes at once and no command needs what only another one uses.
COMMANDS = {
    "propagate": (
        ".propagate",
        "masks for every frame of a shot from a few annotated frames",
    ),
    "batch": (".batch", "many shots from one manifest"),
    "adapt": (".adapt", "a model fine-tuned on the annotated frames of one shot"),
    "export": (".export", "mattes of a track for Nuke, After Effects, Resolve, Fusion and others"),
    "import-mattes": (
        ".import_mattes",
        "mattes of other programs as annotations, or as a track to be corrected",
    ),
    "candidates": (".candidates", "which frames to annotate next"),
    "demo": (".demo", "the bundled model on the bundled clip"),
    "info": (".info", "what is in a model, a clip, an annotation folder or a track"),
    "convert": (".info", "a model file as .safetensors with its dimensions and source hash"),
    "evaluate": (".evaluate", "experiments on a data set in the layout of DAVIS"),
    "train": (".train", "train or fine-tune the lite model"),
    "pack-training-data": (".train", "pack training data into one file"),
}

_OUT_OF_MEMORY = (
    "out of memory; lower internal_size (--set internal_size=360), "
    "working_memory_max_frames or the number of annotated frames, or on a GPU use --device cpu"
)


_OPTION = re.compile(r"--[a-z][a-z-]*")
_NEGATIVE_NUMBERS = re.compile(r"-[0-9][0-9,;\s-]*")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(_fail(f"{message}; see {self.prog} --help", EXIT_USER_ERROR))


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; only the arguments of `command` are known to it."""
    parser = _Parser(
        prog="python -m xmempp_core",
        description="XMem++: a mask for every frame of a shot from a few annotated ones.",
        epilog="COMMAND --help tells more. Exit codes: 0 done, 2 wrong input, 3 out of memory, "
        "130 interrupted.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    chosen = COMMANDS[command][0] if command in COMMANDS else None
    if chosen:
        importlib.import_module(chosen, __package__).add_commands(commands)
    for name, (module, text) in COMMANDS.items():
        if module != chosen:
            commands.add_parser(name, help=text)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line; returns the exit code.

    Args:
        arguments: without the program's name; None = those of the process.

    Raises:
        SystemExit: the arguments cannot be understood, or ask for help.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    # Read when PyTorch is loaded, which no command has done yet: on a busy machine threads that
    # spin while they wait make training several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        parser = build_parser(arguments[0] if arguments else None)
        options = parser.parse_args(_with_negative_values(arguments))
        with _notes_shown(quiet=getattr(options, "quiet", False)):
            return options.run(options)
    except CapacityError as error:
        return _fail(str(error), EXIT_OUT_OF_MEMORY)
    except Interrupted as stop:
        return _fail(str(stop), EXIT_INTERRUPTED)
    except XMemError as error:
        return _fail(str(error), EXIT_USER_ERROR)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _fail(_OUT_OF_MEMORY, EXIT_OUT_OF_MEMORY)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)


def _with_negative_values(arguments: Sequence[str]) -> list[str]:
    """The arguments with "--range -3-0" as "--range=-3-0", which argparse takes for an option."""
    joined: list[str] = []
    for one in arguments:
        if joined and _OPTION.fullmatch(joined[-1]) and _NEGATIVE_NUMBERS.fullmatch(one):
            joined[-1] += f"={one}"
        else:
            joined.append(one)
    return joined


@contextmanager
def _notes_shown(*, quiet: bool) -> Iterator[None]:
    """Sends the package's notes to stderr; of other packages only warnings."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    ours = logging.getLogger(__package__.partition(".")[0])
    before = ours.level
    ours.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(before)


def _fail(sentence: str, code: int) -> int:
    print(f"xmempp: {sentence}", file=sys.stderr)
    return code
