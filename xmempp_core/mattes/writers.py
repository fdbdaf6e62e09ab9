"""What writes the frames of an export: stills or films, in threads behind the one that computes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

from ..formats.frames.time_codes import TimeCode, of_count
from ..formats.mattes.films import MatteFilm, open_film
from ..formats.mattes.picture import FilmFacts, MattePicture
from ..pipeline import WriteBehind, queue_items
from ..track.track import Track
from ..types import FrameSource
from .staged import StagedExport

log = logging.getLogger(__name__)

DEFAULT_FRAME_RATE = Fraction(24)


class MatteWriters:
    """Writes the pictures of frame after frame, all files of a frame at the same time.

    A context manager: when its block ends without an error, everything is written.

    Args:
        track: of the shot.
        work: the export.
        source: the shot's frames, where they are there; a film starts at their time code.

    Raises:
        FormatError: the disk has no room, or a file cannot be written.
    """

    def __init__(self, track: Track, work: StagedExport, source: FrameSource | None) -> None:
        self._track, self._work, self._source = track, work, source
        self._done = 0

    def __enter__(self) -> Self:
        work, size = self._work, self._track.size
        area = size.height * size.width
        films = work.settings.kind.bytes_a_pixel * area * len(work.plan.frames)
        work.check_room(films * len(work.plan.files))
        with ExitStack() as stack:
            self._films = [stack.enter_context(film) for film in self._opened()]
            queued = queue_items(4 * area * len(work.plan.objects))
            # One for each file of a frame, so that films keep their order.
            self._behind = [stack.enter_context(WriteBehind(queued)) for _ in work.plan.paths[0]]
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.__exit__(kind, error, trace)

    def write(self, pictures: Sequence[MattePicture]) -> None:
        """The next frame; its pictures must not change afterwards."""
        work, number = self._work, self._done
        self._done += 1
        for place, (writer, picture) in enumerate(zip(self._behind, pictures, strict=True)):
            if self._films:
                writer.call(self._films[place].add, picture)
            else:
                writer.call(self._write_still, picture, work.plan.paths[number][place])
        if number == 0 and not self._films:  # now it can be seen how much room all will take
            for writer in self._behind:
                writer.wait()
            work.check_room(len(work.plan.frames) * work.written_bytes())

    def _write_still(self, picture: MattePicture, path: PurePosixPath) -> None:
        settings = self._work.settings
        assert settings.kind.write is not None  # films have no stills
        settings.kind.write(self._work.staging / path, picture, settings.picture_options)

    def _opened(self) -> list[MatteFilm]:
        work = self._work
        if not work.settings.kind.is_film:
            return []
        rate = self._track.frame_rate or DEFAULT_FRAME_RATE
        facts = FilmFacts(self._track.size, rate, _start_time_code(work, rate, self._source))
        options = work.settings.picture_options
        return [
            open_film(work.settings.format, work.staging / path, facts, options)
            for path in work.plan.files
        ]


def _start_time_code(work: StagedExport, rate: Fraction, source: FrameSource | None) -> TimeCode:
    """That of the first frame in the shot's files where they say one, else by its number."""
    by_number = of_count(work.plan.numbers[0], rate)
    time_code_of = getattr(source, "time_code", None)
    found = None if time_code_of is None else time_code_of(work.plan.frames[0])
    if found is None or work.settings.first_frame is not None:
        return by_number
    if not found.fits(rate):
        log.warning(
            "the frames' time code %s does not fit %s frames a second; films start at %s, "
            "by frame number",
            found,
            rate,
            by_number,
        )
        return by_number
    return found
