"""What an artist said, added up: absences that stay, masks that never overlap."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xmempp_core.annotations import Annotation, AnnotationSet

SIZE = (4, 6)
EMPTY = torch.zeros(SIZE, dtype=torch.bool)


def rows(first: int, last: int) -> Tensor:
    """Mask of some rows, both ends included."""
    mask = EMPTY.clone()
    mask[first : last + 1] = True
    return mask


def shown(annotation: Annotation) -> dict[int, Tensor]:
    return dict(zip(annotation.object_ids, annotation.masks, strict=True))


def test_an_object_taken_out_of_a_label_map_leaves_the_implied_absences_of_others() -> None:
    first = Annotation(0, (3, 5, 7), torch.stack([rows(0, 0), rows(1, 1), rows(2, 2)]), True)
    later = Annotation.from_label_map(4, rows(0, 1).to(torch.uint8) * 3)
    rest = AnnotationSet((first, later)).without(4, [3]).at(4)
    assert rest is not None
    assert not rest.exhaustive
    assert (rest.object_ids, rest.absent_ids) == ((5, 7), (5, 7))


def test_the_last_object_taken_out_of_a_label_map_of_all_objects_leaves_nothing() -> None:
    one = Annotation.from_label_map(4, rows(0, 1).to(torch.uint8) * 3)
    assert AnnotationSet((one,)).without(4, [3]).at(4) is None


def test_an_object_taken_out_of_a_list_says_nothing_about_others() -> None:
    one = Annotation(0, (3, 5), torch.stack([rows(0, 0), rows(1, 1)]))
    other = Annotation(4, (3, 7), torch.stack([rows(0, 0), rows(1, 1)]))
    rest = AnnotationSet((one, other)).without(4, [3]).at(4)
    assert rest is not None
    assert rest.object_ids == (7,)


@pytest.mark.parametrize("ids", [(3, 7), (7, 3)])
def test_of_overlapping_masks_the_one_given_last_keeps_the_pixels(
    ids: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    masks = torch.stack([rows(0, 2), rows(2, 3)])
    before = masks.clone()
    one = Annotation(5, ids, masks)
    assert torch.equal(masks, before)
    assert torch.equal(one.mask(ids[0]), rows(0, 1))
    assert torch.equal(one.mask(ids[1]), rows(2, 3))
    assert f"frame 5: 6 of 18 pixels of object {ids[0]}" in caplog.text


@pytest.mark.parametrize("newer_id", [1, 9])
def test_what_is_added_to_an_annotated_frame_lies_over_what_was_there(newer_id: int) -> None:
    old = AnnotationSet((Annotation(0, (4, 5), torch.stack([rows(0, 1), rows(2, 3)])),))
    merged = old.with_annotation(Annotation(0, (newer_id,), rows(1, 2)[None])).at(0)
    assert merged is not None
    assert torch.equal(merged.mask(4), rows(0, 0))
    assert torch.equal(merged.mask(5), rows(3, 3))
    assert torch.equal(merged.mask(newer_id), rows(1, 2))


def test_masks_beside_each_other_are_kept_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = Annotation(0, (4, 5), torch.stack([rows(0, 1), rows(2, 3)]))
    assert torch.equal(one.masks, torch.stack([rows(0, 1), rows(2, 3)]))
    assert not caplog.text


@given(st.lists(st.lists(st.booleans(), min_size=24, max_size=24), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_no_pixel_ever_belongs_to_two_objects_and_none_is_lost(planes: list[list[bool]]) -> None:
    masks = torch.tensor(planes).reshape(-1, *SIZE)
    one = Annotation(0, tuple(range(1, len(planes) + 1)), masks)
    assert (one.masks.sum(0) == masks.any(0)).all()
    labels = one.label_map()
    assert all(torch.equal(labels == i, mask) for i, mask in shown(one).items())


def test_many_annotations_are_added_as_one_after_the_other_would() -> None:
    masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    masks[0, 0, 0] = True
    many = [Annotation(t % 5, (1 + t % 3,), masks.roll(t, -1)) for t in range(20)]
    one_by_one = AnnotationSet()
    for one in many:
        one_by_one = one_by_one.with_annotation(one)
    together = AnnotationSet().with_annotations(many)
    assert together.fingerprint == one_by_one.fingerprint


def test_adding_annotations_looks_at_each_of_the_set_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    monkeypatch.setattr(AnnotationSet, "at", lambda self, t: looked_at.append(t))
    masks = torch.ones(1, 1, 1, dtype=torch.bool)
    added = AnnotationSet().with_annotations(Annotation(t, (1,), masks) for t in range(3000))
    assert (len(added), looked_at) == (3000, [])
