"""Mattes of other programs: files read as alpha, whatever holds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import OpenEXR
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...errors import FormatError
from ...paths import check_file, path_kind
from ...strict_json import parse_json
from ..annotations.label_maps import read_label_map
from ..frames.images import IMAGE_SUFFIXES
from ..frames.listing import NumberedFile, is_pattern, list_folder, list_pattern, numbered
from .names import layer_names

FILM_SUFFIXES = (".mov", ".mp4", ".webm", ".mkv", ".m4v")
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float64)
_SIDECAR_FORMAT = "xmempp-mattes"


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
        return _film_length(self.files[0].path) if self.is_film else len(self.files)

    def alphas(self, positions: Sequence[int] | None = None) -> Iterator[Tensor]:
        """(H, W) float32 0..1 of the frames in order; of some of them, ascending, if asked.

        Raises:
            FormatError: a file cannot be read or holds no such channel.
        """
        wanted = None if positions is None else set(positions)
        if self.is_film:
            yield from _film_alphas(self.files[0].path, self.channel, wanted)
            return
        for position, file in enumerate(self.files):
            if wanted is None or position in wanted:
                yield read_alpha(file.path, self.channel)


def find_mattes(path: Path, channel: str | None = None) -> list[MatteClip]:
    """The mattes in a file, a pattern `matte.####.exr`, or a folder.

    A folder holds a JSON that an export wrote, or a folder or film for each object, or one
    sequence. Layers of OpenEXR files are an object each.

    Args:
        path: where they lie.
        channel: layer or channel to read, as "hat", "hat.A", "R"; None = alpha of every layer.

    Raises:
        FormatError: nothing there is a matte.
    """
    if is_pattern(path) and path_kind(path) == "nothing":
        return _sequence(
            path.name.split(".")[0].rstrip("#@%_- ") or "matte", list_pattern(path), channel
        )
    if path_kind(path) == "file":
        if path.suffix.lower() == ".json":
            return _of_sidecar(path, channel)
        if path.suffix.lower() in FILM_SUFFIXES:
            return [MatteClip(path.stem, None, (NumberedFile(0, path),), channel)]
        return _sequence(path.stem, [numbered(path)], channel)
    if path_kind(path) == "nothing":
        raise FormatError(path, "does not exist")
    return _of_folder(path, channel)


def read_alpha(path: Path, channel: str | None = None) -> Tensor:
    """(H, W) float32 of a PNG, TIFF or OpenEXR file: integers over their highest level.

    Args:
        path: of the file.
        channel: "A", "R", "G", "B" or "Y" (brightness), for OpenEXR any of its channels; None =
            alpha, or brightness where there is none.
    """
    check_file(path)
    suffix = path.suffix.lower()
    if channel and channel.startswith("#"):
        return (read_label_map(path) == int(channel[1:])).float()
    if suffix == ".exr":
        return torch.from_numpy(_exr_channel(path, channel))
    pixels = _tiff(path) if suffix in (".tif", ".tiff") else _still(path)
    if pixels.dtype in (np.uint8, np.uint16):
        values = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max
    else:
        values = np.nan_to_num(pixels.astype(np.float64)).clip(0, 1)
    return torch.from_numpy(_chosen(path, values, channel).astype(np.float32))


def _of_folder(folder: Path, channel: str | None) -> list[MatteClip]:
    inside = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    sidecars = [p for p in inside if p.suffix == ".json" and _sidecar(p) is not None]
    if len(sidecars) > 1:
        names = ", ".join(p.name for p in sidecars)
        raise FormatError(folder, f"holds several exports, {names}; give one of these files")
    if sidecars:
        return _of_sidecar(sidecars[0], channel)
    films = [p for p in inside if p.suffix.lower() in FILM_SUFFIXES]
    folders = [p for p in inside if p.is_dir()]
    if films:
        return [MatteClip(p.stem, None, (NumberedFile(0, p),), channel) for p in films]
    if folders:
        return [clip for one in folders for clip in _sequence(one.name, list_folder(one), channel)]
    return _sequence(folder.name, list_folder(folder), channel)


def _sequence(name: str, files: Sequence[NumberedFile], channel: str | None) -> list[MatteClip]:
    """The clips of one sequence: one, or one for each layer of OpenEXR files."""
    if not files:
        raise FormatError(name, "holds no picture")
    path = files[0].path
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        kinds = ", ".join((*IMAGE_SUFFIXES, *FILM_SUFFIXES))
        raise FormatError(path, f"is no matte that can be read; files end in {kinds}")
    if channel is None and _is_palette(path):
        found = {int(i) for file in files for i in read_label_map(file.path).unique() if i}
        return [MatteClip(f"object{i}", i, tuple(files), f"#{i}") for i in sorted(found)]
    if path.suffix.lower() != ".exr" or channel is not None:
        return [MatteClip(name, None, tuple(files), channel)]
    layers = [one.removesuffix(".A") for one in _exr_names(path) if one.endswith(".A")]
    if not layers:
        return [MatteClip(name, None, tuple(files), None)]
    return [MatteClip(layer, None, tuple(files), f"{layer}.A") for layer in layers]


def _is_palette(path: Path) -> bool:
    """Whether a picture is a palette PNG, and so a label map."""
    if path.suffix.lower() != ".png":
        return False
    try:
        with Image.open(path) as image:
            return image.mode == "P"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # the reader says what is wrong with it


def _sidecar(path: Path) -> dict[str, Any] | None:
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    is_ours = isinstance(content, dict) and content.get("format") == _SIDECAR_FORMAT
    return content if is_ours else None


def _of_sidecar(path: Path, channel: str | None) -> list[MatteClip]:
    """The clips of an export, with names and ids as it had them."""
    content = _sidecar(path)
    if content is None:
        raise FormatError(path, "is no JSON that an export of mattes wrote")
    try:
        clips = _listed(path.parent, content, channel)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FormatError(path, f"is damaged: {error}") from error
    if not clips:
        raise FormatError(path, "lists no matte of a single object")
    return clips


def _listed(folder: Path, content: dict[str, Any], channel: str | None) -> list[MatteClip]:
    numbers = [int(number) for number in content["frames"]]
    objects, files = list(content["objects"]), [folder / str(name) for name in content["files"]]
    are_maps = content["settings"]["format"] == "labels"
    in_one = bool(content["settings"]["layers"]) or are_maps
    if in_one:
        of_object = dict.fromkeys(range(len(objects)), files)
    else:
        of_object = {index: files[index :: len(objects)] for index in range(len(objects))}
    names = layer_names({index: str(one["name"]) for index, one in enumerate(objects)})
    clips = []
    for index, one in enumerate(objects):
        if len(one["ids"]) != 1:
            continue
        paths = of_object[index]
        frames = numbers if len(paths) == len(numbers) else [0]
        listed = tuple(NumberedFile(n, p) for n, p in zip(frames, paths, strict=True))
        layer = f"{names[index]}.A" if in_one else channel
        if are_maps:
            layer = f"#{int(one['ids'][0])}"
        clips.append(MatteClip(str(one["name"]), int(one["ids"][0]), listed, layer))
    return clips


def _still(path: Path) -> NDArray[Any]:
    data = np.fromfile(path, np.uint8)  # unlike cv2.imread, takes any name on Windows
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if pixels is None:
        raise FormatError(path, "is not a readable image: it is damaged or of another kind")
    if pixels.ndim == 3 and pixels.shape[2] >= 3:  # OpenCV has blue first
        pixels = pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]
    return np.asarray(pixels)


def _tiff(path: Path) -> NDArray[Any]:
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first.aspage()
            pixels, axes = page.asarray(), page.axes
    except Exception as error:  # a damaged file raises whatever the parser then runs into
        raise FormatError(path, f"is not a readable image ({error})") from error
    if axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
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


def _exr_names(path: Path) -> list[str]:
    return list(_exr(path, header_only=True))


def _exr(path: Path, *, header_only: bool = False) -> dict[str, Any]:
    """Channels of all parts by name."""
    check_file(path)
    try:
        parts = OpenEXR.File(str(path), separate_channels=True, header_only=header_only).parts
    except Exception as error:  # the binding raises RuntimeError, ValueError and its own
        raise FormatError(path, f"cannot be read as OpenEXR ({error})") from error
    if header_only:
        return {channel.name: channel for part in parts for channel in part.header["channels"]}
    return {name: channel for part in parts for name, channel in part.channels.items()}


def _exr_channel(path: Path, channel: str | None) -> NDArray[np.float32]:
    """(H, W) of the data window as it is stored."""
    channels = _exr(path)
    names = [channel, f"{channel}.A"] if channel else ["A", "Y", "R"]
    name = next((one for one in names if one in channels), None)
    if name is None:
        found = ", ".join(sorted(channels)) or "none: it is damaged"
        raise FormatError(path, f"has no channel {names[0]}, only {found}")
    values = channels[name].pixels.astype(np.float32)
    return np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)


def _film_alphas(path: Path, channel: str | None, wanted: set[int] | None) -> Iterator[Tensor]:
    check_file(path)
    try:
        with av.open(str(path)) as container:
            for position, frame in enumerate(_film_frames(container)):
                if wanted is None or position in wanted:
                    yield torch.from_numpy(_film_alpha(path, frame, channel).astype(np.float32))
    except av.FFmpegError as error:
        raise FormatError(path, f"cannot be decoded ({error})") from error


def _film_length(path: Path) -> int:
    """Frames of a film, counted by its packets."""
    check_file(path)
    try:
        with av.open(str(path)) as container:
            return sum(packet.size > 0 for packet in container.demux(video=0))
    except (av.FFmpegError, IndexError) as error:
        raise FormatError(path, f"cannot be read as a film ({error})") from error


def _film_frames(container: Any) -> Iterator[av.VideoFrame]:
    """Frames with their alpha; FFmpeg's own VP9 decoder would drop it."""
    if not container.streams.video:
        return
    stream = container.streams.video[0]
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
