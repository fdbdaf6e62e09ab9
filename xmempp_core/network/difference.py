"""What an adaptation changed: the difference of a network's weights from a base model's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class WeightDifference:
    """What an adaptation changed; in memory and in a file the same values."""

    tensors: Mapping[str, Tensor]
    """By parameter name, float16 on the CPU; parameters that did not change are left out."""
    base_sha256: str
    """Hash of the base model, see `ModelInfo.sha256`."""

    @classmethod
    def between(cls, base: nn.Module, adapted: nn.Module, base_sha256: str) -> WeightDifference:
        """The difference of two networks of one layout, rounded to half precision."""
        changed = dict(adapted.named_parameters())
        tensors = {}
        for name, weight in base.named_parameters():
            difference = (changed[name].detach().float() - weight.detach().float()).half()
            if difference.any():
                tensors[name] = difference.cpu()
        return cls(tensors, base_sha256)

    @property
    def sha256(self) -> str:
        """Hash of base and difference together: of the adapted network."""
        digest = hashlib.sha256(self.base_sha256.encode())
        for name in sorted(self.tensors):
            tensor = self.tensors[name].contiguous()
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()
