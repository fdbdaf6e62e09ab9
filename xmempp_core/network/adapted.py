"""A network fine-tuned for one shot, as the difference of its weights from a base model's."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..types import ModelInfo
from .lite import XMemLite
from .xmem import XMem

AnyNetwork = XMem | XMemLite


@dataclass(frozen=True, eq=False)
class WeightDifference:
    """What an adaptation changed; in memory and in a file the same values."""

    tensors: Mapping[str, Tensor]
    """By parameter name, float16 on the CPU; parameters that did not change are left out."""
    base_sha256: str
    """Hash of the base model, see `ModelInfo.sha256`."""

    @classmethod
    def between(cls, base: AnyNetwork, adapted: AnyNetwork) -> WeightDifference:
        """The difference of two networks of one layout, rounded to half precision."""
        changed = dict(adapted.named_parameters())
        tensors = {}
        for name, weight in base.named_parameters():
            difference = (changed[name].detach().float() - weight.detach().float()).half()
            if difference.any():
                tensors[name] = difference.cpu()
        return cls(tensors, base.info.sha256)

    @property
    def sha256(self) -> str:
        """Hash of base and difference together: of the adapted network."""
        digest = hashlib.sha256(self.base_sha256.encode())
        for name in sorted(self.tensors):
            tensor = self.tensors[name].contiguous()
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()


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
