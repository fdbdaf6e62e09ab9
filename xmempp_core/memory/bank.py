"""MemoryBank: permanent, long-term and working memory of a pass, and what moves between them.

The tokens of all three stores lie in one set of preallocated buffers, in the order permanent,
long-term, working, so that one product reads them all and nothing is copied for a read.
An object reads the tokens that have a value for it; objects with the same tokens share one
affinity. Reading never writes: a `Recall` carries the usage, the caller counts it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from ..network.ops import (
    Affinity,
    aggregate_usage,
    readout,
    similarity_of,
    tokens_of,
    top_k_affinity,
)
from ..settings import PropagationSettings
from ..types import Features
from .buffers import TokenBuffers
from .groups import ReadingGroup, reading_groups
from .tokens import Tokens, potentiate

# Aggregation leaves 1e-7 of an empty mask.
ABSENT_COVERAGE = 1e-5
# Bytes of similarities held at once; more queries than fit are read in several rounds.
SIMILARITY_BYTES = 256 * 2**20


class Recall(NamedTuple):
    """What a frame reads from memory."""

    readout: Tensor
    """(N, CV, h, w) in the dtype of the values"""
    usage: Tensor
    """(L,) float32: how much the first group read each long-term and working token"""


class EntryId(NamedTuple):
    """Address of a permanent entry; entries lie in this order whatever the history of edits."""

    frame_index: int
    augmentation: int = 0
    """0 = the annotated frame itself, then its augmentations"""


@dataclass(frozen=True)
class TokenCounts:
    """Number of tokens in each store."""

    permanent: int
    long_term: int
    working: int


class MemoryBank:
    """The memory of a pass over `object_count` objects, addressed by channel 0..N-1."""

    def __init__(self, object_count: int, settings: PropagationSettings) -> None:
        self.object_count = object_count
        self._settings = settings
        self._entries: list[EntryId] = []
        self._entry_tokens: list[int] = []
        self._long_count = 0
        self._working_count = 0
        self._buffers = TokenBuffers()
        self._similarity = torch.empty(0)
        self._found_groups: dict[int, list[ReadingGroup]] = {}

    # ---- what is held

    @property
    def counts(self) -> TokenCounts:
        """Tokens in each store."""
        return TokenCounts(sum(self._entry_tokens), self._long_count, self._working_count)

    @property
    def permanent_entries(self) -> tuple[EntryId, ...]:
        """Addresses of the permanent entries, ascending."""
        return tuple(self._entries)

    @property
    def permanent_objects(self) -> int:
        """Objects up to the last that has a permanent token: the first channels."""
        if not self._entries:
            return 0
        held = self.view("valid", "permanent").any(1).nonzero()
        return int(held.max()) + 1

    def view(self, name: str, store: str) -> Tensor:
        """A view of one buffer in one store.

        Args:
            name: key (L, CK), shrinkage (L,), selection (L, CK), use (L,), life (L,),
                valid (N, L), coverage (N, L) or values (N, L, CV).
            store: permanent, long_term or working.
        """
        permanent, long_term = self.counts.permanent, self._long_count
        start, stop = {
            "permanent": (0, permanent),
            "long_term": (permanent, permanent + long_term),
            "working": (permanent + long_term, len(self._buffers)),
        }[store]
        return self._buffers.view(name, start, stop)

    # ---- writing

    def add_permanent(self, entry: EntryId, tokens: Tokens) -> None:
        """Stores the cells of an annotated frame for good, in place of the same entry."""
        if entry in self._entries:
            self._remove_entry(self._entries.index(entry))
        place = bisect.bisect(self._entries, entry)
        position = sum(self._entry_tokens[:place])
        self._buffers.splice(position, position, tokens)
        self._found_groups.clear()
        self._entries.insert(place, entry)
        self._entry_tokens.insert(place, tokens.key.shape[0])

    def remove_permanent(self, frame_index: int) -> None:
        """Drops the permanent entries of a frame, augmentations included.

        Raises:
            InputError: the frame has no permanent entry.
        """
        places = [p for p, e in enumerate(self._entries) if e.frame_index == frame_index]
        if not places:
            known = ", ".join(str(e.frame_index) for e in self._entries) or "none"
            raise InputError(f"frame {frame_index} is not in permanent memory; it holds {known}")
        for place in reversed(places):
            self._remove_entry(place)

    def rearranged(self, sources: Sequence[int | None]) -> MemoryBank:
        """A bank with the same permanent entries for other channels, and nothing else.

        Args:
            sources: for each new channel the old one; None = a channel without values.
        """
        result = MemoryBank(len(sources), self._settings)
        start = 0
        for entry, count in zip(self._entries, self._entry_tokens, strict=True):
            tokens = self._buffers.tokens(start, start + count)
            result.add_permanent(entry, tokens.rearranged(sources))
            start += count
        return result

    def _remove_entry(self, place: int) -> None:
        position = sum(self._entry_tokens[:place])
        stop = position + self._entry_tokens[place]
        self._buffers.keep(position, stop, torch.zeros(stop - position, dtype=torch.bool))
        del self._entries[place], self._entry_tokens[place]
        self._found_groups.clear()

    def add_working(self, tokens: Tokens) -> None:
        """Appends a memorized frame to working memory."""
        self._buffers.splice(len(self._buffers), len(self._buffers), tokens)
        self._working_count += tokens.key.shape[0]
        self._found_groups.clear()

    def clear_temporary(self) -> None:
        """Empties working and long-term memory; permanent memory stays."""
        self._buffers.cut(self.counts.permanent)
        self._long_count = self._working_count = 0
        self._found_groups.clear()

    def count_usage(self, usage: Tensor) -> None:
        """Counts one read-out: `usage` (L,) from `recall`.

        Tokens that were added to working memory since are left alone.
        """
        start = self.counts.permanent
        stop = start + usage.numel()
        self._buffers.view("use", start, stop).add_(usage)
        self._buffers.view("life", start, stop).add_(1)

    def enforce_limits(self, cells: int) -> None:
        """Consolidates working memory when it is full, evicting from long-term memory before.

        Args:
            cells: tokens of one frame.
        """
        settings = self._settings
        if not settings.long_term_memory:
            return
        if self._working_count < settings.working_memory_max_frames * cells:
            return
        self._evict()
        self._consolidate(settings.working_memory_min_frames * cells)
        self._found_groups.clear()

    # ---- reading

    def recall(self, features: Features, object_count: int, top_k: int | None) -> Recall:
        """What the cells of a frame read from all three stores (XMem, Eq. 1 and 2).

        Args:
            features: of the frame, (CK, h, w).
            object_count: objects known so far: the first channels.
            top_k: tokens read by each cell; None = all.
        """
        key, selection = tokens_of(features.key), tokens_of(features.selection)
        values = self._buffers.view("values")
        result = values.new_empty(object_count, key.shape[0], values.shape[2])
        usage = key.new_zeros(len(self._buffers))
        groups = self._groups(object_count)
        for rows in self._rounds(key.shape[0], top_k):
            similarities = self._similarities(key[rows], selection[rows])
            for number, group in enumerate(groups):
                affinity = self._affinity(similarities, group, top_k)
                for channel in group.channels:
                    result[channel, rows] = readout(affinity, values[channel])
                if number == 0:
                    usage += aggregate_usage(affinity, len(self._buffers))
        maps = result.transpose(1, 2).unflatten(2, features.key.shape[1:])  # (N, CV, h, w)
        return Recall(maps, usage[self.counts.permanent :])

    def evidence(self, features: Features, channel: int) -> Tensor | None:
        """(h, w) how much more like the object than like the frames without it each cell is.

        The best similarity to a permanent cell of the object, less the best to a cell of the
        entries where it is absent. None when it is absent from no entry, or seen in none.
        """
        own = self.view("coverage", "permanent")[channel] > 0.5
        if not own.any():
            return None
        other = self._absent_tokens(channel)
        if not other.any():
            return None
        rows = self.view("rows", "permanent")
        key, selection = tokens_of(features.key), tokens_of(features.selection)
        result = torch.cat(
            [
                similarity_of(rows[own], key[q], selection[q]).amax(1)
                - similarity_of(rows[other], key[q], selection[q]).amax(1)
                for q in self._rounds(key.shape[0], None)
            ]
        )
        return result.unflatten(0, features.key.shape[1:])

    def _absent_tokens(self, channel: int) -> Tensor:
        """(L,) bool over permanent memory: tokens of the entries where the object is absent."""
        coverage = self.view("coverage", "permanent")[channel].split(self._entry_tokens)
        valid = self.view("valid", "permanent")[channel].to(self._buffers.view("rows").device)
        # An augmentation can move the object out of the picture; that declares nothing.
        declared: dict[int, Tensor] = {}
        absent = []
        for entry, c, v in zip(
            self._entries, coverage, valid.split(self._entry_tokens), strict=True
        ):
            empty = (c < ABSENT_COVERAGE).all()
            absent.append(v & declared.setdefault(entry.frame_index, empty))
        return torch.cat(absent)

    def _groups(self, object_count: int) -> list[ReadingGroup]:
        """Channels that read the same tokens; found on the host, once after each change."""
        if object_count not in self._found_groups:
            valid = self._buffers.view("valid")[:object_count]
            device = self._buffers.view("rows").device
            self._found_groups[object_count] = reading_groups(valid, device)
        return self._found_groups[object_count]

    def _rounds(self, query_count: int, top_k: int | None) -> Iterator[slice]:
        bytes_per_query = 4 * len(self._buffers) * (1 if top_k else 3)
        step = max(1, SIMILARITY_BYTES // max(1, bytes_per_query))
        for start in range(0, query_count, step):
            yield slice(start, min(start + step, query_count))

    def _similarities(self, key: Tensor, selection: Tensor) -> Tensor:
        """(Q, L) similarities, written into a buffer that is kept between frames."""
        shape = key.shape[0], len(self._buffers)
        size = shape[0] * shape[1]
        if self._similarity.numel() < size:
            self._similarity = key.new_empty(size)
        out = self._similarity[:size].view(shape)
        return similarity_of(self._buffers.view("rows"), key, selection, out)

    def _affinity(self, similarities: Tensor, group: ReadingGroup, top_k: int | None) -> Affinity:
        if group.unread is None:
            return top_k_affinity(similarities, top_k)
        masked = similarities.masked_fill(group.unread, -torch.inf)
        count = group.token_count
        return top_k_affinity(masked, count if top_k is None else min(top_k, count))

    # ---- consolidation and eviction (XMem, section 3.3)

    def _evict(self) -> None:
        """Drops the least used long-term tokens so that a consolidation fits."""
        settings = self._settings
        room = settings.long_term_max_elements - settings.long_term_prototypes
        surplus = self._long_count - room
        if surplus <= 0:
            return
        usage = self._normalized_usage("long_term")
        threshold = usage.kthvalue(surplus).values
        start = self.counts.permanent
        kept = usage > threshold
        self._long_count = self._buffers.keep(start, start + self._long_count, kept)

    def _consolidate(self, kept_tokens: int) -> None:
        """Turns all working tokens but the last `kept_tokens` into long-term prototypes."""
        count = self._working_count - kept_tokens
        start = len(self._buffers) - self._working_count
        candidates = self._buffers.tokens(start, start + count)
        usage = self._normalized_usage("working")[:count]
        chosen = usage.topk(min(self._settings.long_term_prototypes, count)).indices
        prototypes = potentiate(candidates, chosen)
        self._buffers.splice(start, start + count, prototypes)
        self._working_count = kept_tokens
        self._long_count += prototypes.key.shape[0]

    def _normalized_usage(self, store: str) -> Tensor:
        return self.view("use", store) / self.view("life", store)

    # ---- saving

    def state(self) -> dict[str, Tensor]:
        """Long-term and working memory, as tensors; `load_state` restores the same bytes.

        Permanent memory is left out: annotations make it again.
        """
        state = self._buffers.state(self.counts.permanent)
        state["counts"] = torch.tensor([self._long_count, self._working_count])
        return state

    def load_state(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Restores what `state` returned, behind the permanent entries.

        States of version 0.1.0 hold the permanent entries too; what lies behind them is taken.
        """
        facts = ("counts", "entries", "entry_tokens")
        columns = {name: tensor for name, tensor in state.items() if name not in facts}
        permanent = int(state["entry_tokens"].sum()) if "entry_tokens" in state else 0
        self.clear_temporary()
        self._buffers.load_state(columns, permanent, device)
        self._long_count, self._working_count = (int(n) for n in state["counts"])
        self._found_groups.clear()
