"""3x3 convolutions in a quarter of the multiplications, for float32 on a processor.

Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, CVPR 2016): a tile of 6x6 inputs and the
kernel are carried into a space in which the convolution is a product at each of 36 points, and each
result is 4x4 outputs. Over many channels these are 36 matrix products, and wide layers take half
the time. Libraries for GPUs choose such an algorithm by themselves; those for processors do not.

The points 0, +-3/4, +-3/2 and infinity keep the error at that of the direct sum, about 2e-6 of the
largest value; the usual 0, +-1, +-2 would make it four times as large.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.polynomial import polynomial
from torch import Tensor, nn

KERNEL = 3
TILE = 4
"""Side of a tile of outputs in pixels."""
SPAN = TILE + KERNEL - 1
"""Side of the tile of inputs that it depends on, in pixels."""
POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
MIN_CHANNELS = 96
"""Below this many inputs or outputs the transforms cost what the products spare."""
TRANSFORM_VALUES = 2**14
"""Kernel taps carried into that space at once."""
BLOCK_VALUES = 2**17
"""Values of one of the 36 planes worked on at once, so that all of them stay near the processor."""


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution with stride 1 and zero padding 1; by Winograd's algorithm where that pays.

    It does for float32 on a processor without gradients. The transformed kernel, four times the
    size of the kernel, is made at the first use and again when the weights change.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, KERNEL, padding=1, bias=bias)
        self._transformed: Tensor | None = None
        self._made_from: tuple[int, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(B, outputs, h, w) from (B, inputs, h, w)."""
        if not self._pays(x):
            return super().forward(x)
        return convolve(x, self.transformed_kernel(), self.bias)

    def of_joined(self, shared: Tensor, own: Tensor) -> Tensor:
        """The convolution of `shared` joined with each of `own`, the part of `shared` made once.

        Args:
            shared: (B, C, h, w), the first C inputs of all objects of each of B frames.
            own: (B N, inputs - C, h, w), the other inputs of each object.
        """
        first, count = shared.shape[1], len(own) // len(shared)
        if not (self._pays(shared) and self._pays(own)):
            common = F.conv2d(shared, self.weight[:, :first], self.bias, padding=1)
            return F.conv2d(own, self.weight[:, first:], padding=1) + of_each(common, count)
        kernel = self.transformed_kernel()
        common = convolve(shared, kernel[:, :first], self.bias)
        return convolve(own, kernel[:, first:], None).add_(of_each(common, count))

    def transformed_kernel(self) -> Tensor:
        """(36, inputs, outputs) of the weights as they are."""
        # Weights made in inference mode cannot be changed outside it, and count no versions.
        count = 0 if self.weight.is_inference() else self.weight._version
        version = (self.weight.data_ptr(), count)
        if self._transformed is None or self._made_from != version:
            self._transformed, self._made_from = transform_kernel(self.weight.detach()), version
        return self._transformed

    def _pays(self, x: Tensor) -> bool:
        wide = min(self.in_channels, self.out_channels) >= MIN_CHANNELS
        plain = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32
        learning = torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)
        return wide and plain and not learning


def of_each(features: Tensor, n: int) -> Tensor:
    """(B N, ...) features (B, ...) of each frame repeated for its N objects."""
    if len(features) == 1:
        return features.expand(n, *features.shape[1:])
    return features if n == 1 else features.repeat_interleave(n, 0)


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """(B, K, h, w), channels last: a 3x3 convolution with zero padding 1.

    Each picture is convolved on its own, so that its result does not depend on the batch.

    Args:
        x: (B, C, h, w) float32.
        kernel: (36, C, K) from `transform_kernel`.
        bias: (K,) or None.
    """
    count, channels, height, width = x.shape
    down, across = -(-height // TILE), -(-width // TILE)
    missing = (1, across * TILE - width + 1, 1, down * TILE - height + 1)
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, *missing)).contiguous()
    result = x.new_empty(count, down * TILE, across * TILE, kernel.shape[2])
    step = max(1, BLOCK_VALUES // (across * max(channels, kernel.shape[2])))
    for picture, target in zip(padded, result, strict=True):
        for top in range(0, down, step):
            rows = min(step, down - top)
            block = picture[top * TILE : (top + rows) * TILE + KERNEL - 1]
            _convolve_block(block, kernel, target[top * TILE : (top + rows) * TILE])
    result = result[:, :height, :width]
    return (result if bias is None else result.add_(bias)).permute(0, 3, 1, 2)


def transform_kernel(weight: Tensor) -> Tensor:
    """(36, C, K) kernel in the space of the products, from (K, C, 3, 3) weights."""
    _, kernel_matrix, _ = _matrices()
    both = torch.kron(kernel_matrix, kernel_matrix)  # (36, 9)
    outputs, channels = weight.shape[:2]
    taps = weight.permute(2, 3, 1, 0).reshape(KERNEL**2, channels, outputs)
    made = taps.new_empty(SPAN**2, channels, outputs)
    step = max(1, TRANSFORM_VALUES // outputs)  # blocks of float64 that stay near the processor
    for start in range(0, channels, step):
        block = taps[:, start : start + step].flatten(1).double()
        made[:, start : start + step] = (both @ block).unflatten(1, (-1, outputs))
    return made


def _convolve_block(block: Tensor, kernel: Tensor, target: Tensor) -> None:
    """Fills `target` (4 r, 4 q, K) from the padded rows (4 r + 2, 4 q + 2, C) it depends on."""
    _, _, channels = block.shape
    rows, across = target.shape[0] // TILE, target.shape[1] // TILE
    down_stride, across_stride, channel_stride = block.stride()
    strides = (down_stride, across_stride, TILE * down_stride, TILE * across_stride, channel_stride)
    tiles = block.as_strided((SPAN, SPAN, rows, across, channels), strides).reshape(SPAN**2, -1)
    to_products, to_outputs = _transforms()
    products = torch.bmm((to_products @ tiles).view(SPAN**2, -1, channels), kernel)
    outputs = (to_outputs @ products.view(SPAN**2, -1)).view(TILE, TILE, rows, across, -1)
    target.view(rows, TILE, across, TILE, -1).copy_(outputs.permute(2, 0, 3, 1, 4))


@lru_cache(maxsize=1)
def _transforms() -> tuple[Tensor, Tensor]:
    """float32 (36, 36) from a tile of inputs to the products, (16, 36) from them to the outputs."""
    inputs, _, outputs = _matrices()
    with torch.inference_mode(False):
        return torch.kron(inputs, inputs).float(), torch.kron(outputs, outputs).float()


@lru_cache(maxsize=1)
def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """B^T (6, 6), G (6, 3) and A^T (4, 6) of Lavin and Gray, float64, by Toom and Cook's method.

    Rows of B^T are scaled to a length near 1, and those of G against them, by powers of two.
    """
    points = np.array(POINTS)
    inputs, kernel = np.zeros((SPAN, SPAN)), np.zeros((SPAN, KERNEL))
    for row, point in enumerate(points):
        others = np.delete(points, row)
        scale = 2.0 ** np.round(np.log2(np.linalg.norm(polynomial.polyfromroots(others))))
        inputs[row, : SPAN - 1] = polynomial.polyfromroots(others) / scale
        kernel[row] = point ** np.arange(KERNEL) * scale / np.prod(point - others)
    inputs[-1] = polynomial.polyfromroots(points)
    kernel[-1, -1] = 1
    outputs = np.column_stack([points[None] ** np.arange(TILE)[:, None], np.eye(TILE)[-1]])
    with torch.inference_mode(False):
        return torch.from_numpy(inputs), torch.from_numpy(kernel), torch.from_numpy(outputs)
