"""What does not fit in memory comes back from disk as it was, or is refused in a sentence."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xmempp_core.errors import CapacityError, InputError
from xmempp_core.spill import PREFIX, SpillStore


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def store(**options: object) -> SpillStore:
    return SpillStore("the pieces", "ask for fewer", **options)  # type: ignore[arg-type]


def test_pieces_fill_memory_then_disk_and_come_back_as_they_were(temporary: Path) -> None:
    one = store(memory_bytes=10)
    for name, data in ((0, b"12345678"), ("ab", b"xyz"), (7, b"")):
        one.put(name, data)
    assert [one.get(0), one.get("ab"), one.get(7)] == [b"12345678", b"xyz", b""]
    assert (one.held_bytes, one.spilled_bytes) == (8, 3)
    assert [p.name for p in temporary.rglob("*.bin")] == ["ab.bin"]


def test_a_piece_put_again_takes_the_place_of_the_old_one() -> None:
    one = store(memory_bytes=4)
    for data in (b"123", b"12345678", b"12"):
        one.put(0, data)
        assert one.get(0) == data
    assert (one.held_bytes, one.spilled_bytes) == (2, 0)


def test_a_used_up_budget_says_what_to_do() -> None:
    one = store(disk_bytes=10)
    one.put(0, b"12345678")
    assert not one.has_room(3)
    with pytest.raises(CapacityError, match=r"the pieces cannot be kept in .* ask for fewer"):
        one.put(1, b"123")
    assert one.get(0) == b"12345678"
    with pytest.raises(InputError, match="1 cannot be read"):
        one.get(1)


@pytest.mark.parametrize("harm", [lambda d: d[:-1], lambda d: b"\0" + d[1:], lambda d: b""])
def test_a_damaged_piece_is_told_from_its_content(temporary: Path, harm) -> None:
    one = store()
    one.put(3, b"12345678")
    (path,) = temporary.rglob("3.bin")
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(InputError, match=r"the pieces in .* 3 is damaged; start anew"):
        one.get(3)
    path.unlink()
    with pytest.raises(InputError, match=r"3 cannot be read .* start anew"):
        one.get(3)


def test_a_temporary_folder_goes_with_its_store_and_a_given_one_stays(temporary: Path) -> None:
    one, other = store(), store(folder=temporary / "given")
    one.put(0, b"1")
    other.put(0, b"2")
    del one, other
    gc.collect()
    assert [p.name for p in temporary.iterdir()] == ["given"]
    assert store(folder=temporary / "given").get(0) == b"2"


def test_a_cleared_store_is_empty_and_can_be_filled_again(temporary: Path) -> None:
    one = store(memory_bytes=1)
    one.put(0, b"1")
    one.put(1, b"23")
    one.clear()
    assert not list(temporary.iterdir())
    assert (one.held_bytes, one.spilled_bytes) == (0, 0)
    one.put(1, b"23")
    assert one.get(1) == b"23"


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_uses_is_not(
    temporary: Path,
) -> None:
    mine = store()
    mine.put(0, b"mine")
    script = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1]);"
        "from xmempp_core.spill import SpillStore;"
        "one = SpillStore('x', 'y'); one.put(0, b'left'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[1]
    environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary)}
    subprocess.run([sys.executable, "-c", script, str(root)], env=environment, check=False)
    assert len(list(temporary.glob(f"{PREFIX}*"))) == 2
    other = store()
    other.put(0, b"other")
    assert len(list(temporary.glob(f"{PREFIX}*"))) == 2
    assert (mine.get(0), other.get(0)) == (b"mine", b"other")
