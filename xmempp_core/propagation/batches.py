"""Work in batches that become smaller when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ..errors import is_out_of_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)


def in_batches(
    work: Callable[[list[Item]], list[Result]], items: Sequence[Item], size: int
) -> tuple[list[Result], int]:
    """What a function gives for items, so many at a time.

    A batch for which memory does not suffice is done again in halves, and so are those behind it; a
    line says so. For a single item the error is raised.

    Args:
        work: gives a result for each item of a batch; leaves nothing behind when it fails.
        items: to be worked on.
        size: items of a batch, at least 1.

    Returns:
        The results in the order of the items, and the size that sufficed.
    """
    results: list[Result] = []
    while len(results) < len(items):
        batch = list(items[len(results) : len(results) + size])
        try:
            results += work(batch)
            continue
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
        # outside of the handler, whose error holds on to what did not fit
        size = (len(batch) + 1) // 2
        _log.warning("memory does not suffice for %d frames at once; now %d", len(batch), size)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return results, size
