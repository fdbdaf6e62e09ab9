"""XMem (Cheng and Schwing, ECCV 2022) with the parameter names of the published checkpoints.

Batches are B frames of N objects each; the objects of a frame share its image features.
"""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from ..types import Features, ModelInfo
from .blocks import (
    GatedUpdate,
    JoinedResidualBlock,
    ResidualBlock,
    conv,
    features_of,
    no_sensory,
    padding_of,
    upsample,
)
from .difference import WeightDifference
from .winograd import of_each

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
IMAGE_AND_MASKS = 5
"""Input channels of the value encoder: R, G, B, the object's mask, the sum of the others."""


def stage(
    block: type[BasicBlock] | type[Bottleneck], inputs: int, width: int, count: int, stride: int
) -> nn.Sequential:
    """A stage of a ResNet; its first block carries the stride and the projected shortcut."""
    outputs = width * block.expansion
    shortcut = None
    if stride != 1 or inputs != outputs:
        projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
    first = block(inputs, width, stride, shortcut)
    return nn.Sequential(first, *(block(outputs, width) for _ in range(count - 1)))


class KeyEncoder(nn.Module):
    """ResNet-50 to stride 16."""

    def __init__(self, base: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, base, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.res2 = stage(Bottleneck, base, base, 3, 1)
        self.layer2 = stage(Bottleneck, 4 * base, 2 * base, 4, 2)
        self.layer3 = stage(Bottleneck, 8 * base, 4 * base, 6, 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, C, ...) at strides 16, 8, 4 with 16, 8, 4 times `base` channels."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, 1)
        f4 = self.res2(x)
        f8 = self.layer2(f4)
        return self.layer3(f8), f8, f4


class KeyProjection(nn.Module):
    """Key, shrinkage and selection from the features at stride 16 (XMem, Section 3.2.1)."""

    def __init__(self, inputs: int, key_channels: int) -> None:
        super().__init__()
        self.key_proj = conv(inputs, key_channels)
        self.d_proj = conv(inputs, 1)
        self.e_proj = conv(inputs, key_channels)

    def forward(self, f16: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Key (B, CK, h, w), shrinkage (B, 1, h, w) from 1 up, selection (B, CK, h, w); float32."""
        shrinkage = self.d_proj(f16).float().square() + 1
        return self.key_proj(f16).float(), shrinkage, self.e_proj(f16).float().sigmoid()


class ChannelGate(nn.Module):
    """Scales each channel by what its mean and its maximum say (CBAM, Eq. 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = channels // 16
        self.mlp = nn.Sequential(
            nn.Flatten(), nn.Linear(channels, middle), nn.ReLU(), nn.Linear(middle, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w)."""
        gate = self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3)))
        return x * gate.sigmoid()[:, :, None, None]


class SpatialConv(nn.Module):
    """The 7x7 convolution of the spatial gate, one level down as the checkpoints name it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(2, 1, 7)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, h, w) from (B, 2, h, w)."""
        return self.conv(x)


class SpatialGate(nn.Module):
    """Scales each cell by what its channels' maximum and mean say (CBAM, Eq. 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = SpatialConv()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w)."""
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * self.spatial(pooled).sigmoid()


class Attention(nn.Module):
    """Convolutional block attention: the channel gate, then the spatial gate (CBAM)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ChannelGate = ChannelGate(channels)
        self.SpatialGate = SpatialGate()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w)."""
        return self.SpatialGate(self.ChannelGate(x))


class FusionBlock(nn.Module):
    """Image features and object features to one map for each object."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block1 = JoinedResidualBlock(inputs, outputs)
        self.attention = Attention(outputs)
        self.block2 = ResidualBlock(outputs, outputs)

    def forward(self, image: Tensor, objects: Tensor) -> Tensor:
        """(B N, outputs, h, w) from image (B, C, h, w) and objects (B N, D, h, w)."""
        x = self.block1(image, objects)
        return self.block2(x + self.attention(x))


class ValueEncoder(nn.Module):
    """ResNet-18 over image and masks, fused with the image features."""

    def __init__(self, base: int, value_channels: int, sensory_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(IMAGE_AND_MASKS, base, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.layer1 = stage(BasicBlock, base, base, 2, 1)
        self.layer2 = stage(BasicBlock, base, 2 * base, 2, 2)
        self.layer3 = stage(BasicBlock, 2 * base, 4 * base, 2, 2)
        self.fuser = FusionBlock(16 * base + 4 * base, value_channels)
        self.hidden_reinforce = (
            GatedUpdate(value_channels, sensory_channels) if sensory_channels else None
        )

    def forward(
        self, image: Tensor, f16: Tensor, masks: Tensor, sensory: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Values (B, N, CV, h, w) and reinforced sensory state (B, N, CH, h, w) float32.

        Args:
            image: (B, 3, H', W') normalized and padded.
            f16: (B, C, h, w).
            masks: (B, N, H', W') soft masks 0..1.
            sensory: (B, N, CH, h, w) float32.
        """
        objects = masks.shape[:2]
        pair = torch.stack([masks, masks.sum(1, keepdim=True) - masks], 2).flatten(0, 1)
        x = torch.cat([of_each(image, objects[1]), pair.to(image.dtype)], 1)
        x = F.relu(F.max_pool2d(self.bn1(self.conv1(x)), 3, 2, 1))
        value = self.fuser(f16, self.layer3(self.layer2(self.layer1(x))))  # (B N, CV, h, w)
        if self.hidden_reinforce is not None:
            state = self.hidden_reinforce(value, sensory.flatten(0, 1))
            sensory = state.unflatten(0, objects)
        return value.unflatten(0, objects), sensory


class UpBlock(nn.Module):
    """Doubles the resolution and adds the skip features."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.skip_conv = conv(skip, inputs)
        self.out_conv = ResidualBlock(inputs, outputs)

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """(B N, outputs, 2h, 2w) from skip (B, C, 2h, 2w) and coarse (B N, inputs, h, w)."""
        shared = of_each(self.skip_conv(skip), len(coarse) // len(skip))
        return self.out_conv(shared + upsample(coarse, 2))


class SensoryUpdate(GatedUpdate):
    """The gated update fed with decoder features of three strides (XMem, Section 3.3)."""

    def __init__(self, inputs: tuple[int, int, int], middle: int, sensory: int) -> None:
        super().__init__(middle, sensory)
        self.g16_conv = conv(inputs[0], middle, 1)
        self.g8_conv = conv(inputs[1], middle, 1)
        self.g4_conv = conv(inputs[2], middle, 1)

    def seen(self, g16: Tensor, g8: Tensor, g4: Tensor) -> Tensor:
        """What the decoder found, summed at stride 16: (B N, middle, h, w)."""
        fine = self.g8_conv(F.avg_pool2d(g8, 2)) + self.g4_conv(F.avg_pool2d(g4, 4))
        return self.g16_conv(g16) + fine


class Decoder(nn.Module):
    """Mask logits from readout and sensory state, finer with each skip feature."""

    def __init__(self, base: int, value_channels: int, sensory_channels: int) -> None:
        super().__init__()
        at16, at8, at4 = 8 * base, 4 * base, 4 * base
        self.fuser = FusionBlock(16 * base + value_channels + sensory_channels, at16)
        self.up_16_8 = UpBlock(at16, 8 * base, at8)
        self.up_8_4 = UpBlock(at8, 4 * base, at4)
        self.pred = conv(at4, 1)
        self.hidden_update = (
            SensoryUpdate((at16, at8, at4 + 1), 4 * base, sensory_channels)
            if sensory_channels
            else None
        )

    def forward(
        self, skips: tuple[Tensor, Tensor, Tensor], readout: Tensor, sensory: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, N, H', W') float32 and updated sensory state (B, N, CH, h, w).

        Args:
            skips: features (B, C, ...) at strides 16, 8, 4.
            readout: (B, N, CV, h, w).
            sensory: (B, N, CH, h, w) float32.
        """
        f16, f8, f4 = skips
        objects, state = readout.shape[:2], sensory.flatten(0, 1)
        read = torch.cat([t.to(f16.dtype) for t in (readout.flatten(0, 1), state)], 1)
        g16 = self.fuser(f16, read)
        g8 = self.up_16_8(f8, g16)
        g4 = self.up_8_4(f4, g8)
        logits = self.pred(F.relu(g4))  # (B N, 1, 4h, 4w)
        if self.hidden_update is not None:
            seen = self.hidden_update.seen(g16, g8, torch.cat([g4, logits], 1))
            state = self.hidden_update(seen, state)
        logits = upsample(logits.float(), 4).squeeze(1)
        return logits.unflatten(0, objects), state.unflatten(0, objects)


class SeenImage(NamedTuple):
    """What was made of the frame that the network saw last; the frame is not kept alive for it."""

    frame: weakref.ref[Tensor]
    version: int
    image: Tensor


class XMem(nn.Module):
    """The network of XMem and XMem++.

    Args:
        key_channels: CK.
        value_channels: CV.
        sensory_channels: CH; 0 for no sensory memory.
        base_channels: width of the first stage of both encoders; all other widths follow it.
    """

    architecture = "xmem"
    info: ModelInfo
    """Where the weights come from; set by `load_model`."""
    difference: WeightDifference | None = None
    """From the base model, where the network is adapted to a shot."""

    def __init__(
        self,
        key_channels: int = 64,
        value_channels: int = 512,
        sensory_channels: int = 64,
        *,
        base_channels: int = 64,
    ) -> None:
        super().__init__()
        self.key_channels = key_channels
        self.value_channels = value_channels
        self.sensory_channels = sensory_channels
        self._seen: SeenImage | None = None
        self.key_encoder = KeyEncoder(base_channels)
        self.key_proj = KeyProjection(16 * base_channels, key_channels)
        self.value_encoder = ValueEncoder(base_channels, value_channels, sensory_channels)
        self.decoder = Decoder(base_channels, value_channels, sensory_channels)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type the convolutions run in."""
        return next(self.parameters()).dtype

    @property
    def trunk_layers(self) -> tuple[nn.Module, ...]:
        """The image trunk from its first layer to its last; training may leave the first as is."""
        trunk = self.key_encoder
        return (trunk.conv1, trunk.bn1, trunk.res2, trunk.layer2, trunk.layer3)

    def encode(self, frame: Tensor) -> Features:
        """Features of a frame (3, H, W) float32 RGB 0..1, keys in float32."""
        skips = self.key_encoder(self._image(frame))
        keys = self.key_proj(skips[0])
        features = features_of(keys, skips, padding_of(*frame.shape[-2:]))
        return features if frame.ndim == 4 else features.mapped(lambda t: t[0])

    def memorize(
        self, features: Features, frame: Tensor, masks: Tensor, sensory: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Values (N, CV, h, w) and reinforced sensory state (N, CH, h, w).

        Args:
            features: of the frame.
            frame: (3, H, W) as given to `encode`, not padded.
            masks: (N, H', W') float32 0..1, aggregated, padded.
            sensory: (N, CH, h, w) float32.
        """
        image = self._image(frame)
        if features.is_batch:
            return self.value_encoder(image, features.f16, masks, sensory)
        values, state = self.value_encoder(image, features.f16[None], masks[None], sensory[None])
        return values[0], state[0]

    def decode(self, features: Features, readout: Tensor, sensory: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, H', W') float32, padded, and updated sensory state (N, CH, h, w).

        Args:
            features: of the frame.
            readout: (N, CV, h, w).
            sensory: (N, CH, h, w) float32.
        """
        if not features.is_batch:
            one = features.mapped(lambda t: t[None])
            logits, updated = self.decode(one, readout[None], sensory[None])
            return logits[0], updated[0]
        return self.decoder((features.f16, features.f8, features.f4), readout, sensory)

    def initial_sensory(self, n: int, features: Features) -> Tensor:
        """Zeros (n, CH, h, w) float32."""
        return no_sensory(n, self.sensory_channels, features)

    def _image(self, frame: Tensor) -> Tensor:
        """(B, 3, H', W') normalized, padded, in the weights' dtype; made once of the same frame."""
        version = 0 if frame.is_inference() else frame._version
        seen = self._seen
        is_same = seen is not None and seen.frame() is frame and seen.version == version
        if seen is not None and is_same and seen.image.dtype == self.dtype:
            return seen.image
        image = F.pad(normalize(frame), padding_of(*frame.shape[-2:]))
        image = image.to(self.dtype)[None] if frame.ndim == 3 else image.to(self.dtype)
        if not torch.is_grad_enabled():
            self._seen = SeenImage(weakref.ref(frame), version, image)
        return image


def normalize(frames: Tensor) -> Tensor:
    """Frames (..., 3, H, W) RGB 0..1 with the mean and deviation of ImageNet taken out."""
    mean, deviation = _statistics(frames.device, frames.dtype)
    return (frames - mean) / deviation


@lru_cache(maxsize=8)
def _statistics(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Mean and deviation of ImageNet (3, 1, 1), brought to a device once."""
    with torch.inference_mode(False):
        mean, deviation = (
            torch.tensor(values, device=device, dtype=dtype)[:, None, None]
            for values in (MEAN, DEVIATION)
        )
    return mean, deviation
