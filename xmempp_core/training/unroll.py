"""One training clip through the network: memorize, read, decode, frame after frame.

The same steps as in propagation, on batches and under autograd: the given frames enter memory
first, wherever they lie; each other frame is read out of memory, decoded, and may enter memory
with its own predicted masks. Gradients flow through all of it. Under autocast, similarity, softmax,
read-out, aggregation and losses stay in float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network.ops import PROBABILITY_FLOOR
from ..types import STRIDE, Features, Network
from .clips import Clips
from .losses import dice_loss, hard_cross_entropy, overlap, readout_loss
from .plans import BatchPlan

READOUT_WEIGHT = 0.5


class Losses(NamedTuple):
    """Means over the predicted frames of a batch."""

    total: Tensor
    cross_entropy: Tensor
    dice: Tensor
    readout: Tensor
    overlap: Tensor


class _Frame(NamedTuple):
    features: Features
    """of the batch's frame at one time"""
    image: Tensor
    """(B, 3, H, W)"""
    labels: Tensor
    masks: Tensor
    small_masks: Tensor


@dataclass(eq=False)
class _Memory:
    """Keys, shrinkage and values of the frames seen so far; true masks ride along as a value."""

    keys: list[Tensor] = field(default_factory=list)
    shrinkages: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def add(self, frame: _Frame, value: Tensor) -> None:
        self.keys.append(frame.features.key.flatten(2))
        self.shrinkages.append(frame.features.shrinkage.flatten(2))
        self.values.append(torch.cat([value, frame.small_masks.unsqueeze(2)], 2).flatten(3))

    def read(self, features: Features) -> tuple[Tensor, Tensor]:
        """Readout (B, N, CV, h, w) and the true masks read alike (B, N, h, w)."""
        rows, columns = features.key.shape[-2:]
        keys, shrinkages = torch.cat(self.keys, 2), torch.cat(self.shrinkages, 2)
        with torch.autocast(keys.device.type, enabled=False):
            affinity = softmax_affinity(keys, shrinkages, features.key, features.selection)
            values = torch.cat(self.values, 3).float()  # (B, N, CV + 1, L)
            read = (values.flatten(1, 2) @ affinity).view(*values.shape[:3], rows, columns)
        return read[:, :, :-1], read[:, :, -1]


def unroll(network: Network, clips: Clips, plan: BatchPlan, keep: float) -> Losses:
    """The losses of a batch of clips; their sides are multiples of 16.

    Args:
        network: in training.
        clips: rendered from `plan`.
        plan: says which frames are given and which enter memory.
        keep: share of the pixels that the cross entropy keeps.
    """
    frames = _encode(network, clips, plan.targets)
    memory = _Memory()
    sensory = network.initial_sensory(plan.targets, frames[0].features)
    states = {}
    for index in (i for i, given in enumerate(plan.given) if given):
        value, states[index] = _memorize(network, frames[index], frames[index].masks, sensory)
        memory.add(frames[index], value)
    losses = []
    for index, frame in enumerate(frames):
        if plan.given[index]:
            # before the first frame the state is still the one that memory was filled with
            first = index == 0
            sensory = states[0] if first else _memorize(network, frame, frame.masks, sensory)[1]
            continue
        readout, read_masks = memory.read(frame.features)
        logits, decoded = network.decode(frame.features, readout, sensory)
        with torch.autocast(logits.device.type, enabled=False):
            aggregated, probabilities = aggregate_batch(logits.sigmoid())
            losses.append(_losses(aggregated, probabilities[:, 1:], read_masks, frame, keep))
        if plan.memorized[index] and index + 1 < len(frames):
            value, decoded = _memorize(network, frame, probabilities[:, 1:], sensory)
            memory.add(frame, value)
        sensory = decoded
    return Losses(*(torch.stack(column).mean() for column in zip(*losses, strict=True)))


def _memorize(
    network: Network, frame: _Frame, masks: Tensor, sensory: Tensor
) -> tuple[Tensor, Tensor]:
    return network.memorize(frame.features, frame.image, masks, sensory)


def _encode(network: Network, clips: Clips, targets: int) -> list[_Frame]:
    batch, count = clips.labels.shape[:2]
    images = clips.frames.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    features = network.encode(images)
    each = features.mapped(lambda t: t.unflatten(0, (batch, count)))
    ids = torch.arange(1, targets + 1, device=clips.labels.device)[:, None, None]
    masks = (clips.labels[:, :, None] == ids).float()  # (B, T, N, H, W)
    small = F.avg_pool2d(masks.flatten(0, 2)[:, None], STRIDE).view(
        *masks.shape[:3], *features.key.shape[-2:]
    )
    return [
        _Frame(
            each.mapped(itemgetter((slice(None), index))), clips.frames[:, index],
            clips.labels[:, index], masks[:, index], small[:, index],
        )
        for index in range(count)
    ]  # fmt: skip


def _losses(
    aggregated: Tensor, probabilities: Tensor, read_masks: Tensor, frame: _Frame, keep: float
) -> Losses:
    cross_entropy = hard_cross_entropy(aggregated, frame.labels, keep)
    dice = dice_loss(probabilities, frame.masks)
    readout = readout_loss(read_masks, frame.small_masks)
    total = cross_entropy + dice + READOUT_WEIGHT * readout
    return Losses(
        total, cross_entropy.detach(), dice.detach(), readout.detach(),
        overlap(probabilities, frame.masks),
    )  # fmt: skip


def softmax_affinity(key: Tensor, shrinkage: Tensor, query: Tensor, selection: Tensor) -> Tensor:
    """(B, L, Q) weights of all memory tokens for each query cell (XMem, Eq. 2).

    The batched, differentiable counterpart of `network.ops`, without top-k.

    Args:
        key: (B, CK, L).
        shrinkage: (B, 1, L).
        query: (B, CK, h, w).
        selection: (B, CK, h, w).
    """
    k, e = query.flatten(2), selection.flatten(2)
    weight = shrinkage / math.sqrt(key.shape[1])
    rows = torch.cat([key * key, key, torch.ones_like(weight)], 1) * weight
    queries = torch.cat([-e, 2 * e * k, -(e * k * k).sum(1, keepdim=True)], 1)
    return (rows.transpose(1, 2) @ queries).softmax(1)


def aggregate_batch(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and probabilities (B, N + 1, H, W), background first, as in `network.ops`.

    Args:
        probabilities: (B, N, H, W) independent, 0..1.
    """
    p = probabilities.float()
    both = torch.cat([(1 - p).prod(1, keepdim=True), p], 1)
    logits = torch.logit(both, eps=PROBABILITY_FLOOR)
    return logits, logits.softmax(1)
