"""Work beside the thread that computes: values read ahead of it, calls made behind it.

Each has one thread and a bounded queue. What goes wrong in a thread is raised in that of the
caller, where the value is taken or the next call is handed over.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar

QUEUE_BYTES = 64 * 2**20
"""What may wait in a queue; one item may be larger."""
MAX_QUEUE_ITEMS = 8

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")


def queue_items(item_bytes: int) -> int:
    """How many items of a size may wait in a queue."""
    return min(max(QUEUE_BYTES // max(item_bytes, 1), 1), MAX_QUEUE_ITEMS)


class ReadAhead(Generic[Value]):
    """What a function gives for each key of an order, computed ahead in a thread.

    A context manager: when its block ends, so does the thread. It starts with the first `take`.

    Args:
        read: gives the value of a key; safe to be called in another thread.
        order: the keys as they will be taken.
        queue_items: values that wait at most; one more is in the taker's hands.
    """

    def __init__(
        self, read: Callable[[int], Value], order: Iterable[int], queue_items: int
    ) -> None:
        self._read, self._order, self._queue_items = read, iter(order), queue_items
        self._waiting: deque[tuple[int, Future[Value]]] = deque()
        self._taken_early: Counter[int] = Counter()
        self._executor = ThreadPoolExecutor(1, "read-ahead")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def take(self, key: int) -> Value:
        """The value of one of the keys that wait; of any other key too, but that is computed now.

        Raises:
            whatever `read` raised.
        """
        self._fill()
        place = next((n for n, (one, _) in enumerate(self._waiting) if one == key), None)
        if place is None:
            self._taken_early[key] += 1
            return self._read(key)
        _, future = self._waiting[place]
        del self._waiting[place]
        self._fill()
        return future.result()

    def _fill(self) -> None:
        while len(self._waiting) < self._queue_items:
            key = next(self._order, None)
            if key is None:
                return
            if self._taken_early[key]:
                self._taken_early[key] -= 1
                continue
            self._waiting.append((key, self._executor.submit(self._read, key)))


class WriteBehind:
    """Calls made one after the other in a thread behind the caller.

    A context manager: when its block ends, so does the thread, and every call was made; only after
    an interrupt those that wait are dropped. After a call that failed no other is made.

    Args:
        queue_items: calls that wait at most; the one under way counts.
    """

    def __init__(self, queue_items: int) -> None:
        self._queue_items = queue_items
        self._waiting: deque[Future[None]] = deque()
        self._has_failed = False
        self._executor = ThreadPoolExecutor(1, "write-behind")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            is_interrupt = kind is not None and not issubclass(kind, Exception)
            self._executor.shutdown(cancel_futures=is_interrupt)

    def call(
        self,
        function: Callable[Arguments, None],
        *args: Arguments.args,
        **options: Arguments.kwargs,
    ) -> None:
        """Has a call made later; waits while the queue is full.

        Raises:
            whatever an earlier call raised.
        """
        while self._waiting and (
            self._waiting[0].done() or len(self._waiting) >= self._queue_items
        ):
            self._waiting.popleft().result()
        self._waiting.append(self._executor.submit(self._make, lambda: function(*args, **options)))

    def wait(self) -> None:
        """Waits until all calls are made.

        Raises:
            whatever one of them raised.
        """
        while self._waiting:
            self._waiting.popleft().result()

    def _make(self, call: Callable[[], None]) -> None:
        if self._has_failed:
            return
        try:
            call()
        except BaseException:
            self._has_failed = True
            raise
