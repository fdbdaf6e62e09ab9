"""Device and dtype: decided here once, followed by everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from .errors import InputError

FLOAT_TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""The types a network may run in, by name."""


@dataclass(frozen=True)
class Runtime:
    """Where and in which precision a network runs."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, device: str = "auto", dtype: str = "auto") -> Runtime:
        """A runtime from names: device auto, cpu, cuda, cuda:N, mps; dtype auto or a float type.

        "auto" takes CUDA, then MPS, then the CPU; bfloat16 (float16 on older cards) on CUDA,
        float32 elsewhere. `choose_runtime` measures what is faster.

        Raises:
            InputError: the device is not there, or the name is unknown.
        """
        chosen = _choose_device(device)
        return cls(chosen, _choose_dtype(dtype, chosen))


@contextmanager
def processor_threads(count: int | None) -> Iterator[None]:
    """The process's number of threads is `count` (None: as it is) within, and as before after."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Float32 convolutions and products in full on CUDA, not rounded to 10 bits (TF32).

    Convolutions are rounded by default; products, and so the similarity, where the host asks.
    """
    if device.type != "cuda":
        yield
    elif _has_precision_by_name():
        with _full_by_name():
            yield
    else:
        with _full_by_flags():
            yield


def _has_precision_by_name() -> bool:
    """Whether torch has `fp32_precision` (2.9 and later), which must not be mixed with flags."""
    return hasattr(torch.backends.cuda.matmul, "fp32_precision")


@contextmanager
def _full_by_name() -> Iterator[None]:
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    switches: tuple[Any, ...] = (torch.backends.cuda.matmul, convolutions)
    before = [switch.fp32_precision for switch in switches]
    for switch in switches:
        switch.fp32_precision = "ieee"
    try:
        yield
    finally:
        for switch, precision in zip(switches, before, strict=True):
            switch.fp32_precision = precision


@contextmanager
def _full_by_flags() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    products_before = torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
        torch.set_float32_matmul_precision(products_before)


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
    if name not in FLOAT_TYPES:
        raise InputError(f"dtype {name!r} is unknown; use auto, " + ", ".join(FLOAT_TYPES))
    return FLOAT_TYPES[name]
