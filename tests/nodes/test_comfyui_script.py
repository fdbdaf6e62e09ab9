"""What .ci/comfyui says when ComfyUI cannot be had."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "comfyui"


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script with an interpreter that fails to fetch anything."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    inherited = {k: v for k, v in os.environ.items() if k != "ALLOW_NO_COMFYUI"}
    return subprocess.run(
        [str(SCRIPT), str(python)],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_comfyui_the_script_fails(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 1
    assert "ComfyUI could not be had" in done.stderr


def test_with_leave_to_go_on_it_says_not_run(tmp_path):
    done = run(tmp_path, ALLOW_NO_COMFYUI="1")
    assert done.returncode == 0
    assert done.stdout.strip() == "ComfyUI tests: NOT RUN, ComfyUI could not be had"


@pytest.mark.parametrize("value", ["", "0"])
def test_any_other_value_is_no_leave(tmp_path, value):
    assert run(tmp_path, ALLOW_NO_COMFYUI=value).returncode == 1
