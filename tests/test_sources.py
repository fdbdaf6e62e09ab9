"""Rules that hold for every source file, whatever system it runs on."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("xmempp_core", "nodes", "benchmarks")
TEXT_METHODS = ("read_text", "write_text")


def sources(*folders: str) -> list[Path]:
    """All Python files in some of the repository's folders."""
    files = (p for folder in folders for p in (ROOT / folder).rglob("*.py"))
    return sorted(p for p in files if "__pycache__" not in p.parts)


def test_every_text_file_is_read_and_written_as_utf_8() -> None:
    """Without a word Windows takes the code page of the country."""
    bare = [
        f"{p.relative_to(ROOT)}:{line}"
        for p in sources(*SHIPPED)
        for line in text_without_encoding(p)
    ]
    assert not bare


def test_the_rule_sees_text_without_an_encoding(tmp_path: Path) -> None:
    lines = [
        "path.read_text()",
        'path.write_text("a", encoding="utf-8")',
        'path.open("w")',
        'path.open("rb")',
        'open("a")',
        'open("a", mode="wb")',
        'open("a", "w", encoding="utf-8")',
    ]
    source = tmp_path / "source.py"
    source.write_text("\n".join(lines), encoding="utf-8")
    assert list(text_without_encoding(source)) == [1, 3, 5]


def text_without_encoding(path: Path) -> Iterator[int]:
    """Lines that open text without saying its encoding."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not _opens_text(node):
            continue
        if not any(k.arg == "encoding" for k in node.keywords):
            yield node.lineno


def _opens_text(call: ast.Call) -> bool:
    """Whether a call reads or writes text: read_text, write_text, open in a text mode."""
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr in TEXT_METHODS:
        return True
    if isinstance(function, ast.Name) and function.id == "open":
        return "b" not in _mode(call, 1)
    if isinstance(function, ast.Attribute) and function.attr == "open":
        owner = function.value
        is_path = not (
            isinstance(owner, ast.Name) and owner.id in ("av", "Image", "fileseq", "tarfile")
        )
        return is_path and len(call.args) <= 1 and _is_mode(_mode(call, 0))
    return False


def _mode(call: ast.Call, place: int) -> str:
    given = [k.value for k in call.keywords if k.arg == "mode"] + call.args[place : place + 1]
    return given[0].value if given and isinstance(given[0], ast.Constant) else "r"


def _is_mode(text: object) -> bool:
    return isinstance(text, str) and set(text) <= set("rwax+t")


def test_no_test_or_benchmark_reads_beside_the_repository() -> None:
    named = [
        f"{p.relative_to(ROOT)}: {node.value}"
        for p in sources("tests", "benchmarks")
        if p != Path(__file__)
        for node in ast.walk(ast.parse(p.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if "../shared" in node.value
    ]
    assert not named


@pytest.mark.parametrize("name", ["model_card", "results", "worst_frames"])
def test_a_benchmark_without_its_data_ends_with_a_sentence(name: str, tmp_path: Path) -> None:
    command = [sys.executable, f"benchmarks/{name}.py", "--data", str(tmp_path / "missing")]
    outputs = {"model_card": "--scores", "results": "--output", "worst_frames": "--output"}
    done = subprocess.run(
        [*command, outputs[name], str(tmp_path / "output")],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 2
    assert "a data set holds JPEGImages and Annotations" in done.stderr
    assert len(done.stderr.splitlines()) == 1
