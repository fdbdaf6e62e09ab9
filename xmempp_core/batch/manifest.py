"""The manifest of a batch: a TOML file with defaults and shots.

docs/batch.md describes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import FormatError, XMemError
from ..file_names import name_fault
from ..format_version import check_format_version
from ..paths import resolved_path
from .entries import ShotEntry
from .entry_values import DEFAULT_KEYS, SHOT_KEYS, EntryReader, shot_entry
from .faults import Fault, ManifestError
from .matches import matches_of
from .path_maps import PathMap
from .toml_lines import TomlFile, parse_toml, read_toml

FORMAT_VERSION = 1
_TOP = ("format_version", "output", "defaults", "shot")
DEFAULT_OUTPUT = "results"


@dataclass(frozen=True)
class Manifest:
    """What a manifest says, its shots counted out."""

    path: Path
    output: Path
    """Folder of all results, absolute."""
    shots: tuple[ShotEntry, ...]
    """In the manifest's order; paths are absolute."""
    faults: tuple[Fault, ...] = ()
    """What is wrong already; shots with a fault may be missing."""


def load_manifest(path: Path, paths: PathMap | None = None) -> Manifest:
    """The manifest in a file; what it names is not opened yet.

    Args:
        path: the file.
        paths: where the manifest's folders lie on this machine; None = where it says.

    Raises:
        FormatError: the file cannot be read or is of a newer version.
        ManifestError: it is no TOML.
    """
    path = resolved_path(path)
    return _manifest(read_toml(path), paths or PathMap())


def manifest_of(text: str, path: Path, paths: PathMap | None = None) -> Manifest:
    """The manifest of a text, as if it lay at a path; see `load_manifest`."""
    return _manifest(parse_toml(text, path), paths or PathMap())


def _manifest(file: TomlFile, paths: PathMap) -> Manifest:
    _check_version(file)
    reader = EntryReader(file)
    for key in file.values:
        if key not in _TOP:
            reader.fault((key,), f"there is no key {key!r}; keys are {', '.join(_TOP)}")
    folder = file.path.parent
    output = file.values.get("output", DEFAULT_OUTPUT)
    if not isinstance(output, str) or not output:
        reader.fault(("output",), 'output must be a folder such as "results"')
        output = DEFAULT_OUTPUT
    root = paths.local(folder, output)
    shots = []
    for entry in _entries(file, reader):
        try:
            placed = _placed(entry, folder, root, paths)
        except FormatError as error:
            reader.faults.append(Fault(file.path, entry.line, str(error)))
            continue
        shots += [_named(one, root) for one in _counted_out(placed, file, reader)]
    if not shots and not reader.faults:
        reader.fault((), "names no shot; add [[shot]] with name, frames and annotations")
    _check_distinct(shots, file, reader)
    legal = tuple(shot for shot in shots if _name_problem(shot.name) is None)
    return Manifest(file.path, root, legal, tuple(reader.faults))


def _check_version(file: TomlFile) -> None:
    try:
        check_format_version(file.path, file.values.get("format_version"), FORMAT_VERSION)
    except FormatError as error:
        line = file.line("format_version")
        raise ManifestError(file.path, [Fault(file.path, line, error.problem)]) from error


def _entries(file: TomlFile, reader: EntryReader) -> Iterator[ShotEntry]:
    """The shots as written, with the defaults."""
    table = file.values.get("defaults", {})
    defaults = reader.values_of(table, ("defaults",), DEFAULT_KEYS, "defaults")
    shots = file.values.get("shot", [])
    if not isinstance(shots, list):
        reader.fault(("shot",), "shot must be an array of tables; write [[shot]]")
        return
    for position, shot in enumerate(shots):
        place = ("shot", position)
        own = reader.values_of(shot, place, SHOT_KEYS, _title(shot, position))
        yield shot_entry(file, position, defaults, own)


def _title(shot: object, position: int) -> str:
    name = shot.get("name") if isinstance(shot, dict) else None
    return f"shot {name}" if isinstance(name, str) and name else f"shot {position + 1}"


def _placed(entry: ShotEntry, folder: Path, root: Path, paths: PathMap) -> ShotEntry:
    """The shot with absolute paths of this machine; presets and models that are names stay."""

    def local(text: str, base: Path = folder) -> str:
        return str(paths.local(base, text)) if text else ""

    def file(text: str) -> str:
        return local(text) if "/" in text or "\\" in text or "." in text else text

    exports = tuple(
        replace(one, choice=replace(one.choice, preset=file(one.choice.preset)))
        for one in entry.exports
    )
    return replace(
        entry,
        frames=local(entry.frames),
        annotations=local(entry.annotations),
        output=local(entry.output, root),
        model=file(entry.model),
        exports=exports,
    )


def _counted_out(entry: ShotEntry, file: TomlFile, reader: EntryReader) -> Iterator[ShotEntry]:
    """The shot, or one for each match of its star; none where something is missing."""
    missing = [
        key
        for key in ("frames", "annotations")
        if not getattr(entry, key) and key not in entry.lines  # else it is a fault already
    ]
    if not entry.is_glob and entry.name == "*":
        missing.insert(0, "name")
    for key in missing:
        reader.faults.append(Fault(file.path, entry.line, f"the shot has no {key}; add {key} = "))
    if missing or not entry.frames or not entry.annotations:
        return
    if not entry.is_glob:
        yield entry
        return
    try:
        yield from matches_of(entry)
    except XMemError as error:
        reader.faults.append(Fault(file.path, entry.line_of("frames"), str(error)))


def _named(entry: ShotEntry, root: Path) -> ShotEntry:
    """The shot with its output folder, and mattes called as it where they have no other name."""
    exports = tuple(
        replace(one, choice=replace(one.choice, shot=one.choice.shot or entry.name))
        for one in entry.exports
    )
    return replace(entry, output=entry.output or str(root / entry.name), exports=exports)


def _name_problem(name: str) -> str | None:
    """Why a shot cannot be called so, a clause."""
    if problem := name_fault(name):
        return problem
    if name.startswith("."):
        return "is hidden"
    return "contains a comma, which parts names on the command line" if "," in name else None


def _check_distinct(shots: list[ShotEntry], file: TomlFile, reader: EntryReader) -> None:
    """Names and folders that two shots would share, or that no file system takes."""
    seen: dict[str, ShotEntry] = {}
    for shot in shots:
        if problem := _name_problem(shot.name):
            text = f"shot name {shot.name[:60]!r} {problem}"
            reader.faults.append(Fault(file.path, shot.line, text))
        others: tuple[tuple[str, str], ...] = (
            (f"name {shot.name}", shot.name.lower()),
            (f"output {shot.output}", f"/{str(Path(shot.output)).lower()}"),
        )
        for what, key in others:
            earlier = seen.setdefault(key, shot)
            if earlier is not shot:
                text = f"two shots have the {what}, the other in line {earlier.line}; change one"
                reader.faults.append(Fault(file.path, shot.line, text))
                break
