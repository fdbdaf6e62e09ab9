"""Freed memory goes back to the system where the C library would keep it."""

from __future__ import annotations

import pytest


@pytest.fixture
def heap(pack_module):
    module = pack_module("nodes.heap")
    module._trim.cache_clear()
    yield module
    module._trim.cache_clear()


@pytest.mark.parametrize("library", ["", "musl"])
def test_other_c_libraries_are_not_asked(heap, monkeypatch, library):
    monkeypatch.setattr(heap.platform, "libc_ver", lambda: (library, ""))
    monkeypatch.setattr(heap.ctypes, "CDLL", None)
    heap.give_back()


def test_glibc_is_asked_for_all_of_it(heap, monkeypatch):
    asked = []

    class Library:
        def __init__(self, name):
            assert name is None, "the library of this process"

        def malloc_trim(self, kept_bytes):
            asked.append(kept_bytes)
            return 1

    monkeypatch.setattr(heap.platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(heap.ctypes, "CDLL", Library)
    heap.give_back()
    assert asked == [0]
