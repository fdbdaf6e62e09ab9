"""Who may import whom: the table of the design, read off the source."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import xmempp_core

ROOT = Path(__file__).parents[1]
CORE = ROOT / "xmempp_core"
NODES = ROOT / "nodes"

# A room may import from the lines above its own, and never from its own line. A folder is one room.
# A new room takes its place here.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "file_names", "strict_json", "types"),
    ("format_version", "paths", "transfer"),
    (
        "annotations",
        "settings",
        "runtime",
        "atomic",
        "folder_lock",
        "pipeline",
        "resize",
        "smart_select",
        "spill",
    ),
    ("network", "track"),
    ("memory", "formats"),
    ("propagation", "pictures", "mattes", "projects"),
    ("candidates", "delivery"),
    ("evaluation",),
    ("training",),
    ("adaptation",),
    ("batch",),
    ("cli",),
    ("__main__",),
)
PLACE = {name: place for place, layer in enumerate(LAYERS) for name in layer}


def core_files() -> Iterator[Path]:
    return (path for path in sorted(CORE.rglob("*.py")) if path != CORE / "__init__.py")


def part_of(path: Path) -> str:
    """The module or package of the core that a file belongs to."""
    return path.relative_to(CORE).with_suffix("").parts[0]


def relative_imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Modules that a file of the core imports, as paths below the core."""
    folder = path.relative_to(CORE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            start = folder[: len(folder) - node.level + 1]
            if node.module:
                yield (*start, *node.module.split("."))
            else:
                yield from ((*start, alias.name) for alias in node.names)


def absolute_imports(path: Path) -> Iterator[str]:
    """First names of the modules that a file imports absolutely."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]


def test_every_module_has_a_place_in_the_table() -> None:
    assert {part_of(path) for path in core_files()} == set(PLACE)


@pytest.mark.parametrize("part", PLACE)
def test_a_room_imports_only_what_the_table_allows(part: str) -> None:
    allowed = {name for name, place in PLACE.items() if place < PLACE[part]}
    for path in core_files():
        if part_of(path) == part:
            found = {imported[0] for imported in relative_imports(path)}
            assert found - {part, "__version__"} <= allowed, path.name


@pytest.mark.parametrize("folder", [CORE, NODES], ids=["core", "nodes"])
def test_own_modules_are_imported_relatively(folder: Path) -> None:
    for path in folder.rglob("*.py"):
        assert not {"xmempp_core", "nodes"} & set(absolute_imports(path)), path


def test_the_core_knows_nothing_of_comfyui() -> None:
    foreign = {"comfy", "comfy_api", "comfy_execution", "folder_paths", "server", "execution"}
    for path in CORE.rglob("*.py"):
        assert not foreign & set(absolute_imports(path)), path


def test_only_the_host_touches_the_inside_of_comfyui() -> None:
    inside = {"comfy", "comfy_execution", "folder_paths", "server", "execution"}
    found = {path.name for path in NODES.glob("*.py") if inside & set(absolute_imports(path))}
    assert found == {"host.py"}


def test_nodes_use_public_names_of_the_core_alone() -> None:
    public = {*xmempp_core.__all__}
    for path in NODES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 2:
                assert node.module == "xmempp_core", path
                assert {alias.name for alias in node.names} <= public, path


def test_public_names_are_the_checked_in_ones() -> None:
    listed = (ROOT / "tests" / "data" / "public_names.txt").read_text().split()
    assert sorted(xmempp_core.__all__) == sorted(listed)
    assert dir(xmempp_core) == sorted(dir(xmempp_core))
    for name in listed:
        assert name in dir(xmempp_core)
        assert getattr(xmempp_core, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        xmempp_core.nothing  # noqa: B018


def test_type_checkers_see_the_same_public_names() -> None:
    tree = ast.parse((CORE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == xmempp_core._MODULE_OF


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert xmempp_core.__version__ == project["version"]
