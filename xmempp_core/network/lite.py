"""XMemLite: a small matching-memory network with the calls of XMem.

All of it takes batches of frames and works under autograd, for training; propagation makes the
calls `encode`, `memorize` and `decode` on one frame, without the batch axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..types import STRIDE, Features, ModelInfo
from .blocks import (
    GatedUpdate,
    ResidualBlock,
    bias_of,
    conv,
    features_of,
    fill_bias,
    no_sensory,
    padding_of,
    upsample,
)
from .difference import WeightDifference
from .winograd import of_each

MEAN, DEVIATION = 127 / 255, 128 / 255
F4_CHANNELS, F8_CHANNELS, F16_CHANNELS = 24, 40, 112
MASK_CHANNELS = 2
"""The object's own mask and the sum of the others."""
PIECE_VALUES = 3_400_000
"""Values of a picture's expanded channels that a processor works on at once, 13 MB."""


class Skips(NamedTuple):
    """Image features of a batch of frames at three strides."""

    f16: Tensor
    """(B, 112, h, w)"""
    f8: Tensor
    """(B, 40, 2h, 2w)"""
    f4: Tensor
    """(B, 24, 4h, 4w)"""


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection, batch norms folded in (MobileNetV2)."""

    def __init__(self, kernel: int, stride: int, expansion: int, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expand = conv(inputs, middle, 1) if expansion > 1 else None
        self.dw = conv(middle, middle, kernel, stride=stride, groups=middle)
        self.project = conv(middle, outputs, 1)
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, outputs, h / stride, w / stride)."""
        y = self._in_pieces(x) if self._is_large(x) else self._whole(x)
        return x + y if self.has_shortcut else y

    def _whole(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        return self.project(F.relu6(self.dw(y), inplace=True))

    def _is_large(self, x: Tensor) -> bool:
        expanded = self.dw.in_channels * x.shape[2] * x.shape[3]
        is_run = x.device.type == "cpu" and not torch.is_grad_enabled()
        return is_run and self.expand is not None and expanded > PIECE_VALUES

    def _in_pieces(self, x: Tensor) -> Tensor:
        """The same, some of the expanded channels at a time: they never leave the cache."""
        assert self.expand is not None
        expanded = self.dw.in_channels * x.shape[2] * x.shape[3]
        pieces = -(-expanded // PIECE_VALUES)
        result: Tensor | None = None
        for expand, expand_bias, dw, dw_bias, project in zip(
            self.expand.weight.chunk(pieces),
            bias_of(self.expand).chunk(pieces),
            self.dw.weight.chunk(pieces),
            bias_of(self.dw).chunk(pieces),
            self.project.weight.chunk(pieces, 1),
            strict=True,
        ):
            y = F.relu6(F.conv2d(x, expand, expand_bias), inplace=True)
            stride, padding = self.dw.stride, self.dw.padding
            y = F.conv2d(y, dw, dw_bias, stride, padding, groups=len(dw))
            y = F.conv2d(F.relu6(y, inplace=True), project)
            result = y if result is None else result.add_(y)
        assert result is not None
        return result + bias_of(self.project)[:, None, None]


class Backbone(nn.Module):
    """EfficientNet-lite0 to stride 16; each output channel is normalized by fixed vectors."""

    blocks_table = (  # kernel, stride, expansion, inputs, outputs
        (3, 1, 1, 32, 16),
        (3, 2, 6, 16, 24),
        (3, 1, 6, 24, F4_CHANNELS),
        (5, 2, 6, 24, 40),
        (5, 1, 6, 40, F8_CHANNELS),
        (3, 2, 6, 40, 80),
        (3, 1, 6, 80, 80),
        (3, 1, 6, 80, 80),
        (5, 1, 6, 80, 112),
        (5, 1, 6, 112, 112),
        (5, 1, 6, 112, F16_CHANNELS),
    )
    scale4: Tensor
    shift4: Tensor
    scale8: Tensor
    shift8: Tensor
    scale16: Tensor
    shift16: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 32, stride=2)
        self.blocks = nn.ModuleList(InvertedResidual(*row) for row in self.blocks_table)
        for stride, channels in ((4, F4_CHANNELS), (8, F8_CHANNELS), (16, F16_CHANNELS)):
            self.register_buffer(f"scale{stride}", torch.ones(1, channels, 1, 1))
            self.register_buffer(f"shift{stride}", torch.zeros(1, channels, 1, 1))

    def forward(self, image: Tensor) -> Skips:
        """Features of normalized images (B, 3, H', W'), sides multiples of 16."""
        x4 = self._run(F.relu6(self.stem(image), inplace=True), 0, 3)
        x8 = self._run(x4, 3, 5)
        x16 = self._run(x8, 5, len(self.blocks))
        return Skips(
            x16 * self.scale16 + self.shift16,
            x8 * self.scale8 + self.shift8,
            x4 * self.scale4 + self.shift4,
        )

    def _run(self, x: Tensor, first: int, end: int) -> Tensor:
        for block in self.blocks[first:end]:
            x = block(x)
        return x


class KeyProjection(nn.Module):
    """Key, shrinkage and selection from the features at stride 16."""

    def __init__(self, key_channels: int) -> None:
        super().__init__()
        self.key = conv(F16_CHANNELS, key_channels)
        self.shrink = conv(F16_CHANNELS, 1)
        self.select = conv(F16_CHANNELS, key_channels)
        nn.init.orthogonal_(self.key.weight)
        fill_bias(self.key, 0)

    def forward(self, f16: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Key (B, CK, h, w), shrinkage (B, 1, h, w) from 1 up, selection (B, CK, h, w); float32."""
        shrinkage = self.shrink(f16).float().square() + 1
        return self.key(f16).float(), shrinkage, self.select(f16).float().sigmoid()


class ValueEncoder(nn.Module):
    """Value and reinforced sensory state from image features and masks.

    Batches are B frames of N objects each; image terms are computed once a frame.
    """

    def __init__(self, learned: int, sensory: int, widths: Sequence[int]) -> None:
        super().__init__()
        at4, at8 = widths
        self.mask4 = conv(MASK_CHANNELS * 16, at4)
        self.img4 = conv(F4_CHANNELS, at4, 1)
        self.res4 = ResidualBlock(at4, at4, at4 // 2)
        self.down8 = conv(at4, at8, stride=2)
        self.img8 = conv(F8_CHANNELS, at8, 1)
        self.down16 = conv(at8, learned, stride=2)
        self.img16 = conv(F16_CHANNELS, learned, 1)
        self.res1 = ResidualBlock(learned, learned)
        self.res2 = ResidualBlock(learned, learned)
        self.gate = GatedUpdate(learned, sensory) if sensory else None

    def forward(self, skips: Skips, masks: Tensor, sensory: Tensor) -> tuple[Tensor, Tensor]:
        """Values (B, N, CV, h, w) and reinforced sensory state (B, N, CH, h, w) float32.

        The last two value channels are the plain masks at stride 16.

        Args:
            skips: of B frames.
            masks: (B, N, H', W') soft masks 0..1.
            sensory: (B, N, CH, h, w) float32.
        """
        objects = masks.shape[:2]
        pair = torch.stack([masks, masks.sum(1, keepdim=True) - masks], 2).flatten(0, 1)
        pair = pair.to(skips.f16.dtype)  # (B N, 2, H', W')
        x = self.mask4(F.pixel_unshuffle(pair, 4)) + of_each(self.img4(skips.f4), objects[1])
        x = self.down8(F.relu(self.res4(x))) + of_each(self.img8(skips.f8), objects[1])
        x = self.down16(F.relu(x)) + of_each(self.img16(skips.f16), objects[1])
        x = self.res2(self.res1(x))  # (B N, learned, h, w)
        value = torch.cat([x, F.avg_pool2d(pair, STRIDE)], 1).unflatten(0, objects)
        if self.gate is None:
            return value, sensory
        return value, self.gate(x, sensory.flatten(0, 1)).unflatten(0, objects)


class Decoder(nn.Module):
    """Mask logits and updated sensory state from image features, readout and sensory state."""

    def __init__(self, value: int, sensory: int, widths: Sequence[int]) -> None:
        super().__init__()
        at16, at8, at4 = widths
        self.img16 = conv(F16_CHANNELS, at16, 1)
        self.fuse16 = conv(value + sensory, at16)
        self.res16a = ResidualBlock(at16, at16)
        self.res16b = ResidualBlock(at16, at16)
        self.up8 = conv(at16, at8, 1)
        self.img8 = conv(F8_CHANNELS, at8)
        self.res8 = ResidualBlock(at8, at8)
        self.up4 = conv(at8, at4, 1)
        self.img4 = conv(F4_CHANNELS, at4)
        self.res4 = ResidualBlock(at4, at4)
        self.pred = conv(at4, 1)
        fill_bias(self.pred, -2)
        self.gate = None
        if sensory:
            self.hid16 = conv(at16, at8, 1)
            self.hid8 = conv(at8, at8, 1)
            self.hid4 = conv(at4 + 1, at8, 1)
            self.gate = GatedUpdate(at8, sensory)

    def forward(self, skips: Skips, readout: Tensor, sensory: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, N, H', W') float32 and updated sensory state (B, N, CH, h, w) float32.

        Args:
            skips: of B frames.
            readout: (B, N, CV, h, w).
            sensory: (B, N, CH, h, w) float32.
        """
        objects = readout.shape[:2]
        state = sensory.flatten(0, 1)
        x = torch.cat([t.to(skips.f16.dtype) for t in (readout.flatten(0, 1), state)], 1)
        g16 = self.fuse16(x) + of_each(self.img16(skips.f16), objects[1])
        g16 = self.res16b(self.res16a(g16))
        g8 = upsample(self.up8(F.relu(g16)), 2) + of_each(self.img8(skips.f8), objects[1])
        g8 = self.res8(g8)
        g4 = upsample(self.up4(F.relu(g8)), 2) + of_each(self.img4(skips.f4), objects[1])
        g4 = self.res4(g4)
        logits = self.pred(F.relu(g4))  # (B N, 1, 4h, 4w)
        if self.gate is not None:
            state = self.gate(self._seen(g16, g8, torch.cat([g4, logits], 1)), state)
        logits = upsample(logits.float(), 4).squeeze(1)
        return logits.unflatten(0, objects), state.unflatten(0, objects)

    def _seen(self, g16: Tensor, g8: Tensor, g4: Tensor) -> Tensor:
        """What the decoder found at three strides, summed at stride 16."""
        fine = self.hid8(F.avg_pool2d(g8, 2)) + self.hid4(F.avg_pool2d(g4, 4))
        return self.hid16(g16) + fine


class XMemLite(nn.Module):
    """The small network: 2 million weights, about 30 times less work than XMem.

    Args:
        key_channels: CK.
        value_channels: CV; two of them are the plain masks.
        sensory_channels: CH; 0 for no sensory memory.
        encoder_channels: widths of the value encoder at strides 4 and 8.
        decoder_channels: widths of the decoder at strides 16, 8 and 4.
    """

    architecture = "xmemlite-1"
    info: ModelInfo
    """Where the weights come from; set by `load_model`."""
    difference: WeightDifference | None = None
    """From the base model, where the network is adapted to a shot."""

    def __init__(
        self,
        key_channels: int = 48,
        value_channels: int = 98,
        sensory_channels: int = 32,
        *,
        encoder_channels: tuple[int, int] = (32, 64),
        decoder_channels: tuple[int, int, int] = (96, 64, 32),
    ) -> None:
        super().__init__()
        self.key_channels = key_channels
        self.value_channels = value_channels
        self.sensory_channels = sensory_channels
        learned = value_channels - MASK_CHANNELS
        self.backbone = Backbone()
        self.key_proj = KeyProjection(key_channels)
        self.value = ValueEncoder(learned, sensory_channels, encoder_channels)
        self.decoder = Decoder(value_channels, sensory_channels, decoder_channels)

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
        return (self.backbone.stem, *self.backbone.blocks)

    def encode(self, frame: Tensor) -> Features:
        """Features of a frame (3, H, W) float32 RGB 0..1, keys in float32."""
        if frame.ndim == 3:
            return self.encode(frame[None]).mapped(lambda t: t[0])
        padding = padding_of(*frame.shape[-2:])
        image = F.pad(normalize(frame), padding).to(self.backbone.stem.weight.dtype)
        skips: Skips = self.backbone(image)
        return features_of(self.key_proj(skips.f16), skips, padding)

    def memorize(
        self, features: Features, frame: Tensor, masks: Tensor, sensory: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Values (N, CV, h, w) and reinforced sensory state (N, CH, h, w); the frame is not used.

        Args:
            features: of the frame.
            frame: (3, H, W) as given to `encode`.
            masks: (N, H', W') float32 0..1, aggregated, padded.
            sensory: (N, CH, h, w) float32.
        """
        if not features.is_batch:
            one = features.mapped(lambda t: t[None])
            values, reinforced = self.memorize(one, frame[None], masks[None], sensory[None])
            return values[0], reinforced[0]
        return self.value(Skips(features.f16, features.f8, features.f4), masks, sensory)

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
        return self.decoder(Skips(features.f16, features.f8, features.f4), readout, sensory)

    def initial_sensory(self, n: int, features: Features) -> Tensor:
        """Zeros (n, CH, h, w) float32."""
        return no_sensory(n, self.sensory_channels, features)


def normalize(frames: Tensor) -> Tensor:
    """Frames (..., 3, H, W) RGB 0..1 as the backbone takes them: (255 x - 127) / 128."""
    return (frames - MEAN) / DEVIATION
