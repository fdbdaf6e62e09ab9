"""MemoryBank against a slow, obvious model, and the promises about its entries."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from token_model import TokenModel, tokens_as_dictionaries

from xmempp_core.errors import InputError
from xmempp_core.memory.bank import EntryId, MemoryBank
from xmempp_core.memory.tokens import Tokens
from xmempp_core.settings import PropagationSettings
from xmempp_core.types import Features, Padding

CK, CV, HEIGHT, WIDTH = 4, 3, 2, 3
CELLS = HEIGHT * WIDTH
OBJECTS = 3

LIMITS = PropagationSettings(
    working_memory_max_frames=3,
    working_memory_min_frames=1,
    long_term_prototypes=4,
    long_term_max_elements=9,
    top_k=5,
)


def random_tokens(generator: torch.Generator, channels: list[int], count: int = CELLS) -> Tokens:
    """Tokens with values for some channels."""
    valid = torch.zeros(OBJECTS, count, dtype=torch.bool)
    valid[channels] = True
    return Tokens(
        torch.randn(count, CK, generator=generator),
        1 + torch.rand(count, generator=generator),
        torch.rand(count, CK, generator=generator),
        torch.randn(OBJECTS, count, CV, generator=generator),
        valid,
        torch.rand(OBJECTS, count, generator=generator) * valid,
    )


def features_from(tokens: Tokens) -> Features:
    """A frame whose cells are the tokens."""
    key, selection = (t.t().reshape(CK, HEIGHT, WIDTH) for t in (tokens.key, tokens.selection))
    shrinkage = tokens.shrinkage.reshape(1, HEIGHT, WIDTH)
    empty = torch.empty(0)
    return Features(key, shrinkage, selection, empty, empty, empty, Padding(0, 0, 0, 0))


def check_equal(bank: MemoryBank, model: TokenModel) -> None:
    """The same tokens with the same contents in the same stores."""
    for store in ("long_term", "working"):
        tokens = getattr(model, store)
        assert bank.view("use", store).numel() == len(tokens), store
        for m, token in enumerate(tokens):
            torch.testing.assert_close(bank.view("key", store)[m].double(), token["key"])
            assert bank.view("shrinkage", store)[m] == pytest.approx(token["shrinkage"], abs=1e-5)
            assert bank.view("use", store)[m] == pytest.approx(token["use"], abs=1e-4)
            valid = bank.view("valid", store)[:, m]
            assert valid.nonzero().flatten().tolist() == sorted(token["values"])
            for channel, value in token["values"].items():
                got = bank.view("values", store)[channel, m].double()
                torch.testing.assert_close(got, value, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_three_groups_and_three_evictions_equal_the_obvious_model(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    bank, model = MemoryBank(OBJECTS, LIMITS), TokenModel(LIMITS)
    for frame, channels in ((0, [0]), (9, [0, 1]), (4, [2])):
        tokens = random_tokens(generator, channels)
        bank.add_permanent(EntryId(frame), tokens)
        model.permanent[frame, 0] = tokens_as_dictionaries(tokens)
    for t in range(40):
        # The third object meets working memory late, in the middle of a consolidation.
        known = [0] if t < 3 else [0, 1] if t < 8 else [0, 1, 2]
        query = random_tokens(generator, [])
        # Usage is counted over all tokens: unread ones would tie, and ties may fall either way.
        for top_k in (LIMITS.top_k, None):
            recall = bank.recall(features_from(query), OBJECTS, top_k)
            expected = model.read(
                query.key, query.selection, OBJECTS, top_k, counts_usage=top_k is None
            )
            got = recall.readout.flatten(2).transpose(1, 2).double()
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
        bank.count_usage(recall.usage)
        tokens = random_tokens(generator, known)
        bank.add_working(tokens)
        model.working += tokens_as_dictionaries(tokens)
        bank.enforce_limits(CELLS)
        model.enforce_limits(CELLS)
        check_equal(bank, model)
    assert model.evictions >= 3


@settings(deadline=None, max_examples=40)
@given(
    edits=st.lists(
        st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 3), st.integers(0, 1)),
        max_size=12,
    )
)
def test_permanent_memory_does_not_remember_the_history_of_edits(
    edits: list[tuple[str, int, int]],
) -> None:
    bank, final = MemoryBank(OBJECTS, LIMITS), dict[EntryId, Tokens]()
    generator = torch.Generator().manual_seed(0)
    bank.add_working(random_tokens(generator, [0, 1]))
    working = bank.view("values", "working").clone()
    for action, frame, augmentation in edits:
        if action == "add":
            tokens = random_tokens(generator, [frame % OBJECTS], count=3 + frame)
            bank.add_permanent(EntryId(frame, augmentation), tokens)
            final[EntryId(frame, augmentation)] = tokens
        elif any(e.frame_index == frame for e in final):
            bank.remove_permanent(frame)
            final = {e: t for e, t in final.items() if e.frame_index != frame}
    fresh = MemoryBank(OBJECTS, LIMITS)
    for entry, tokens in final.items():
        fresh.add_permanent(entry, tokens)
    assert bank.permanent_entries == fresh.permanent_entries == tuple(sorted(final))
    if final:
        for name in ("key", "shrinkage", "selection", "valid", "values"):
            assert torch.equal(bank.view(name, "permanent"), fresh.view(name, "permanent"))
    assert torch.equal(bank.view("values", "working"), working)


def test_an_augmentation_without_the_object_declares_no_absence() -> None:
    generator = torch.Generator().manual_seed(7)
    bank = MemoryBank(OBJECTS, LIMITS)
    seen, moved_out = (random_tokens(generator, [0]) for _ in range(2))
    seen.coverage[0] = 1
    moved_out.coverage.zero_()
    bank.add_permanent(EntryId(0), seen)
    bank.add_permanent(EntryId(0, 1), moved_out)
    assert bank.evidence(features_from(seen), 0) is None
    bank.add_permanent(EntryId(4), moved_out)
    nothing = moved_out.chosen(torch.zeros(CELLS, dtype=torch.bool))
    bank.add_permanent(EntryId(4, 1), nothing)
    assert bank.evidence(features_from(seen), 0) is not None


def test_a_saved_state_stands_still_while_the_bank_goes_on() -> None:
    generator = torch.Generator().manual_seed(8)
    bank, restored = MemoryBank(OBJECTS, LIMITS), MemoryBank(OBJECTS, LIMITS)
    bank.add_working(random_tokens(generator, [0, 1]))
    state = bank.state()
    before = {name: tensor.clone() for name, tensor in state.items()}
    restored.load_state(state, torch.device("cpu"))
    for one in (bank, restored):
        one.count_usage(torch.ones(CELLS))
    assert all(torch.equal(state[name], before[name]) for name in before)


def test_removing_an_unknown_frame_names_the_known_ones() -> None:
    bank = MemoryBank(OBJECTS, LIMITS)
    bank.add_permanent(EntryId(7), random_tokens(torch.Generator(), [0]))
    with pytest.raises(InputError, match="frame 3 is not in permanent memory; it holds 7"):
        bank.remove_permanent(3)


def test_fewer_tokens_than_top_k_are_all_read() -> None:
    generator = torch.Generator().manual_seed(1)
    bank = MemoryBank(OBJECTS, LIMITS)
    tokens = random_tokens(generator, [0, 1, 2], count=2)
    bank.add_permanent(EntryId(0), tokens)
    query = features_from(random_tokens(generator, []))
    few, every = (bank.recall(query, OBJECTS, k).readout for k in (30, None))
    torch.testing.assert_close(few, every)


def test_without_long_term_memory_working_memory_is_never_consolidated() -> None:
    off = PropagationSettings(
        long_term_memory=False, working_memory_max_frames=2, working_memory_min_frames=1
    )
    bank = MemoryBank(OBJECTS, off)
    generator = torch.Generator().manual_seed(2)
    for _ in range(6):
        bank.add_working(random_tokens(generator, [0]))
        bank.enforce_limits(CELLS)
    assert bank.counts.working == 6 * CELLS
    assert bank.counts.long_term == 0


def test_reading_in_rounds_equals_reading_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(3)
    bank = MemoryBank(OBJECTS, LIMITS)
    bank.add_permanent(EntryId(0), random_tokens(generator, [0, 1, 2]))
    query = features_from(random_tokens(generator, []))
    whole = bank.recall(query, OBJECTS, 4)
    monkeypatch.setattr("xmempp_core.memory.bank.SIMILARITY_BYTES", 4 * CELLS * 2)
    rounds = bank.recall(query, OBJECTS, 4)
    torch.testing.assert_close(rounds.readout, whole.readout)
    torch.testing.assert_close(rounds.usage, whole.usage)


def test_channels_are_rearranged_with_their_values() -> None:
    generator = torch.Generator().manual_seed(9)
    bank = MemoryBank(OBJECTS, LIMITS)
    tokens = random_tokens(generator, [0, 2])
    bank.add_permanent(EntryId(3), tokens)
    bank.add_working(random_tokens(generator, [0, 1, 2]))
    moved = bank.rearranged([2, None, 0, 1])
    assert moved.permanent_entries == bank.permanent_entries
    assert moved.counts.working == 0
    for name in ("values", "valid", "coverage"):
        new, old = moved.view(name, "permanent"), bank.view(name, "permanent")
        assert torch.equal(new[[0, 2, 3]], old[[2, 0, 1]])
        assert not new[1].any()
    assert torch.equal(moved.view("rows", "permanent"), bank.view("rows", "permanent"))


def test_buffers_hold_little_more_than_what_is_read() -> None:
    generator = torch.Generator().manual_seed(10)
    bank = MemoryBank(OBJECTS, replace(LIMITS, long_term_memory=False))
    for _ in range(60):
        bank.add_working(random_tokens(generator, [0]))
    held = bank.view("values", "working").untyped_storage().nbytes()
    assert held <= 1.15 * 60 * CELLS * OBJECTS * CV * 4


def test_a_saved_bank_is_restored_byte_for_byte() -> None:
    generator = torch.Generator().manual_seed(4)
    bank = MemoryBank(OBJECTS, LIMITS)
    permanent = random_tokens(generator, [0])
    bank.add_permanent(EntryId(2, 1), permanent)
    bank.add_working(random_tokens(generator, [0, 1]))
    restored = MemoryBank(OBJECTS, LIMITS)
    restored.load_state(bank.state(), torch.device("cpu"))
    restored.add_permanent(EntryId(2, 1), permanent)
    assert torch.equal(restored.view("values", "permanent"), bank.view("values", "permanent"))
    before, after = bank.state(), restored.state()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    restored.add_working(random_tokens(generator, [0, 1]))
    assert restored.counts.working == 2 * CELLS


@pytest.mark.parametrize("similar_shift", [0.0, 100.0])
def test_distant_memory_is_read_without_underflow(similar_shift: float) -> None:
    generator = torch.Generator().manual_seed(5)
    bank = MemoryBank(OBJECTS, LIMITS)
    tokens = random_tokens(generator, [0, 1, 2])
    bank.add_permanent(EntryId(0), tokens)
    query = random_tokens(generator, [])
    query.key.add_(similar_shift)
    assert bank.recall(features_from(query), OBJECTS, 3).readout.isfinite().all()


def test_evidence_tells_the_object_from_the_frames_where_it_is_absent() -> None:
    generator = torch.Generator().manual_seed(6)
    bank = MemoryBank(OBJECTS, LIMITS)
    seen = random_tokens(generator, [0])
    seen.coverage[0] = 1
    bank.add_permanent(EntryId(0), seen)
    assert bank.evidence(features_from(seen), 0) is None
    absent = random_tokens(generator, [0])
    absent.coverage.zero_()
    bank.add_permanent(EntryId(5), absent)
    like_object, like_absent = (bank.evidence(features_from(t), 0) for t in (seen, absent))
    assert like_object is not None
    assert like_absent is not None
    assert (like_object > 0).all()
    assert (like_absent < 0).all()
    assert bank.evidence(features_from(seen), 1) is None
