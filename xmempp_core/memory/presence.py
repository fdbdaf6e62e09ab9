"""Presence: an object's evidence weighed against the frames where it is declared absent.

An empty mask in permanent memory is read like any other annotation and can lose the softmax
(XMem++, appendix C, Limitations). Here each connected part of a prediction must resemble the
object's own annotated cells at least nearly as much as what stands on the frames without it.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from ..network.ops import reduced
from ..types import STRIDE, Features
from .bank import MemoryBank

# How much better, in units of similarity, a frame without the object must match to win.
MARGIN = 2.0
# Pixels around a dropped part that lose its soft edge.
FRINGE_PIXELS = 16


def weigh_presence(bank: MemoryBank, features: Features, probabilities: Tensor) -> Tensor:
    """Probabilities without the parts that match frames where their object is absent.

    Objects that are declared absent on no frame are left alone.

    Args:
        bank: the memory; nothing is counted.
        features: of the frame.
        probabilities: (n + 1, H', W') padded, background first.
    """
    kept = torch.ones_like(probabilities[1:])
    changed = False
    for channel, probability in enumerate(probabilities[1:]):
        evidence = bank.evidence(features, channel)
        if evidence is None:
            continue
        keep = _kept(probability.cpu().numpy(), evidence.cpu().numpy())
        if not keep.all():
            kept[channel] = torch.from_numpy(keep).to(kept)
            changed = True
    return reduced(probabilities, kept) if changed else probabilities


def _kept(probability: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """(H', W') bool: false on the parts to drop and their soft edge.

    Args:
        probability: (H', W') of one object.
        evidence: (h, w) similarity to the object less similarity to frames without it.
    """
    inside = probability > 0.5
    count, parts = cv2.connectedComponents(inside.astype(np.uint8))
    fine = np.kron(evidence, np.ones((STRIDE, STRIDE), evidence.dtype))
    weights = probability.ravel()
    total = np.bincount(parts.ravel(), weights * fine.ravel(), count)
    mean = total / np.bincount(parts.ravel(), weights, count).clip(1e-12)
    dropped = mean < -MARGIN
    dropped[0] = False  # what lies outside every part
    box = np.ones((2 * FRINGE_PIXELS + 1,) * 2, np.uint8)
    around = cv2.dilate(dropped[parts].astype(np.uint8), box) > 0
    return ~np.where(inside, dropped[parts], around)
