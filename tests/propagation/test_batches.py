"""Frames encoded, or segmented, several at once: same results, and fewer at once without memory."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import ARCHITECTURES, tiny_network
from toy import toy_frames, toy_shot

from xmempp_core.annotations import AbsenceRange, AnnotationSet
from xmempp_core.delivery.deliver import Delivery, deliver
from xmempp_core.errors import InputError, Interrupted
from xmempp_core.formats.annotations.label_maps import read_label_map
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.propagation import encoding
from xmempp_core.propagation.batches import in_batches
from xmempp_core.propagation.encoding import ShotEncoder
from xmempp_core.propagation.feature_cache import FeatureCache
from xmempp_core.propagation.independent import IndependentPass
from xmempp_core.propagation.propagation import Propagation
from xmempp_core.settings import PropagationSettings
from xmempp_core.types import Network

DIRECTIONS = ("forward", "outward", "bidirectional", "independent")
SMALL = PropagationSettings(internal_size=None, top_k=10, memorize_every=3)


class Narrow:
    """A network without memory for more than so many frames at once; counts its batches."""

    def __init__(self, network: Any, most: int) -> None:
        self._network, self._most = network, most
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def encode(self, frame: torch.Tensor) -> Any:
        count = 1 if frame.ndim == 3 else len(frame)
        if count > self._most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 MiB")
        self.batches.append(count)
        return self._network.encode(frame)


@pytest.fixture
def batches_of_4(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU."""
    monkeypatch.setitem(encoding.BATCH_FRAMES, "cpu", 4)


def result_of(network: Network, direction: str, **options: Any) -> dict[int, torch.Tensor]:
    source, annotations = toy_shot((3, 8))
    settings = PropagationSettings(**{**SMALL.__dict__, "direction": direction})
    passed = Propagation(network, source, annotations, settings, **options)
    return {one.frame_index: one.probabilities for one in passed}


def assert_close(one: dict[int, torch.Tensor], other: dict[int, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for index, probabilities in one.items():
        assert (probabilities - other[index]).abs().max() < 1e-4


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_pass_that_encodes_in_batches_gives_the_same(
    architecture: str, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Narrow(tiny_network(architecture), 100)
    one_by_one = result_of(network, direction)
    assert set(network.batches) == {1}
    monkeypatch.setitem(encoding.BATCH_FRAMES, "cpu", 4)
    assert_close(result_of(network, direction), one_by_one)
    assert 4 in network.batches


@pytest.mark.usefixtures("batches_of_4")
def test_without_memory_batches_become_smaller_and_a_line_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wide = Narrow(tiny_network("xmem"), 100)
    narrow = Narrow(tiny_network("xmem"), 2)
    assert_close(result_of(narrow, "forward"), result_of(wide, "forward"))
    assert "memory does not suffice for 4 frames at once; now 2" in caplog.text
    assert len(caplog.records) == 1
    assert max(narrow.batches) == 2


@pytest.mark.usefixtures("batches_of_4")
def test_a_single_frame_without_memory_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        result_of(Narrow(tiny_network("xmem"), 0), "forward")


@pytest.mark.usefixtures("batches_of_4")
def test_what_the_cache_holds_is_not_encoded_again() -> None:
    network, cache = Narrow(tiny_network("xmem"), 100), FeatureCache(2**30)
    first = result_of(network, "forward", cache=cache)
    assert sum(network.batches) == 12
    second = result_of(network, "forward", cache=cache)
    assert sum(network.batches) == 12
    assert_close(first, second)


@pytest.mark.usefixtures("batches_of_4")
def test_equal_frames_of_a_batch_are_encoded_once() -> None:
    network = Narrow(tiny_network("xmem"), 100)
    frames, _ = toy_frames(2)
    source = open_frames(frames[[0, 0, 1, 1]])
    encoder = ShotEncoder(network, source, SMALL, FeatureCache(2**30))
    encoder.encode_ahead([0, 1, 2, 3])
    assert network.batches == [2]
    keys = [encoder.encode(index).features.key for index in range(4)]
    assert torch.equal(keys[0], keys[1])
    assert torch.equal(keys[2], keys[3])
    assert not torch.equal(keys[0], keys[2])


@pytest.mark.usefixtures("batches_of_4")
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_files_and_reads_in_batches(direction: str, tmp_path: Path) -> None:
    """A run stopped in the middle of a batch goes on to the bytes of an undisturbed one."""
    network = tiny_network("xmem")

    def run(output: Path, stop_after: int, *, resume: bool) -> None:
        source, annotations = toy_shot((3, 8))
        settings = PropagationSettings(**{**SMALL.__dict__, "direction": direction})
        pass_ = Propagation(network, source, annotations, settings)
        calls: list[int] = []
        deliver(
            pass_,
            Delivery(output, resume=resume),
            progress=lambda done, _: calls.append(done),
            should_stop=lambda: len(calls) >= stop_after,
        )

    run(tmp_path / "whole", 1000, resume=False)
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", 6, resume=False)
    run(tmp_path / "stopped", 1000, resume=True)
    for index in range(12):
        name = f"masks/{index:05d}.png"
        maps = [read_label_map(tmp_path / one / name) for one in ("whole", "stopped")]
        assert torch.equal(*maps)
    tracks = [(tmp_path / one / "track.xmtrack").read_bytes() for one in ("whole", "stopped")]
    assert tracks[0] == tracks[1]


# ---- each frame alone


@pytest.mark.parametrize("batch_frames", [2, 5, 64])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_frames_alone_in_batches_are_those_one_by_one(architecture: str, batch_frames: int) -> None:
    source, annotations = toy_shot((3, 8))
    annotations = annotations.with_absence(AbsenceRange(7, 10, 11))
    network = Narrow(tiny_network(architecture), 100)
    one = IndependentPass(network, source, annotations, SMALL)
    order = [*range(12), 4, 4]
    singly = list(one.segment(order))
    network.batches.clear()
    together = list(one.segment(order, batch_frames=batch_frames))
    assert max(network.batches) == min(batch_frames, 12)
    assert [s.frame_index for s in together] == order
    for a, b in zip(singly, together, strict=True):
        assert (a.probabilities - b.probabilities).abs().max() < 1e-4
        assert a.absent_ids == b.absent_ids


def test_frames_alone_without_memory_go_on_in_smaller_batches(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, annotations = toy_shot((3, 8))
    one = IndependentPass(Narrow(tiny_network("xmem"), 3), source, annotations, SMALL)
    assert len(list(one.segment(range(12), batch_frames=8))) == 12
    assert "memory does not suffice for 8 frames at once" in caplog.text


def test_presence_is_weighed_frame_by_frame() -> None:
    source, annotations = toy_shot((0, 6))
    settings = PropagationSettings(**{**SMALL.__dict__, "absence": "presence"})
    one = IndependentPass(tiny_network("xmem"), source, annotations, settings)
    pairs = zip(one.segment(range(5)), one.segment(range(5), batch_frames=5), strict=True)
    for a, b in pairs:
        assert (a.probabilities - b.probabilities).abs().max() < 1e-4


def test_a_batch_has_a_frame() -> None:
    source, annotations = toy_shot((3,))
    one = IndependentPass(tiny_network("xmem"), source, AnnotationSet(tuple(annotations)), SMALL)
    with pytest.raises(InputError, match="batch_frames is 0, allowed is 1 and up"):
        list(one.segment([1], batch_frames=0))


def test_in_batches_halves_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    sizes = []

    def work(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise MemoryError
        return [2 * item for item in batch]

    assert in_batches(work, range(10), 7) == ([2 * item for item in range(10)], 2)
    assert sizes == [7, 4, 2, 2, 2, 2, 2]


def test_other_errors_are_raised() -> None:
    def work(batch: list[int]) -> list[int]:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape"):
        in_batches(work, range(4), 2)
