"""Tiny networks with random weights, so that tests of behavior cost milliseconds."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import torch

from xmempp_core.network.lite import XMemLite
from xmempp_core.network.xmem import XMem
from xmempp_core.types import ModelInfo

ARCHITECTURES = ("xmem", "xmemlite-1")


def tiny_network(architecture: str, *, sensory_channels: int = 4, seed: int = 0) -> XMem | XMemLite:
    """A network with CK 8 and CV 16 (lite 18) in evaluation mode, the same for the same seed.

    Its keys differ, objects matter and logits lie about zero. With a fresh network's weights nearly
    all objects would get the same mask, and tests that compare results would compare constants.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        make = {"xmem": _tiny_xmem, "xmemlite-1": _tiny_lite}[architecture]
        network = make(sensory_channels)
        network.eval().requires_grad_(False)
        _center_logits(network)
    network.info = info_of(network, seed)
    return network


def info_of(network: XMem | XMemLite, seed: int) -> ModelInfo:
    """Facts about a tiny network; its hash tells architectures and seeds apart."""
    name = f"tiny {network.architecture} {network.sensory_channels} {seed}"
    return ModelInfo(
        name=name,
        path=Path("tiny.safetensors"),
        architecture=network.architecture,
        key_channels=network.key_channels,
        value_channels=network.value_channels,
        sensory_channels=network.sensory_channels,
        parameter_count=1,
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        license="test",
        note="",
    )


def _tiny_xmem(sensory_channels: int) -> XMem:
    network = XMem(8, 16, sensory_channels, base_channels=8)
    _draw(network)
    network.value_encoder.conv1.weight[:, 3:] *= 4
    for fuser in (network.value_encoder.fuser, network.decoder.fuser):
        fuser.block1.conv1.weight[:, 128:] *= 4
        fuser.block1.downsample.weight[:, 128:] *= 4
    return network


def _tiny_lite(sensory_channels: int) -> XMemLite:
    network = XMemLite(
        8, 18, sensory_channels, encoder_channels=(8, 8), decoder_channels=(16, 8, 8)
    )
    _draw(network)
    network.value.mask4.weight *= 4
    network.decoder.fuse16.weight *= 4
    image = torch.rand(1, 3, 64, 96) - 0.5
    for stride, features in zip((16, 8, 4), network.backbone(image), strict=True):
        deviation, mean = torch.std_mean(features, (0, 2, 3), keepdim=True)
        getattr(network.backbone, f"scale{stride}").copy_(1 / (deviation + 0.01))
        getattr(network.backbone, f"shift{stride}").copy_(-mean / (deviation + 0.01))
    return network


def _draw(network: XMem | XMemLite) -> None:
    """Uniform weights that keep the variance of their input."""
    for weight in network.parameters():
        if weight.ndim > 1:
            bound = math.sqrt(3 / weight[0].numel())
            torch.nn.init.uniform_(weight, -bound, bound)


def _center_logits(network: XMem | XMemLite) -> None:
    """Mean 0 and deviation 2 of the logits of a random frame."""
    frame = torch.rand(3, 64, 96)
    features = network.encode(frame)
    masks = (torch.rand(2, 4, 6) > 0.5).float().repeat_interleave(16, 1).repeat_interleave(16, 2)
    sensory = network.initial_sensory(2, features)
    values, sensory = network.memorize(features, frame, masks, sensory)
    logits, _ = network.decode(features, values, sensory)
    prediction = network.decoder.pred
    prediction.weight *= 2 / logits.std()
    prediction.bias.copy_((prediction.bias - logits.mean()) * 2 / logits.std())
