"""Tensors and metadata of model files; code in a file is never run."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..atomic import replacing
from ..errors import CapacityError, FormatError, is_out_of_memory
from ..format_version import VERSION, check_format_version
from ..paths import check_file, path_kind

SUFFIXES = (".pth", ".pt", ".safetensors")

_FORMAT_VERSION = 1

State = dict[str, Tensor]
"""Tensors by name."""


def read_weights(path: Path) -> tuple[State, dict[str, str]]:
    """Tensors and metadata of a model file; code in it is never run.

    Raises:
        FormatError: the file is missing, damaged, unsafe or of another kind.
    """
    if path.suffix.lower() not in SUFFIXES:
        allowed = f"{', '.join(SUFFIXES)} and the bundled lite and lite-free"
        raise FormatError(path, f"not a model file; allowed are {allowed}")
    if path_kind(path) == "nothing":
        raise FormatError(path, "there is no such model file; check the path")
    check_file(path)
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    return _tensors_of(path, _read_pickle(path)), {}


def write_weights(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes tensors and metadata as .safetensors, whole or not at all.

    Raises:
        FormatError: the file cannot be written.
    """
    if path_kind(path.parent) != "folder":
        raise FormatError(path, f"cannot be written (no folder {path.parent}); check the path")
    tensors = {name: tensor.contiguous() for name, tensor in state.items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, {**metadata, VERSION: str(_FORMAT_VERSION)})
            _sort_metadata(temporary)
        except SafetensorError as error:
            problem = f"cannot be written ({error}); check folder and space"
            raise FormatError(path, problem) from error


def _sort_metadata(path: Path) -> None:
    """Puts the metadata, which is written in any order, in that of its names: equal models are
    equal files."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:  # the tensors stay where they are
            file.seek(8)
            file.write(text.ljust(length))


def _read_safetensors(path: Path) -> tuple[State, dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, MemoryError, UnicodeError) as error:
        if is_out_of_memory(error):
            raise _no_memory_for(path) from error
        raise FormatError(path, f"is damaged or cut off ({error}); copy it again") from error
    check_format_version(path, metadata.get(VERSION), _FORMAT_VERSION)
    return state, metadata


def _is_loading_safe(torch_version: str) -> bool:
    """Whether no way around `weights_only` of torch.load is known (CVE-2025-32434, before 2.6)."""
    major, minor = torch_version.split(".")[:2]
    return (int(major), int(minor)) >= (2, 6)


def _no_memory_for(path: Path) -> CapacityError:
    return CapacityError(
        f"{path}: there is not enough memory to read the model; close other programs"
    )


def _read_pickle(path: Path) -> object:
    if not _is_loading_safe(torch.__version__):
        raise FormatError(
            path,
            f"was not loaded: torch {torch.__version__} can be made to run code in such a file; "
            "update to torch 2.6 or newer, or convert it there to .safetensors "
            "(python -m xmempp_core convert)",
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        problem = "was not loaded: it is no pure weights file, it holds code or is damaged"
        raise FormatError(path, problem) from error
    except Exception as error:  # the unpickler raises anything on bytes it does not expect
        if is_out_of_memory(error):
            raise _no_memory_for(path) from error
        raise FormatError(path, "is damaged or cut off; download or copy it again") from error


def _tensors_of(path: Path, content: object) -> State:
    """The state dict in a .pth file, also inside a training checkpoint or data parallel names."""
    if isinstance(content, dict) and isinstance(content.get("network"), dict):
        content = content["network"]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise FormatError(path, "is no XMem model: it is not a table of tensors")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}
