"""Runs calls that it reads as JSON lines and says what became of each; see fuzz_run.

argv: the root of the tree to test. Its files must not be those of the tests.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import resource
import sys
import traceback
import warnings
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

_MAX_MEMORY_BYTES = 10 << 30


class _Interrupting(io.StringIO):
    """Raises KeyboardInterrupt, as Ctrl-C would, once the third frame is reported."""

    def write(self, text: str) -> int:
        if "3 of 6" in text:
            raise KeyboardInterrupt
        return super().write(text)


def main() -> None:
    """Answers a line for each line on stdin."""
    root = sys.argv[1]
    sys.path.insert(0, root)
    # What is said belongs to the protocol, whatever the tested code prints.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    import torch

    torch.set_num_threads(1)
    run = _command_line(root)
    nodes = _nodes(root)
    answers.write('{"outcome": "ready"}\n')
    answers.flush()
    for line in sys.stdin:
        call = json.loads(line)
        outcome, detail = run(call) if "argv" in call else _node(nodes, call)
        answers.write(json.dumps({"outcome": outcome, "detail": detail[-3000:]}) + "\n")
        answers.flush()


def _command_line(root: str) -> Callable[[dict[str, Any]], tuple[str, str]]:
    """Calls the command line in this process, as the shell would."""
    cli = importlib.import_module("xmempp_core.cli")
    main_module = cli if hasattr(cli, "main") else importlib.import_module("xmempp_core.cli.main")
    assert cli.__file__ is not None
    assert cli.__file__.startswith(root), f"{cli.__file__} is not of {root}"

    def run(call: dict[str, Any]) -> tuple[str, str]:
        said = _Interrupting() if call.get("interrupted") else io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            _log_to(said)
            try:
                code = main_module.main(call["argv"])
            except SystemExit as stop:
                code = stop.code
            except BaseException:
                return "traceback", _where()
        text = said.getvalue()
        if code == 0:
            return "ok", text
        last = text.strip().splitlines()[-1:] or [""]
        if code in (2, 3, 130) and last[0].startswith("xmempp: "):
            return "clean", last[0]
        return "traceback", f"exit {code} without a sentence: {text}"

    return run


def _log_to(stream: io.StringIO) -> None:
    """Notes of the package, which go to the stderr of the first call otherwise."""
    import logging

    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)


def _nodes(root: str) -> Callable[[str], ModuleType]:
    """Modules of the pack that need no ComfyUI, as in tests/nodes/conftest.py."""
    for name, folder in (("pack", root), ("pack.nodes", f"{root}/nodes")):
        package = ModuleType(name)
        package.__path__ = [folder]
        sys.modules[name] = package
    return lambda path: importlib.import_module(f"pack.{path}")


def _node(nodes: Callable[[str], ModuleType], call: dict[str, Any]) -> tuple[str, str]:
    module, function = call["function"].rsplit(".", 1)
    try:
        getattr(nodes(module), function)(*(_argument(nodes, a) for a in call["arguments"]))
    except Exception as error:
        if any(kind.__name__ == "XMemError" for kind in type(error).__mro__):
            return "clean", str(error)
        return "traceback", _where()
    return "ok", ""


def _where() -> str:
    """The end of the traceback."""
    return "\n".join(traceback.format_exc().rstrip().splitlines()[-9:])


def _argument(nodes: Callable[[str], ModuleType], value: Any) -> Any:
    """What JSON cannot hold: a path, a tensor of a shape, a track of some frames."""
    import torch

    if not isinstance(value, dict):
        return tuple(value) if isinstance(value, list) else value
    if "path" in value:
        return importlib.import_module("pathlib").Path(value["path"])
    if "tensor" in value:
        return torch.full(value["tensor"], value["fill"], dtype=getattr(torch, value["dtype"]))
    track = SimpleNamespace(frame_indices=list(range(value["track"])), object_ids=(1, 2))
    track.annotations = SimpleNamespace(names={1: "cat"})
    return track


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
