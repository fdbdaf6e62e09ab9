"""What lies at a path is looked at before it is opened or replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from xmempp_core.atomic import write_bytes
from xmempp_core.delivery.output_folder import open_output
from xmempp_core.errors import FormatError
from xmempp_core.network.checkpoint import load_model
from xmempp_core.paths import path_kind, read_text, user_path
from xmempp_core.training.folders import open_root

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")


def open_as_output(path: Path) -> None:
    with open_output(path, overwrite=True, resume=False):
        pass


CALLS: dict[str, Callable[[Path], object]] = {
    "read": read_text,
    "write": lambda path: write_bytes(path, b"new"),
    "output": open_as_output,
    "training data": open_root,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_fifo_is_neither_waited_for_nor_replaced(
    tmp_path: Path, call: Callable[[Path], object]
) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(FormatError, match="fifo: is a FIFO and no regular file"):
        call(path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert [p.name for p in tmp_path.iterdir()] == ["fifo"]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_device_is_neither_read_nor_replaced(call: Callable[[Path], object]) -> None:
    with pytest.raises(FormatError, match="/dev/zero: is a device and no regular file"):
        call(Path("/dev/zero"))


def test_a_model_at_a_fifo_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(FormatError, match="is a FIFO and no regular file"):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("call", [path_kind, read_text, *CALLS.values()])
def test_paths_that_can_be_nothing_are_refused_in_a_sentence(
    tmp_path: Path, call: Callable[[Path], object]
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "loop", tmp_path / ("n" * 300), Path("a\0b"), Path("a\ud800b")):
        with pytest.raises(FormatError):
            call(path)


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is a folder; give the name of a file"):
        write_bytes(tmp_path, b"new")


def test_a_home_of_nobody_is_refused() -> None:
    with pytest.raises(FormatError, match="begins with the home folder of a user who does not"):
        user_path("~nosuchuser/shot")


def test_text_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff{}")
    with pytest.raises(FormatError, match=r"a\.json: is no text in UTF-8"):
        read_text(tmp_path / "a.json")
