"""Rounds of an adaptation: what changes, what does not, what is chosen, what outlives a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny import ARCHITECTURES, tiny_network
from toy import toy_frames, toy_shot

from xmempp_core.adaptation import adaptation as module
from xmempp_core.adaptation import fitting
from xmempp_core.adaptation.adaptation import FIRST, GIVEN, SECOND, Adaptation, adapt
from xmempp_core.adaptation.keep import adapt_into, content_of
from xmempp_core.adaptation.settings import AdaptationSettings
from xmempp_core.adaptation.sheet import comparison_sheet, frames_that_differ
from xmempp_core.annotations import AbsenceRange, Annotation, AnnotationSet
from xmempp_core.errors import FormatError, InputError
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.network.adapted import AnyNetwork
from xmempp_core.network.checkpoint import load_model
from xmempp_core.network.weights_file import write_weights
from xmempp_core.propagation.propagation import propagate
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings

QUICK = AdaptationSettings(mode="quick", steps=2, unsteadiness_limit=0)
AUTO = AdaptationSettings(steps=2, second_round_steps=2, unsteadiness_limit=1000)
NATIVE = PropagationSettings(internal_size=None)
NETWORKS = {architecture: tiny_network(architecture) for architecture in ARCHITECTURES}
"""Never changed: that is what these tests are about."""
LITE = NETWORKS["xmemlite-1"]


def weights_of(network: AnyNetwork) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in network.state_dict().items()}


def is_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def of_toy(*annotated: int, settings: AdaptationSettings = QUICK, count: int = 12) -> Adaptation:
    return Adaptation(LITE, *toy_shot(annotated, count), settings, NATIVE)


def finished(adaptation: Adaptation) -> Adaptation:
    for _ in adaptation.steps():
        pass
    return adaptation


@pytest.fixture(scope="module")
def both_rounds() -> Adaptation:
    return finished(of_toy(0, 4, 9, settings=AUTO))


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network with random weights is never sure of its results; here any will do."""
    monkeypatch.setattr("xmempp_core.adaptation.own_labels.LEAST_TRUST", 0.0)


# ---- what comes of it


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_given_network_is_untouched_and_a_new_one_comes_back(architecture: str) -> None:
    given = NETWORKS[architecture]
    before = weights_of(given)
    adapted = adapt(given, *toy_shot((0, 6)), QUICK, NATIVE)
    assert is_equal(before, weights_of(given))
    assert given.difference is None
    assert not is_equal(before, weights_of(adapted))
    assert adapted.info.sha256 != given.info.sha256
    assert not any(p.requires_grad for p in (*given.parameters(), *adapted.parameters()))
    notes = json.loads(adapted.info.adaptation)
    assert notes["annotated_frames"] == [0, 6]
    assert notes["settings"]["steps"] == 2


def test_the_published_layout_is_adapted_behind_its_image_encoder() -> None:
    adapted = adapt(NETWORKS["xmem"], *toy_shot((0, 6)), QUICK, NATIVE)
    parts = {name.split(".")[0] for name in adapted.difference.tensors}
    assert parts == {"key_proj", "value_encoder", "decoder"}


def test_equal_seeds_give_equal_networks() -> None:
    torch.manual_seed(1)
    one = adapt(LITE, *toy_shot((0, 6)), QUICK, NATIVE).info.sha256
    torch.manual_seed(2)  # the global random state plays no part
    assert adapt(LITE, *toy_shot((0, 6)), QUICK, NATIVE).info.sha256 == one
    other = AdaptationSettings(mode="quick", steps=2, unsteadiness_limit=0, seed=2)
    assert adapt(LITE, *toy_shot((0, 6)), other, NATIVE).info.sha256 != one


def test_a_network_in_lower_precision_stays_in_it() -> None:
    given = tiny_network("xmemlite-1").to(torch.bfloat16)
    adapted = adapt(given, *toy_shot((0, 6)), QUICK, NATIVE)
    assert adapted.dtype == torch.bfloat16
    assert not is_equal(weights_of(given), weights_of(adapted))


def test_it_works_in_inference_mode_as_nodes_run() -> None:
    with torch.inference_mode():
        adapted = adapt(LITE, *toy_shot((0, 6)), QUICK, NATIVE)
    assert adapted.info.sha256 == adapt(LITE, *toy_shot((0, 6)), QUICK, NATIVE).info.sha256
    assert not any(weight.is_inference() for weight in adapted.parameters())


def test_the_annotated_frames_are_learned() -> None:
    settings = AdaptationSettings(mode="quick", steps=30, learning_rate=6e-3, unsteadiness_limit=0)
    fits = fitting.Fitting(LITE, of_toy(0, 4, 8)._shot, settings, settings.steps or 0)
    losses = [one["total"] for one in fits.run() if isinstance(one, dict)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


# ---- which result is taken


def test_a_round_that_makes_masks_too_unsteady_is_not_taken() -> None:
    settings = AdaptationSettings(mode="quick", steps=2, unsteadiness_limit=1e-6)
    done = finished(of_toy(0, 6, settings=settings))
    assert done.chosen == GIVEN
    result = done.result()
    assert is_equal(weights_of(LITE), weights_of(result))
    assert json.loads(result.info.adaptation)["network"] == GIVEN
    assert set(json.loads(result.info.adaptation)["unsteadiness"]) == {GIVEN, FIRST}


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        ((2.0,), (1.5,), SECOND),
        ((1.5,), (2.0,), FIRST),
        ((9.0,), (2.0,), SECOND),
        ((9.0,), (8.0,), GIVEN),
        ((2.0,), (1.9,), FIRST),  # a little steadier says nothing
        ((4.1,), (3.9,), SECOND),  # unless the first is too unsteady
        ((0.1,), (0.4,), FIRST),  # both as steady as masks get
        ((1.0, 9.0), (2.0, 2.0), SECOND),  # the worst object decides
    ],
)
def test_the_second_round_is_taken_where_it_is_clearly_steadier(
    first: tuple[float, ...], second: tuple[float, ...], chosen: str
) -> None:
    one = of_toy(0, 4, 9, settings=AdaptationSettings())
    one._progress.differences = dict.fromkeys((FIRST, SECOND))
    one._progress.unsteady = {GIVEN: (2.0,) * len(first), FIRST: first, SECOND: second}
    assert one.chosen == chosen


def test_with_fewer_than_three_annotated_frames_there_is_no_second_round() -> None:
    assert not of_toy(0, 4, settings=AUTO).has_second_round
    assert of_toy(0, 4, 9, settings=AUTO).has_second_round
    assert not of_toy(0, 4, 9, settings=QUICK).has_second_round
    labels = toy_frames()[1]
    nothing = Annotation.from_label_map(9, torch.zeros_like(labels[9]))
    annotations = toy_shot((0, 4))[1].with_annotation(nothing)
    one = Adaptation(LITE, toy_shot()[0], annotations, AUTO, NATIVE)
    assert one.annotated_count == 2
    assert not one.has_second_round


def test_a_second_round_that_finds_no_sure_frame_is_left_out(both_rounds: Adaptation) -> None:
    assert both_rounds.is_over
    assert both_rounds.facts(FIRST)["frames_of_its_own"] == []
    assert both_rounds.chosen in (FIRST, GIVEN)


def test_two_rounds_count_what_they_do(sure: None) -> None:
    adaptation = of_toy(0, 4, 9, settings=AUTO)
    steps = list(adaptation.steps())
    assert steps[-1].done == steps[-1].total == adaptation.step_count
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    stages = list(dict.fromkeys(step.stage for step in steps))
    assert stages[:3] == [FIRST, f"pass of the {GIVEN}", f"pass of the {FIRST}"]
    assert "frames alone" in stages
    assert stages[-1] == f"pass of the {SECOND}"
    notes = json.loads(adaptation.result().info.adaptation)
    assert len(notes["frames_of_its_own"]) >= 2
    assert set(notes["unsteadiness"]) == {GIVEN, FIRST, SECOND}
    assert not {0, 4, 9} & set(notes["frames_of_its_own"])


def test_without_a_limit_only_the_training_is_counted() -> None:
    steps = list(of_toy(0, 6).steps())
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2)]


def test_a_long_shot_is_judged_by_a_part_in_mode_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUICK_JUDGED_FRAMES", 4)
    settings = AdaptationSettings(mode="quick", steps=1)
    done = finished(of_toy(0, 9, settings=settings))
    masks = done.masks_of(FIRST)
    assert masks is not None
    assert masks.frame_indices == (7, 8, 9, 10)
    assert done.step_count == 1 + 2 * 4


# ---- what shots may be like


def _labels(frame_index: int, *ids: int) -> Annotation:
    labels = toy_frames()[1][frame_index]
    shown = sum((labels == i) * i for i in ids) if ids else torch.zeros_like(labels)
    return Annotation.from_label_map(frame_index, shown.to(torch.uint8))


def _small(frame_index: int) -> Annotation:
    mask = torch.zeros(1, 64, 96, dtype=torch.bool)
    mask[0, 20:22, 30 + frame_index : 32 + frame_index] = True
    return Annotation(frame_index, (1,), mask)


def _spoken(frame_index: int, object_id: int) -> Annotation:
    return Annotation(frame_index, (object_id,), (toy_frames()[1][frame_index] == object_id)[None])


SHOTS: dict[str, Callable[[], AnnotationSet]] = {
    "one annotated frame": lambda: AnnotationSet((_labels(4, 3, 7),)),
    "several objects with sparse ids": lambda: AnnotationSet(
        tuple(_labels(t, 3, 7) for t in (0, 4, 9))
    ),
    "an object that only some frames show": lambda: AnnotationSet(
        (_labels(0, 3), _labels(4, 3, 7), _labels(9, 7))
    ),
    "annotations that speak of one object each": lambda: AnnotationSet(
        (_spoken(0, 3), _spoken(4, 7), _spoken(9, 3))
    ),
    "negative annotations": lambda: AnnotationSet(
        (_labels(0, 3, 7), _labels(4), _labels(9, 3, 7)), absences=(AbsenceRange(7, 5, 6),)
    ),
    "tiny objects": lambda: AnnotationSet(tuple(_small(t) for t in (0, 4, 9))),
}


@pytest.mark.parametrize("shot", SHOTS)
def test_every_kind_of_shot_is_adapted_to(shot: str, sure: None) -> None:
    annotations = SHOTS[shot]()
    source = open_frames(toy_frames()[0])
    done = finished(Adaptation(LITE, source, annotations, AUTO, NATIVE))
    adapted = done.result()
    results = {s.frame_index: s for s in propagate(adapted, source, annotations, NATIVE)}
    assert len(results) == 12
    assert all(torch.isfinite(s.probabilities).all() for s in results.values())
    assert all(torch.isfinite(weight).all() for weight in adapted.parameters())
    unsteady = json.loads(adapted.info.adaptation)["unsteadiness"]
    assert {len(values) for values in unsteady.values()} == {len(annotations.object_ids)}


def test_nearly_identical_frames_are_no_trouble(sure: None) -> None:
    frames, labels = toy_frames(1)
    still = frames.repeat(8, 1, 1, 1).clone()
    still[4:, :2, :2] += 1
    annotations = AnnotationSet(tuple(Annotation.from_label_map(t, labels[0]) for t in (0, 3, 7)))
    done = finished(Adaptation(LITE, open_frames(still), annotations, AUTO, NATIVE))
    assert all(torch.isfinite(weight).all() for weight in done.result().parameters())


def test_more_objects_than_a_clip_shows_take_turns() -> None:
    labels = torch.zeros(64, 96, dtype=torch.uint8)
    for object_id in range(1, 7):
        labels[8:24, 16 * (object_id - 1) : 16 * (object_id - 1) + 10] = 10 * object_id
    annotations = AnnotationSet(tuple(Annotation.from_label_map(t, labels) for t in (0, 5)))
    settings = AdaptationSettings(mode="quick", steps=3, unsteadiness_limit=0)
    adapted = adapt(LITE, open_frames(toy_frames()[0]), annotations, settings, NATIVE)
    assert adapted.difference.tensors


# ---- what is refused


def test_an_adapted_network_is_not_adapted_again() -> None:
    adapted = adapt(LITE, *toy_shot((0, 6)), QUICK, NATIVE)
    with pytest.raises(InputError, match="is adapted to a shot already; give the model"):
        Adaptation(adapted, *toy_shot((0, 6)))


def test_annotations_that_do_not_fit_are_refused_before_anything_is_trained() -> None:
    frames = open_frames(toy_frames(4)[0])
    with pytest.raises(InputError, match="the shot has 4 frames"):
        Adaptation(LITE, frames, toy_shot((0, 6))[1], QUICK, NATIVE)
    with pytest.raises(InputError, match="no frame is annotated with an object"):
        Adaptation(LITE, frames, AnnotationSet(), QUICK, NATIVE)


def test_there_is_no_result_before_the_end() -> None:
    adaptation = of_toy(0, 6)
    next(adaptation.steps())
    with pytest.raises(InputError, match="the adaptation is not over"):
        adaptation.result()


# ---- shown


def test_the_frames_where_rounds_differ_most_are_shown_side_by_side(tmp_path: Path) -> None:
    settings = AdaptationSettings(mode="quick", steps=2)
    done = finished(of_toy(0, 6, settings=settings))
    sheet = comparison_sheet(done)
    assert sheet.dtype == torch.uint8
    assert sheet.shape[0] > 3 * 64
    assert sheet.shape[1] > 2 * 96
    frames = frames_that_differ([done.masks_of(GIVEN), done.masks_of(FIRST)], {0, 6})
    assert len(frames) == 3
    assert not {0, 6} & set(frames)
    assert all(b - a > 1 for a, b in pairwise(frames))
    with pytest.raises(InputError, match="made no passes to compare"):
        comparison_sheet(finished(of_toy(0, 6)))


# ---- saved, resumed, kept


@pytest.fixture
def base(tmp_path: Path) -> AnyNetwork:
    path = tmp_path / "tiny.safetensors"
    write_weights(path, LITE.state_dict(), {"license": "CC0"})
    return load_model(path, Runtime(torch.device("cpu"), torch.float32))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts training steps."""
    steps: list[int] = []
    train_step = fitting.train_step
    monkeypatch.setattr(
        fitting, "train_step", lambda *a: (steps.append(len(steps)), train_step(*a))[1]
    )
    return steps


def test_a_killed_adaptation_goes_on_after_its_last_finished_round(
    base: AnyNetwork, tmp_path: Path, sure: None, trained: list[int]
) -> None:
    def made() -> Adaptation:
        return Adaptation(base, *toy_shot((0, 4, 9)), AUTO, NATIVE)

    whole = adapt_into(tmp_path / "whole.safetensors", made())
    in_all = len(trained)
    assert in_all == 2 + 2 * 2 + 2
    trained.clear()
    path = tmp_path / "parts.safetensors"
    for stage in (f"pass of the {FIRST}", f"pass of the {SECOND}"):

        def stop_in(step: module.AdaptationStep, stage: str = stage) -> None:
            if step.stage == stage:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            adapt_into(path, made(), progress=stop_in)
        assert not path.exists()
    network = adapt_into(path, made())
    assert len(trained) == in_all
    assert network.info.sha256 == whole.info.sha256
    assert network.info.adaptation == whole.info.adaptation
    assert not list(tmp_path.glob(".*unfinished"))


def test_what_was_adapted_once_is_only_read(
    base: AnyNetwork, tmp_path: Path, trained: list[int]
) -> None:
    path = tmp_path / "adapted.safetensors"

    def adapted(*annotated: int) -> AnyNetwork:
        return adapt_into(path, Adaptation(base, *toy_shot(annotated), QUICK, NATIVE))

    first = adapted(0, 6)
    trained.clear()
    again = adapted(0, 6)
    assert not trained
    assert is_equal(weights_of(first), weights_of(again))
    assert first.info.sha256 == again.info.sha256
    more = adapted(0, 6, 9)
    assert len(trained) == 2
    assert load_model(path).info.sha256 == more.info.sha256 != first.info.sha256


def test_a_stop_is_heard_and_damage_only_costs_time(
    base: AnyNetwork, tmp_path: Path, trained: list[int]
) -> None:
    path = tmp_path / "adapted.safetensors"

    def made() -> Adaptation:
        return Adaptation(base, *toy_shot((0, 6)), QUICK, NATIVE)

    with pytest.raises(KeyboardInterrupt, match="run again to go on"):
        adapt_into(path, made(), should_stop=lambda: True)
    assert len(trained) == 1
    path.write_bytes(b"damaged")
    path.with_name(f".{path.name}.unfinished").write_bytes(b"damaged")
    with pytest.raises(FormatError, match="holds no adapted model and is not replaced"):
        adapt_into(path, made())
    assert adapt_into(path, made(), overwrite=True).difference is not None
    assert load_model(path).difference is not None


def test_an_unfinished_adaptation_of_a_newer_version_is_refused_and_kept(
    base: AnyNetwork, tmp_path: Path, trained: list[int]
) -> None:
    path = tmp_path / "adapted.safetensors"
    unfinished = tmp_path / ".adapted.safetensors.unfinished"
    save_file({"round": torch.zeros(1)}, unfinished, {"xmempp_format_version": "2"})
    before = unfinished.read_bytes()
    with pytest.raises(FormatError, match=r"unfinished: .*newer version.*update the program"):
        adapt_into(path, Adaptation(base, *toy_shot((0, 6)), QUICK, NATIVE))
    assert unfinished.read_bytes() == before
    assert not trained


def test_the_content_tells_all_that_counts_apart(base: AnyNetwork) -> None:
    def content(*annotated: int, **changes: object) -> str:
        settings = AdaptationSettings.from_dict({"mode": "quick", **changes})
        return content_of(Adaptation(base, *toy_shot(annotated), settings, NATIVE))

    made = [content(0, 6), content(0, 7), content(0, 6, seed=2), content(0, 6, steps=9)]
    assert len(set(made)) == 4
    assert content(0, 6) == made[0]
