"""The search for the most similar tokens finds those of a full sort, however long the rows."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xmempp_core.network.ops import GROUP, top_k_affinity


@given(
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(1, 2500),
    st.sampled_from(["different", "many alike", "masked"]),
    st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_the_largest_similarities_are_found(
    queries: int, k: int, tokens: int, kind: str, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = -torch.rand(queries, tokens, generator=generator)
    if kind == "many alike":
        rows = (rows * 3).round()
    if kind == "masked":
        rows[:, : tokens // 2] = -torch.inf
    affinity = top_k_affinity(rows, min(k, tokens))
    found = rows.gather(1, affinity.tokens).sort(1, descending=True).values
    expected = rows.sort(1, descending=True).values[:, : min(k, tokens)]
    assert torch.equal(found, expected)
    distinct = affinity.tokens.sort(1).values
    assert (distinct[:, 1:] != distinct[:, :-1]).all()


def test_long_rows_are_searched_in_groups_with_the_weights_of_a_plain_search() -> None:
    rows = -torch.rand(7, 40 * GROUP + 5, generator=torch.Generator().manual_seed(0))
    affinity = top_k_affinity(rows, 10)
    values, tokens = rows.topk(10, 1)
    order = affinity.tokens.argsort(1)
    assert torch.equal(affinity.tokens.gather(1, order), tokens.sort(1).values)
    expected = values.softmax(1).gather(1, tokens.argsort(1))
    torch.testing.assert_close(affinity.weights.gather(1, order), expected)
