"""How mattes are made and written: settings, and presets of them as TOML that users change."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import FormatError, InputError, SettingsError
from ..formats.mattes.exr import COMPRESSIONS
from ..formats.mattes.fill import FILLS
from ..formats.mattes.names import FileNames, file_names
from ..formats.mattes.picture import PictureOptions
from ..formats.mattes.table import FORMATS, Format
from ..paths import path_kind, read_text, user_path
from .edges import EdgeSettings
from .steady import check_rounds

_FOLDER = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class MatteSettings:
    """What mattes look like and how they are written. A preset is such settings in a file."""

    format: str = "png"
    """A key of FORMATS."""
    template: str = "{object}/{shot}_{object}_matte_v{version:03d}.{frame}.png"
    """Names of the files, see `formats.mattes.names`."""
    bits: int | None = None
    """Bits of a value: 8 or 16 for PNG, 16 (half) or 32 (float) for EXR; None = the usual ones."""
    compression: str = "zips"
    """Of OpenEXR: zips, zip, piz or none; all lossless."""
    layers: bool = False
    """One OpenEXR file with a layer `<object>.A` for each object, instead of a file for each."""
    hard: bool = False
    """Edges of 0 and 1, from the label maps, instead of soft ones."""
    fill: str = "white"
    """Colors under the matte: plate, white or black; where the format has colors."""
    premultiplied: bool = False
    """Whether these colors are multiplied by the matte."""
    first_frame: int | None = None
    """Number of the shot's first frame; None = the plate's own numbers, 1001 where it has none."""
    padding: int | None = None
    """Digits of a frame number; None = as many as the plate's, at least 4."""
    steady: int = 0
    """Rounds of steadying along motion, 0 = off."""
    edges: EdgeSettings = field(default_factory=EdgeSettings)
    """Controls of the edge; in a preset and on the command line by their own names."""
    edges_of_annotated: bool = False
    """Whether edges are controlled where an annotation says what the mask is, too."""

    def __post_init__(self) -> None:
        for one in fields(self):
            _check_type(one.name, one.type, getattr(self, one.name))
        _check_choice("format", self.format, tuple(FORMATS))
        _check_choice("compression", self.compression, tuple(COMPRESSIONS))
        _check_choice("fill", self.fill, FILLS)
        if self.bits is not None:
            _check_choice(f"bits of {self.format}", self.bits, self.kind.bits)
        if self.padding is not None and not 1 <= self.padding <= 10:
            raise SettingsError("padding", self.padding, "1 to 10 digits")
        if self.layers and self.format != "exr":
            raise InputError(f"layers are for the format exr, not for {self.format}")
        check_rounds(self.steady)
        _ = self.names

    @property
    def kind(self) -> Format:
        """The format."""
        return FORMATS[self.format]

    @property
    def names(self) -> FileNames:
        """The checked template."""
        return file_names(self.template, self.kind.suffix, numbered=not self.kind.is_film)

    @property
    def in_one_file(self) -> bool:
        """Whether all objects of a frame go into one file."""
        return self.layers or self.kind.in_one_file

    @property
    def needs_frames(self) -> bool:
        """Whether mattes cannot be made without the plate."""
        if self.steady > 0 or self.edges.refine_pixels > 0:
            return True
        return self.kind.has_colors and self.fill == "plate"

    @property
    def picture_options(self) -> PictureOptions:
        """What the writers look at."""
        bits = self.kind.bits[0] if self.bits is None else self.bits
        return PictureOptions(bits, self.compression, self.fill, self.premultiplied)

    def with_values(self, values: dict[str, Any]) -> MatteSettings:
        """The settings with other values by name.

        Raises:
            InputError: a name or value is not known.
        """
        of_edges = {one.name for one in fields(EdgeSettings)}
        own = {one.name for one in fields(self)} - {"edges"}
        for name in values:
            if name not in own | of_edges:
                known = ", ".join(sorted(own | of_edges))
                raise InputError(f"there is no setting {name!r}; settings are {known}")
        edges = replace(self.edges, **{n: v for n, v in values.items() if n in of_edges})
        return replace(self, edges=edges, **{n: v for n, v in values.items() if n in own})


def preset_names() -> list[str]:
    """The presets that come along."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_preset(name: str | Path) -> MatteSettings:
    """The preset of a name, or of a TOML file.

    Raises:
        InputError: there is no such preset.
        FormatError: the file cannot be read or holds other settings.
    """
    path = _FOLDER / f"{name}.toml" if str(name) in preset_names() else user_path(name)
    if path_kind(path) != "file":
        known = ", ".join(preset_names())
        raise InputError(f"there is no preset {name}; presets are {known}, or give a TOML file")
    text = read_text(path)
    try:
        values = tomllib.loads(text)
    except RecursionError as error:
        raise FormatError(path, "cannot be read as a preset: it is nested too deeply") from error
    except ValueError as error:
        raise FormatError(path, f"cannot be read as a preset: {error}") from error
    try:
        return MatteSettings().with_values(values)
    except InputError as error:
        raise FormatError(path, str(error)) from error


def _check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise SettingsError(name, value, ", ".join(map(str, allowed)))


def _check_type(name: str, annotation: Any, value: object) -> None:
    """Values come from text files: a number in quotes is not taken for a number."""
    kinds = {"str": str, "int": int, "bool": bool, "int | None": (int, type(None))}
    kind = kinds.get(str(annotation))
    is_wrong_bool = isinstance(value, bool) and annotation != "bool"
    if kind is not None and (not isinstance(value, kind) or is_wrong_bool):  # type: ignore[arg-type]
        raise SettingsError(name, value, str(annotation))
