"""Device, dtype and cache: decided here once, followed by everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from .errors import InputError

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Runtime:
    """Where and in which precision a network runs, and how much it may cache."""

    device: torch.device
    dtype: torch.dtype
    cache_bytes: int = 0
    """Host memory for encoder features that a second pass can use again; 0 = no cache."""
    spill_bytes: int = 0
    """Disk space for features beyond `cache_bytes`; 0 = none."""
    spill_directory: Path | None = None
    """Folder for spilled features; None = the system's temporary folder."""

    @classmethod
    def choose(cls, device: str = "auto", dtype: str = "auto", *, cache_bytes: int = 0) -> Runtime:
        """A runtime from names: device auto, cpu, cuda, cuda:N, mps; dtype auto or a float type.

        "auto" takes CUDA, then MPS, then the CPU; bfloat16 (float16 on older cards) on CUDA,
        float32 elsewhere.

        Raises:
            InputError: the device is not there, or the name is unknown.
        """
        chosen = _choose_device(device)
        return cls(chosen, _choose_dtype(dtype, chosen), cache_bytes)


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Float32 convolutions in full on CUDA, whose default rounds them to 10 bits (TF32)."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _choose_device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind = name.split(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise InputError(f"device {name!r} is unknown; use auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda was asked for, but torch sees no CUDA GPU; use --device cpu")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError("device mps was asked for, but torch sees none; use --device cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(
            f"device {name!r} is not a device name; use cuda:0, cuda:1, ..."
        ) from error
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name} is not there; torch sees {torch.cuda.device_count()} GPUs")
    return device


def _choose_dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if name not in _DTYPES:
        raise InputError(f"dtype {name!r} is unknown; use auto, " + ", ".join(_DTYPES))
    return _DTYPES[name]
