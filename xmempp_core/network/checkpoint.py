"""Model files to networks and back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from ..errors import FormatError, InputError
from ..runtime import Runtime
from ..types import ModelInfo
from .adapted import AnyNetwork, adapted_network
from .building import build
from .difference import WeightDifference
from .folding import fold_batch_norms
from .lite import XMemLite
from .weights_file import State, read_weights, write_weights
from .xmem import XMem

_WEIGHTS = Path(__file__).parents[1] / "weights"
BUNDLED = {name: _WEIGHTS / f"{name}.safetensors" for name in ("lite", "lite-free")}
"""Models that come with the package, by name."""
NON_COMMERCIAL = "non-commercial (trained on DAVIS 2016, CC BY-NC)"
BASE_HASH = "base_sha256"
"""Metadata that tells an adapted model from a whole one."""


def load_model(model: str | Path = "lite", runtime: Runtime | None = None) -> XMem | XMemLite:
    """The network of a model file, in evaluation mode, on the runtime's device and dtype.

    Its `info` is the file's ModelInfo.

    Args:
        model: name of a bundled model or a .pth, .pt or .safetensors file.
        runtime: device and dtype; None chooses them.

    Raises:
        FormatError: the file is missing, damaged, unsafe or no XMem model.
    """
    path = BUNDLED.get(str(model), Path(model))
    runtime = Runtime.choose() if runtime is None else runtime
    state, metadata = read_weights(path)
    if BASE_HASH in metadata:
        return _load_adapted(path, state, metadata, runtime)
    network = build(path, state)
    name = str(model) if str(model) in BUNDLED else path.stem
    network.info = _info(name, path, network, metadata)
    network.eval().requires_grad_(False)
    fold_batch_norms(network)
    network = network.to(runtime.device, runtime.dtype)
    if runtime.device.type != "mps":  # elsewhere convolutions are faster so, on a CPU by half
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def save_adapted(network: AnyNetwork, path: str | Path) -> None:
    """Writes an adapted network: the hash of its base and the difference in half precision.

    Args:
        network: made by an adaptation.
        path: .safetensors file, replaced if it exists. `load_model` reads it where the base model
            is bundled or lies beside it.

    Raises:
        InputError: the network is not adapted.
        FormatError: the file cannot be written.
    """
    path, difference = Path(path), network.difference
    if difference is None:
        raise InputError(f"{network.info.name} is not adapted to a shot; there is nothing to save")
    if path.suffix.lower() != ".safetensors":
        raise FormatError(path, "models are written as .safetensors; choose a name that ends so")
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        BASE_HASH: difference.base_sha256,
        "base_file": network.info.path.name,
        "difference_sha256": difference.sha256,
        "adaptation": network.info.adaptation,
        "license": network.info.license,
        "training": network.info.note,
    }
    write_weights(path, difference.tensors, {**_metadata(network), **facts})


def convert(source: str | Path, target: str | Path) -> ModelInfo:
    """Writes a model file as .safetensors with metadata; the result says what was written.

    Args:
        source: any file that `load_model` reads.
        target: .safetensors file, replaced if it exists.

    Raises:
        FormatError: the source is no XMem model, or the target cannot be written.
    """
    source, target = BUNDLED.get(str(source), Path(source)), Path(target)
    if target.suffix.lower() != ".safetensors":
        raise FormatError(target, "models are written as .safetensors; choose a name that ends so")
    if not target.parent.is_dir():
        problem = f"cannot be written: there is no folder {target.parent}; make it first"
        raise FormatError(target, problem)
    state, metadata = read_weights(source)
    if BASE_HASH in metadata:
        network = load_model(source, Runtime(torch.device("cpu"), torch.float32))
        if isinstance(network, XMem):  # its norms are folded, the published layout has them apart
            raise FormatError(
                source, "is adapted to a shot and stays so; --model takes it as it is"
            )
        state = network.state_dict()
        metadata = {name: metadata[name] for name in ("license", "training")}
    network = build(source, state)
    write_weights(target, state, {**metadata, **_metadata(network), **_origin(source)})
    return _info(target.stem, target, network, read_weights(target)[1])


def _load_adapted(
    path: Path, tensors: State, metadata: Mapping[str, str], runtime: Runtime
) -> AnyNetwork:
    """Base and difference of an adapted model file together."""
    difference = _difference(path, tensors, metadata)
    base = load_model(_base_of(path, metadata), runtime)
    return _joined(path, base, difference, metadata)


def read_adapted(path: Path, base: AnyNetwork) -> AnyNetwork | None:
    """The network of a model file adapted from `base`; None if it is not.

    Raises:
        FormatError: the file is missing or damaged.
    """
    tensors, metadata = read_weights(path)
    if metadata.get(BASE_HASH) != base.info.sha256:
        return None
    return _joined(path, base, _difference(path, tensors, metadata), metadata)


def is_adapted(path: Path) -> bool:
    """Whether a file is an adapted model."""
    with suppress(FormatError):
        return BASE_HASH in read_weights(path)[1]
    return False


def _difference(path: Path, tensors: State, metadata: Mapping[str, str]) -> WeightDifference:
    difference = WeightDifference(tensors, metadata[BASE_HASH])
    if difference.sha256 != metadata.get("difference_sha256"):
        raise FormatError(path, "is damaged; adapt the model again or copy the file again")
    return difference


def _joined(
    path: Path, base: AnyNetwork, difference: WeightDifference, metadata: Mapping[str, str]
) -> AnyNetwork:
    weights = dict(base.named_parameters())
    for name, tensor in difference.tensors.items():
        if name not in weights or weights[name].shape != tensor.shape:
            raise FormatError(path, f"does not fit its base model {base.info.name}: {name}")
    network = adapted_network(base, difference, metadata.get("adaptation", "{}"))
    network.info = replace(network.info, name=path.stem, path=path)
    return network


def _base_of(path: Path, metadata: Mapping[str, str]) -> str | Path:
    """The base model of an adapted one: bundled, or the file of its name beside it."""
    name = metadata.get("base_file", "")
    beside = path.parent / name
    choices: list[tuple[str | Path, Path]] = [*BUNDLED.items(), (beside, beside)]
    for model, place in choices:
        if name and place.is_file() and _sha256(place) == metadata[BASE_HASH]:
            return model
    raise FormatError(
        path,
        f"was adapted from {name or 'a model'} (SHA-256 {metadata[BASE_HASH]}), which is neither "
        "bundled nor beside it; put that file into the same folder",
    )


def _info(
    name: str, path: Path, network: XMem | XMemLite, metadata: Mapping[str, str]
) -> ModelInfo:
    return ModelInfo(
        name=name,
        path=path,
        architecture=network.architecture,
        key_channels=network.key_channels,
        value_channels=network.value_channels,
        sensory_channels=network.sensory_channels,
        parameter_count=sum(p.numel() for p in network.parameters()),
        sha256=_sha256(path),
        license=_license(network, metadata),
        note=metadata.get("training", ""),
    )


def _license(network: XMem | XMemLite, metadata: Mapping[str, str]) -> str:
    if "license" in metadata:
        return metadata["license"]
    if "CC BY-NC" in metadata.get("training", ""):
        return NON_COMMERCIAL
    if isinstance(network, XMem):
        return "not stated in the file; see the XMem project"
    return "not stated in the file"


def _metadata(network: XMem | XMemLite) -> dict[str, str]:
    return {
        "architecture": network.architecture,
        "key_channels": str(network.key_channels),
        "value_channels": str(network.value_channels),
        "sensory_channels": str(network.sensory_channels),
    }


def _origin(source: Path) -> dict[str, str]:
    return {"source": source.name, "source_sha256": _sha256(source)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
