"""A small whole shot in every format, and the ways in which files are broken."""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR
import tifffile
from PIL import Image

SIDE = 32
FRAMES = 6
PICTURE_SUFFIXES = (".png", ".jpg", ".tif", ".bmp", ".webp", ".exr")
FILMS = {
    "film.mp4": ("libx264", "yuv420p"),
    "film.mkv": ("ffv1", "yuv420p"),
    "film.avi": ("mpeg4", "yuv420p"),
    "film.ts": ("mpeg2video", "yuv420p"),
    "film.webm": ("libvpx", "yuv420p"),
    "film.mov": ("prores_ks", "yuv422p10le"),
}

Damage = Callable[[bytes, random.Random], bytes]


def picture(t: int) -> np.ndarray:
    """Frame t of the shot: a square that moves over a texture."""
    image = np.random.default_rng(1).integers(40, 160, (SIDE, SIDE, 3), np.uint8)
    image[10:22, 4 + 2 * t : 16 + 2 * t] = (200, 60, 40)
    return image


def labels(t: int) -> np.ndarray:
    """Label map of frame t with object 1."""
    ids = np.zeros((SIDE, SIDE), np.uint8)
    ids[10:22, 4 + 2 * t : 16 + 2 * t] = 1
    return ids


def write_frame(path: Path, image: np.ndarray) -> None:
    """A picture in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".exr":
        channels = {
            name: OpenEXR.Channel(np.ascontiguousarray(image[..., i].astype(np.float32) / 255))
            for i, name in enumerate("RGB")
        }
        OpenEXR.File({}, channels).write(str(path))
    elif path.suffix == ".tif":
        tifffile.imwrite(path, image, photometric="rgb", compression="lzw")
    else:
        Image.fromarray(image).save(path)


def write_frames(folder: Path, suffix: str = ".png") -> Path:
    """0000 to 0005 in a folder."""
    for t in range(FRAMES):
        write_frame(folder / f"{t:04d}{suffix}", picture(t))
    return folder


def write_maps(folder: Path, frames: tuple[int, ...] = (0,)) -> Path:
    """Label maps in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for t in frames:
        cv2.imwrite(str(folder / f"{t:04d}.png"), labels(t))
    return folder


def write_film(path: Path) -> Path:
    """The shot as a film of 64x64, which every encoder takes."""
    codec, pixel_format = FILMS[path.name]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 2 * SIDE
        stream.pix_fmt = pixel_format
        stream.codec_context.gop_size = 3
        for t in range(FRAMES):
            large = np.ascontiguousarray(picture(t).repeat(2, 0).repeat(2, 1))
            frame = av.VideoFrame.from_ndarray(large, "rgb24")
            frame.pts = t
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(data: bytes, rng: random.Random) -> bytes:
    """The beginning alone."""
    return data[: rng.randrange(1, max(2, len(data)))]


def flipped(data: bytes, rng: random.Random) -> bytes:
    """Up to eight bytes changed."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        damaged[rng.randrange(len(damaged))] ^= rng.randint(1, 255)
    return bytes(damaged)


def flipped_early(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed where headers lie."""
    head = min(len(data), 120)
    return flipped(data[:head], rng) + data[head:]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    """A stretch of zeros."""
    start = rng.randrange(len(data))
    length = rng.randint(1, max(1, len(data) // 3))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def doubled(data: bytes, rng: random.Random) -> bytes:
    """A stretch written twice."""
    start = rng.randrange(len(data))
    return data[:start] + data[max(0, start - 200) :]


def filled_with_ones(data: bytes, rng: random.Random) -> bytes:
    """Four bytes of FF somewhere in the head: the largest sizes and counts."""
    start = rng.randrange(min(len(data), 200))
    return data[:start] + b"\xff" * 4 + data[start + 4 :]


DAMAGES: dict[str, Damage] = {
    "cut": cut,
    "flipped": flipped,
    "flipped early": flipped_early,
    "zeroed": zeroed,
    "doubled": doubled,
    "ones": filled_with_ones,
}
WHOLE_DAMAGES: dict[str, bytes] = {
    "empty": b"",
    "text": b"just a line of text\n",
    "zeros": bytes(4096),
}


@dataclass(frozen=True)
class Bomb:
    """A small file that asks for a large memory."""

    name: str
    data: bytes


def bombs() -> list[Bomb]:
    """Pictures whose headers promise far more than they hold."""
    return [
        Bomb("60000.png", png_of(60_000, 60_000)),
        Bomb("20000.png", png_of(20_000, 20_000)),
        Bomb("13000.png", png_of(13_000, 13_000)),
        Bomb("2147483647.png", png_of(2_147_483_647, 1)),
        Bomb("0.png", png_of(0, 0)),
        Bomb("40000.bmp", bmp_of(40_000, 40_000)),
        Bomb("-1.bmp", bmp_of(-1, -1)),
        Bomb("60000.tif", tiff_of(60_000, 60_000)),
        Bomb("0.tif", tiff_of(0, 0)),
        Bomb("4294967295.tif", tiff_of(4_294_967_295, 4_294_967_295)),
    ]


def png_of(width: int, height: int) -> bytes:
    """A PNG with one row of data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def bmp_of(width: int, height: int) -> bytes:
    """A BMP of no pixels."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(info), 0, 0, 54) + info


def tiff_of(width: int, height: int) -> bytes:
    """A TIFF of one strip that is not there."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 9}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4)


def write_exr_window(path: Path, side: int) -> None:
    """An OpenEXR whose display window is larger than its data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    window = (np.array([0, 0], np.int32), np.array([side - 1, side - 1], np.int32))
    gray = np.zeros((4, 4), np.float32)
    OpenEXR.File({"displayWindow": window}, {"Y": OpenEXR.Channel(gray)}).write(str(path))


def odd_places(folder: Path) -> dict[str, str]:
    """Paths that are no usual file: what is there by name, as a text that may not be Unicode."""
    folder.mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder / "fifo.png")
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "gone").symlink_to(folder / "nothing")
    (folder / "file").write_text("text")
    (folder / "folder.png").mkdir()
    return {
        "a FIFO": str(folder / "fifo"),
        "a FIFO named as a picture": str(folder / "fifo.png"),
        "a symlink loop": str(folder / "loop"),
        "a dangling symlink": str(folder / "gone"),
        "a name over 255 bytes": str(folder / ("n" * 300)),
        "a path over 4096 bytes": str(folder / "/".join(["n" * 200] * 30)),
        "a path below a file": str(folder / "file" / "below"),
        "a folder named as a picture": str(folder / "folder.png"),
        "a home of nobody": "~nosuchuser/shot",
        "a NUL": str(folder / "a\0b"),
        "an endless device": "/dev/zero",
        "an empty device": "/dev/null",
        "bytes that are no UTF-8": str(folder / "caf\udce9"),
        "a lone surrogate": str(folder / "caf\ud800"),
        "an empty text": "",
        "nothing there": str(folder / "nothing"),
    }
