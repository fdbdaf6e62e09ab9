"""The pack's modules as ComfyUI imports them: inside a package with an invented name.

Only modules that need no ComfyUI can be had this way; the nodes themselves run in tests/comfyui.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "pack_under_test"


@pytest.fixture(scope="session")
def pack_module() -> Callable[[str], ModuleType]:
    """Imports a module of the pack by its dotted path below the root."""
    for name, folder in ((PACKAGE, ROOT), (f"{PACKAGE}.nodes", ROOT / "nodes")):
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return lambda path: import_module(f"{PACKAGE}.{path}")
