"""Reading ahead and writing behind: order, bounds, errors, and no thread left."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from xmempp_core.pipeline import MAX_QUEUE_ITEMS, QUEUE_BYTES, ReadAhead, WriteBehind, queue_items


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_a_queue_holds_one_item_and_at_most_its_bytes() -> None:
    assert queue_items(1) == MAX_QUEUE_ITEMS
    assert queue_items(QUEUE_BYTES // 3) == 3
    assert queue_items(QUEUE_BYTES * 5) == 1


def test_values_come_in_order_and_few_are_read_ahead() -> None:
    read: list[int] = []

    def square(key: int) -> int:
        read.append(key)
        return key * key

    with ReadAhead(square, range(50), 3) as ahead:
        for key in range(50):
            assert ahead.take(key) == key * key
            assert len(read) <= key + 4
    assert read == list(range(50))


def test_another_key_than_the_next_is_read_at_once_and_disturbs_nothing() -> None:
    with ReadAhead(lambda key: -key, [1, 2, 3], 2) as ahead:
        assert [ahead.take(key) for key in (1, 7, 2, 3, 3)] == [-1, -7, -2, -3, -3]


def test_an_error_of_a_read_comes_where_its_value_is_taken() -> None:
    def read(key: int) -> int:
        if key == 2:
            raise ValueError("damaged")
        return key

    with ReadAhead(read, range(5), 4) as ahead:
        assert [ahead.take(0), ahead.take(1)] == [0, 1]
        with pytest.raises(ValueError, match="damaged"):
            ahead.take(2)
        assert ahead.take(3) == 3


def test_calls_are_made_in_order_before_the_block_ends() -> None:
    made: list[int] = []
    with WriteBehind(2) as behind:
        for number in range(20):
            behind.call(made.append, number)
        behind.wait()
        assert made == list(range(20))
        behind.call(made.append, 20)
    assert made == list(range(21))


def test_a_full_queue_is_waited_for() -> None:
    go_on, waiting, made = threading.Event(), threading.Semaphore(0), []

    def write(number: int) -> None:
        waiting.release()
        go_on.wait()
        made.append(number)

    with WriteBehind(2) as behind:
        behind.call(write, 0)
        behind.call(write, 1)
        waiting.acquire()
        assert made == []
        threading.Timer(0.05, go_on.set).start()
        behind.call(write, 2)
        assert made[0] == 0
    assert made == [0, 1, 2]


def test_after_a_call_that_failed_no_other_is_made_and_its_error_is_raised() -> None:
    made: list[int] = []

    def write(number: int) -> None:
        if number == 3:
            raise OSError("disk full")
        made.append(number)

    def write_all() -> None:
        with WriteBehind(8) as behind:
            for number in range(8):
                behind.call(write, number)

    with pytest.raises(OSError, match="disk full"):
        write_all()
    assert made == [0, 1, 2]


@pytest.mark.parametrize(("error", "count"), [(ValueError, 4), (KeyboardInterrupt, 1)])
def test_an_error_lets_calls_end_and_an_interrupt_drops_them(
    error: type[BaseException], count: int
) -> None:
    started, go_on, made = threading.Event(), threading.Event(), []

    def write(number: int) -> None:
        started.set()
        go_on.wait()
        made.append(number)

    def fail() -> None:
        with WriteBehind(8) as behind:
            for number in range(4):
                behind.call(write, number)
            started.wait()
            threading.Timer(0.05, go_on.set).start()
            raise error

    with pytest.raises(error):
        fail()
    assert made == list(range(count))
