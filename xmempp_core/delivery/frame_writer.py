"""FrameWriter: what is written of a shot while it is computed, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from ..atomic import make_durable
from ..pictures.films import OverlayVideo
from ..propagation.propagation import Propagation
from ..track.segmentation import Segmentation
from ..track.track import Track
from .output_folder import OutputFolder

WriteFiles = Callable[[int, Tensor], list[Path]]
"""Writes the files of a frame that is in the track from its index and label map; returns them."""


class FrameWriter:
    """Keeps the frames of a pass in the track, writes their files, saves states that count on them.

    Its calls are made one after the other, in the order of the pass; any thread may make them.

    Args:
        track: takes the results.
        folder: takes the files.
        write_files: writes the files of a frame.
        film: takes the overlays as they come; None = they are made later.
    """

    def __init__(
        self,
        track: Track,
        folder: OutputFolder,
        write_files: WriteFiles,
        film: OverlayVideo | None = None,
    ) -> None:
        self._track, self._folder, self._write_files = track, folder, write_files
        self._film = film
        self._unsaved_frames: list[int] = []
        self._unsaved_files: list[Path] = []

    @property
    def needs_pixels(self) -> bool:
        """Whether frames come with their pixels, for the film."""
        return self._film is not None

    def write(self, segmentation: Segmentation, pixels: Tensor | None) -> None:
        """Keeps and writes a frame.

        Args:
            segmentation: of the frame.
            pixels: (H, W, 3), the frame; needed where there is a film.
        """
        index = segmentation.frame_index
        labels = self._track.add(segmentation)
        self._unsaved_files += self._write_files(index, labels)
        self._unsaved_frames.append(index)
        if self._film is not None and pixels is not None:
            self._film.add(pixels, labels)

    def saving(self, pass_: Propagation) -> Callable[[], None]:
        """A call that saves the pass as it stands now.

        Made after those of the frames until then, it saves the state once all their files are safe.
        """
        return partial(self._save, pass_.state(), self._folder.backward_files())

    def _save(self, state: dict[str, Tensor], backward: Sequence[Path]) -> None:
        make_durable(self._unsaved_files)
        records = [self._track.record(index) for index in self._unsaved_frames]
        self._folder.save_unfinished(state, records, backward)
        self._unsaved_files, self._unsaved_frames = [], []
