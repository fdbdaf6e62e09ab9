"""The values of a manifest's tables as entries; what is of the wrong kind is a fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InputError
from ..mattes.choices import MatteChoice
from .entries import ExportEntry, ShotEntry, export_name
from .faults import Fault
from .toml_lines import Place, TomlFile

_TEXTS = (
    "name", "frames", "annotations", "output", "use", "input_colorspace", "exr_window",
    "range", "augment",
    "model", "adapt",
)  # fmt: skip
NULL = "null"
"""Stands for a setting's null, which TOML has not."""
_LISTS = ("absent", "exclude")
_NUMBERS = ("adapt_steps", "steady")
SHOT_KEYS = (*_TEXTS, *_LISTS, *_NUMBERS, "probabilities", "settings", "exports")
DEFAULT_KEYS = tuple(key for key in SHOT_KEYS if key not in ("name", "output"))
_CHOICE_TEXTS = {"objects": "objects", "range": "frame_range", "shot": "shot"}
_CHOICE_KEYS = ("preset", "name", "join", "handles", "version", *_CHOICE_TEXTS)


class EntryReader:
    """Reads the tables of one manifest and remembers what is wrong with them.

    Args:
        file: the manifest.
    """

    def __init__(self, file: TomlFile) -> None:
        self._file = file
        self.faults: list[Fault] = []

    def fault(self, place: Place, problem: str) -> None:
        """Notes that something is wrong at a place."""
        self.faults.append(Fault(self._file.path, self._file.line(*place), problem))

    def values_of(
        self, table: object, place: Place, known: tuple[str, ...], what: str
    ) -> dict[str, Any]:
        """The values of a table that can be fields of a ShotEntry."""
        if not isinstance(table, dict):
            self.fault(place, f"{what} is {_shown(table)}; it must be a table")
            return {}
        values = {}
        for key, value in table.items():
            here = (*place, key)
            if key not in known:
                self.fault(here, f"{what} has no key {key!r}; keys are {', '.join(known)}")
                continue
            try:
                values[key] = self._value(key, value, here, what)
            except InputError as error:
                self.fault(here, str(error))
        return values

    def _value(self, key: str, value: object, place: Place, what: str) -> Any:
        where = f"{what}: {key}"
        if key in ("name", "frames", "annotations") and value == "":
            raise InputError(f"{where} is empty")
        if key in _TEXTS:
            return _of_kind(where, value, str, 'text such as "sh010"')
        if key in _LISTS:
            return tuple(_texts(where, value))
        if key in _NUMBERS:
            return _of_kind(where, value, int, "a whole number")
        if key == "probabilities":
            return _of_kind(where, value, bool, "true or false")
        if key == "settings":
            given = _of_kind(where, value, dict, "a table such as {internal_size = 720}")
            return {name: None if one == NULL else one for name, one in given.items()}
        return self._exports(where, value)

    def _exports(self, where: str, value: object) -> tuple[ExportEntry, ...]:
        listed = value if isinstance(value, list) else [value]
        exports = tuple(_export(where, one) for one in listed)
        names = [one.name.lower() for one in exports]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(
                f"{where}: two exports are called {twice!r}; give one of them another "
                '{preset = ..., name = "..."}'
            )
        return exports


def shot_entry(
    file: TomlFile, position: int, defaults: Mapping[str, Any], own: Mapping[str, Any]
) -> ShotEntry:
    """A shot of its own values and, where it has none, the defaults; settings are put together."""
    settings = {**defaults.get("settings", {}), **own.get("settings", {})}
    lines = {}
    for place in (("defaults",), ("shot", position)):
        below = [key for key in file.lines if key[: len(place)] == place]
        for key in below:
            lines[".".join(map(str, key[len(place) :]))] = file.lines[key]
    line = file.line("shot", position)
    return ShotEntry(line, **{**defaults, **own, "settings": settings}, lines=lines)


def _export(where: str, value: object) -> ExportEntry:
    """The export of "nuke" or {preset = "nuke", steady = 2}."""
    table = {"preset": value} if isinstance(value, str) else value
    if not isinstance(table, dict):
        raise InputError(f"{where} holds {_shown(value)}; write a preset's name or a table")
    preset = _of_kind(f"{where}: preset", table.get("preset", "png"), str, "a preset's name")
    name = _of_kind(f"{where}: name", table.get("name", export_name(preset)), str, "text")
    texts = {
        field: _of_kind(f"{where}: {key}", table[key], str, "text")
        for key, field in _CHOICE_TEXTS.items()
        if key in table
    }
    numbers: dict[str, Callable[[], Any]] = {
        "handles": lambda: _of_kind(f"{where}: handles", table["handles"], int, "a number"),
        "version": lambda: _of_kind(f"{where}: version", table["version"], int, "a number"),
    }
    counted = {key: read() for key, read in numbers.items() if key in table}
    choice = MatteChoice(
        preset,
        {key: one for key, one in table.items() if key not in _CHOICE_KEYS},
        joined=tuple(_texts(f"{where}: join", table.get("join", []))),
        handles_frames=counted.get("handles", 0),
        version=counted.get("version", 1),
        existing="overwrite",
        **texts,
    )
    return ExportEntry(name, choice)


def _texts(where: str, value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [_of_kind(where, one, str, "text, or a list of texts") for one in listed]


def _of_kind(where: str, value: object, kind: type, allowed: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"{where} is {_shown(value)}, allowed is {allowed}")
    return value


def _shown(value: object) -> str:
    """A value as a person knows it, cut short."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
