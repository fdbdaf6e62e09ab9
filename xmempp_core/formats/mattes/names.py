"""Names of matte files: templates such as `{shot}_{object}_matte_v{version:03d}.{frame}.exr`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from string import Formatter

from ...errors import InputError
from ...file_names import legal_name, name_fault

FIELDS = {
    "shot": "name of the shot",
    "object": "name of the object",
    "id": "number of the object, or of the first where several are joined",
    "version": "version, for example {version:03d}",
    "frame": "number of the frame, padded",
    "name": "name of the plate's frame without suffix, its number included",
}

_SPEC = re.compile(r"0?\d?d")
_NUMBERS = ("version", "id")
# Where the number or the plate's own name stands last before the suffix.
_ENDS_WITH_FRAME = re.compile(r".*(?:\{frame\}|\{name\})\.[A-Za-z0-9]+")


@dataclass(frozen=True)
class FileNames:
    """A checked template. Make one with `file_names`."""

    template: str
    fields: frozenset[str]

    def path(self, **values: str | int) -> PurePosixPath:
        """The path of a file below the output folder; texts are made legal names.

        Raises:
            InputError: a part of it is no legal name.
        """
        plain = {k: legal_name(v) if isinstance(v, str) else v for k, v in values.items()}
        path = PurePosixPath(self.template.format_map(plain))
        for part in path.parts:
            if fault := name_fault(part):
                raise InputError(f"template {self.template!r} gives the name {part!r}: it {fault}")
        return path

    @property
    def is_versioned(self) -> bool:
        """Whether names hold a version."""
        return "version" in self.fields

    @property
    def tells_objects_apart(self) -> bool:
        """Whether names hold the object."""
        return bool(self.fields & {"object", "id"})


def file_names(template: str, suffix: str, *, numbered: bool) -> FileNames:
    """The names of a template.

    Args:
        template: path below the output folder, "/" between folders.
        suffix: that of the format, with its dot.
        numbered: one file a frame; else one file for all frames.

    Raises:
        InputError: the template cannot be used; says why.
    """
    fields = frozenset(_fields_of(template))
    if not template.endswith(suffix):
        raise InputError(f"template {template!r} must end with {suffix}, the suffix of the format")
    if numbered and not _ENDS_WITH_FRAME.fullmatch(template):
        raise InputError(
            f"template {template!r} must have the frame number last before the suffix: "
            f"{{frame}}{suffix} (or {{name}}{suffix}, the plate's own name)"
        )
    if not numbered and fields & {"frame", "name"}:
        raise InputError(
            f"template {template!r} holds a frame number, but a film is one file for all frames; "
            "leave out {frame} and {name}"
        )
    if template.startswith("/") or "\\" in template:
        raise InputError(
            f"template {template!r} must be a path below the output folder, with / between folders"
        )
    names = FileNames(template, fields)
    names.path(**dict.fromkeys(("shot", "object", "name", "frame"), "a"), id=1, version=1)
    return names


def _fields_of(template: str) -> Iterable[str]:
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise InputError(f"template {template!r} cannot be read: {error}") from error
    for _, field, spec, conversion in parts:
        if field is None:
            continue
        if field not in FIELDS or conversion:
            known = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise InputError(f"template {template!r}: {{{field}}} is no field; fields are {known}")
        if spec and not (field in _NUMBERS and _SPEC.fullmatch(spec)):
            raise InputError(
                f"template {template!r}: {{{field}:{spec}}} cannot be written so; "
                "only version and id take a width, such as {version:03d}"
            )
        yield field


def numbered_text(number: int, padding: int) -> str:
    """A frame number of at least `padding` digits; the sign of a negative one comes first."""
    sign = "-" if number < 0 else ""
    return f"{sign}{abs(number):0{padding}d}"


def distinct_names(names: Mapping[int, str]) -> dict[int, str]:
    """Legal names by id; those that are equal, capitals or not, get a number behind them."""
    return _distinct({i: legal_name(name) for i, name in names.items()})


def layer_names(names: Mapping[int, str]) -> dict[int, str]:
    """Names of EXR layers by id: a letter, then letters, digits and underscores; all distinct."""
    return _distinct({i: _layer_name(name) for i, name in names.items()})


def manifest_names(names: Mapping[int, str]) -> dict[int, str]:
    """Names as a manifest holds them by id: as they are; those that are equal are numbered."""
    return _distinct(names, str)


def _layer_name(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    return plain if re.match(r"[A-Za-z]", plain) else f"object_{plain}".rstrip("_")


def _distinct(names: Mapping[int, str], folded: Callable[[str], str] = str.lower) -> dict[int, str]:
    used: set[str] = set()
    distinct = {}
    for key, name in names.items():
        count, candidate = 1, name
        while folded(candidate) in used:
            count += 1
            candidate = f"{name}_{count}"
        used.add(folded(candidate))
        distinct[key] = candidate
    return distinct
