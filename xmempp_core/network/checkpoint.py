"""Model files to networks and back; dimensions are read off the weights."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..atomic import replacing
from ..errors import CapacityError, FormatError, InputError, is_out_of_memory
from ..format_version import VERSION, check_format_version
from ..paths import check_file, path_kind
from ..runtime import Runtime
from ..types import ModelInfo
from .adapted import AnyNetwork, adapted_network
from .difference import WeightDifference
from .folding import fold_batch_norms
from .lite import MASK_CHANNELS, XMemLite
from .xmem import IMAGE_AND_MASKS, XMem

BUNDLED = {"lite": Path(__file__).parents[1] / "weights" / "lite.safetensors"}
"""Models that come with the package, by name."""
SUFFIXES = (".pth", ".pt", ".safetensors")
NON_COMMERCIAL = "non-commercial (trained on DAVIS 2016, CC BY-NC)"
STEM = "value_encoder.conv1.weight"
BASE_HASH = "base_sha256"
"""Metadata that tells an adapted model from a whole one."""

_FORMAT_VERSION = 1

State = dict[str, Tensor]


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


def read_weights(path: Path) -> tuple[State, dict[str, str]]:
    """Tensors and metadata of a model file; code in it is never run.

    Raises:
        FormatError: the file is missing, damaged, unsafe or of another kind.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise FormatError(path, f"not a model file; allowed are {', '.join(SUFFIXES)} and lite")
    if path_kind(path) == "nothing":
        raise FormatError(path, "there is no such model file; check the path")
    check_file(path)
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    return _tensors_of(path, _read_pickle(path)), {}


def _check_numbers(path: Path, expected: Mapping[str, Tensor], state: State) -> None:
    """Refuses weights that are no numbers: every mask made with them would be wrong."""
    remedy = "the file is damaged; download or copy it again"
    for name, tensor in state.items():
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise FormatError(path, f"{name} is {tensor.dtype}, {remedy}")
        if tensor.is_floating_point() and not tensor.float().isfinite().all():
            raise FormatError(path, f"holds NaN or infinity in {name}, {remedy}")


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
        except SafetensorError as error:
            problem = f"cannot be written ({error}); check folder and space"
            raise FormatError(path, problem) from error


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
