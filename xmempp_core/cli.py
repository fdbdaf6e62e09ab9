"""The command line: arguments in, the public calls, exit codes out.

Exit codes: 0 done, 2 user error (one sentence on stderr), 3 out of memory, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from . import cli_candidates, cli_demo, cli_evaluate, cli_info, cli_propagate
from .delivery import Interrupted
from .errors import CapacityError, XMemError

EXIT_USER_ERROR, EXIT_OUT_OF_MEMORY, EXIT_INTERRUPTED = 2, 3, 130

_OUT_OF_MEMORY = (
    "out of memory; lower internal_size (--set internal_size=360), "
    "working_memory_max_frames or the number of annotated frames, or use --device cpu"
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="xmempp",
        description="XMem++: a mask for every frame of a shot from a few annotated ones.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (cli_propagate, cli_candidates, cli_evaluate, cli_demo, cli_info):
        module.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line; returns the exit code.

    Args:
        arguments: without the program's name; None = those of the process.
    """
    options = build_parser().parse_args(arguments)
    quiet = getattr(options, "quiet", False)
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO, format="%(message)s", stream=sys.stderr
    )
    try:
        return options.run(options)
    except CapacityError as error:
        return _fail(str(error), EXIT_OUT_OF_MEMORY)
    except XMemError as error:
        return _fail(str(error), EXIT_USER_ERROR)
    except MemoryError:
        return _fail(_OUT_OF_MEMORY, EXIT_OUT_OF_MEMORY)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return _fail(_OUT_OF_MEMORY, EXIT_OUT_OF_MEMORY)
    except Interrupted as stop:
        text = f"interrupted after {stop.done} of {stop.total} frames; go on with --resume"
        return _fail(text, EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory, on the GPU or the host."""
    import torch

    # The CPU allocator raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _fail(sentence: str, code: int) -> int:
    print(f"xmempp: {sentence}", file=sys.stderr)
    return code
