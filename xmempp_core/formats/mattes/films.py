"""Mattes as films: ProRes 4444 and WebM with alpha, H.264 luma mattes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from ...errors import FormatError
from ..film_file import FilmFile, FilmKind
from .fill import filled
from .picture import FilmFacts, MattePicture, PictureOptions

# RGB to Y, Cb, Cr of BT.709
_LUMA = np.array([0.2126, 0.7152, 0.0722])
_BLUE, _RED = 1.8556, 1.5748

# Without the random ids and versions that make equal films differ.
_BITEXACT = {"fflags": "bitexact"}
_INDEX_FIRST = {**_BITEXACT, "movflags": "faststart"}

_Planes = list[NDArray[np.uint8] | NDArray[np.uint16]]


@dataclass(frozen=True)
class Codec:
    """How one kind of film is made."""

    file: FilmKind
    planes: Callable[[MattePicture, PictureOptions], _Planes]


class MatteFilm:
    """A film of mattes, written frame by frame; whole or absent.

    Args:
        path: of the film.
        codec: one of CODECS.
        facts: size, rate and start.
        options: fill and alpha.
    """

    def __init__(self, path: Path, codec: Codec, facts: FilmFacts, options: PictureOptions) -> None:
        self._codec, self._facts, self._options = codec, facts, options
        self._film = FilmFile(path, codec.file, facts.frame_rate)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            film = stack.enter_context(self._film)
            film.start(self._facts.size)
            self._describe(film)
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.__exit__(kind, error, trace)

    def add(self, picture: MattePicture) -> None:
        """Append a frame."""
        planes = self._codec.planes(picture, self._options)
        stream = self._film.stream
        frame = av.VideoFrame(stream.width, stream.height, self._codec.file.pixel_format)
        for plane, values in zip(frame.planes, planes, strict=True):
            _fill_plane(plane, values)
        frame.colorspace = frame.color_primaries = frame.color_trc = 1
        frame.color_range = ColorRange.MPEG
        self._film.add(frame)

    def _describe(self, film: FilmFile) -> None:
        kind = self._codec.file
        if kind.container == "mov":
            film.stream.metadata["timecode"] = str(self._facts.start_time_code)
        if "yuva420" in kind.pixel_format:
            film.stream.metadata["alpha_mode"] = "1"
        alpha = "premultiplied" if self._options.premultiplied else "straight"
        film.container.metadata["comment"] = f"alpha: {alpha}; fill: {self._options.fill}"


def _prores_planes(picture: MattePicture, options: PictureOptions) -> _Planes:
    """Y, Cb, Cr in 10 bits of limited range, alpha in 10 bits of full range."""
    rgba = filled(picture, options)
    scale = 4.0
    y, cb, cr = _ycbcr(rgba[..., :3])
    planes = [(16 + 219 * y) * scale, (128 + 224 * cb) * scale, (128 + 224 * cr) * scale]
    return [np.rint(p).astype(np.uint16) for p in (*planes, rgba[..., 3] * 1023)]


def _webm_planes(picture: MattePicture, options: PictureOptions) -> _Planes:
    """Y, halved Cb and Cr in limited range, alpha in full range; 8 bits."""
    rgba = _even(filled(picture, options))
    y, cb, cr = _ycbcr(rgba[..., :3])
    planes = [16 + 219 * y, 128 + 224 * _halved(cb), 128 + 224 * _halved(cr), rgba[..., 3] * 255]
    return [np.rint(plane).astype(np.uint8) for plane in planes]


def _luma_planes(picture: MattePicture, options: PictureOptions) -> _Planes:
    """The matte as brightness of limited range, without color."""
    alpha = picture.alpha.detach().cpu().double().clamp(0, 1).numpy()
    luma = np.rint(16 + 219 * _even(alpha)).astype(np.uint8)
    gray = np.full((luma.shape[0] // 2, luma.shape[1] // 2), 128, np.uint8)
    return [luma, gray, gray]


CODECS = {
    "prores": Codec(
        FilmKind("mov", "prores_ks", "yuva444p10le", {"profile": "4444"}, _INDEX_FIRST, 1),
        _prores_planes,
    ),
    "webm": Codec(
        FilmKind(
            "webm",
            "libvpx-vp9",
            "yuva420p",
            {"crf": "18", "b": "0", "deadline": "good", "cpu-used": "4", "auto-alt-ref": "0"},
            _BITEXACT,
            1,
        ),
        _webm_planes,
    ),
    "mp4": Codec(
        FilmKind("mp4", "libx264", "yuv420p", {"crf": "12", "preset": "veryfast"}, _INDEX_FIRST, 1),
        _luma_planes,
    ),
}
"""prores: 10 bits of alpha. webm: VP9, 8 bits of alpha. mp4: the matte as brightness."""


def open_film(name: str, path: Path, facts: FilmFacts, options: PictureOptions) -> MatteFilm:
    """A film of a format of CODECS, to be used in a `with` block.

    Raises:
        FormatError: the encoder is not there.
    """
    codec = CODECS[name]
    encoder = codec.file.encoder
    if encoder not in av.codecs_available:
        raise FormatError(path, f"cannot be written: this PyAV lacks the encoder {encoder}")
    return MatteFilm(path, codec, facts, options)


def _ycbcr(rgb: NDArray[np.float64]) -> tuple[NDArray, NDArray, NDArray]:
    """Y 0..1, Cb and Cr -0.5..0.5 of BT.709."""
    y = rgb @ _LUMA
    return y, (rgb[..., 2] - y) / _BLUE, (rgb[..., 0] - y) / _RED


def _even(values: NDArray) -> NDArray:
    """Odd sides gain a line, a copy of the last, as 4:2:0 needs even ones."""
    height, width = values.shape[:2]
    margins = [(0, height % 2), (0, width % 2), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, margins, mode="edge")


def _halved(values: NDArray) -> NDArray:
    height, width = values.shape
    return np.asarray(values.reshape(height // 2, 2, width // 2, 2).mean((1, 3)))


def _fill_plane(plane: av.video.plane.VideoPlane, values: NDArray) -> None:
    """Copies values into a plane, whose lines may be longer."""
    raw = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    line = np.ascontiguousarray(values).view(np.uint8)
    raw[:, : line.shape[1]] = line
