"""The same pass written plainly, to measure against: what one would write first.

Eager float32 in the default memory layout, batch norms as they are, convolutions over joined
inputs, the similarity in three terms, memory joined anew for each read, the read-out as a product
with a dense matrix into which the chosen weights are scattered. Annotated frames are permanent
memory. It computes what the product computes (`benchmarks/speed.py` checks it).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xmempp_core.network.blocks import JoinedResidualBlock
from xmempp_core.network.building import build
from xmempp_core.network.lite import XMemLite
from xmempp_core.network.ops import aggregate
from xmempp_core.network.weights_file import read_weights
from xmempp_core.network.winograd import Conv3x3
from xmempp_core.network.xmem import XMem
from xmempp_core.resize import pad, unpad


class PlainJoinedBlock(nn.Module):
    """The residual block over joined inputs, joined."""

    def __init__(self, block: JoinedResidualBlock) -> None:
        super().__init__()
        self.downsample, self.conv1 = plain_conv(block.downsample), plain_conv(block.conv1)
        self.conv2 = plain_conv(block.conv2)

    def forward(self, shared: Tensor, own: Tensor) -> Tensor:
        """(N, outputs, h, w)."""
        x = torch.cat([shared.expand(len(own), -1, -1, -1), own], 1)
        return self.downsample(x) + self.conv2(F.relu(self.conv1(F.relu(x))))


def plain_conv(layer: Conv3x3) -> nn.Conv2d:
    """The convolution as torch has it."""
    made = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
    made.weight, made.bias = layer.weight, layer.bias
    return made


def plain_network(path: Path) -> XMem | XMemLite:
    """The network of a model file with torch's own convolutions, not folded."""
    network = build(path, read_weights(path)[0]).float().eval().requires_grad_(False)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, JoinedResidualBlock):
                setattr(parent, name, PlainJoinedBlock(child))
            elif isinstance(child, Conv3x3) and not isinstance(parent, JoinedResidualBlock):
                setattr(parent, name, plain_conv(child))
    return network


class PlainPass:
    """A pass from frame to frame over prepared frames.

    Args:
        network: from `plain_network`.
        frame_at: gives a frame by its index, (3, H, W) float32 at internal size.
        annotated: (N, H, W) float32 masks by frame, at internal size.
        memorize_every: frames between two entries of working memory.
        top_k: tokens read by each cell.
    """

    def __init__(
        self,
        network: XMem | XMemLite,
        frame_at: Callable[[int], Tensor],
        annotated: dict[int, Tensor],
        memorize_every: int,
        top_k: int,
    ) -> None:
        self.network, self.frame_at, self.annotated = network, frame_at, annotated
        self.memorize_every, self.top_k = memorize_every, top_k
        self.keys: list[tuple[Tensor, Tensor]] = []
        self.values: list[Tensor] = []
        self.sensory: Tensor | None = None
        self.last_memorized, self.position = 0, 0
        for index, masks in annotated.items():
            self._memorize(index, masks)

    @torch.no_grad()
    def step(self) -> Tensor:
        """(N + 1, H, W) probabilities of the next frame."""
        index, self.position = self.position, self.position + 1
        frame = self.frame_at(index)
        features = self.network.encode(frame)
        if self.sensory is None:
            n = next(iter(self.annotated.values())).shape[0]
            self.sensory = self.network.initial_sensory(n, features)
        if index in self.annotated:
            probabilities = aggregate(pad(self.annotated[index], features.padding))
        else:
            logits, updated = self.network.decode(features, self._recall(features), self.sensory)
            probabilities = aggregate(logits.sigmoid())
        is_due = index in self.annotated or index - self.last_memorized >= self.memorize_every
        if is_due:
            value, self.sensory = self.network.memorize(
                features, frame, probabilities[1:], self.sensory
            )
            self.last_memorized = index
            if index not in self.annotated:
                self._store(features, value)
        else:
            self.sensory = updated
        return unpad(probabilities, features.padding)

    @torch.no_grad()
    def _memorize(self, index: int, masks: Tensor) -> None:
        frame = self.frame_at(index)
        features = self.network.encode(frame)
        masks = aggregate(pad(masks, features.padding))[1:]
        start = self.network.initial_sensory(len(masks), features)
        self._store(features, self.network.memorize(features, frame, masks, start)[0])

    def _store(self, features, value: Tensor) -> None:  # type: ignore[no-untyped-def]
        self.keys.append((features.key.flatten(1), features.shrinkage.flatten()))
        self.values.append(value.flatten(2))

    def _recall(self, features) -> Tensor:  # type: ignore[no-untyped-def]
        """(N, CV, h, w) read from all memory (XMem, Eq. 1 and 2)."""
        key = torch.cat([k for k, _ in self.keys], 1)  # (CK, L)
        shrinkage = torch.cat([s for _, s in self.keys])  # (L,)
        values = torch.cat(self.values, 2)  # (N, CV, L)
        query, selection = features.key.flatten(1), features.selection.flatten(1)  # (CK, Q)
        squares = key.square().t() @ selection  # (L, Q)
        products = 2 * (key.t() @ (query * selection))
        own = (selection * query.square()).sum(0, keepdim=True)
        similarity = (products - squares - own) * shrinkage[:, None] / math.sqrt(len(key))
        best, tokens = similarity.topk(self.top_k, 0)
        affinity = torch.zeros_like(similarity).scatter_(0, tokens, best.softmax(0))
        return (values @ affinity).unflatten(2, features.key.shape[1:])
