"""The mattes of one object over the frames of a shot, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...types import Size
from ..frames.listing import NumberedFile
from .alpha_pixels import film_alphas, film_length, read_alpha
from .cryptomatte_reading import CoverageReader, CryptoObject

FILM_SUFFIXES = (".mov", ".mp4", ".webm", ".mkv", ".m4v")


@dataclass(frozen=True, eq=False)
class PickedObject:
    """An object of a Cryptomatte, and what reads it."""

    one: CryptoObject
    reader: CoverageReader
    """shared by the objects of a file, so that it is read once"""


@dataclass(frozen=True)
class MatteClip:
    """The mattes of one object over the frames of a shot."""

    name: str
    """Of the object, as files, layers or a JSON say."""
    object_id: int | None
    """Where a JSON says it."""
    files: tuple[NumberedFile, ...]
    """Of each frame; a single one for a film."""
    channel: str | None
    """Channel to read; None = alpha, or brightness where there is none; "#3" = the pixels of
    object 3 in a label map."""
    picked: PickedObject | None = None
    """Object of a Cryptomatte; instead of a channel."""

    @property
    def is_film(self) -> bool:
        """Whether all frames lie in one file."""
        return self.files[0].path.suffix.lower() in FILM_SUFFIXES

    @property
    def numbers(self) -> tuple[int, ...] | None:
        """Number of each frame; None for films."""
        return None if self.is_film else tuple(file.number for file in self.files)

    @property
    def count(self) -> int:
        """Number of frames."""
        return film_length(self.files[0].path) if self.is_film else len(self.files)

    def alphas(
        self, positions: Sequence[int] | None = None, size: Size | None = None
    ) -> Iterator[Tensor]:
        """(H, W) float32 0..1 of the frames in order; of some of them, ascending, if asked.

        Args:
            positions: of the frames; None = all.
            size: of the shot's frames, which says what window of an OpenEXR file is meant.

        Raises:
            FormatError: a file cannot be read or holds no such channel.
        """
        wanted = None if positions is None else set(positions)
        if self.is_film:
            yield from film_alphas(self.files[0].path, self.channel, wanted)
            return
        for position, file in enumerate(self.files):
            if wanted is None or position in wanted:
                yield self._alpha(file.path, size)

    def _alpha(self, path: Path, size: Size | None) -> Tensor:
        if self.picked is not None:
            return self.picked.reader.coverage(path, self.picked.one, size)
        return read_alpha(path, self.channel, size)
