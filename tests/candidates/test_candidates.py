"""Candidates agree with an eager, obvious selection everywhere, and refuse what has no answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xmempp_core.candidates.greedy import choose_greedily
from xmempp_core.candidates.request import CandidateRequest
from xmempp_core.candidates.select import select_from_features
from xmempp_core.errors import InputError, ShapeError
from xmempp_core.evaluation.baselines import random_candidates, uniform_candidates


def pair_dissimilarity(
    key_i: Tensor,
    shrink_i: Tensor,
    select_i: Tensor,
    key_j: Tensor,
    shrink_j: Tensor,
    select_j: Tensor,
) -> float:
    """The listing read aloud, in float64: cell by cell, both similarities, entry by entry."""
    k_i, k_j = key_i.flatten(1).double(), key_j.flatten(1).double()
    e_i, e_j = select_i.flatten(1).double(), select_j.flatten(1).double()
    s_i, s_j = shrink_i.flatten().double(), shrink_j.flatten().double()
    scale = k_i.shape[0] ** 0.5
    forth = -((k_i[:, :, None] - k_j[:, None, :]) ** 2 * e_j[:, None, :]).sum(0) * s_i[:, None]
    back = -((k_j[:, :, None] - k_i[:, None, :]) ** 2 * e_i[:, None, :]).sum(0) * s_j[:, None]
    return float(((forth - back) / scale).clamp(min=0).mean())


def eager_scores(clip: dict[str, Tensor], chosen: list[int], alpha: float, minimum: int) -> Tensor:
    """Every frame against every chosen one: the triple loop."""
    key, shrink, select, presence = (clip[n] for n in ("key", "shrinkage", "selection", "presence"))
    n, _, h, w = key.shape
    _, _, height, width = presence.shape
    composite = []
    for j in range(n):
        cells = torch.empty(h, w)
        for y in range(h):
            for x in range(w):
                cells[y, x] = presence[j, :, y * height // h, x * width // w].max()
        composite.append(key[j] * cells * alpha + key[j] * (1 - alpha))
    scores = torch.zeros(n, dtype=torch.float64)
    for j in range(n):
        if j in chosen or int((presence[j].amax(0) > 0.5).sum()) < minimum:
            continue
        scores[j] = min(
            pair_dissimilarity(
                composite[i], shrink[i], select[i], composite[j], shrink[j], select[j]
            )
            for i in chosen
        )
    return scores


def make_clip(seed: int, frames: int, repeats: bool = False) -> dict[str, Tensor]:
    """A random clip of `frames` frames; with `repeats` every third frame equals the one before."""
    generator = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    clip = {
        "key": torch.randn(frames, 8, 3, 4, generator=generator),
        "shrinkage": 1 + 4 * rand(frames, 1, 3, 4),
        "selection": rand(frames, 8, 3, 4),
        "presence": rand(frames, 2, 7, 9) ** 3,
    }
    if repeats:
        for tensor in clip.values():
            tensor[2::3] = tensor[1::3][: len(tensor[2::3])]
    return clip


def select(clip: dict[str, Tensor], annotated: list[int], count: int, **options: Any):
    request = CandidateRequest(annotated, count, **options)
    return select_from_features(
        clip["key"], clip["shrinkage"], clip["selection"], clip["presence"], request
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    frames=st.integers(1, 8),
    alpha=st.sampled_from([0.0, 0.5, 1.0]),
    minimum=st.integers(0, 12),
    repeats=st.booleans(),
    data=st.data(),
)
def test_the_lazy_selection_agrees_with_the_eager_one(seed, frames, alpha, minimum, repeats, data):
    clip = make_clip(seed, frames, repeats)
    annotated = data.draw(st.lists(st.integers(0, frames - 1), min_size=1, max_size=3))
    k = data.draw(st.integers(1, frames))

    result = select(clip, annotated, k, alpha=alpha, min_mask_pixels=minimum)

    chosen = list(annotated)
    for round_number, (index, score) in enumerate(zip(result.indices, result.scores, strict=True)):
        expected = eager_scores(clip, chosen, alpha, minimum)
        got, exact = result.dissimilarity[round_number], result.is_exact[round_number]
        torch.testing.assert_close(got[exact], expected[exact], rtol=1e-4, atol=1e-6)
        assert (got >= expected - 1e-6).all()
        assert exact[index]
        assert score == pytest.approx(float(expected.max()), rel=1e-4)
        assert expected[index] == pytest.approx(float(expected.max()), rel=1e-4)
        chosen.append(index)
    assert result.is_exact[0].all()
    assert len(set(chosen[len(annotated) :])) == len(result.indices)
    if len(result.indices) < k:
        assert float(eager_scores(clip, chosen, alpha, minimum).max()) == pytest.approx(0, abs=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    table=st.integers(1, 9).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(0, 4), min_size=n, max_size=n), min_size=n, max_size=n
        )
    ),
    data=st.data(),
)
def test_ties_go_to_the_lowest_index_and_weights_count(table, data):
    n = len(table)
    proposable = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    weights = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    annotated = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=2))

    choice = choose_greedily(lambda i, j: table[i][j], proposable, annotated, n, weights)

    chosen, expected = list(annotated), []
    while True:
        score = [
            weights[j] * min(table[i][j] for i in chosen)
            if proposable[j] and j not in chosen
            else 0
            for j in range(n)
        ]
        if max(score) <= 0:
            break
        expected.append(score.index(max(score)))
        chosen.append(expected[-1])
    assert list(choice.indices) == expected


def test_most_frames_are_not_recomputed_after_the_first_round() -> None:
    clip, calls = make_clip(3, 40), []
    flat = clip["key"].flatten(1)

    def compare(i: int, j: int) -> float:
        calls.append((i, j))
        return float((flat[i] - flat[j]).norm())

    choose_greedily(compare, [True] * 40, [0], 5)

    assert len(calls) == len(set(calls)), "no pair is computed twice"
    assert calls[:39] == [(0, j) for j in range(1, 40)]
    assert len(calls) < 5 * 39


def test_equal_frames_are_never_proposed() -> None:
    clip = {name: tensor[:1].repeat(6, 1, 1, 1) for name, tensor in make_clip(0, 1).items()}

    result = select(clip, [2], 3, min_mask_pixels=0)

    assert result.indices == ()
    assert result.dissimilarity.shape == (1, 6)
    assert not result.dissimilarity.any()


def test_a_frame_without_enough_object_is_not_proposed_but_compared_when_annotated() -> None:
    clip = make_clip(5, 6)
    clip["presence"].zero_()
    clip["presence"][[1, 4], 0, :2, :5] = 1

    assert select(clip, [0], 6, min_mask_pixels=9).indices in {(1, 4), (4, 1)}
    assert select(clip, [0], 6, min_mask_pixels=11).indices == ()
    assert select(clip, [0], 6, min_mask_fraction=11 / 63).indices == ()
    assert len(select(clip, [0], 6, min_mask_fraction=10 / 63).indices) == 2


def test_arguments_are_not_written_to() -> None:
    clip = make_clip(7, 5)
    before = {name: tensor.clone() for name, tensor in clip.items()}

    select(clip, [0, 3], 3)

    for name, tensor in clip.items():
        assert torch.equal(tensor, before[name]), name


def test_uniform_frames_follow_the_papers_equation() -> None:
    assert uniform_candidates(10, 1) == (0,)
    assert uniform_candidates(10, 4) == (0, 3, 6, 9)
    assert uniform_candidates(240, 5) == tuple(np.floor(np.linspace(0, 239, 5)).astype(int))


def test_random_frames_repeat_with_their_seed_and_avoid_annotated_ones() -> None:
    drawn = random_candidates(20, 10, seed=4, annotated=[0, 5])

    assert drawn == random_candidates(20, 10, seed=4, annotated=[0, 5])
    assert drawn != random_candidates(20, 10, seed=5, annotated=[0, 5])
    assert len(set(drawn)) == 10
    assert not {0, 5} & set(drawn)
    assert random_candidates(3, 3, seed=0, annotated=[0, 1]) == (2,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 9}, "9 frames were asked for, allowed is 1 to the clip's 6"),
        ({"count": 0}, "0 frames were asked for"),
        ({"alpha": 1.5}, "alpha is 1.5, allowed is 0"),
        ({"annotated": []}, "no frame is annotated"),
        ({"annotated": [7]}, "annotated frame 7 is outside the clip; its frames are 0 to 5"),
        ({"min_mask_fraction": 25}, "min_mask_fraction is 25"),
        ({"min_mask_pixels": -1}, "min_mask_pixels is -1"),
        ({"method": "best"}, "method 'best' is unknown"),
    ],
)
def test_a_request_without_answer_is_refused_in_one_sentence(options, said) -> None:
    request = {"annotated": [0], "count": 2} | options

    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        select(make_clip(0, 6), **request)


def test_masks_of_another_length_or_without_object_are_refused() -> None:
    clip = make_clip(0, 6)

    with pytest.raises(ShapeError, match="give masks for every frame"):
        select(clip | {"presence": clip["presence"][:4]}, [0], 2)
    with pytest.raises(InputError, match="hold no object"):
        select(clip | {"presence": clip["presence"][:, :0]}, [0], 2)
    with pytest.raises(InputError, match=r"masks are torch\.uint8, .* make label maps one-hot"):
        select(clip | {"presence": (3 * clip["presence"][:, :1]).byte()}, [0], 2)
    with pytest.raises(ShapeError, match=r"key: expected shape \(N, CK, h, w\), got \(8, 3, 4\)"):
        select(clip | {"key": clip["key"][0]}, [0], 2)
    with pytest.raises(ShapeError, match="shrinkage"):
        select(clip | {"shrinkage": clip["shrinkage"][:, :, :1]}, [0], 2)
