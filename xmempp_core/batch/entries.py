"""Shots as a manifest names them: words and numbers of the right kind, nothing opened yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..file_names import legal_name
from ..mattes.choices import MatteChoice

STAR = "*"
"""Stands for one part of a path, and for what it matched in a shot's other keys."""


@dataclass(frozen=True)
class ExportEntry:
    """One export of a shot's track."""

    name: str
    """Folder below the shot's mattes."""
    choice: MatteChoice


@dataclass(frozen=True)
class ShotEntry:
    """One shot, the defaults put in. Paths are as the manifest has them."""

    line: int
    """Where the manifest names it."""
    name: str = STAR
    """Name of the shot; its folder, its log and its mattes are called so."""
    frames: str = ""
    """Video, folder, pattern plate.####.png; a `*` makes a shot of each match."""
    annotations: str = ""
    """Folder of label maps."""
    output: str = ""
    """Folder of the results; empty = the shot's name below the manifest's output."""
    use: str = ""
    """Only these annotated frames; empty = all."""
    absent: tuple[str, ...] = ()
    """Absences, each as ID:A-B."""
    input_colorspace: str = "auto"
    exr_window: str = "display"
    """What is read of an OpenEXR file: display or data window."""
    range: str = ""
    """Frames A-B by the shot's own numbers; empty = all."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of PropagationSettings."""
    augment: str = "none"
    model: str = "lite"
    adapt: str = "off"
    adapt_steps: int | None = None
    steady: int = 0
    """Rounds of steadying of masks, overlay and mattes."""
    probabilities: bool = False
    exports: tuple[ExportEntry, ...] = ()
    exclude: tuple[str, ...] = ()
    """Names that a `*` does not make shots of."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Line of each key, of the defaults where it stands there; settings as settings.NAME."""

    def line_of(self, *keys: str) -> int:
        """Line of the first of some keys that the manifest has; else that of the shot."""
        return next((self.lines[key] for key in keys if key in self.lines), self.line)

    @property
    def is_glob(self) -> bool:
        """Whether it stands for as many shots as match."""
        return STAR in self.frames

    def matched(self, text: str, frames: str) -> ShotEntry:
        """The shot of one match.

        Args:
            text: what the star matched.
            frames: the path that matched.
        """
        filled = {
            key: getattr(self, key).replace(STAR, text) for key in ("name", "annotations", "output")
        }
        return replace(self, frames=frames, **filled)


def export_name(preset: str) -> str:
    """What an export is called where the manifest gives it no name."""
    return legal_name(Path(preset).stem)
