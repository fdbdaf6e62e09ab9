"""Layers that the networks share; every tensor has a batch axis of objects or frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..types import STRIDE, Features, Padding
from .winograd import KERNEL, Conv3x3


def conv(
    inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution with bias and zero padding kernel // 2 on both sides."""
    if kernel == KERNEL and stride == groups == 1:
        return Conv3x3(inputs, outputs)
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)


def bias_of(layer: nn.Conv2d) -> Tensor:
    """(outputs,) bias of a convolution that has one."""
    assert layer.bias is not None
    return layer.bias


def fill_bias(layer: nn.Conv2d, value: float) -> None:
    """Sets every bias of a convolution."""
    nn.init.constant_(bias_of(layer), value)


def padding_of(height: int, width: int) -> Padding:
    """The padding to multiples of 16; an odd rest goes to the right and the bottom."""
    across, down = -width % STRIDE, -height % STRIDE
    return Padding(across // 2, across - across // 2, down // 2, down - down // 2)


def features_of(
    keys: tuple[Tensor, Tensor, Tensor], skips: tuple[Tensor, Tensor, Tensor], padding: Padding
) -> Features:
    """The features of B frames.

    Args:
        keys: key, shrinkage and selection (B, C, h, w).
        skips: features (B, C, ...) at strides 16, 8 and 4.
        padding: of the frames.
    """
    return Features(*keys, *skips, padding)


def no_sensory(n: int, channels: int, features: Features) -> Tensor:
    """The sensory state before the first frame: zeros (..., n, channels, h, w) float32."""
    key = features.key
    shape = (*key.shape[:-3], n, channels, *key.shape[-2:])
    return key.new_zeros(shape, dtype=torch.float32)


def upsample(features: Tensor, factor: int) -> Tensor:
    """Features enlarged bilinearly by a whole factor; pixel corners do not align."""
    return F.interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)


class ResidualBlock(nn.Module):
    """shortcut(x) + conv2(relu(conv1(relu(x)))), 3x3 and without norms.

    The shortcut is a 3x3 convolution of the raw input where the widths differ, else the input.
    """

    def __init__(self, inputs: int, outputs: int, middle: int | None = None) -> None:
        super().__init__()
        middle = outputs if middle is None else middle
        self.downsample = Conv3x3(inputs, outputs) if inputs != outputs else None
        self.conv1 = Conv3x3(inputs, middle)
        self.conv2 = Conv3x3(middle, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, outputs, h, w) from (B, inputs, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return shortcut + self.conv2(F.relu(self.conv1(F.relu(x))))


class JoinedResidualBlock(nn.Module):
    """A residual block over what objects share joined with what each has of its own.

    The weights are those of one block over all channels; the shared part is computed once.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.downsample = Conv3x3(inputs, outputs)
        self.conv1 = Conv3x3(inputs, outputs)
        self.conv2 = Conv3x3(outputs, outputs)

    def forward(self, shared: Tensor, own: Tensor) -> Tensor:
        """(B N, outputs, h, w) from `shared` (B, C, h, w) and `own` (B N, inputs - C, h, w)."""
        inner = self.conv1.of_joined(F.relu(shared), F.relu(own))
        return self.downsample.of_joined(shared, own) + self.conv2(F.relu(inner))


class GatedUpdate(nn.Module):
    """Update of the sensory state by forget, update and candidate gates (XMem, Section 3.3)."""

    def __init__(self, inputs: int, sensory: int) -> None:
        super().__init__()
        self.transform = conv(inputs + sensory, 3 * sensory)
        nn.init.xavier_normal_(self.transform.weight)
        fill_bias(self.transform, 0)

    def forward(self, x: Tensor, sensory: Tensor) -> Tensor:
        """(B, CH, h, w) float32 new state; the gates compute in float32.

        Args:
            x: (B, inputs, h, w).
            sensory: (B, CH, h, w) float32.
        """
        gates = self.transform(torch.cat([x, sensory.to(x.dtype)], 1)).float()
        forget, update, candidate = gates.chunk(3, 1)
        forget, update, candidate = forget.sigmoid(), update.sigmoid(), candidate.tanh()
        return forget * sensory * (1 - update) + update * candidate
