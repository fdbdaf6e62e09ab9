"""Alpha out of a picture or a film of another program, whatever holds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray
from torch import Tensor

from ...errors import FormatError
from ...paths import check_file
from ...types import Size
from ..annotations.label_maps import read_label_map
from ..frames.images import read_image_header
from ..frames.limits import memory_for
from ..frames.tiff import read_tiff_samples
from ..frames.video_scan import video_stream
from .exr_channels import read_channels

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float64)


def read_alpha(path: Path, channel: str | None = None, size: Size | None = None) -> Tensor:
    """(H, W) float32 of a PNG, TIFF or OpenEXR file: integers over their highest level.

    Args:
        path: of the file.
        channel: "A", "R", "G", "B" or "Y" (brightness), for OpenEXR any of its channels; None =
            alpha, or brightness where there is none; "#3" = the pixels of object 3 in a label map.
        size: of the shot's frames, which says what window of an OpenEXR file is meant.

    Raises:
        FormatError: the file cannot be read or holds no such channel.
    """
    check_file(path)
    suffix = path.suffix.lower()
    if channel and channel.startswith("#"):
        return (read_label_map(path) == int(channel[1:])).float()
    if suffix == ".exr":
        return torch.from_numpy(_exr_alpha(path, channel, size))
    pixels = read_tiff_samples(path) if suffix in (".tif", ".tiff") else _still(path)
    if pixels.dtype in (np.uint8, np.uint16):
        values = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max
    else:
        values = np.nan_to_num(pixels.astype(np.float64)).clip(0, 1)
    return torch.from_numpy(_chosen(path, values, channel).astype(np.float32))


def film_alphas(path: Path, channel: str | None, wanted: set[int] | None) -> Iterator[Tensor]:
    """(H, W) float32 0..1 of the frames in order; of those at some positions, if asked.

    Raises:
        FormatError: the film cannot be decoded, or holds no such channel.
    """
    with video_stream(path) as (container, stream):
        for position, frame in enumerate(_film_frames(container, stream)):
            if wanted is None or position in wanted:
                yield torch.from_numpy(_film_alpha(path, frame, channel).astype(np.float32))


def film_length(path: Path) -> int:
    """Frames of a film, counted by its packets.

    Raises:
        FormatError: it cannot be read as a film.
    """
    with video_stream(path) as (container, stream):
        return sum(packet.size > 0 for packet in container.demux(stream))


def _exr_alpha(path: Path, channel: str | None, size: Size | None) -> NDArray[np.float32]:
    channels = read_channels(path)
    names = [channel, f"{channel}.A"] if channel else ["A", "Y", "R"]
    name = next((one for one in names if one in channels), None)
    if name is None:
        found = ", ".join(sorted(channels)) or "none: it is damaged"
        raise FormatError(path, f"has no channel {names[0]}, only {found}")
    values = channels[name].placed(size).astype(np.float32)
    return np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)


def _still(path: Path) -> NDArray[Any]:
    read_image_header(path)  # refuses what is too large before memory is asked for
    data = np.fromfile(path, np.uint8)  # unlike cv2.imread, takes any name on Windows
    try:
        with memory_for(path):
            pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    except cv2.error as error:
        raise FormatError(path, f"is not a readable image ({error.err or error})") from error
    if pixels is None:
        raise FormatError(path, "is not a readable image: it is damaged or of another kind")
    if pixels.ndim == 3 and pixels.shape[2] >= 3:  # OpenCV has blue first
        pixels = pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]
    return np.asarray(pixels)


def _chosen(path: Path, values: NDArray[np.float64], channel: str | None) -> NDArray[np.float64]:
    """(H, W) of gray, gray with alpha, RGB or RGBA."""
    if values.ndim == 2:
        values = values[..., None]
    count = values.shape[2]
    named = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}.get(count, "")
    wanted = channel or ("A" if "A" in named else "Y")
    if wanted in named:
        return np.asarray(values[..., named.index(wanted)])
    if wanted == "Y" and count >= 3:
        return np.asarray(values[..., :3] @ _LUMA)
    raise FormatError(path, f"has no channel {wanted}, only {', '.join(named) or 'none known'}")


def _film_frames(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Frames with their alpha; FFmpeg's own VP9 decoder would drop it."""
    if stream.codec_context.name != "vp9" or "libvpx-vp9" not in av.codecs_available:
        yield from container.decode(stream)
        return
    decoder = av.CodecContext.create("libvpx-vp9", "r")
    for packet in container.demux(stream):
        yield from decoder.decode(packet)


def _film_alpha(path: Path, frame: av.VideoFrame, channel: str | None) -> NDArray[np.float64]:
    has_alpha = len(frame.planes) == 4
    if channel == "A" and not has_alpha:
        raise FormatError(path, "is a film without alpha; leave out the channel for its brightness")
    if has_alpha and channel in (None, "A"):
        return _plane(frame, 3)
    if channel not in (None, "Y"):
        raise FormatError(path, f"has no channel {channel}; films have A and Y")
    full = frame.color_range == 2  # of FFmpeg's AVCOL_RANGE: 1 limited, 2 full
    luma = _plane(frame, 0)
    return luma if full else ((luma * 255 - 16) / 219).clip(0, 1)


def _plane(frame: av.VideoFrame, index: int) -> NDArray[np.float64]:
    """Values 0..1 of a plane."""
    plane, bits = frame.planes[index], frame.format.components[index].bits
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    values = rows.view(np.uint16 if bits > 8 else np.uint8)[:, : plane.width]
    return values.astype(np.float64) / (2**bits - 1)
