"""What is published is whole: the wheel, installed somewhere else, runs the demo."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_installed_outside_the_tree_runs_the_demo(tmp_path: Path) -> None:
    tree, installed = tmp_path / "tree", tmp_path / "installed"
    # Building leaves files behind, and takes what an earlier build left.
    left_out = shutil.ignore_patterns(".*", "build", "*.egg-info", "demo_output")
    shutil.copytree(ROOT, tree, ignore=left_out)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels = ["--no-deps", "--wheel-dir", str(tmp_path / "wheels")]
    subprocess.run([*pip, "wheel", *wheels, str(tree)], check=True, cwd=tmp_path)
    (wheel,) = (tmp_path / "wheels").glob("xmempp-*.whl")
    target = ["--no-deps", "--target", str(installed)]
    subprocess.run([*pip, "install", *target, str(wheel)], check=True, cwd=tmp_path)

    elsewhere = {**os.environ, "PYTHONPATH": str(installed)}
    where = "import xmempp_core; print(xmempp_core.__file__)"
    run = [sys.executable, "-c", where]
    found = subprocess.check_output(run, cwd=tmp_path, env=elsewhere, text=True)
    assert Path(found.strip()).is_relative_to(installed)
    demo = [sys.executable, "-m", "xmempp_core", "demo", "--output", "out", "--device", "cpu"]
    subprocess.run(demo, check=True, cwd=tmp_path, env=elsewhere)
    assert (tmp_path / "out" / "track.xmtrack").is_file()
    assert (tmp_path / "out" / "overlay.mp4").is_file()
