"""Runs every case of fuzz_cases and counts what became of it.

    python tests/fuzz/fuzz_run.py [--seed N] [--only TEXT] [--tree FOLDER] [--limit-seconds N]

Each call runs in a worker process that is killed where it takes too long. Outcomes: "clean",
refused in a sentence; "ok", the call did what was asked; "traceback", an error nobody foresaw or a
dead process; "hang", no answer within the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(HERE.parent / "support"), str(HERE)]

from fuzz_cases import Case, Shot, all_cases, damage_unfinished  # noqa: E402

OUTCOMES = ("clean", "ok", "traceback", "hang")
LIMIT_SECONDS = 60.0
_START_SECONDS = 300.0


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    case: Case
    kind: str
    """One of OUTCOMES."""
    detail: str
    """The sentence, or the traceback."""
    seconds: float


class Worker:
    """The process that runs calls; a new one takes the place of one that died or was killed."""

    def __init__(self, tree: Path, folder: Path, limit_seconds: float) -> None:
        self._tree = tree
        self._folder = folder
        self._limit_seconds = limit_seconds
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def call(self, call: dict[str, Any]) -> tuple[str, str]:
        """Outcome and detail of a call."""
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        return self._answer(self._limit_seconds)

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
            self._process = None

    def _start(self) -> None:
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CI": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "fuzz_worker.py"), str(self._tree)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self._folder,
            env=os.environ | threads,
        )
        self._answers = queue.Queue()
        reader = threading.Thread(
            target=_forward, args=(self._process.stdout, self._answers), daemon=True
        )
        reader.start()
        outcome, detail = self._answer(_START_SECONDS)
        if outcome != "ready":
            raise RuntimeError(f"the worker does not start: {outcome} {detail}")

    def _answer(self, limit_seconds: float) -> tuple[str, str]:
        try:
            line = self._answers.get(timeout=limit_seconds)
        except queue.Empty:
            self.close()
            return "hang", f"no answer within {limit_seconds:.0f} s"
        if not line:
            assert self._process is not None
            code = self._process.wait()
            self.close()
            return "traceback", f"the process died with exit code {code}"
        answer = json.loads(line)
        return answer["outcome"], answer.get("detail", "")


def _forward(stream: Any, answers: queue.Queue[str]) -> None:
    """Each line as an item, an empty one at the end."""
    for line in stream:
        answers.put(line)
    answers.put("")


def run_cases(
    root: Path,
    *,
    seed: int = 0,
    only: str = "",
    tree: Path = ROOT,
    limit_seconds: float = LIMIT_SECONDS,
) -> Iterator[Outcome]:
    """Outcomes of all cases whose name holds `only`, their files written below `root`."""
    worker = Worker(tree, root, limit_seconds)
    try:
        shot = Shot(root)
        outcome, detail = worker.call(shot.base())
        if outcome != "ok":
            raise RuntimeError(f"the whole shot does not run: {outcome} {detail}")
        for case in all_cases(shot, seed):
            if only not in case.name:
                continue
            start = time.monotonic()
            for call in case.before:
                worker.call(call)
            if case.between:
                damage_unfinished(**case.between)
            kind, detail = worker.call(case.call)
            yield Outcome(case, kind, detail, time.monotonic() - start)
    finally:
        worker.close()


def summary(outcomes: list[Outcome]) -> str:
    """The one line of a run."""
    count = Counter(outcome.kind for outcome in outcomes)
    numbers = ", ".join(f"{count[kind]} {kind}" for kind in OUTCOMES)
    return f"fuzz: {len(outcomes)} broken inputs: {numbers}"


def main() -> int:
    """Runs and prints what failed, then the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--tree", type=Path, default=ROOT, help="another checkout to test")
    parser.add_argument("--limit-seconds", type=float, default=LIMIT_SECONDS)
    parser.add_argument("--verbose", action="store_true", help="every case")
    options = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        for outcome in run_cases(
            Path(folder),
            seed=options.seed,
            only=options.only,
            tree=options.tree.resolve(),
            limit_seconds=options.limit_seconds,
        ):
            outcomes.append(outcome)
            if options.verbose or outcome.kind in ("traceback", "hang"):
                detail = ascii(outcome.detail)[1:-1].replace("\\n", "\n    ")
                print(
                    f"{outcome.kind} ({outcome.seconds:.1f} s): {outcome.case.name}\n    {detail}"
                )
                sys.stdout.flush()
    print(summary(outcomes))
    return int(any(outcome.kind in ("traceback", "hang") for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
