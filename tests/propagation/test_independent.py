"""Each frame alone: the same bytes in any order, and after any history of edits."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ARCHITECTURES, tiny_network
from toy import HEIGHT, WIDTH, toy_frames, toy_shot

from xmempp_core.annotations import AbsenceRange, Annotation, AnnotationSet
from xmempp_core.errors import InputError, SettingsError
from xmempp_core.propagation.feature_cache import FeatureCache
from xmempp_core.propagation.independent import IndependentPass
from xmempp_core.propagation.propagation import propagate
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.segmentation import Segmentation
from xmempp_core.types import Network

SMALL = PropagationSettings(internal_size=None, top_k=10, direction="independent")


@pytest.fixture(params=ARCHITECTURES)
def network(request: pytest.FixtureRequest) -> Network:
    return tiny_network(request.param)


def alone(network: Network, annotations: AnnotationSet, **options: object) -> IndependentPass:
    source, _ = toy_shot()
    return IndependentPass(network, source, annotations, SMALL, **options)  # type: ignore[arg-type]


def assert_equal(one: Segmentation, other: Segmentation) -> None:
    assert one.frame_index == other.frame_index
    assert one.object_ids == other.object_ids
    assert one.absent_ids == other.absent_ids
    assert torch.equal(one.probabilities, other.probabilities)


def test_any_order_range_and_repetition_give_the_bytes_of_the_whole_pass(network: Network) -> None:
    source, annotations = toy_shot((3, 8))
    whole = list(propagate(network, source, annotations, SMALL))
    assert [one.frame_index for one in whole] == list(range(12))
    part = propagate(network, source, annotations, SMALL, frame_range=range(5, 9))
    for one in part:
        assert_equal(one, whole[one.frame_index])
    one_pass = alone(network, annotations)
    for indices in ((11, 0, 8, 0), reversed(range(12))):
        for one in one_pass.segment(indices):
            assert_equal(one, whole[one.frame_index])


def test_a_frame_depends_on_no_other(network: Network) -> None:
    frames, _ = toy_frames()
    _, annotations = toy_shot((3, 8))
    (expected,) = alone(network, annotations).segment([5])
    other = frames.flip(0).contiguous()
    for t in (3, 5, 8):
        other[t] = frames[t]
    source = toy_shot()[0].__class__(other)
    assert_equal(next(iter(IndependentPass(network, source, annotations, SMALL).segment([5]))),
                 expected)  # fmt: skip


def test_annotated_frames_come_back_and_unlisted_objects_are_predicted(network: Network) -> None:
    _, labels = toy_frames()
    _, full = toy_shot((0, 8))
    partial = Annotation(6, (3,), (labels[6] == 3)[None])
    annotations = full.with_annotation(partial).with_absence(AbsenceRange(7, 9, 10))
    results = {s.frame_index: s for s in alone(network, annotations).segment(range(12))}
    listed = results[6].probabilities[1]
    torch.testing.assert_close(listed, (labels[6] == 3).float(), atol=1e-3, rtol=0)
    assert results[6].absent_ids == ()
    assert results[6].probabilities[2].max() > 1e-3
    assert results[9].absent_ids == (7,)
    assert results[9].probabilities[2].max() == 0


def edits() -> list[AnnotationSet]:
    """Sets that differ in masks, objects, order of first annotations, implied absences."""
    _, labels = toy_frames()
    _, base = toy_shot((4, 9))
    only_3 = torch.where(labels[2] == 7, 0, labels[2])
    empty = torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)
    moved = Annotation.from_label_map(4, labels[5])
    new_object = Annotation(1, (9,), (labels[1] == 7)[None])
    return [
        base,
        base.with_annotation(Annotation.from_label_map(2, only_3)),
        base.with_annotation(Annotation.from_label_map(11, empty)),
        base.with_annotation(moved),
        base.with_annotation(new_object),
        base.without(4),
        base.with_annotation(Annotation(0, (7,), (labels[0] == 7)[None])),
        base.without(9).with_absence(AbsenceRange(7, 5, 6)),
        AnnotationSet((Annotation.from_label_map(9, torch.where(labels[9] == 7, 0, labels[9])),)),
    ]


@settings(deadline=None, max_examples=8)
@given(
    history=st.lists(st.integers(0, len(edits()) - 1), min_size=1, max_size=4),
    architecture=st.sampled_from(ARCHITECTURES),
    augment=st.sampled_from([(), ("blur", "zoom_out")]),
)
def test_after_any_history_of_edits_it_equals_a_fresh_one(
    history: list[int], architecture: str, augment: tuple[str, ...]
) -> None:
    network, sets = tiny_network(architecture), edits()
    edited = alone(network, sets[history[0]], augment=augment)
    for number in history:
        edited.annotate(sets[number])
        list(edited.segment([0]))
    fresh = alone(network, sets[history[-1]], augment=augment)
    some = (0, 5, 10)
    for one, other in zip(edited.segment(some), fresh.segment(some), strict=True):
        assert_equal(one, other)


def test_an_edit_computes_exactly_the_entries_that_change(network: Network) -> None:
    _, labels = toy_frames()
    _, base = toy_shot((4, 6, 9))
    one = alone(network, base, augment=("blur",))
    assert len(list(one.prepare())) == 6
    one.annotate(base.with_annotation(Annotation.from_label_map(6, labels[5])))
    assert len(list(one.prepare())) == 2
    # A third object before: the later label maps imply that it is absent there.
    one.annotate(base.with_annotation(Annotation(0, (9,), (labels[0] == 7)[None])))
    assert len(list(one.prepare())) == 8
    one.annotate(base)
    assert len(list(one.prepare())) == 6
    one.annotate(base.without(9))
    assert len(list(one.prepare())) == 0
    # Named differently, ranges added, masks in other tensors: memory holds the same.
    same = tuple(replace(a, masks=a.masks.clone()) for a in base.without(9))
    one.annotate(AnnotationSet(same, names={3: "fox"}, absences=(AbsenceRange(7, 1, 2),)))
    assert len(list(one.prepare())) == 0


def test_a_filling_that_was_overtaken_by_an_edit_changes_nothing(network: Network) -> None:
    sets = edits()
    one = alone(network, sets[0])
    overtaken = one.prepare()
    next(overtaken)
    one.annotate(sets[4])
    assert list(overtaken) == []
    twice = one.prepare()
    next(twice)
    for got, expected in zip(
        one.segment([0, 5]), alone(network, sets[4]).segment([0, 5]), strict=True
    ):
        assert_equal(got, expected)
    list(twice)
    (again,) = one.segment([5])
    assert_equal(again, expected)


def test_annotations_that_do_not_fit_leave_the_pass_as_it_was(network: Network) -> None:
    _, annotations = toy_shot((4,))
    one = alone(network, annotations)
    (before,) = one.segment([7])
    with pytest.raises(InputError, match="annotate at least one frame"):
        one.annotate(AnnotationSet())
    late = replace(annotations.annotations[0], frame_index=40)
    with pytest.raises(InputError, match="the shot has 12 frames"):
        one.annotate(annotations.with_annotation(late))
    (after,) = one.segment([7])
    assert_equal(after, before)


def test_a_failed_encoding_is_made_up_for_by_the_next_call(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = alone(network, toy_shot((4,))[1])
    list(one.segment([0]))
    _, more = toy_shot((4, 8))
    one.annotate(more)
    with monkeypatch.context() as patch:
        patch.setattr(type(network), "memorize", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(one.segment([0]))
    for got, expected in zip(
        one.segment([0, 5]), alone(network, more).segment([0, 5]), strict=True
    ):
        assert_equal(got, expected)


def test_a_frame_outside_the_shot_is_refused(network: Network) -> None:
    one = alone(network, toy_shot()[1])
    for index in (-1, 12):
        with pytest.raises(InputError, match=f"frame {index} is not in the shot.* 0 to 11"):
            list(one.segment([index]))


def test_features_are_taken_from_the_cache(network: Network) -> None:
    cache = FeatureCache(2**30)
    one = alone(network, toy_shot((4,))[1], cache=cache)
    list(one.segment(range(12)))
    list(one.segment(range(12)))
    assert cache.statistics.misses == 12


def test_settings_about_neighbors_are_named_and_without_effect(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    source, annotations = toy_shot((3, 8))
    other = replace(SMALL, memorize_every=3, working_memory=False, deep_update_every=2)
    with caplog.at_level(logging.INFO):
        changed = list(propagate(network, source, annotations, other))
    assert "without effect are working_memory=false, memorize_every=3, deep_update_every=2" in (
        caplog.text
    )
    for one, plain in zip(changed, propagate(network, source, annotations, SMALL), strict=True):
        assert_equal(one, plain)


def test_the_original_memory_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"direction is .independent., allowed is another"):
        PropagationSettings(memory="xmem", direction="independent")
    _, annotations = toy_shot()
    with pytest.raises(SettingsError, match="permanent memory only"):
        IndependentPass(
            tiny_network("xmem"), toy_shot()[0], annotations, PropagationSettings(memory="xmem")
        )
