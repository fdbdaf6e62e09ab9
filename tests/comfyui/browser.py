#!/usr/bin/env python3
"""The stock frontend in headless Chromium against a real ComfyUI server, in both canvas modes.

    browser.py [--out FOLDER] [--mode litegraph|vue] [--frontend FOLDER] [workflow names ...]
    browser.py --annotator [...]      the view of Annotate Shot alone

"--frontend" takes the folder `static` of another comfyui-frontend-package than the installed one.
Needs node, Chromium, and playwright-core, which is fetched from npm into the cache folder. Starts a
server of its own on a free port, in a folder of its own.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bed import PACK, TEST_PACK
from get_comfyui import cache_folder

SCRIPT = Path(__file__).parent / "browser_check.mjs"
ANNOTATOR = Path(__file__).parent / "annotator_check.mjs"
PLAYWRIGHT = cache_folder().parent / "browser"
START_SECONDS = 180


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


def check_annotator(address: str, out: Path, mode: str) -> bool:
    """Whether the view of Annotate Shot passes in one canvas mode."""
    environment = {**os.environ, "NODE_PATH": str(PLAYWRIGHT / "node_modules")}
    command = ["node", str(ANNOTATOR), "--url", address, "--out", str(out), "--mode", mode]
    return subprocess.run(command, env=environment, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="workflows; none = all")
    parser.add_argument("--out", type=Path, default=Path("/tmp/xmempp-browser"))
    parser.add_argument("--mode", choices=("litegraph", "vue"))
    parser.add_argument("--size", type=int, default=96, help="internal size of the passes")
    parser.add_argument("--frontend", type=Path, help="another frontend's folder static")
    parser.add_argument("--annotator", action="store_true", help="the view of Annotate Shot alone")
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
            passed = check_annotator(address, arguments.out, mode)
            if not arguments.annotator:
                passed &= check(address, arguments.out, mode, workflows, arguments.size)
            if not passed:
                failed.append(mode)
                print((Path(base) / "server.log").read_text()[-4000:])
    print(f"browser tests: {'FAILED in ' + ', '.join(failed) if failed else 'passed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
