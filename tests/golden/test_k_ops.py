"""Single operations and parts of the official network against the recorded reference numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from seeded_weights import CHECK_OF_ALL, digest, seeded_state
from tolerances import assert_operation, assert_sensory
from torch import Tensor, nn

from xmempp_core.network import ops
from xmempp_core.network.xmem import XMem, normalize
from xmempp_core.types import Features

with np.load(Path(__file__).parents[1] / "data" / "k_ops.npz") as _file:
    GOLDEN = {name: torch.from_numpy(_file[name]) for name in _file.files if name != "settings"}
TOP_K = 10


def assert_recorded(value: Tensor, name: str) -> None:
    assert_operation(value, GOLDEN[name], name)


@contextmanager
def outputs_of(**modules: nn.Module) -> Iterator[dict[str, Tensor]]:
    """What each module returns while the block runs."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            outputs[name] = output

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def frame(index: int) -> Tensor:
    return GOLDEN["frames"][index].permute(2, 0, 1).float() / 255


def masks(index: int) -> Tensor:
    """Aggregated masks of the two objects."""
    labels = GOLDEN["masks"][index]
    return ops.aggregate(torch.stack([labels == 1, labels == 2]).float())


@pytest.fixture(scope="module")
def features(multi_network: XMem) -> list[Features]:
    return [multi_network.encode(frame(i)) for i in range(3)]


@pytest.fixture(scope="module")
def values(multi_network: XMem, features: list[Features]) -> Tensor:
    """(24, 2 * 512) values of frames 0 and 1, objects side by side."""
    rows = []
    for index in (0, 1):
        value, _ = multi_network.memorize(
            features[index], frame(index), masks(index)[1:], GOLDEN["hidden_in"]
        )
        rows.append(ops.tokens_of(value.flatten(0, 1)))
    return torch.cat(rows)


@pytest.fixture(scope="module")
def similarities(features: list[Features]) -> Tensor:
    """(12, 24) of frame 2 with the memory of frames 0 and 1."""
    query = features[2]
    return ops.similarity(
        memory_keys(features),
        memory_shrinkage(features),
        ops.tokens_of(query.key),
        ops.tokens_of(query.selection),
    )


def memory_keys(features: list[Features]) -> Tensor:
    return torch.cat([ops.tokens_of(f.key) for f in features[:2]])


def memory_shrinkage(features: list[Features]) -> Tensor:
    return torch.cat([ops.tokens_of(f.shrinkage)[:, 0] for f in features[:2]])


def dense(affinity: ops.Affinity, count: int) -> Tensor:
    """(L, Q) matrix with the weight of each token for each query."""
    matrix = torch.zeros(len(affinity.tokens), count)
    return matrix.scatter_(1, affinity.tokens, affinity.weights).t()


def test_all_drawn_weights_have_the_recorded_checksum() -> None:
    assert digest(seeded_state("multi")) == CHECK_OF_ALL


def test_a_frame_is_normalized_as_recorded() -> None:
    assert_recorded(normalize(frame(0)), "image0")


@pytest.mark.parametrize("index", range(3))
def test_keys_equal_the_recorded_ones(features: list[Features], index: int) -> None:
    assert_recorded(features[index].key, f"key{index}")
    assert_recorded(features[index].shrinkage, f"shrinkage{index}")
    assert_recorded(features[index].selection, f"selection{index}")


def test_skip_features_equal_the_recorded_ones(features: list[Features]) -> None:
    assert_recorded(features[0].f16, "f16_0")
    assert_recorded(features[0].f8[::8], "f8_0_every8")
    assert_recorded(features[0].f4[::16], "f4_0_every16")


def test_hard_masks_aggregate_as_recorded() -> None:
    got, expected = masks(0), GOLDEN["agg_hard"]
    assert_operation(got, expected, "agg_hard")
    # What is left to the other channels, 1e-7, lies far below that bound.
    torch.testing.assert_close(got[expected < 0.5], expected[expected < 0.5], rtol=1e-3, atol=0)


def test_soft_masks_aggregate_as_recorded() -> None:
    aggregated = ops.aggregate(GOLDEN["soft_in"])
    assert_recorded(aggregated, "agg_soft_prob")
    assert_operation(aggregated, GOLDEN["agg_soft_logits"].softmax(0))


def test_the_value_encoder_computes_the_recorded_values(
    multi_network: XMem, features: list[Features]
) -> None:
    encoder = multi_network.value_encoder
    parts = {
        "resnet": encoder.layer3,
        "block1": encoder.fuser.block1,
        "cbam": encoder.fuser.attention,
    }
    with outputs_of(**parts) as outputs:
        value, reinforced = multi_network.memorize(
            features[0], frame(0), GOLDEN["agg_hard"][1:], GOLDEN["hidden_in"]
        )
    assert_recorded(outputs["resnet"], "venc_resnet")
    assert_recorded(outputs["block1"][:, ::8], "venc_block1_every8")
    assert_recorded(outputs["cbam"][:, ::8], "venc_cbam_every8")
    assert_recorded(value, "value0")
    assert_sensory(reinforced, GOLDEN["hidden_deep"])


def test_similarity_equals_the_recorded_one(similarities: Tensor) -> None:
    assert_recorded(similarities.t(), "similarity")


def test_similarity_equals_the_exact_sum_of_squares(
    similarities: Tensor, features: list[Features]
) -> None:
    key, query = memory_keys(features).double(), ops.tokens_of(features[2].key).double()
    selection = ops.tokens_of(features[2].selection).double()
    squares = (selection[:, None] * (key[None] - query[:, None]).square()).sum(2)
    exact = -squares * memory_shrinkage(features) / 8
    assert_operation(similarities, exact.float())
    assert_operation(exact.t(), GOLDEN["similarity"].double())


def test_plain_similarity_equals_the_recorded_one(features: list[Features]) -> None:
    plain = ops.similarity(memory_keys(features), None, ops.tokens_of(features[2].key), None)
    assert_recorded(plain.t(), "similarity_plain")


def test_affinity_of_the_top_k_equals_the_recorded_one(similarities: Tensor) -> None:
    affinity = ops.top_k_affinity(similarities, TOP_K)
    assert_recorded(dense(affinity, 24), "affinity")


def test_affinity_of_all_tokens_equals_the_recorded_one(similarities: Tensor) -> None:
    affinity = ops.top_k_affinity(similarities, None)
    assert_recorded(dense(affinity, 24), "affinity_full")


def test_usage_equals_the_recorded_one(similarities: Tensor) -> None:
    usage = ops.aggregate_usage(ops.top_k_affinity(similarities, TOP_K), 24)
    assert_recorded(usage, "usage")


def test_readout_equals_the_recorded_one(similarities: Tensor, values: Tensor) -> None:
    readout = ops.readout(ops.top_k_affinity(similarities, TOP_K), values)
    assert_recorded(readout.t().reshape(2, 512, 3, 4), "readout")


def test_the_decoder_computes_the_recorded_logits(
    multi_network: XMem, features: list[Features]
) -> None:
    decoder = multi_network.decoder
    parts = {
        "g16": decoder.fuser,
        "g8": decoder.up_16_8,
        "g4": decoder.up_8_4,
        "logits4": decoder.pred,
    }
    with outputs_of(**parts) as outputs:
        logits, sensory = multi_network.decode(features[2], GOLDEN["readout"], GOLDEN["hidden_in"])
    assert_recorded(outputs["g16"][:, ::8], "dec_g16_every8")
    assert_recorded(outputs["g8"][:, ::8], "dec_g8_every8")
    assert_recorded(outputs["g4"][:, ::16], "dec_g4_every16")
    assert_recorded(outputs["logits4"][:, 0], "dec_logits4")
    assert_recorded(logits, "dec_logits")
    assert_sensory(sensory, GOLDEN["hidden_dec"])
    assert_recorded(ops.aggregate(logits.sigmoid()), "seg_prob")
