"""Networks from their weights; dimensions are read off the tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import FormatError
from .lite import MASK_CHANNELS, XMemLite
from .weights_file import State
from .xmem import IMAGE_AND_MASKS, XMem

STEM = "value_encoder.conv1.weight"


def build(path: Path, state: State) -> XMem | XMemLite:
    """The network that a state describes, with its weights; older states are widened in place.

    Args:
        path: the file, for messages.
        state: tensors by name.

    Raises:
        FormatError: a tensor is missing, too many or of the wrong shape.
    """
    widen_stem(state)
    try:
        with torch.device("meta"):
            network = _lite_of(state) if "backbone.scale16" in state else _xmem_of(state)
    except KeyError as error:
        raise FormatError(path, f"is no XMem model: it has no {error.args[0]}") from error
    except (IndexError, RuntimeError, ValueError, ZeroDivisionError) as error:
        raise FormatError(path, "is no XMem model: its tensors have other shapes") from error
    _check(path, network.state_dict(), state)
    _check_numbers(path, network.state_dict(), state)
    network.load_state_dict(state, assign=True)
    return network


def widen_stem(state: State) -> None:
    """Appends a zero channel for other objects to the stem of a single-object model."""
    stem = state.get(STEM)
    if stem is not None and stem.ndim == 4 and stem.shape[1] == IMAGE_AND_MASKS - 1:
        state[STEM] = torch.cat([stem, torch.zeros_like(stem[:, :1])], 1)


def _xmem_of(state: State) -> XMem:
    sensory = state.get("decoder.hidden_update.transform.weight")
    return XMem(
        _rows(state, "key_proj.key_proj.weight"),
        _rows(state, "value_encoder.fuser.block2.conv2.weight"),
        0 if sensory is None else sensory.shape[0] // 3,
        base_channels=_rows(state, "key_encoder.conv1.weight"),
    )


def _lite_of(state: State) -> XMemLite:
    sensory = state.get("decoder.gate.transform.weight")
    return XMemLite(
        _rows(state, "key_proj.key.weight"),
        _rows(state, "value.img16.weight") + MASK_CHANNELS,
        0 if sensory is None else sensory.shape[0] // 3,
        encoder_channels=(_rows(state, "value.mask4.weight"), _rows(state, "value.down8.weight")),
        decoder_channels=(
            _rows(state, "decoder.fuse16.weight"),
            _rows(state, "decoder.up8.weight"),
            _rows(state, "decoder.up4.weight"),
        ),
    )


def _rows(state: State, name: str) -> int:
    """Output channels of a weight."""
    return state[name].shape[0]


def _check(path: Path, expected: Mapping[str, Tensor], state: State) -> None:
    missing = sorted(expected.keys() - state.keys())
    extra = sorted(state.keys() - expected.keys())
    for names, verb in ((missing, "has no"), (extra, "has an unknown")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise FormatError(path, f"is no XMem model: it {verb} {names[0]}{more}")
    for name, tensor in expected.items():
        if tensor.shape != state[name].shape:
            shapes = f"{tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
            raise FormatError(path, f"is no XMem model: {name} has shape {shapes}")


def _check_numbers(path: Path, expected: Mapping[str, Tensor], state: State) -> None:
    """Refuses weights that are no numbers: every mask made with them would be wrong."""
    remedy = "the file is damaged; download or copy it again"
    for name, tensor in state.items():
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise FormatError(path, f"{name} is {tensor.dtype}, {remedy}")
        if tensor.is_floating_point() and not tensor.float().isfinite().all():
            raise FormatError(path, f"holds NaN or infinity in {name}, {remedy}")
