"""What an artist said about a frame, directly or by implication, is one answer for all who ask."""

from __future__ import annotations

import torch
from tiny import tiny_network
from toy import HEIGHT, WIDTH, toy_frames, toy_shot

from xmempp_core.annotations import AbsenceRange, Annotation, AnnotationSet
from xmempp_core.propagation.channels import ObjectChannels
from xmempp_core.propagation.encoding import ShotEncoder
from xmempp_core.propagation.known_frame import given_masks, known_of
from xmempp_core.propagation.permanent_memory import entries_of
from xmempp_core.settings import PropagationSettings

SETTINGS = PropagationSettings(internal_size=None)


def single(frame_index: int, *object_ids: int) -> Annotation:
    masks = torch.ones(len(object_ids), HEIGHT, WIDTH, dtype=torch.bool)
    return Annotation(frame_index, object_ids, masks)


def test_a_label_map_implies_the_absence_of_what_it_does_not_show() -> None:
    _, labels = toy_frames()
    only_3 = Annotation.from_label_map(4, torch.where(labels[4] == 7, 0, labels[4]))
    annotations = AnnotationSet((only_3, single(8, 7)))
    assert (known_of(annotations, 4).listed_ids, known_of(annotations, 4).absent_ids) == (
        (3,),
        (7,),
    )
    assert (known_of(annotations, 8).listed_ids, known_of(annotations, 8).absent_ids) == ((7,), ())
    assert (known_of(annotations, 5).listed_ids, known_of(annotations, 5).absent_ids) == ((), ())


def test_a_range_counts_on_its_frames_but_not_against_what_is_listed() -> None:
    ranges = (AbsenceRange(7, 2, 6), AbsenceRange(9, 0, 20))
    annotations = AnnotationSet((single(0, 3, 7), single(4, 7)), absences=ranges)
    assert [known_of(annotations, t).absent_ids for t in (1, 2, 4, 6, 7)] == [
        *((), (7,), (), (7,)),
        (),
    ]


def test_absences_are_given_to_a_pass_for_objects_that_it_has_met() -> None:
    source, _ = toy_shot()
    encoder = ShotEncoder(tiny_network("xmem"), source, SETTINGS)
    annotations = AnnotationSet(
        (single(0, 7), single(5, 3)), absences=(AbsenceRange(3, 2, 2), AbsenceRange(7, 2, 5))
    )
    channels = ObjectChannels.of(annotations)
    assert channels.by_channel == (7, 3)
    for frame_index, met, expected in (
        (2, 1, (0,)),
        (2, 2, (0, 1)),
        (5, 1, (0, 1)),
        (5, 0, (1,)),
        (3, 0, None),
        (9, 2, None),
    ):
        known = known_of(annotations, frame_index)
        given = given_masks(known, channels, met, encoder, in_permanent=True)
        assert (given and given.channels) == expected
        if given:
            assert given.is_annotation == (frame_index == 5)
            assert given.masks.flatten(1).any(1).tolist() == [
                channels.by_channel[c] in known.listed_ids for c in given.channels
            ]


def test_permanent_memory_holds_implied_absences_of_earlier_objects_alone() -> None:
    _, labels = toy_frames()
    empty = Annotation.from_label_map(0, torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8))
    only_3 = Annotation.from_label_map(2, torch.where(labels[2] == 7, 0, labels[2]))
    later_empty = Annotation.from_label_map(9, torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8))
    annotations = AnnotationSet((empty, only_3, single(6, 7), later_empty))
    channels = ObjectChannels.of(annotations)
    entries = entries_of(annotations, channels, SETTINGS)
    assert [(e.frame_index, e.object_ids) for e in entries] == [(2, (3,)), (6, (7,)), (9, (3, 7))]
    assert not entries[-1].masks.any()
    original = PropagationSettings(memory="xmem")
    assert [e.frame_index for e in entries_of(annotations, channels, original)] == [2]
