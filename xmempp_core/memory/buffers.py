"""TokenBuffers: preallocated columns of tokens, grown by an eighth, read without a copy."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import CapacityError
from ..network.ops import memory_rows
from .tokens import Tokens

INITIAL_LIFE = 1e-7


class TokenBuffers:
    """Tokens in a row, with their usage counters.

    Columns: key (L, CK), shrinkage (L,), selection (L, CK), rows (L, 2 CK + 1) for the similarity,
    use (L,), life (L,), valid (N, L) on the host, coverage (N, L), values (N, L, CV).
    """

    def __init__(self) -> None:
        self._columns: dict[str, Tensor] = {}
        self._count = 0

    def __len__(self) -> int:
        """Number of tokens."""
        return self._count

    def view(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """A view of a column from token `start` to `stop`; None = the end."""
        return _slice(name, self._columns[name], start, self._count if stop is None else stop)

    def tokens(self, start: int, stop: int) -> Tokens:
        """Views of the tokens from `start` to `stop`."""
        names = ("key", "shrinkage", "selection", "values", "valid", "coverage")
        return Tokens(*(self.view(name, start, stop) for name in names))

    def splice(self, start: int, stop: int, tokens: Tokens) -> None:
        """Puts new tokens, never read yet, in the place of start..stop; what follows moves."""
        self._put(start, stop, _columns_of(tokens))

    def _put(self, start: int, stop: int, new: dict[str, Tensor]) -> None:
        count, total = new["key"].shape[0], self._count
        grown = total - (stop - start) + count
        self._reserve(grown, new)
        for name, column in self._columns.items():
            if start + count != stop and stop < total:
                tail = _slice(name, column, stop, total).clone()
                _slice(name, column, start + count, grown).copy_(tail)
            _slice(name, column, start, start + count).copy_(new[name])
        self._count = grown

    def keep(self, start: int, stop: int, kept: Tensor) -> int:
        """Keeps of the tokens start..stop those that `kept` (L,) bool names; returns how many."""
        positions = start + kept.nonzero().flatten()
        rest = torch.arange(stop, self._count, device=positions.device)
        index = torch.cat([positions, rest])
        for name, column in self._columns.items():
            moved = column.index_select(_axis(name), index.to(column.device))
            _slice(name, column, start, start + index.numel()).copy_(moved)
        self._count = start + index.numel()
        return positions.numel()

    def cut(self, count: int) -> None:
        """Drops all tokens behind the first `count`."""
        self._count = count

    def state(self, start: int) -> dict[str, Tensor]:
        """Copies of all columns from token `start` on, on the host."""
        return {
            name: self.view(name, start).to("cpu", copy=True).contiguous() for name in self._columns
        }

    def load_state(self, state: dict[str, Tensor], start: int, device: torch.device) -> None:
        """Appends what `state` returned, from its token `start` on."""
        if state:
            count = state["key"].shape[0]
            new = {name: _slice(name, c, start, count) for name, c in state.items()}
            new = {n: c if n == "valid" else c.to(device) for n, c in new.items()}
            self._put(self._count, self._count, new)

    def _reserve(self, count: int, like: dict[str, Tensor]) -> None:
        """Makes room for `count` tokens and an eighth more: few are copied, few lie idle."""
        capacity = self._columns["key"].shape[0] if self._columns else 0
        if count <= capacity:
            return
        capacity = max(count, capacity + capacity // 8)
        try:
            grown = {name: _empty(name, column, capacity) for name, column in like.items()}
        except RuntimeError as error:
            raise CapacityError(
                f"memory for {capacity} tokens could not be had ({error}); lower internal_size, "
                "working_memory_max_frames or the number of annotated frames"
            ) from error
        for name in self._columns:
            _slice(name, grown[name], 0, self._count).copy_(self.view(name))
        self._columns = grown


def _columns_of(tokens: Tokens) -> dict[str, Tensor]:
    """The columns of new tokens, usage counters included."""
    use = torch.zeros_like(tokens.shrinkage)
    return {
        "key": tokens.key,
        "shrinkage": tokens.shrinkage,
        "selection": tokens.selection,
        "rows": memory_rows(tokens.key, tokens.shrinkage),
        "use": use,
        "life": torch.full_like(use, INITIAL_LIFE),
        "valid": tokens.valid.cpu(),  # the host decides who reads what
        "coverage": tokens.coverage,
        "values": tokens.values,
    }


def _axis(name: str) -> int:
    return 1 if name in ("valid", "coverage", "values") else 0


def _slice(name: str, column: Tensor, start: int, stop: int) -> Tensor:
    return column.narrow(_axis(name), start, stop - start)


def _empty(name: str, column: Tensor, capacity: int) -> Tensor:
    shape = list(column.shape)
    shape[_axis(name)] = capacity
    return column.new_empty(shape)
