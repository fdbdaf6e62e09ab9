"""Load XMem++ opens what it lists, whatever text comes through a link."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.mark.parametrize(
    "name", ["../../outside.safetensors", "/etc/outside.safetensors", "sub\\..\\x.pth", ""]
)
def test_a_model_that_is_not_listed_is_refused(
    name: str, pack_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, core = pack_module("nodes.host"), pack_module("xmempp_core")
    folders = ModuleType("folder_paths")
    monkeypatch.setitem(sys.modules, "folder_paths", folders)
    monkeypatch.setattr(host, "model_files", lambda: ["mine.safetensors"])
    with pytest.raises(core.InputError, match=r"no file of models/xmem.*mine\.safetensors"):
        host.model_path(name)
