"""ObjectChannels: which object lies in which channel of memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from ..annotations import AnnotationSet


@dataclass(frozen=True)
class ObjectChannels:
    """Objects by channel: in order of their first annotation, ascending within one."""

    by_channel: tuple[int, ...]
    """Object id of each channel"""

    @classmethod
    def of(cls, annotations: AnnotationSet) -> ObjectChannels:
        """The channels of all objects of a shot."""
        return cls(tuple(dict.fromkeys(i for a in annotations for i in a.object_ids)))

    def __len__(self) -> int:
        return len(self.by_channel)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """All objects, ascending."""
        return tuple(sorted(self.by_channel))

    def ordered(self, object_ids: Iterable[int]) -> tuple[int, ...]:
        """Objects in the order of their channels."""
        wanted = set(object_ids)
        return tuple(i for i in self.by_channel if i in wanted)

    def channels(self, object_ids: Iterable[int]) -> tuple[int, ...]:
        """The channel of each object."""
        return tuple(self.by_channel.index(i) for i in object_ids)

    def by_object_id(self, probabilities: Tensor) -> Tensor:
        """(N + 1, H, W) ascending by object id, from those of the first n channels.

        Objects that the n channels do not hold are 0.
        """
        result = probabilities.new_zeros(len(self) + 1, *probabilities.shape[1:])
        result[0] = probabilities[0]
        for place, object_id in enumerate(self.object_ids, start=1):
            channel = self.by_channel.index(object_id)
            if channel < probabilities.shape[0] - 1:
                result[place] = probabilities[channel + 1]
        return result
