"""Clips of one shot: which pictures they show, which objects they ask for, how large they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from toy import toy_frames, toy_shot

from xmempp_core.adaptation.plans import FRAMES, plan_step
from xmempp_core.adaptation.settings import AdaptationSettings, training_settings
from xmempp_core.adaptation.shot_pictures import PictureSize, ShotPictures, shot_pictures
from xmempp_core.annotations import AbsenceRange, Annotation, AnnotationSet
from xmempp_core.errors import InputError, SettingsError
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.training.clips import render

CPU = torch.device("cpu")
NATIVE = PictureSize(None, True, CPU)
SETTINGS = AdaptationSettings()


def pictures_of(annotations: AnnotationSet, how: PictureSize = NATIVE) -> ShotPictures:
    return shot_pictures(open_frames(toy_frames()[0]), annotations, how)


def single(frame_index: int, *object_ids: int, empty: tuple[int, ...] = ()) -> Annotation:
    """An annotation that speaks of the given objects alone."""
    labels = toy_frames()[1][frame_index]
    ids = tuple(sorted((*object_ids, *empty)))
    masks = torch.stack([(labels == i) & (i not in empty) for i in ids])
    return Annotation(frame_index, ids, masks)


def test_a_step_is_planned_alike_each_time_and_differs_from_others() -> None:
    shot = pictures_of(toy_shot((0, 4, 8))[1])
    one, again, other = (plan_step(shot, SETTINGS, step) for step in (3, 3, 4))
    assert (one.clips[0].scene.to_source == again.clips[0].scene.to_source).all()
    assert (one.clips[0].scene.to_source != other.clips[0].scene.to_source).any()
    reseeded = plan_step(shot, replace(SETTINGS, seed=2), 3)
    assert (one.clips[0].scene.to_source != reseeded.clips[0].scene.to_source).any()


def test_most_clips_show_different_annotated_frames_in_any_order() -> None:
    shot = pictures_of(toy_shot((0, 4, 8))[1])
    orders = [
        plan_step(shot, SETTINGS, step).clips[0].scene.pictures.tolist() for step in range(99)
    ]
    pairs = [order for order in orders if len(set(order)) > 1]
    assert 80 <= len(pairs) < 99
    assert len({tuple(order) for order in pairs}) == 6


def test_with_one_annotated_frame_all_clips_are_animated_stills() -> None:
    shot = pictures_of(toy_shot((4,))[1])
    for step in range(10):
        scene = plan_step(shot, SETTINGS, step).clips[0].scene
        assert set(scene.pictures.tolist()) == {0}
        assert (scene.elastic != 0).any()
        assert (scene.to_source[0] != scene.to_source[1]).any()


def test_the_first_frame_is_given_always_and_another_one_predicted() -> None:
    shot = pictures_of(toy_shot((0, 4, 8))[1])
    plans = [plan_step(shot, SETTINGS, step) for step in range(40)]
    assert all(plan.given[0] and not all(plan.given) for plan in plans)
    assert 10 < sum(plan.given[-1] for plan in plans) < 35
    assert any(any(plan.memorized) for plan in plans)


@pytest.mark.parametrize(("short_side", "crop"), [(480, 320), (320, 224), (240, 160), (960, 320)])
def test_crops_follow_the_size_of_the_pass(short_side: int, crop: int) -> None:
    frames = torch.zeros(1, short_side, short_side + 64, 3, dtype=torch.uint8)
    mask = torch.zeros(1, short_side, short_side + 64, dtype=torch.bool)
    mask[:, 10:90, 20:120] = True
    annotations = AnnotationSet((Annotation(0, (1,), mask),))
    shot = shot_pictures(open_frames(frames), annotations, NATIVE)
    plan = plan_step(shot, SETTINGS, 0)
    assert plan.shape == (crop, FRAMES)
    assert len(plan.clips) == 1


def test_objects_keep_their_ids_apart_where_ids_are_sparse() -> None:
    shot = pictures_of(toy_shot((0, 4, 8))[1])
    assert shot.object_ids == (3, 7)
    seen = set()
    for step in range(8):
        plan = plan_step(shot, SETTINGS, step)
        assert plan.targets == 2
        clip = render(shot.library, plan)
        for target, object_id in enumerate(_target_ids(plan), start=1):
            inside = clip.frames[0].permute(0, 2, 3, 1)[clip.labels[0] == target]
            if len(inside):
                is_red = float((inside[:, 0] > inside[:, 2]).float().mean())
                assert is_red == pytest.approx(float(object_id == 3), abs=0.05)
                seen.add((target, object_id))
    assert seen == {(1, 3), (1, 7), (2, 3), (2, 7)}


def _target_ids(plan) -> list[int]:
    layers = (plan.clips[0].scene, *plan.clips[0].pasted)
    return [layer.object_id for layer in sorted(layers, key=lambda x: x.target) if layer.target]


def test_a_frame_is_no_lesson_on_objects_of_which_its_annotation_is_silent() -> None:
    shot = pictures_of(AnnotationSet((single(0, 3), single(4, 3, 7), single(8, 3))))
    assert shot.known_ids == (frozenset({3}), frozenset({3, 7}), frozenset({3}))
    for step in range(30):
        plan = plan_step(shot, SETTINGS, step)
        if 7 in _target_ids(plan):
            assert set(plan.clips[0].scene.pictures.tolist()) == {1}


def test_absences_of_all_kinds_are_lessons_too() -> None:
    implied = Annotation.from_label_map(4, toy_frames()[1][4] * (toy_frames()[1][4] == 3))
    declared = single(8, 3, empty=(7,))
    spoken = AnnotationSet((single(0, 3, 7), implied, declared, single(9, 3)))
    shot = pictures_of(spoken.with_absence(AbsenceRange(7, 9, 10)))
    assert shot.known_ids == (frozenset({3, 7}),) * 4
    assert [7 in entry.boxes for entry in shot.library.index.entries] == [True, False, False, False]


def test_an_object_too_small_for_the_internal_size_is_not_taken_for_absent() -> None:
    mask = torch.zeros(1, 64, 96, dtype=torch.bool)
    mask[0, 31, 47] = True
    annotations = AnnotationSet((single(0, 3), Annotation(4, (3,), mask)))
    assert pictures_of(annotations).known_ids == (frozenset({3}), frozenset({3}))
    small = pictures_of(annotations, PictureSize(32, True, CPU))
    assert small.known_ids == (frozenset({3}), frozenset())


def test_a_set_that_shows_no_object_is_refused() -> None:
    nothing = AnnotationSet((single(0, empty=(3,)),))
    with pytest.raises(InputError, match="no annotated frame shows an object at the internal size"):
        pictures_of(nothing)


# ---- settings


def test_settings_go_through_json() -> None:
    settings = AdaptationSettings(mode="quick", steps=7, seed=3)
    assert AdaptationSettings.from_json(settings.to_json()) == settings
    assert AdaptationSettings.from_json("{}") == AdaptationSettings()


@pytest.mark.parametrize(
    ("field", "value"),
    [("mode", "fast"), ("steps", 0), ("steps", True), ("crop_pixels", 100), ("seed", -1),
     ("learning_rate", 2), ("unsteadiness_limit", -1), ("second_round_steps", 1.5), ("speed", 1)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"setting {field} is"):
        AdaptationSettings.from_dict({field: value})


@pytest.mark.parametrize("text", ["[1]", "{"])
def test_settings_that_are_no_json_object_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="adaptation settings"):
        AdaptationSettings.from_json(text)


def test_one_annotated_frame_is_trained_on_for_fewer_steps() -> None:
    assert [AdaptationSettings().steps_for(n) for n in (1, 2, 5)] == [40, 100, 100]
    assert AdaptationSettings(steps=9).steps_for(1) == 9
    training = training_settings(AdaptationSettings(), 100)
    rates = [training.rate_at(step) for step in (0, 9, 29, 65, 99)]
    assert rates == pytest.approx([0.1, 1, 1, 0.51, 0.034], abs=0.01)
    assert training.keep_at(0) == pytest.approx(0.15)
