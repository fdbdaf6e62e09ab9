"""Within a frame that is predicted nothing waits for the device, so that a GPU never runs dry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny import ARCHITECTURES, tiny_network
from torch.utils._python_dispatch import TorchDispatchMode
from toy import toy_shot

from xmempp_core.network.xmem import XMem
from xmempp_core.propagation.propagation import Propagation
from xmempp_core.settings import PropagationSettings

SETTINGS = PropagationSettings(internal_size=None, memorize_every=3, direction="forward")
READS = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "unique")


class NoReads(TorchDispatchMode):
    """Fails where a value or a shape that depends on values is asked of a tensor."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        assert name not in READS, f"{name} waits for the device"
        return func(*args, **(kwargs or {}))


@contextmanager
def no_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On a CPU some reads are not dispatched; those of Python are refused by name."""

    def refuse(self: torch.Tensor, *_: object) -> None:
        raise AssertionError("a value is read from the device")

    with monkeypatch.context() as patch, NoReads():
        for name in ("tolist", "item", "__bool__", "__int__", "__float__", "cpu"):
            patch.setattr(torch.Tensor, name, refuse)
        yield


def steps_of(network: Any) -> Iterator[Any]:
    """Of a pass whose frames are read and uploaded before."""
    source, annotations = toy_shot((0, 6))
    pass_ = Propagation(network, source, annotations, SETTINGS)
    pictures = [pass_.read(index) for index in range(len(source))]
    pass_.read_with(lambda index: pictures[index])
    return pass_.steps()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_predicted_frames_are_not_waited_for(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = steps_of(tiny_network(architecture))
    for _ in range(5):  # frame 3 enters memory, which the host looks at on frame 4
        next(steps)
    with no_reads(monkeypatch):
        segmentation = next(steps)
    assert len(segmentation.confidence) == 2
    assert all(0 <= value <= 1 for value in segmentation.confidence)


@pytest.mark.parametrize("read", ["item", "tolist", "nonzero"])
def test_a_read_would_be_found(read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = torch.ones(1)
    with pytest.raises(AssertionError), no_reads(monkeypatch):
        getattr(value, read)()


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_predicted_frames_are_not_waited_for_on_cuda(architecture: str) -> None:
    steps = steps_of(tiny_network(architecture).to("cuda"))
    for _ in range(5):
        next(steps)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(steps)
    finally:
        torch.cuda.set_sync_debug_mode(before)


def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    from xmempp_core.network import xmem

    calls = []
    plain = xmem.normalize
    monkeypatch.setattr(xmem, "normalize", lambda frame: calls.append(1) or plain(frame))
    return lambda: len(calls)


def test_a_frame_that_is_memorized_is_normalized_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network("xmem")
    source, annotations = toy_shot((0,))
    calls = counted(monkeypatch)
    settings = replace(SETTINGS, memorize_every=1)
    passed = Propagation(network, source, annotations, settings)
    for _ in passed.prepare():
        pass
    assert calls() == 1
    assert len(list(passed)) == len(source)
    assert calls() == 1 + len(source)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_frame_changed_in_place_is_normalized_again(architecture: str) -> None:
    network = tiny_network(architecture)
    frame = torch.rand(3, 32, 48)
    before = network.encode(frame).key
    frame.mul_(0.5)
    changed = network.encode(frame).key
    assert not torch.equal(before, changed)
    assert torch.equal(changed, network.encode(frame.clone()).key)


def test_a_network_that_changed_its_type_makes_the_image_again() -> None:
    network = tiny_network("xmem")
    frame = torch.rand(3, 32, 48)
    network.encode(frame)
    assert network.bfloat16().encode(frame).f16.dtype == torch.bfloat16


def test_the_frame_is_not_kept_alive() -> None:
    network = tiny_network("xmem")
    assert isinstance(network, XMem)
    network.encode(torch.rand(3, 32, 48))
    assert network._seen is None or network._seen.frame() is None
