"""A network fine-tuned for one shot, as the difference of its weights from a base model's."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from ..types import ModelInfo
from .difference import WeightDifference
from .lite import XMemLite
from .xmem import XMem

AnyNetwork = XMem | XMemLite


def adapted_network(base: AnyNetwork, difference: WeightDifference, notes: str) -> AnyNetwork:
    """A new network of base and difference; the base is untouched.

    Args:
        base: on its device, in its dtype.
        difference: of this base.
        notes: how it was adapted, a JSON object; kept in `info`.
    """
    # ComfyUI runs in inference mode, whose tensors cannot be changed outside of it
    with torch.inference_mode(False), torch.no_grad():
        network = copy.deepcopy(base)
        weights = dict(network.named_parameters())
        for name, change in difference.tensors.items():
            weight = weights[name]
            weight.copy_(weight.float() + change.to(weight.device).float())
    network.info = adapted_info(base.info, difference, notes)
    network.difference = difference
    return network.eval().requires_grad_(False)


def adapted_info(base: ModelInfo, difference: WeightDifference, notes: str) -> ModelInfo:
    """What is known about an adapted network."""
    return replace(base, name=f"{base.name}, adapted", sha256=difference.sha256, adaptation=notes)
