"""A pass as the artist watches it: progress bar, small pictures, Cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from . import draw, host
from .convert import Watched

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..xmempp_core import FrameSource, Propagation, PropagationSettings, Segmentation


class WatchedPass:
    """The frames and results of a pass, both on their way through the node's progress bar.

    The bar counts the pictures that fill permanent memory, then the results. Cancel is heard at
    every frame that is read. The backward leg of "bidirectional" gives no results yet, so that its
    frames are counted as they are read.

    Args:
        source: the clip.
        settings: of the pass.
        frame_count: frames that the pass gives; None = all.
        preview: draws the small picture of a result; None = none, where a view shows the results.
    """

    def __init__(
        self,
        source: FrameSource,
        settings: PropagationSettings,
        frame_count: int | None = None,
        preview: Callable[[Segmentation, FrameSource], Image] | None = draw.preview_of,
    ) -> None:
        self._source = source
        self._preview = preview
        self._count = len(source) if frame_count is None else frame_count
        self._remembered = 0
        self._ahead = self._count if settings.direction == "bidirectional" else 0
        self._read = self._ahead
        self._bar = host.Progress(self._ahead + self._count)
        self.frames = Watched(source, self._on_frame)

    def prepare(self, pass_: Propagation) -> None:
        """Fills permanent memory."""
        for done, self._remembered in pass_.prepare():
            self._show(done)

    def results(self, segmentations: Iterator[Segmentation]) -> Iterator[Segmentation]:
        """The same results, each shown."""
        self._read = 0
        self._show(self._remembered)
        for done, segmentation in enumerate(segmentations, start=1):
            self._read = self._ahead
            picture = self._preview and partial(self._preview, segmentation, self._source)
            self._show(self._remembered + self._ahead + done, picture)
            yield segmentation

    def _on_frame(self) -> None:
        host.check_interrupted()
        if self._read < self._ahead:
            self._read += 1
            self._show(self._remembered + self._read)

    def _show(self, done: int, picture: Callable[[], Image] | None = None) -> None:
        total = self._remembered + self._ahead + self._count
        self._bar.step(done, total, picture=picture)
