"""The pack as a stranger installs it: the registry's files, copied into a fresh ComfyUI folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from get_comfyui import cache_folder

PACK = Path(__file__).parents[2]


def published_files() -> list[str]:
    """Files under version control that .comfyignore, read as git reads it, does not leave out."""
    left_out = set(listed_files("-i", "-X", ".comfyignore"))
    return [name for name in listed_files() if (PACK / name).is_file() and name not in left_out]


def listed_files(*options: str) -> list[str]:
    """Names that git ls-files gives."""
    command = ["git", "ls-files", "-c", "-z", *options]
    done = subprocess.run(command, cwd=PACK, capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def test_what_is_published_is_small_and_has_what_the_nodes_need():
    files = published_files()
    size = sum((PACK / name).stat().st_size for name in files)
    assert size < 20e6
    for needed in ("__init__.py", "nodes/host.py", "requirements.txt", "pyproject.toml", "LICENSE"):
        assert needed in files
    assert any(name.startswith("xmempp_core/weights/") for name in files)
    assert "web/docs/XMemPPPropagate/en.md" in files
    assert not [name for name in files if name.startswith("tests/")]


@pytest.mark.parametrize("folder", ["xmempp", "ComfyUI-XMem-plus.v1"])
def test_a_copy_loads_in_a_fresh_comfyui_under_any_folder_name(tmp_path, folder):
    target = tmp_path / "custom_nodes" / folder
    for name in published_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACK / name, target / name)
    command = [sys.executable, str(cache_folder() / "main.py"), "--cpu", "--quick-test-for-ci"]
    command += ["--disable-api-nodes", "--base-directory", str(tmp_path)]
    command += ["--database-url", "sqlite:///:memory:"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log[-2000:]
    line = next(x for x in log.splitlines() if x.endswith(str(target)))
    assert "IMPORT FAILED" not in log
    assert "Cannot import" not in log
    assert re.search(r"[\d.]+ seconds", line)
