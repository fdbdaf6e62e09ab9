#!/usr/bin/env python3
"""The stock frontend in headless Chromium against a real ComfyUI server, in both canvas modes.

    browser.py [--out FOLDER] [--mode litegraph|vue] [--frontend FOLDER] [workflow names ...]
    browser.py --annotator [...]      the view of Annotate Shot alone
    browser.py --annotator --steps speed,long   its speed, and a clip of 2,000 frames in 1080p

"--frontend" takes the folder `static` of another comfyui-frontend-package than the installed one.
Needs node, Chromium, and playwright-core, which is fetched from npm into the cache folder. Starts a
server of its own on a free port, in a folder of its own.
"""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from bed import PACK, TEST_PACK
from get_comfyui import cache_folder

SCRIPT = Path(__file__).parent / "browser_check.mjs"
ANNOTATOR = Path(__file__).parent / "annotator_check.mjs"
PLAYWRIGHT = cache_folder().parent / "browser"
START_SECONDS = 180
DEMO = PACK / "xmempp_core" / "assets" / "demo" / "bigbuckbunny.mp4"


@contextmanager
def server(base: Path, frontend: Path | None = None) -> Iterator[str]:
    """Address of a running ComfyUI with the pack and the test pack."""
    packs = base / "custom_nodes"
    packs.mkdir(parents=True, exist_ok=True)
    for link, target in (("xmempp-comfyui", PACK), ("test_pack", TEST_PACK)):
        if not (packs / link).is_symlink():
            (packs / link).symlink_to(target)
    port = _free_port()
    command = [sys.executable, str(cache_folder() / "main.py"), "--cpu", "--disable-api-nodes"]
    command += ["--port", str(port), "--base-directory", str(base)]
    command += ["--database-url", "sqlite:///:memory:"]
    if frontend is not None:
        command += ["--front-end-root", str(frontend.absolute())]
    with (base / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, process, base / "server.log")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/object_info/XMemPPPropagate", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    sys.exit(f"the server did not start; its log ends:\n{log.read_text()[-3000:]}")


def ensure_playwright() -> None:
    """playwright-core in the cache folder."""
    if not (PLAYWRIGHT / "node_modules" / "playwright-core").is_dir():
        PLAYWRIGHT.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "playwright-core"]
        subprocess.run(command, cwd=PLAYWRIGHT, check=True)


def check(address: str, out: Path, mode: str, workflows: list[Path], size: int) -> bool:
    """Whether all workflows pass in one canvas mode."""
    environment = {**os.environ, "NODE_PATH": str(PLAYWRIGHT / "node_modules")}
    command = ["node", str(SCRIPT), "--url", address, "--out", str(out), "--mode", mode]
    command += ["--size", str(size), "--twins", str(PACK / "tests" / "workflows")]
    done = subprocess.run([*command, *map(str, workflows)], env=environment, check=False)
    return done.returncode == 0


def check_annotator(address: str, base: Path, out: Path, mode: str, steps: str | None) -> bool:
    """Whether the view of Annotate Shot passes in one canvas mode.

    Args:
        base: the server's base folder.
        steps: names of those that are run, with commas; None = all but the measurements.
    """
    environment = {**os.environ, "NODE_PATH": str(PLAYWRIGHT / "node_modules")}
    command = ["node", str(ANNOTATOR), "--url", address, "--out", str(out), "--mode", mode]
    command += ["--base", str(base)]
    if steps is not None:
        command += ["--steps", steps]
    make_film(base / "input" / "other.mp4", (640, 360), 40)
    if "long" in (steps or "").split(","):
        make_film(base / "input" / "long.mp4", (1920, 1080), 2000)
    return subprocess.run(command, env=environment, check=False).returncode == 0


def make_film(path: Path, size: tuple[int, int], frame_count: int) -> None:
    """The demo film to and fro at another size (width, height) and length."""
    import av

    with av.open(str(DEMO)) as source:
        pictures = [f.reformat(*size, "yuv420p") for f in source.decode(source.streams.video[0])]
    path.parent.mkdir(parents=True, exist_ok=True)
    to_and_fro = itertools.cycle([*pictures, *pictures[-2:0:-1]])
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index, picture in enumerate(itertools.islice(to_and_fro, frame_count)):
            picture.pts, picture.time_base = index, Fraction(1, 25)
            film.mux(stream.encode(picture))
        film.mux(stream.encode(None))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="workflows; none = all")
    parser.add_argument("--out", type=Path, default=Path("/tmp/xmempp-browser"))
    parser.add_argument("--mode", choices=("litegraph", "vue"))
    parser.add_argument("--size", type=int, default=96, help="internal size of the passes")
    parser.add_argument("--frontend", type=Path, help="another frontend's folder static")
    parser.add_argument("--annotator", action="store_true", help="the view of Annotate Shot alone")
    parser.add_argument("--steps", help="steps of the view alone, with commas")
    arguments = parser.parse_args()
    workflows = sorted((PACK / "workflows").glob("*.json"))
    if arguments.names:
        workflows = [path for path in workflows if path.stem in arguments.names]
    ensure_playwright()
    arguments.out.mkdir(parents=True, exist_ok=True)
    modes = [arguments.mode] if arguments.mode else ["litegraph", "vue"]
    failed = []
    for mode in modes:
        with (
            tempfile.TemporaryDirectory() as base,
            server(Path(base), arguments.frontend) as address,
        ):
            passed = check_annotator(address, Path(base), arguments.out, mode, arguments.steps)
            if not arguments.annotator:
                passed &= check(address, arguments.out, mode, workflows, arguments.size)
            if not passed:
                failed.append(mode)
                print((Path(base) / "server.log").read_text()[-4000:])
    print(f"browser tests: {'FAILED in ' + ', '.join(failed) if failed else 'passed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
