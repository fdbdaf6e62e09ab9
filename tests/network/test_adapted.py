"""Adapted models: a difference of weights in memory, in files, and what is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from shot_on_disk import ShotOnDisk

from xmempp_core.cli.main import main
from xmempp_core.errors import FormatError, InputError
from xmempp_core.network.adapted import AnyNetwork, adapted_network
from xmempp_core.network.checkpoint import convert, load_model, save_adapted
from xmempp_core.network.difference import WeightDifference
from xmempp_core.network.xmem import XMem
from xmempp_core.runtime import Runtime

CPU = Runtime(torch.device("cpu"), torch.float32)
NOTES = json.dumps({"network": "first round", "annotated_frames": [1001]})


@pytest.fixture(params=["xmem", "xmemlite-1"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> AnyNetwork:
    return load_model(ShotOnDisk(tmp_path).model(request.param), CPU)


def changed(base: AnyNetwork) -> AnyNetwork:
    """The base with other weights in the decoder."""
    other = copy.deepcopy(base)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in other.decoder.parameters():
            weight += 1e-3 * torch.randn(weight.shape, generator=generator)
    return other


def adapted(base: AnyNetwork) -> AnyNetwork:
    return adapted_network(
        base, WeightDifference.between(base, changed(base), base.info.sha256), NOTES
    )


def weights_of(network: AnyNetwork) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in network.state_dict().items()}


def assert_equal_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_adapted_network_is_its_base_with_the_rounded_difference(base: AnyNetwork) -> None:
    before, wanted = weights_of(base), changed(base)
    network = adapted(base)
    assert_equal_weights(before, weights_of(base))
    assert set(network.difference.tensors) == {
        f"decoder.{n}" for n, _ in base.decoder.named_parameters()
    }
    for name, weight in network.named_parameters():
        assert (weight - wanted.state_dict()[name]).abs().max() < 1e-5, name
    assert network.info.sha256 == network.difference.sha256 != base.info.sha256
    assert base.info.adaptation == ""


def test_the_hash_tells_differences_and_bases_apart(base: AnyNetwork) -> None:
    difference = WeightDifference.between(base, changed(base), base.info.sha256)
    assert (
        difference.sha256 == WeightDifference.between(base, changed(base), base.info.sha256).sha256
    )
    assert difference.sha256 != WeightDifference({}, base.info.sha256).sha256
    assert difference.sha256 != WeightDifference(difference.tensors, "0" * 64).sha256


def test_a_file_holds_the_very_network_in_less_space(base: AnyNetwork, tmp_path: Path) -> None:
    network, path = adapted(base), tmp_path / "shot.safetensors"
    save_adapted(network, path)
    loaded = load_model(path, CPU)
    assert_equal_weights(weights_of(loaded), weights_of(network))
    assert loaded.info.sha256 == network.info.sha256
    assert loaded.info.name == "shot"
    assert json.loads(loaded.info.adaptation) == json.loads(NOTES)
    assert loaded.info.license == base.info.license
    assert path.stat().st_size < 0.6 * base.info.path.stat().st_size
    with safe_open(path, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118


def test_a_network_without_any_difference_is_kept_too(base: AnyNetwork, tmp_path: Path) -> None:
    network = adapted_network(base, WeightDifference({}, base.info.sha256), "{}")
    save_adapted(network, tmp_path / "same.safetensors")
    loaded = load_model(tmp_path / "same.safetensors", CPU)
    assert_equal_weights(weights_of(loaded), weights_of(base))


def test_converted_it_is_a_whole_model(base: AnyNetwork, tmp_path: Path) -> None:
    network = adapted(base)
    save_adapted(network, tmp_path / "shot.safetensors")
    if isinstance(base, XMem):
        with pytest.raises(FormatError, match="--model takes it as it is"):
            convert(tmp_path / "shot.safetensors", tmp_path / "whole.safetensors")
        return
    (tmp_path / "elsewhere").mkdir()
    convert(tmp_path / "shot.safetensors", tmp_path / "elsewhere" / "whole.safetensors")
    whole = load_model(tmp_path / "elsewhere" / "whole.safetensors", CPU)
    assert_equal_weights(weights_of(whole), weights_of(network))
    assert whole.difference is None


def test_info_tells_how_a_model_was_adapted(
    base: AnyNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_adapted(adapted(base), tmp_path / "shot.safetensors")
    assert main(["info", str(tmp_path / "shot.safetensors")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "adapted           network: first round" in lines
    assert "adapted           annotated frames: [1001]" in lines


def test_a_file_without_its_base_says_what_is_missing(base: AnyNetwork, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "shot.safetensors"
    save_adapted(adapted(base), path)
    message = rf"was adapted from {base.info.path.name} \(SHA-256 {base.info.sha256}\), which is"
    with pytest.raises(FormatError, match=message):
        load_model(path, CPU)
    path.with_name(base.info.path.name).write_bytes(b"another model")
    with pytest.raises(FormatError, match="put that file into the same folder"):
        load_model(path, CPU)


def test_a_damaged_difference_is_told(base: AnyNetwork, tmp_path: Path) -> None:
    path = tmp_path / "shot.safetensors"
    save_adapted(adapted(base), path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match="is damaged; adapt the model again"):
        load_model(path, CPU)


def test_only_adapted_networks_are_saved_as_such(base: AnyNetwork, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not adapted to a shot"):
        save_adapted(base, tmp_path / "shot.safetensors")
    with pytest.raises(FormatError, match=r"written as \.safetensors"):
        save_adapted(adapted(base), tmp_path / "shot.pth")
