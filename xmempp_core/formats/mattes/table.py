"""The formats of mattes by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cryptomatte import level_ranks, write_cryptomatte
from .exr import write_exr
from .picture import MattePicture, PictureOptions
from .png import write_cutout, write_gray, write_labels

Writer = Callable[[Path, MattePicture, PictureOptions], None]


@dataclass(frozen=True)
class Format:
    """What is to be known of a format."""

    suffix: str
    bits: tuple[int, ...]
    """bits a value may have, the usual one first"""
    write: Writer | None = None
    """writes a file of one frame; None for films, which `films.open_film` writes"""
    has_colors: bool = False
    """whether colors lie under the matte"""
    in_one_file: bool = False
    """whether all objects of a frame always go into one file"""
    finish: Callable[[Sequence[Path]], None] | None = None
    """done with the files when all frames are written"""
    bytes_a_pixel: float = 0.0
    """of a film, about, to see whether it has room; files of one frame are measured"""

    @property
    def is_film(self) -> bool:
        """Whether all frames go into one file."""
        return self.write is None


FORMATS = {
    "png": Format(".png", (16, 8), write_gray),
    "labels": Format(".png", (8,), write_labels, in_one_file=True),
    "cutout": Format(".png", (8, 16), write_cutout, has_colors=True),
    "exr": Format(".exr", (16, 32), write_exr),
    "cryptomatte": Format(".exr", (32,), write_cryptomatte, in_one_file=True, finish=level_ranks),
    "prores": Format(".mov", (10,), has_colors=True, bytes_a_pixel=0.7),
    "webm": Format(".webm", (8,), has_colors=True, bytes_a_pixel=0.05),
    "mp4": Format(".mp4", (8,), bytes_a_pixel=0.05),
}
"""png: gray. labels: palette label map of all objects. cutout: RGBA. exr: half or float.
cryptomatte: ids and coverages of all objects."""
