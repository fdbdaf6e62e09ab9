"""The synthetic weights of the golden cases, drawn tensor by tensor from a seed rule.

The golden numbers hold for exactly these weights: a changed rule or check is a wrong rule or check.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

KEYS_FILE = Path(__file__).parents[1] / "data" / "keys_official.json"
NORMS = (".bn1.", ".bn2.", ".bn3.", ".downsample.1.")
BOOSTS = {  # weights whose input channels from a position on are multiplied
    "value_encoder.conv1.weight": (3, 8.0),
    "value_encoder.fuser.block1.conv1.weight": (1024, 4.0),
    "value_encoder.fuser.block1.downsample.weight": (1024, 4.0),
    "decoder.fuser.block1.conv1.weight": (1024, 4.0),
    "decoder.fuser.block1.downsample.weight": (1024, 4.0),
}
CHECKS = {  # SHA-256 of the little-endian float32 bytes
    ("multi", "key_encoder.conv1.weight"): (
        "441024dd0c11956b1a0557a350143bd46d2dd71e7a70cc43d832a1f5568268d9"
    ),
    ("multi", "value_encoder.conv1.weight"): (
        "390f2f989d7db02d68d6b7fbc0b5ac4ffbf7c80b0822450021f9c316c7c4a011"
    ),
    ("multi", "decoder.pred.bias"): (
        "d1d25d390d47716b3852e37bd44d5938720f0e711535b762317d19c24271e16d"
    ),
    ("multi", "decoder.fuser.block1.conv1.weight"): (
        "1d40898e49ed6a49279458be7945062090ba8b24f28bbdbb0911731777e8a37c"
    ),
    ("multi", "key_proj.key_proj.weight"): (
        "0293c136722f160ca5ac40bf48fa4080682dfa8d13170768279c03fb2551bff8"
    ),
    ("multi", "key_encoder.layer3.5.bn3.running_var"): (
        "fc0591681e6619ae0180e53b33cb41bc2c36e47eefaf5a179bf05a4f25400556"
    ),
    ("nohidden", "decoder.fuser.block1.conv1.weight"): (
        "eab9cbd925a370fdc48d6da40c259838ddaea1029ace3a8591870848741a9d88"
    ),
    ("single4", "value_encoder.conv1.weight"): (
        "de4effed888362a8dc8abdf589456b69d2494a5283bba9a1f4caed93d58f0b49"
    ),
}
CHECK_OF_ALL = "d922d29fe680cdb424a29bc2e3912c7f44bc10b54d43d1bb670bc430a73334a2"
"""Of `multi`: for each name in sorted order its ASCII bytes, then the tensor's bytes."""


def shapes_of(checkpoint: str) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of the checkpoint "multi", "nohidden" or "single4"."""
    table = json.loads(KEYS_FILE.read_text())
    shapes = {name: tuple(shape) for name, shape in table["multi"].items()}
    if checkpoint != "multi":
        variant = table["variants"][checkpoint]
        shapes |= {name: tuple(shape) for name, shape in variant["replace"].items()}
        shapes = {n: shape for n, shape in shapes.items() if n not in variant["remove"]}
    return shapes


def seeded_state(checkpoint: str) -> dict[str, Tensor]:
    """All tensors of a checkpoint; equal shapes are drawn once a run and shared.

    Raises:
        AssertionError: a tensor is not the one the golden numbers were made with.
    """
    state = {name: _draw(name, shape) for name, shape in shapes_of(checkpoint).items()}
    for (owner, name), expected in CHECKS.items():
        if owner == checkpoint:
            assert hashlib.sha256(_bytes(state[name])).hexdigest() == expected, name
    return state


def digest(state: Mapping[str, Tensor]) -> str:
    """One SHA-256 over the names and bytes of all tensors."""
    total = hashlib.sha256()
    for name in sorted(state):
        total.update(name.encode("ascii"))
        total.update(_bytes(state[name]))
    return total.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.numpy().tobytes()


@cache
def _draw(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith(".num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    center, spread = _range_of(name, shape)
    generator = np.random.RandomState(zlib.crc32(name.encode("ascii")))
    values = center + spread * (2 * generator.random_sample(math.prod(shape)) - 1)
    values = values.reshape(shape)
    if name in BOOSTS:
        first_channel, factor = BOOSTS[name]
        values[:, first_channel:] *= factor
    return torch.from_numpy(values.astype(np.float32))


def _range_of(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Center and half width of the uniform distribution a tensor is drawn from."""
    if name.endswith(".running_mean"):
        return 0, 0.1
    if name.endswith(".running_var"):
        return 1, 0.5
    if len(shape) > 1:
        return 0, _gain_of(name) * math.sqrt(3 / math.prod(shape[1:]))
    if any(norm in name for norm in NORMS):
        return (0, 0.1) if name.endswith(".bias") else (_norm_center_of(name), 0.2)
    return (-1.2 if name == "decoder.pred.bias" else 0), 0.05


def _gain_of(name: str) -> float:
    if name.startswith("key_proj."):
        return 2.0
    return 0.4 if name == "decoder.pred.weight" else 1.0


def _norm_center_of(name: str) -> float:
    """A residual block's last norm is drawn smaller."""
    last = ".bn3." in name or (name.startswith("value_encoder.layer") and ".bn2." in name)
    return 0.5 if last else 1.0
