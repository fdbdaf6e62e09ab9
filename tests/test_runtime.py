"""Full float32 on CUDA, whichever of torch's two interfaces the host has used before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from xmempp_core import runtime
from xmempp_core.runtime import full_float32

CUDA = torch.device("cuda")
by_name = pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="torch before 2.9"
)


def legacy() -> None:
    torch.set_float32_matmul_precision("high")


def general() -> None:
    torch.backends.fp32_precision = "tf32"


def products() -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"


def nothing() -> None:
    pass


@pytest.fixture
def as_before() -> Iterator[None]:
    """What a test sets is set back."""
    owners = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    values = [owner.fp32_precision for owner in owners]
    yield
    torch.backends.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    for owner, value in zip(owners, values, strict=True):
        owner.fp32_precision = value


@by_name
@pytest.mark.usefixtures("as_before")
@pytest.mark.filterwarnings("ignore:Please use the new API:UserWarning")
@pytest.mark.parametrize("host_sets", [nothing, legacy, general, products])
def test_float32_is_full_within_and_as_before_outside(host_sets: Callable[[], None]) -> None:
    host_sets()
    before = precisions()
    with full_float32(CUDA):
        assert precisions() == ("ieee", "ieee")
    assert precisions() == before
    with pytest.raises(RuntimeError, match="stop"), full_float32(CUDA):
        raise RuntimeError("stop")
    assert precisions() == before


@by_name
@pytest.mark.usefixtures("as_before")
@pytest.mark.filterwarnings("ignore:Please use the new API:UserWarning")
def test_a_host_that_uses_the_older_interface_reads_it_as_before() -> None:
    legacy()
    with full_float32(CUDA):
        pass
    assert torch.get_float32_matmul_precision() == "high"
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.filterwarnings("ignore:Please use the new API:UserWarning")
def test_before_torch_2_9_flags_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_has_precision_by_name", lambda: False)
    before = (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    with full_float32(CUDA):
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cudnn.allow_tf32
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


def test_other_devices_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(runtime, "_full_by_name")
    monkeypatch.delattr(runtime, "_full_by_flags")
    with full_float32(torch.device("cpu")):
        pass


def precisions() -> tuple[str, str]:
    """Of products and convolutions."""
    owners = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    return owners[0].fp32_precision, owners[1].fp32_precision


@pytest.mark.gpu
@by_name
@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("host_sets", [nothing, general, products])
def test_products_and_convolutions_on_cuda_are_exact(host_sets: Callable[[], None]) -> None:
    host_sets()
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(256, 256, generator=generator)
    picture = torch.randn(1, 64, 32, 32, generator=generator)
    weight = torch.randn(64, 64, 3, 3, generator=generator)
    with full_float32(CUDA):
        product = (a.cuda() @ a.cuda()).cpu()
        convolved = torch.nn.functional.conv2d(picture.cuda(), weight.cuda()).cpu()
    assert (product - (a.double() @ a.double())).abs().max() < 1e-4
    exact = torch.nn.functional.conv2d(picture.double(), weight.double())
    assert (convolved - exact).abs().max() < 1e-3
