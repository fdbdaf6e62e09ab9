"""Losses on one predicted frame; each returns a scalar."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def hard_cross_entropy(logits: Tensor, labels: Tensor, keep: float) -> Tensor:
    """Cross entropy averaged over the worst share of each frame's pixels (bootstrapping).

    Args:
        logits: (B, N + 1, H, W) aggregated, background first.
        labels: (B, H, W) int64.
        keep: share of the pixels, above 0 up to 1.
    """
    each = F.cross_entropy(logits, labels, reduction="none").flatten(1)
    count = max(1, int(each.shape[1] * keep))
    return each.topk(count, 1, sorted=False)[0].mean()


def dice_loss(probabilities: Tensor, masks: Tensor) -> Tensor:
    """1 - soft overlap, averaged over objects; an empty mask asks for an empty prediction.

    Args:
        probabilities: (B, N, H, W).
        masks: (B, N, H, W) 0 or 1.
    """
    p, m = probabilities.flatten(2), masks.flatten(2)
    return (1 - (2 * (p * m).sum(-1) + 1) / (p.sum(-1) + m.sum(-1) + 1)).mean()


def readout_loss(read: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy of true masks that were read from memory, which trains the keys directly.

    Args:
        read: (B, N, h, w) masks of the memory frames, read like values.
        masks: (B, N, h, w) true masks of the query frame at stride 16, 0..1.
    """
    return F.binary_cross_entropy(read.float().clamp(1e-4, 1 - 1e-4), masks)


@torch.no_grad()
def overlap(probabilities: Tensor, masks: Tensor) -> Tensor:
    """Mean intersection over union of the thresholded prediction; 1 where both are empty."""
    p, m = probabilities.flatten(2) > 0.5, masks.flatten(2) > 0.5
    union = (p | m).sum(-1)
    ratio = (p & m).sum(-1) / union.clamp(min=1)
    return torch.where(union > 0, ratio, torch.ones_like(ratio)).mean()
