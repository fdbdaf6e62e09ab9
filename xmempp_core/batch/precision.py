"""The float type of a batch: one for all of its shots and devices, chosen once."""

from __future__ import annotations

import json
from dataclasses import replace

import torch

from ..atomic import write_bytes
from ..errors import FormatError, InputError
from ..paths import read_text
from ..propagation.precision import choose_runtime
from ..runtime import FLOAT_TYPES, Runtime
from ..strict_json import parse_json
from .manifest import Manifest
from .notes import STATE_FOLDER

_FILE = "precision.json"


def runtimes_of(manifest: Manifest, devices: str, dtype: str) -> list[Runtime]:
    """One runtime for each device, all of one float type.

    "auto" is what the batch was begun with on this kind of device; else what is fastest for the
    first shot's model, or, where a shot is adapted, the device's own.

    Args:
        manifest: the shots.
        devices: names between commas; auto and cuda stand for every CUDA GPU.
        dtype: auto, float32, float16, bfloat16.

    Raises:
        InputError: a device is not there, a name is unknown, or the types would differ.
    """
    names = [name.strip() for name in devices.split(",") if name.strip()] or ["auto"]
    if names in (["auto"], ["cuda"]) and torch.cuda.is_available():
        names = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    chosen = list(dict.fromkeys(Runtime.choose(name, dtype) for name in names))
    if dtype == "auto":
        first = _chosen_once(manifest, names[0], chosen[0])
        kinds = {runtime.device.type for runtime in chosen}
        chosen = [replace(one, dtype=first) for one in chosen] if len(kinds) == 1 else chosen
    if len({runtime.dtype for runtime in chosen}) > 1:
        raise InputError(
            f"the devices {devices} would compute in different precisions; name one with --dtype"
        )
    return chosen


def keep_precision(manifest: Manifest, runtime: Runtime) -> None:
    """Notes with what the batch was begun, for later calls with "auto".

    Raises:
        FormatError: it cannot be written.
    """
    noted = _noted(manifest)
    dtype = str(runtime.dtype).removeprefix("torch.")
    if noted.get(runtime.device.type) != dtype:
        text = json.dumps({**noted, runtime.device.type: dtype}, indent=1)
        write_bytes(manifest.output / STATE_FOLDER / _FILE, f"{text}\n".encode())


def _chosen_once(manifest: Manifest, device: str, plain: Runtime) -> torch.dtype:
    if (noted := _noted(manifest).get(plain.device.type)) is not None:
        return FLOAT_TYPES[noted]
    if not manifest.shots or any(shot.adapt != "off" for shot in manifest.shots):
        return plain.dtype
    try:
        return choose_runtime(manifest.shots[0].model, device).dtype
    except FormatError:  # told with its line when the shots are checked
        return plain.dtype


def _noted(manifest: Manifest) -> dict[str, str]:
    """Float types by kind of device."""
    try:
        content = parse_json(read_text(manifest.output / STATE_FOLDER / _FILE))
    except (FormatError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {kind: name for kind, name in content.items() if str(name) in FLOAT_TYPES}
