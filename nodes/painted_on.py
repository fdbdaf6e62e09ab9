"""Which frame a picture shows, written into the picture, so that paint on it stays bound to it.

The mask editor keeps nothing of a picture but its colors. Clip, frame and object are therefore
written into the lowest bit of blue, again and again over the picture: nobody sees it, and paint,
copies of the node and saved graphs carry it along.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

MAGIC = b"XM"
VERSION = 1
_FIELDS = struct.Struct(">2sBIB8s")
"""Magic, version, position, object id, clip; a CRC-32 follows."""
_BITS = 8 * (_FIELDS.size + 4)


@dataclass(frozen=True)
class PaintedOn:
    """What a picture shows."""

    clip: bytes
    """Eight bytes that tell the whole clip from others, see `clip_bytes`."""
    position: int
    """0-based position of the frame in the whole clip, before any trim."""
    object_id: int
    """The object that was to be painted, 1..255."""


def clip_bytes(fingerprint: str) -> bytes:
    """The eight bytes that stand for a clip."""
    return hashlib.blake2b(fingerprint.encode(), digest_size=8).digest()


def write_mark(picture: Tensor, mark: PaintedOn) -> Tensor:
    """A copy of a picture (H, W, 3) uint8 with the mark in it, at most one level off in blue.

    A picture of less than 160 pixels has no room and comes back as it is.
    """
    content = _FIELDS.pack(MAGIC, VERSION, mark.position, mark.object_id, mark.clip)
    content += zlib.crc32(content).to_bytes(4, "big")
    bits = torch.tensor([byte >> k & 1 for byte in content for k in range(7, -1, -1)])
    marked = picture.clone()
    blue = marked[..., 2].flatten()
    copies = len(blue) // _BITS
    blue[: copies * _BITS] &= 0xFE
    blue[: copies * _BITS] |= bits.to(torch.uint8).repeat(copies)
    marked[..., 2] = blue.view(marked.shape[:2])
    return marked


def read_mark(picture: Tensor) -> PaintedOn | None:
    """The mark in a picture (H, W, 3) uint8; None where it has none, or none is whole."""
    import numpy as np

    blue = picture[..., 2].flatten()
    copies = len(blue) // _BITS
    bits = (blue[: copies * _BITS] & 1).numpy()
    for row in np.packbits(bits.reshape(copies, _BITS), axis=1):
        content = row.tobytes()
        fields, checksum = content[: _FIELDS.size], content[_FIELDS.size :]
        if fields.startswith(MAGIC) and zlib.crc32(fields).to_bytes(4, "big") == checksum:
            _, version, position, object_id, clip = _FIELDS.unpack(fields)
            return PaintedOn(clip, position, object_id) if version == VERSION else None
    return None
