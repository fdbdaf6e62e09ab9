"""Model files become networks, and what is no model file is refused in one sentence."""

from __future__ import annotations

import copy
import hashlib
import io
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny import ARCHITECTURES, tiny_network
from torch import Tensor

from xmempp_core.errors import FormatError
from xmempp_core.network.building import STEM, build
from xmempp_core.network.checkpoint import BUNDLED, convert, load_model
from xmempp_core.network.folding import fold_batch_norms
from xmempp_core.network.weights_file import read_weights, write_weights
from xmempp_core.runtime import Runtime

CPU = Runtime(torch.device("cpu"), torch.float32)


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def save(state: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save(state, path)
    return path


def refusal(path: Path) -> str:
    """The one sentence with which a file is refused."""
    with pytest.raises(FormatError) as caught:
        load_model(path, CPU)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def folded(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a network as it is run: batch norms in the convolutions before them."""
    run = copy.deepcopy(network)
    fold_batch_norms(run)
    return run.state_dict()


def assert_equal_states(got: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert got.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in got.items())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors", ".PTH"])
def test_dimensions_and_weights_come_from_the_file(
    architecture: str, suffix: str, tmp_path: Path
) -> None:
    network = tiny_network(architecture)
    path = save(network.state_dict(), tmp_path / f"my model{suffix}")
    loaded = load_model(path, CPU)
    assert type(loaded) is type(network)
    assert loaded.info.architecture == architecture
    assert loaded.info.name == "my model"
    assert loaded.info.path == path
    assert (loaded.key_channels, loaded.sensory_channels) == (8, 4)
    assert loaded.info.value_channels == loaded.value_channels == network.value_channels
    assert loaded.info.parameter_count == sum(p.numel() for p in network.parameters())
    assert loaded.info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert_equal_states(loaded.state_dict(), folded(network))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_without_sensory_memory_is_recognized(architecture: str, tmp_path: Path) -> None:
    network = tiny_network(architecture, sensory_channels=0)
    loaded = load_model(save(network.state_dict(), tmp_path / "model.pth"), CPU)
    assert loaded.info.sensory_channels == loaded.sensory_channels == 0


def test_a_single_object_model_gets_a_zero_channel_for_other_objects(tmp_path: Path) -> None:
    state = tiny_network("xmem").state_dict()
    state[STEM] = state[STEM][:, :4]
    path = save(state, tmp_path / "model.pth")
    stem = build(path, read_weights(path)[0]).state_dict()[STEM]
    assert stem.shape[1] == 5
    assert torch.equal(stem[:, :4], state[STEM])
    assert not stem[:, 4].any()


def test_a_training_checkpoint_gives_its_network(tmp_path: Path) -> None:
    network = tiny_network("xmem")
    state = network.state_dict()
    wrapped = {"it": 3, "network": {f"module.{name}": tensor for name, tensor in state.items()}}
    torch.save(wrapped, tmp_path / "model.pth")
    loaded = load_model(tmp_path / "model.pth", CPU).state_dict()
    assert_equal_states(loaded, folded(network))


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_model_loads_by_name_and_says_its_license(name: str) -> None:
    network = load_model(name, CPU)
    assert network.info.name == name
    assert network.info.path == BUNDLED[name]
    assert ("non-commercial" in network.info.license) == (name == "lite")
    assert "NC" not in network.info.license or name == "lite"
    assert next(network.parameters()).dtype == torch.float32


def test_a_model_runs_in_the_dtype_of_the_runtime() -> None:
    network = load_model("lite", Runtime(torch.device("cpu"), torch.bfloat16))
    assert {p.dtype for p in network.parameters()} == {torch.bfloat16}
    features = network.encode(torch.rand(3, 40, 40))
    assert features.f4.dtype == torch.bfloat16
    assert features.key.dtype == torch.float32


def test_loading_leaves_the_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    load_model("lite", CPU)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_converted_model_is_the_same_model_and_says_what_it_is(
    architecture: str, tmp_path: Path
) -> None:
    source = save(tiny_network(architecture).state_dict(), tmp_path / "source.pth")
    target = tmp_path / "target.safetensors"
    info = convert(source, target)
    before, after = load_model(source, CPU), load_model(target, CPU)
    assert after.info == info
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(one, other)
    with safe_open(target, "pt") as file:
        metadata = file.metadata()
    assert metadata["architecture"] == architecture
    assert metadata["key_channels"] == "8"
    assert metadata["value_channels"] == str(before.value_channels)
    assert metadata["sensory_channels"] == "4"
    assert metadata["source_sha256"] == before.info.sha256
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source.pth", "target.safetensors"]


def test_conversion_keeps_license_and_training_notes(tmp_path: Path) -> None:
    info = convert("lite", tmp_path / "copy.safetensors")
    bundled = load_model("lite", CPU).info
    assert (info.license, info.note) == (bundled.license, bundled.note)


def test_a_license_in_the_file_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_weights(path, tiny_network("xmemlite-1").state_dict(), {"license": "CC0"})
    assert load_model(path, CPU).info.license == "CC0"


def test_a_model_trained_on_noncommercial_data_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    state = tiny_network("xmemlite-1").state_dict()
    write_weights(path, state, {"training": "DAVIS 2016 (CC BY-NC)"})
    assert load_model(path, CPU).info.license.startswith("non-commercial")


def test_an_official_layout_refers_to_its_project_for_the_license(tmp_path: Path) -> None:
    path = save(tiny_network("xmem").state_dict(), tmp_path / "model.pth")
    assert "XMem project" in load_model(path, CPU).info.license


def test_converting_to_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"written as \.safetensors"):
        convert("lite", tmp_path / "model.pth")
    assert not list(tmp_path.iterdir())


def test_converting_into_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be written"):
        convert("lite", tmp_path / "missing" / "model.safetensors")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no such model file" in refusal(tmp_path / "model.pth")


def test_another_suffix_is_refused_with_the_allowed_ones(tmp_path: Path) -> None:
    assert ".pth, .pt, .safetensors" in refusal(tmp_path / "model.onnx")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.99])
def test_a_cut_off_file_is_refused(suffix: str, kept: float, tmp_path: Path) -> None:
    path = save(tiny_network("xmemlite-1").state_dict(), tmp_path / f"model{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_text_file_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_text("hello world, this is no model")
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_refused_and_never_run(zipped: bool, tmp_path: Path) -> None:
    folder = tmp_path / "made by code"
    buffer = io.BytesIO()
    torch.save({"a": Code(folder)}, buffer, _use_new_zipfile_serialization=zipped)
    path = tmp_path / "model.pth"
    path.write_bytes(buffer.getvalue())
    assert "holds code" in refusal(path)
    assert not folder.exists()


def test_another_models_file_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    state = torch.nn.Conv2d(3, 3, 3).state_dict()
    message = refusal(save(state, tmp_path / "model.pth"))
    assert "is no XMem model: it has no key_proj.key_proj.weight" in message


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save([1, 2, 3], path)
    assert "not a table of tensors" in refusal(path)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_missing_unknown_and_misshapen_tensors_are_named(architecture: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    state = tiny_network(architecture).state_dict()
    torch.save({n: t for n, t in state.items() if n != "decoder.pred.bias"}, path)
    assert "it has no decoder.pred.bias" in refusal(path)
    torch.save({**state, "head.weight": torch.zeros(1), "neck.weight": torch.zeros(1)}, path)
    assert "it has an unknown head.weight and 1 more" in refusal(path)
    torch.save({**state, "decoder.pred.bias": torch.zeros(2)}, path)
    assert "decoder.pred.bias has shape (2,), expected (1,)" in refusal(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value: float, suffix: str, tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in tiny_network("xmem").state_dict().items()}
    state["key_proj.key_proj.bias"][0] = value
    message = refusal(save(state, tmp_path / f"model{suffix}"))
    assert "holds NaN or infinity in key_proj.key_proj.bias" in message


def test_weights_of_another_type_than_numbers_are_refused(tmp_path: Path) -> None:
    state = dict(tiny_network("xmem").state_dict())
    state["key_proj.key_proj.bias"] = state["key_proj.key_proj.bias"].view(torch.int32)
    message = refusal(save(state, tmp_path / "model.safetensors"))
    assert "key_proj.key_proj.bias is torch.int32" in message


@pytest.mark.parametrize("place", range(0, 64, 3))
def test_a_flipped_bit_in_the_header_of_a_file_is_a_sentence(place: int, tmp_path: Path) -> None:
    path = save(dict(tiny_network("xmem").state_dict()), tmp_path / "model.safetensors")
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << place % 8
    path.write_bytes(content)
    assert refusal(path)


def test_a_pickle_is_not_opened_by_a_torch_that_can_be_made_to_run_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(dict(tiny_network("xmem").state_dict()), tmp_path / "model.pth")
    load_model(path, CPU)
    monkeypatch.setattr(torch, "__version__", "2.5.1+cu124")
    assert "update to torch 2.6 or newer, or convert it there" in refusal(path)


def test_equal_models_are_equal_files(tmp_path: Path) -> None:
    state = tiny_network("xmemlite-1").state_dict()
    facts = {f"fact {number}": f'süß "{number}"' for number in range(20)}
    paths = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for path in paths:
        write_weights(path, state, facts)
    assert len({path.read_bytes() for path in paths}) == 1
    tensors, metadata = read_weights(paths[0])
    assert {name: metadata[name] for name in facts} == facts
    assert all(torch.equal(tensors[name], tensor) for name, tensor in state.items())
