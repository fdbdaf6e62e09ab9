"""PermanentMemory: the annotated frames and their augmentations in a memory bank (section 3.2).

It follows an annotation set: an edit computes exactly the entries whose content changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..annotations import Annotation, AnnotationSet
from ..memory.bank import EntryId, MemoryBank
from ..memory.tokens import Tokens, frame_tokens
from ..network.ops import aggregate
from ..resize import cell_coverage, pad
from ..settings import PropagationSettings
from ..types import FrameSource, Network
from .augment import augment_annotation
from .channels import ObjectChannels
from .encoding import EncodedFrame, ShotEncoder
from .known_frame import GivenMasks, KnownFrame, known_of, masks_of


@dataclass(frozen=True, eq=False)
class MemoryEntry:
    """What one annotated frame puts into permanent memory."""

    known: KnownFrame
    object_ids: tuple[int, ...]
    """in the order of their channels"""

    @property
    def frame_index(self) -> int:
        """The annotated frame."""
        return self.known.frame_index

    @property
    def masks(self) -> Tensor:
        """(n, H, W) float32 at source resolution, empty for absent objects."""
        return masks_of(self.known, self.object_ids)

    @property
    def void(self) -> Tensor | None:
        """(H, W) bool at source resolution: pixels of which nothing is said; None = nowhere."""
        assert self.known.annotation is not None
        return self.known.annotation.void

    def equals(self, other: MemoryEntry | None) -> bool:
        """Whether the other has the same content."""
        if other is None or other.object_ids != self.object_ids:
            return False
        mine, its = self.known.annotation, other.known.annotation
        if mine is its:
            return True
        same_masks = all(_is_same_mask(mine, its, i) for i in self.object_ids)
        return same_masks and _equal(self.void, other.void)


def _is_same_mask(one: Annotation | None, other: Annotation | None, object_id: int) -> bool:
    """Whether two annotations give an object the same mask; unlisted is as empty."""
    masks = [a.mask(object_id) for a in (one, other) if a and object_id in a.object_ids]
    return torch.equal(*masks) if len(masks) == 2 else not any(m.any() for m in masks)


def entries_of(
    annotations: AnnotationSet, channels: ObjectChannels, settings: PropagationSettings
) -> list[MemoryEntry]:
    """What enters permanent memory, ascending by frame.

    An exhaustive annotation also speaks of the objects of earlier annotations that it does not
    list. With memory "xmem" only the first entry is permanent.
    """
    entries: list[MemoryEntry] = []
    seen: set[int] = set()
    for annotation in annotations:
        known = known_of(annotations, annotation.frame_index)
        implied = seen & set(known.absent_ids) if annotation.exhaustive else set()
        ids = channels.ordered({*annotation.object_ids, *implied})
        seen.update(annotation.object_ids)
        if ids:
            entries.append(MemoryEntry(known, ids))
    return entries[:1] if settings.memory == "xmem" else entries


def permanent_tokens(
    network: Network,
    encoded: EncodedFrame,
    given: GivenMasks,
    object_count: int,
    keep: Tensor | None = None,
) -> Tokens:
    """The tokens of an annotated frame; no sensory state takes part.

    Args:
        network: memorizes.
        encoded: the frame.
        given: the masks of the channels it speaks about.
        object_count: channels of the bank.
        keep: optional (h * w,) bool, the cells to store; None = all.
    """
    features = encoded.features
    masks = pad(aggregate(given.masks)[1:], features.padding)
    sensory = network.initial_sensory(len(given.channels), features)
    values, _ = network.memorize(features, encoded.frame, masks, sensory)
    tokens = frame_tokens(features, values, masks, given.channels, object_count)
    return tokens if keep is None else tokens.chosen(keep)


class PermanentMemory:
    """The permanent entries of a bank.

    Args:
        network: encodes and memorizes.
        source: the frames; augmentations begin at source resolution.
        encoder: of the same shot.
        settings: of the pass.
        augment: kinds of augmentation stored beside each annotation.
    """

    def __init__(
        self,
        network: Network,
        source: FrameSource,
        encoder: ShotEncoder,
        settings: PropagationSettings,
        augment: tuple[str, ...] = (),
    ) -> None:
        self._network, self._source, self._encoder = network, source, encoder
        self._settings, self._augment = settings, augment
        self._entries: dict[int, MemoryEntry] = {}
        self.channels = ObjectChannels(())
        self.bank = MemoryBank(0, settings)

    def holds(self, frame_index: int) -> bool:
        """Whether a frame has an entry."""
        return frame_index in self._entries

    def prepare(self, annotations: AnnotationSet) -> list[MemoryEntry]:
        """Gives the bank the channels of these annotations and drops what does not belong to them.

        Returns:
            The entries that are missing, for `add`, ascending by frame.
        """
        channels = ObjectChannels.of(annotations)
        wanted = entries_of(annotations, channels, self._settings)
        by_frame = {entry.frame_index: entry for entry in wanted}
        for index, held in list(self._entries.items()):
            if not held.equals(by_frame.get(index)):
                self.bank.remove_permanent(index)
                del self._entries[index]
        if channels != self.channels:
            held_before = self.channels.by_channel
            sources = [
                held_before.index(i) if i in held_before else None for i in channels.by_channel
            ]
            self.bank, self.channels = self.bank.rearranged(sources), channels
        return [entry for entry in wanted if entry.frame_index not in self._entries]

    def add(self, entry: MemoryEntry) -> Iterator[None]:
        """Puts an entry in its place; yields after each picture that is encoded.

        The bank changes at the end alone: stopped before, or failed, it is as it was.
        """
        channels = self.channels.channels(entry.object_ids)
        tokens = []
        for encoded, masks, keep in self._looks(entry):
            given = GivenMasks(channels, self._encoder.masks(masks))
            tokens.append(permanent_tokens(self._network, encoded, given, len(self.channels), keep))
            yield
        for number, one in enumerate(tokens):
            self.bank.add_permanent(EntryId(entry.frame_index, number), one)
        self._entries[entry.frame_index] = entry

    @property
    def pictures_per_entry(self) -> int:
        """How often `add` yields."""
        return 1 + len(self._augment)

    def _looks(self, entry: MemoryEntry) -> Iterator[tuple[EncodedFrame, Tensor, Tensor | None]]:
        """The annotated frame and its augmentations: picture, (n, H, W) masks, cells to keep."""
        masks, encoded = entry.masks, self._encoder.encode(entry.frame_index)
        yield encoded, masks, None if entry.void is None else self._said_cells(entry, encoded)
        if not self._augment:
            return
        frame = self._source.frame(entry.frame_index)
        for one in augment_annotation(self._augment, frame, masks, void=entry.void):
            encoded = self._encoder.encode_picture(one.frame)
            covered = one.coverage
            yield encoded, one.masks, None if covered is None else self._cells(covered, encoded)

    def _said_cells(self, entry: MemoryEntry, encoded: EncodedFrame) -> Tensor:
        """(h * w,) bool: cells with a pixel of an object, or that are void by less than half."""
        assert entry.void is not None
        planes = torch.stack([entry.void, entry.masks.any(0)])
        shares = cell_coverage(pad(self._encoder.masks(planes), encoded.features.padding))
        keep = (shares[0] < 0.5) | (shares[1] > 0)
        return keep if keep.any() else torch.ones_like(keep)

    def _cells(self, coverage: Tensor, encoded: EncodedFrame) -> Tensor:
        """(h * w,) bool: cells at least half of which the augmented picture covers."""
        covered = self._encoder.masks(coverage[None])
        return cell_coverage(pad(covered, encoded.features.padding))[0] >= 0.5


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one, other)
