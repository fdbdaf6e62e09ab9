"""Runs that are killed at random moments and resumed, against one that nobody disturbed.

    python benchmarks/kill_resume.py [--moments 20] [--directions forward,batch] [--output FILE]

For each direction, and for a batch of six shots, and each of kill -9, SIGINT and SIGTERM a small
drawn shot is made, struck at a moment of its run and resumed, up to three times one after the
other. All files have to be those of a run that nobody disturbed, and nothing may be left over. The
state is saved every four frames. Each run is a process of its own, forked from one that has
imported everything. Unix only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from PIL import Image

from xmempp_core.annotations import AnnotationSet  # noqa: F401  imported before the forks
from xmempp_core.cli import batch, propagate  # noqa: F401
from xmempp_core.cli.main import main as command_line
from xmempp_core.delivery import deliver

SIGNALS = {"kill -9": signal.SIGKILL, "SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
ANNOTATED = (6, 15)
CHECKPOINT_EVERY_FRAMES = 4
BATCH = "batch"
BATCH_SHOTS, BATCH_FRAMES = 6, 15
NOTES = {".batch", "logs"}
# Small settings, so that the few frames go through long-term memory too.
SETTINGS = (
    "internal_size=96",
    "memorize_every=2",
    "working_memory_max_frames=3",
    "working_memory_min_frames=1",
    "long_term_prototypes=8",
    "long_term_max_elements=20",
)


@dataclass
class Row:
    """One line of the table."""

    direction: str
    signal: str
    runs: int = 0
    strikes: int = 0
    """Signals that met a run before its end."""
    exit_codes: dict[str, int] = field(default_factory=dict)
    """Of the runs that were struck; negative = the signal that ended them."""
    differing: int = 0
    """Runs whose files are not those of the undisturbed run."""
    left_over: int = 0
    """Runs that left a temporary file or a held lock."""
    failed: int = 0
    """Resumed runs that did not end with 0."""


def main() -> None:
    """Strikes all runs and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--directions", default="forward,bidirectional,batch")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="JSON file for the table")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="kill-resume-"))
    try:
        draw_shot(root, options.frames)
        rows = [
            row
            for direction in options.directions.split(",")
            for row in strike_all(root, direction, options.moments, random.Random(options.seed))
        ]
    finally:
        shutil.rmtree(root)
    if options.output:
        facts = {
            "arguments": sys.argv[1:],
            "torch": torch.__version__,
            "rows": list(map(asdict, rows)),
        }
        options.output.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    if any(row.differing or row.left_over or row.failed for row in rows):
        sys.exit("not all runs were resumed to the same files")


def draw_shot(root: Path, count: int) -> None:
    """Frames of a disc that crosses a texture, and label maps for some of them."""
    height, width = 96, 144
    texture = np.random.default_rng(0).integers(60, 200, (height // 8, width // 8, 3), np.uint8)
    background = texture.repeat(8, 0).repeat(8, 1)
    rows, columns = np.mgrid[:height, :width]
    for name in ("plates", "annotations"):
        (root / name).mkdir()
    for t in range(count):
        center = 25 + (width - 50) * t / count
        disc = (rows - 50) ** 2 + (columns - center) ** 2 < 18**2
        frame = np.where(disc[..., None], np.array([230, 60, 40], np.uint8), background)
        Image.fromarray(frame).save(root / "plates" / f"plate.{t:04d}.png")
        if t in ANNOTATED:
            labels = disc.astype(np.uint8)
            Image.fromarray(labels).save(root / "annotations" / f"plate.{t:04d}.png")


def strike_all(root: Path, direction: str, moments: int, chance: random.Random) -> list[Row]:
    """The rows of one direction."""
    whole = root / f"{direction}-whole"
    start = time.monotonic()
    code = ended(begin(root, whole, direction))
    seconds = time.monotonic() - start
    if code:
        log = (root / "log").read_text(encoding="utf-8")
        sys.exit(f"the undisturbed run ended with {code}: {log}")
    expected = files_of(whole)
    print(f"{direction}: {len(expected)} files in {seconds:.1f} s")
    rows = []
    for name, number in SIGNALS.items():
        row = Row(direction, name)
        for _ in range(moments):
            strike_one(root, row, number, seconds, chance, expected)
        rows.append(row)
        print(
            f"{direction:14} {name:8} {row.runs} runs, {row.strikes} strikes "
            f"(exit codes {row.exit_codes}): {row.differing} differ, "
            f"{row.left_over} left something, {row.failed} failed",
            flush=True,
        )
    return rows


def strike_one(
    root: Path,
    row: Row,
    number: signal.Signals,
    seconds: float,
    chance: random.Random,
    expected: dict[str, bytes],
) -> None:
    """One run, struck up to three times, and at last left alone."""
    output = root / "struck"
    codes: Counter[str] = Counter(row.exit_codes)
    row.runs += 1
    for _ in range(chance.randint(1, 3)):
        run = begin(root, output, row.direction)
        time.sleep(chance.uniform(0, seconds))
        os.kill(run, number)
        code = ended(run)
        if code:
            row.strikes += 1
            codes[str(code)] += 1
    row.exit_codes = dict(codes)
    if ended(begin(root, output, row.direction)):
        row.failed += 1
        print((root / "log").read_text(encoding="utf-8"), file=sys.stderr)
    found = files_of(output)
    row.differing += any(found.get(name) != data for name, data in expected.items())
    extra = set(found) - set(expected) or set((root / "tmp").iterdir()) or is_locked(output)
    row.left_over += bool(extra)
    shutil.rmtree(output)


def begin(root: Path, output: Path, direction: str) -> int:
    """Starts a run in a process of its own; returns its id."""
    call = batch_call(root, output) if direction == BATCH else shot_call(root, output, direction)
    (root / "tmp").mkdir(exist_ok=True)
    run = os.fork()
    if run:
        return run
    code = 99
    try:
        log = os.open(root / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        tempfile.tempdir = str(root / "tmp")
        deliver.CHECKPOINT_EVERY_FRAMES = CHECKPOINT_EVERY_FRAMES
        code = command_line(call)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def shot_call(root: Path, output: Path, direction: str) -> list[str]:
    """The command line of one shot."""
    call = ["propagate", "--frames", str(root / "plates"), "--resume", "--quiet"]
    call += ["--annotations", str(root / "annotations"), "--output", str(output)]
    call += ["--device", "cpu", "--save-probabilities", "--mattes"]
    for one in (*SETTINGS, f"direction={direction}"):
        call += ["--set", one]
    return call


def batch_call(root: Path, output: Path) -> list[str]:
    """The command line of six shots: the same frames from another one on."""
    manifest = root / f"{output.name}.toml"
    shots = "".join(
        f'[[shot]]\nname = "shot_{n}"\nrange = "{n}-{n + BATCH_FRAMES}"\n'
        for n in range(BATCH_SHOTS)
    )
    manifest.write_text(
        f'output = "{output.name}"\n[defaults]\nframes = "plates"\nannotations = "annotations"\n'
        f'probabilities = true\nexports = ["png"]\nsettings = {{{", ".join(SETTINGS)}}}\n{shots}',
        encoding="utf-8",
    )
    return ["batch", str(manifest), "--resume", "--quiet", "--device", "cpu", "--dtype", "float32"]


def ended(run: int) -> int:
    """Waits for a process; its exit code, or less than 0 for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])


def files_of(folder: Path) -> dict[str, bytes]:
    """Content of all files by relative path, but for locks, logs and notes of a batch."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock" and not NOTES & {*path.relative_to(folder).parts}
    }


def is_locked(folder: Path) -> bool:
    """Whether somebody still holds the folder or one in it."""
    try:
        for lock in [folder / ".lock", *folder.rglob(".lock")]:
            with FileLock(lock, timeout=0):
                pass
    except Timeout:
        return True
    return False


if __name__ == "__main__":
    main()
