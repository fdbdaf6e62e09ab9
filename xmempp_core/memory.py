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

from .errors import CapacityError, InputError
from .network.ops import (
    Affinity,
    aggregate_usage,
    memory_rows,
    readout,
    similarity,
    similarity_of,
    tokens_of,
    top_k_affinity,
)
from .pixels import cell_coverage
from .settings import PropagationSettings
from .types import Features

INITIAL_LIFE = 1e-7
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


@dataclass(frozen=True, eq=False)
class Tokens:
    """Some cells of one frame, token-major, on their way into memory."""

    key: Tensor
    """(L, CK) float32"""
    shrinkage: Tensor
    """(L,) float32"""
    selection: Tensor
    """(L, CK) float32"""
    values: Tensor
    """(N, L, CV), one for each channel of the bank; what stands where `valid` is false is unread"""
    valid: Tensor
    """(N, L) bool: which objects have a value"""
    coverage: Tensor
    """(N, L) float32: share of the cell that the object's mask covers"""

    def chosen(self, keep: Tensor) -> Tokens:
        """The tokens that a (L,) mask or index keeps."""
        return Tokens(
            self.key[keep],
            self.shrinkage[keep],
            self.selection[keep],
            self.values[:, keep],
            self.valid[:, keep],
            self.coverage[:, keep],
        )


class MemoryBank:
    """The memory of a pass over `object_count` objects, addressed by channel 0..N-1."""

    def __init__(self, object_count: int, settings: PropagationSettings) -> None:
        self.object_count = object_count
        self._settings = settings
        self._entries: list[EntryId] = []
        self._entry_tokens: list[int] = []
        self._long_count = 0
        self._working_count = 0
        self._buffers: dict[str, Tensor] = {}
        self._similarity = torch.empty(0)

    # ---- what is held

    @property
    def counts(self) -> TokenCounts:
        """Tokens in each store."""
        return TokenCounts(sum(self._entry_tokens), self._long_count, self._working_count)

    @property
    def permanent_entries(self) -> tuple[EntryId, ...]:
        """Addresses of the permanent entries, ascending."""
        return tuple(self._entries)

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
            "working": (permanent + long_term, self._total),
        }[store]
        return _token_slice(name, self._buffers[name], start, stop)

    @property
    def _total(self) -> int:
        return sum(self._entry_tokens) + self._long_count + self._working_count

    # ---- writing

    def add_permanent(self, entry: EntryId, tokens: Tokens) -> None:
        """Stores the cells of an annotated frame for good, in place of the same entry."""
        if entry in self._entries:
            self._remove_entry(self._entries.index(entry))
        place = bisect.bisect(self._entries, entry)
        position = sum(self._entry_tokens[:place])
        self._splice(position, position, tokens)
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

    def add_working(self, tokens: Tokens) -> None:
        """Appends a memorized frame to working memory."""
        self._splice(self._total, self._total, tokens)
        self._working_count += tokens.key.shape[0]

    def clear_temporary(self) -> None:
        """Empties working and long-term memory; permanent memory stays."""
        self._long_count = self._working_count = 0

    def count_usage(self, usage: Tensor) -> None:
        """Counts one read-out: `usage` (L,) over long-term and working tokens, from `recall`."""
        start = self.counts.permanent
        self._buffers["use"][start : self._total] += usage
        self._buffers["life"][start : self._total] += 1

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

    # ---- reading

    def recall(self, features: Features, object_count: int, top_k: int | None) -> Recall:
        """What the cells of a frame read from all three stores (XMem, Eq. 1 and 2).

        Args:
            features: of the frame, (CK, h, w).
            object_count: objects known so far: the first channels.
            top_k: tokens read by each cell; None = all.
        """
        key, selection = tokens_of(features.key), tokens_of(features.selection)
        values = self._buffers["values"]
        result = values.new_empty(object_count, key.shape[0], values.shape[2])
        usage = key.new_zeros(self._total)
        groups = self._groups(object_count)
        for rows in self._rounds(key.shape[0], top_k):
            similarities = self._similarities(key[rows], selection[rows])
            for number, channels in enumerate(groups):
                affinity = self._affinity(similarities, channels[0], top_k)
                for channel in channels:
                    result[channel, rows] = readout(affinity, values[channel, : self._total])
                if number == 0:
                    usage += aggregate_usage(affinity, self._total)
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
        rows = self._buffers["rows"][: own.numel()]
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
        valid = self.view("valid", "permanent")[channel].split(self._entry_tokens)
        pairs = zip(coverage, valid, strict=True)
        return torch.cat([v & (c.max() < ABSENT_COVERAGE) for c, v in pairs])

    def _groups(self, object_count: int) -> list[list[int]]:
        """Channels that read the same tokens, in order of their first channel."""
        valid = self._buffers["valid"][:object_count, : self._total]
        groups: list[list[int]] = []
        for channel in range(object_count):
            for group in groups:
                if torch.equal(valid[group[0]], valid[channel]):
                    group.append(channel)
                    break
            else:
                groups.append([channel])
        return groups

    def _rounds(self, query_count: int, top_k: int | None) -> Iterator[slice]:
        bytes_per_query = 4 * self._total * (1 if top_k else 3)
        step = max(1, SIMILARITY_BYTES // max(1, bytes_per_query))
        for start in range(0, query_count, step):
            yield slice(start, min(start + step, query_count))

    def _similarities(self, key: Tensor, selection: Tensor) -> Tensor:
        """(Q, L) similarities, written into a buffer that is kept between frames."""
        shape = key.shape[0], self._total
        size = shape[0] * shape[1]
        if self._similarity.numel() < size:
            self._similarity = key.new_empty(size)
        out = self._similarity[:size].view(shape)
        return similarity_of(self._buffers["rows"][: self._total], key, selection, out)

    def _affinity(self, similarities: Tensor, channel: int, top_k: int | None) -> Affinity:
        valid = self._buffers["valid"][channel, : self._total]
        count = int(valid.sum())
        if count == 0:
            raise InputError("an object has no token in memory; annotate it on at least one frame")
        if count == self._total:
            return top_k_affinity(similarities, top_k)
        masked = similarities.masked_fill(~valid, -torch.inf)
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
        self._long_count = self._compact(start, start + self._long_count, usage > threshold)

    def _consolidate(self, kept_tokens: int) -> None:
        """Turns all working tokens but the last `kept_tokens` into long-term prototypes."""
        count = self._working_count - kept_tokens
        start = self._total - self._working_count
        candidates = self._tokens(start, start + count)
        usage = self._normalized_usage("working")[:count]
        chosen = usage.topk(min(self._settings.long_term_prototypes, count)).indices
        prototypes = _potentiate(candidates, chosen)
        self._splice(start, start + count, prototypes)
        self._working_count = kept_tokens
        self._long_count += prototypes.key.shape[0]

    def _normalized_usage(self, store: str) -> Tensor:
        return self.view("use", store) / self.view("life", store)

    # ---- buffers

    def _tokens(self, start: int, stop: int) -> Tokens:
        names = ("key", "shrinkage", "selection", "values", "valid", "coverage")
        return Tokens(*(_token_slice(n, self._buffers[n], start, stop) for n in names))

    def _remove_entry(self, place: int) -> None:
        position = sum(self._entry_tokens[:place])
        stop = position + self._entry_tokens[place]
        self._compact(position, stop, torch.zeros(stop - position, dtype=torch.bool))
        del self._entries[place], self._entry_tokens[place]

    def _splice(self, start: int, stop: int, tokens: Tokens) -> None:
        """Puts new tokens (use 0) in the place of start..stop; what follows moves."""
        new = _columns(tokens)
        count, total = tokens.key.shape[0], self._total
        self._reserve(total - (stop - start) + count, new)
        for name, buffer in self._buffers.items():
            if start + count != stop and stop < total:
                tail = _token_slice(name, buffer, stop, total).clone()
                _token_slice(name, buffer, start + count, total - stop + start + count).copy_(tail)
            _token_slice(name, buffer, start, start + count).copy_(new[name])

    def _compact(self, start: int, stop: int, keep: Tensor) -> int:
        """Keeps the tokens of start..stop that `keep` (L,) names; returns how many."""
        total = self._total
        positions = start + keep.nonzero().flatten()
        for name, buffer in self._buffers.items():
            index = torch.cat([positions, torch.arange(stop, total, device=positions.device)])
            rest = buffer.index_select(_token_axis(name), index.to(buffer.device))
            _token_slice(name, buffer, start, start + index.numel()).copy_(rest)
        return positions.numel()

    def _reserve(self, count: int, like: dict[str, Tensor]) -> None:
        """Makes room for `count` tokens, doubling the buffers."""
        capacity = self._buffers["key"].shape[0] if self._buffers else 0
        if count <= capacity:
            return
        capacity = max(count, 2 * capacity)
        used = self._total
        try:
            grown = {n: _empty_buffer(n, column, capacity) for n, column in like.items()}
        except RuntimeError as error:
            raise CapacityError(
                f"memory for {capacity} tokens could not be had ({error}); lower internal_size, "
                "working_memory_max_frames or the number of annotated frames"
            ) from error
        for name, buffer in self._buffers.items():
            _token_slice(name, grown[name], 0, used).copy_(_token_slice(name, buffer, 0, used))
        self._buffers = grown

    # ---- saving

    def state(self) -> dict[str, Tensor]:
        """Everything held, as tensors; `load_state` restores the same bytes."""
        total = self._total
        state = {n: _token_slice(n, b, 0, total).contiguous() for n, b in self._buffers.items()}
        state["entries"] = torch.tensor(self._entries, dtype=torch.int64).reshape(-1, 2)
        state["entry_tokens"] = torch.tensor(self._entry_tokens, dtype=torch.int64)
        state["counts"] = torch.tensor([self._long_count, self._working_count])
        return state

    def load_state(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Restores what `state` returned."""
        columns = {
            name: tensor.to(device)
            for name, tensor in state.items()
            if name not in ("entries", "entry_tokens", "counts")
        }
        self._entries = [EntryId(int(f), int(a)) for f, a in state["entries"]]
        self._entry_tokens = [int(n) for n in state["entry_tokens"]]
        self._long_count, self._working_count = (int(n) for n in state["counts"])
        self._buffers = columns


def frame_tokens(
    features: Features,
    values: Tensor,
    masks: Tensor,
    channels: Sequence[int],
    object_count: int,
) -> Tokens:
    """The cells of a frame as tokens.

    Args:
        features: of the frame, (CK, h, w).
        values: (n, CV, h, w), one for each of `channels`.
        masks: (n, H', W') padded, one for each of `channels`.
        channels: the channels of the bank that get a value.
        object_count: channels of the bank.
    """
    key = tokens_of(features.key)
    rows = values.flatten(2).transpose(1, 2)  # (n, L, CV)
    all_values = rows.new_zeros(object_count, key.shape[0], rows.shape[2])
    valid = torch.zeros(object_count, key.shape[0], dtype=torch.bool, device=key.device)
    coverage = key.new_zeros(object_count, key.shape[0])
    index = torch.as_tensor(channels, device=key.device)
    all_values[index] = rows
    valid[index] = True
    coverage[index] = cell_coverage(masks)
    return Tokens(
        key,
        features.shrinkage.flatten().float(),
        tokens_of(features.selection),
        all_values,
        valid,
        coverage,
    )


def _potentiate(candidates: Tokens, chosen: Tensor) -> Tokens:
    """Prototypes: the chosen keys with values averaged over all candidates (XMem, Eq. 4 and 5)."""
    key, selection = candidates.key[chosen], candidates.selection[chosen]
    similarities = similarity(candidates.key, candidates.shrinkage, key, selection)
    values = torch.zeros_like(candidates.values[:, : chosen.numel()])
    for channel, valid in enumerate(candidates.valid):
        if valid.any():
            weights = similarities.masked_fill(~valid, -torch.inf).softmax(1)
            rows = torch.where(valid[:, None], candidates.values[channel], 0)
            values[channel] = (weights @ rows.float()).to(values.dtype)
    shrinkage = similarities.softmax(1) @ candidates.shrinkage
    valid, coverage = candidates.valid[:, chosen], candidates.coverage[:, chosen]
    return Tokens(key, shrinkage, selection, values, valid, coverage)


def _columns(tokens: Tokens) -> dict[str, Tensor]:
    """The buffers' columns of new tokens, usage counters included."""
    use = torch.zeros_like(tokens.shrinkage)
    return {
        "key": tokens.key,
        "shrinkage": tokens.shrinkage,
        "selection": tokens.selection,
        "rows": memory_rows(tokens.key, tokens.shrinkage),
        "use": use,
        "life": torch.full_like(use, INITIAL_LIFE),
        "valid": tokens.valid,
        "coverage": tokens.coverage,
        "values": tokens.values,
    }


def _token_axis(name: str) -> int:
    return 1 if name in ("valid", "coverage", "values") else 0


def _token_slice(name: str, buffer: Tensor, start: int, stop: int) -> Tensor:
    return buffer.narrow(_token_axis(name), start, stop - start)


def _empty_buffer(name: str, column: Tensor, capacity: int) -> Tensor:
    shape = list(column.shape)
    shape[_token_axis(name)] = capacity
    return column.new_empty(shape)
