"""Fingerprints: short texts that tell one shot from another wherever its files lie.

Files are told apart by their length and by samples of their bytes, not by place or date, so that
a copied shot stays the same shot. A change that keeps the length and touches none of the samples
goes unseen; compressed files change their length or their ends with nearly any change of a pixel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from ...errors import FormatError

ARRAY_SAMPLE_BYTES = 256 << 20
"""Up to here all bytes of an array are hashed, above it every n-th row of each frame."""


def fingerprint_files(
    files: Iterable[tuple[str, Path]], *, facts: object, sample_bytes: int
) -> str:
    """Hexadecimal hash of labels, lengths and the first, middle and last bytes of files.

    Args:
        files: label and path of each.
        facts: whatever else must agree, by its `repr`.
        sample_bytes: bytes read in each of the three places.
    """
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=16)
    for label, path in files:
        size_bytes, samples = _sample(path, sample_bytes)
        digest.update(repr((label, size_bytes)).encode())
        digest.update(samples)
    return digest.hexdigest()


def fingerprint_array(frames: Tensor, *, facts: object) -> str:
    """Hexadecimal hash of the shape, type and bytes (T, H, W, C), sampled by rows if large."""
    described = (tuple(frames.shape), str(frames.dtype), facts)
    digest = hashlib.blake2b(repr(described).encode(), digest_size=16)
    step = -(-frames.nbytes // ARRAY_SAMPLE_BYTES) or 1
    for index, frame in enumerate(frames):
        # each frame starts at another row, so that no row is left out of all frames
        rows = frame[index % min(step, len(frame)) :: step]
        digest.update(rows.cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _sample(path: Path, sample_bytes: int) -> tuple[int, bytes]:
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            if size_bytes <= 3 * sample_bytes:
                file.seek(0)
                return size_bytes, file.read()
            samples = b""
            for start in (0, (size_bytes - sample_bytes) // 2, size_bytes - sample_bytes):
                file.seek(start)
                samples += file.read(sample_bytes)
            return size_bytes, samples
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror})") from error
