"""What a pass promises, on both networks: order, laws of annotation, equality of ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ARCHITECTURES, tiny_network
from torch import Tensor
from toy import HEIGHT, WIDTH, toy_frames, toy_shot

from xmempp_core.annotations import AbsenceRange, Annotation, AnnotationSet
from xmempp_core.errors import InputError, ShapeError
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.network.checkpoint import load_model
from xmempp_core.propagation.propagation import Propagation, propagate
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.segmentation import Segmentation
from xmempp_core.types import Network

DIRECTIONS = ("forward", "outward", "bidirectional", "independent")
SMALL = PropagationSettings(
    memorize_every=2,
    working_memory_max_frames=3,
    working_memory_min_frames=1,
    long_term_prototypes=8,
    long_term_max_elements=20,
    internal_size=None,
    top_k=10,
)


@pytest.fixture(params=ARCHITECTURES)
def network(request: pytest.FixtureRequest) -> Network:
    return tiny_network(request.param)


def bundled() -> Network:
    """The small model as shipped."""
    return load_model("lite", Runtime.choose("cpu"))


def run(network: Network, annotations: AnnotationSet, **changes: Any) -> dict[int, Segmentation]:
    """All segmentations of the toy shot by frame."""
    source, _ = toy_shot()
    given_settings = replace(SMALL, **changes)
    return {s.frame_index: s for s in propagate(network, source, annotations, given_settings)}


def probabilities(network: Network, annotations: AnnotationSet, **changes: Any) -> Tensor:
    """(T, N + 1, H, W) of the toy shot."""
    result = run(network, annotations, **changes)
    return torch.stack([result[t].probabilities for t in range(12)])


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("annotated", [(0,), (5,), (11,), (3, 8), (0, 6, 11)])
def test_every_frame_comes_out_once(
    network: Network, direction: str, annotated: tuple[int, ...]
) -> None:
    source, annotations = toy_shot(annotated)
    one = Propagation(network, source, annotations, replace(SMALL, direction=direction))
    result = list(one)
    assert sorted(s.frame_index for s in result) == list(range(12))
    assert one.frame_count == 12
    for segmentation in result:
        total = segmentation.probabilities.sum(0)
        torch.testing.assert_close(total, torch.ones_like(total))


def test_outward_goes_forward_then_backward(network: Network) -> None:
    source, annotations = toy_shot((5, 8))
    order = [s.frame_index for s in propagate(network, source, annotations, SMALL)]
    assert order == [*range(5, 12), *range(4, -1, -1)]


def test_bidirectional_blends_by_distance(network: Network) -> None:
    _, annotations = toy_shot((2, 10))
    forward = probabilities(network, annotations, direction="outward")
    both = probabilities(network, annotations, direction="bidirectional")
    # Mirrored in time, the outward pass from the last annotation is the backward pass.
    frames, labels = toy_frames()
    mirrored = AnnotationSet(tuple(Annotation.from_label_map(11 - t, labels[t]) for t in (2, 10)))
    source = open_frames(frames.flip(0))
    mirror = {
        11 - s.frame_index: s.probabilities
        for s in propagate(network, source, mirrored, replace(SMALL, direction="outward"))
    }
    for t in range(3, 10):
        weight = (10 - t) / 8
        expected = weight * forward[t] + (1 - weight) * mirror[t]
        assert (both[t] - expected).abs().max() < 1e-4
    torch.testing.assert_close(both[11], forward[11])
    torch.testing.assert_close(both[0], mirror[0], atol=2e-5, rtol=0)


@pytest.mark.parametrize("make", [lambda: tiny_network("xmem"), bundled], ids=["xmem", "lite"])
def test_object_ids_permuted_permute_the_output(make: Callable[[], Network]) -> None:
    # The trained small model: random weights of its kind amplify a rounding a hundredfold.
    network = make()
    _, annotations = toy_shot()
    renamed = AnnotationSet(
        tuple(Annotation(a.frame_index, (9, 2), a.masks, exhaustive=True) for a in annotations)
    )
    plain, swapped = probabilities(network, annotations), probabilities(network, renamed)
    torch.testing.assert_close(swapped[:, [0, 2, 1]], plain, atol=1e-5, rtol=0)


def test_with_the_only_annotation_on_frame_0_xmem_and_xmempp_agree(network: Network) -> None:
    _, annotations = toy_shot((0,))
    torch.testing.assert_close(
        probabilities(network, annotations, memory="xmem"),
        probabilities(network, annotations, memory="xmem++"),
    )


def test_xmem_without_an_annotation_on_frame_0_starts_from_the_first(network: Network) -> None:
    _, annotations = toy_shot((4, 8))
    assert len(run(network, annotations, memory="xmem")) == 12


def test_xmem_goes_backward_without_objects_that_only_later_frames_show(network: Network) -> None:
    _, labels = toy_frames()
    early = torch.where(labels[3] == 7, 0, labels[3])
    annotations = AnnotationSet(
        (Annotation.from_label_map(3, early), Annotation.from_label_map(8, labels[8]))
    )
    result = run(network, annotations, memory="xmem")
    assert result[10].probabilities[2].max() > 1e-3
    assert result[1].probabilities[2].max() == 0


def test_an_empty_first_map_is_stored_nowhere(network: Network) -> None:
    source, annotations = toy_shot((5,))
    empty = Annotation.from_label_map(0, torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8))
    chosen = replace(SMALL, direction="forward", working_memory=False)
    one = Propagation(network, source, annotations.with_annotation(empty), chosen)
    for _ in one:
        assert one.view.counts.working == 0
    assert [e.frame_index for e in one.view.permanent_entries] == [5]


def test_a_pass_whose_annotated_frame_could_not_be_read_starts_whole(network: Network) -> None:
    frames, labels = toy_frames()
    source, broken = open_frames(frames), [True]
    read = source.frame

    def frame(index: int) -> Tensor:
        if index == 6 and broken:
            broken.clear()
            raise InputError("frame 6 is damaged")
        return read(index)

    source.frame = frame  # type: ignore[method-assign]
    maps = tuple(Annotation.from_label_map(t, labels[t]) for t in (0, 6))
    one = Propagation(network, source, AnnotationSet(maps), SMALL)
    with pytest.raises(InputError, match="damaged"):
        next(iter(one))
    next(iter(one))
    assert [e.frame_index for e in one.view.permanent_entries] == [0, 6]


@pytest.mark.parametrize("call", ["encode", "decode", "memorize"])
def test_a_frame_that_fails_leaves_the_pass_where_it_was(
    network: Network, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, annotations = toy_shot((3, 8))
    whole = list(propagate(network, source, annotations, SMALL))
    one = propagate(network, source, annotations, SMALL)
    part = [s for _, s in zip(range(2), one, strict=False)]  # the third one is memorized
    before = one.state()
    with monkeypatch.context() as patch:
        patch.setattr(type(network), call, failing)
        with pytest.raises(RuntimeError, match="out of memory"):
            list(one)
    after = one.state()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    for got, expected in zip(part + list(one), whole, strict=True):
        assert torch.equal(got.probabilities, expected.probabilities)


def failing(*_: Any) -> Any:
    raise RuntimeError("out of memory")


def test_the_filling_of_memory_can_be_watched_and_stopped(network: Network) -> None:
    source, annotations = toy_shot((3, 8))
    one = propagate(network, source, annotations, SMALL, augment=("blur", "zoom_in"))
    steps = one.prepare()
    assert [next(steps) for _ in range(4)] == [(1, 6), (2, 6), (3, 6), (4, 6)]
    del steps
    assert list(one.prepare()) == [(1, 3), (2, 3), (3, 3)]
    assert list(one.prepare()) == []
    plain = propagate(network, source, annotations, SMALL, augment=("blur", "zoom_in"))
    for got, expected in zip(one, plain, strict=True):
        assert torch.equal(got.probabilities, expected.probabilities)


def test_an_absence_leaves_the_other_objects_as_they_are(network: Network) -> None:
    _, annotations = toy_shot((0,))
    plain = run(network, annotations)
    declared = run(network, annotations.with_absence(AbsenceRange(7, 1, 1)))
    assert torch.equal(declared[1].probabilities[1], plain[1].probabilities[1])
    assert declared[1].probabilities[2].max() == 0


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_same_pass_twice_gives_the_same_bytes(network: Network, direction: str) -> None:
    _, annotations = toy_shot((3, 8))
    first = probabilities(network, annotations, direction=direction)
    assert torch.equal(first, probabilities(network, annotations, direction=direction))


def test_a_removed_and_readded_annotation_restores_the_same_bytes(network: Network) -> None:
    _, annotations = toy_shot((0, 4, 8))
    removed = annotations.without(4)
    one = annotations.at(4)
    assert one is not None
    _, fresh = toy_shot((0, 8))
    assert torch.equal(probabilities(network, removed), probabilities(network, fresh))
    readded = removed.with_annotation(one)
    assert torch.equal(probabilities(network, readded), probabilities(network, annotations))


def test_arguments_are_never_written_to(network: Network) -> None:
    frames, labels = toy_frames()
    annotations = AnnotationSet((Annotation.from_label_map(3, labels[3]),))
    before = frames.clone(), annotations.annotations[0].masks.clone()
    list(propagate(network, open_frames(frames), annotations, SMALL))
    assert torch.equal(frames, before[0])
    assert torch.equal(annotations.annotations[0].masks, before[1])


def test_gradient_mode_of_the_caller_is_left_alone(network: Network) -> None:
    source, annotations = toy_shot()
    for _ in propagate(network, source, annotations, SMALL):
        assert torch.is_grad_enabled()


def test_an_object_that_first_appears_later_is_segmented_from_then_and_before(
    network: Network,
) -> None:
    _, labels = toy_frames()
    early = torch.where(labels[2] == 7, 0, labels[2])
    annotations = AnnotationSet(
        (Annotation.from_label_map(2, early), Annotation.from_label_map(8, labels[8]))
    )
    result = run(network, annotations)
    assert all(s.object_ids == (3, 7) for s in result.values())
    assert 7 in result[2].absent_ids
    assert result[5].probabilities[2].max() > 1e-3


def test_an_unlisted_object_is_predicted_on_an_annotated_frame(network: Network) -> None:
    _, full = toy_shot((0,))
    _, labels = toy_frames()
    partial = Annotation(6, (3,), (labels[6] == 3)[None])
    result = run(network, full.with_annotation(partial))
    listed = result[6].probabilities[1]
    torch.testing.assert_close(listed, (labels[6] == 3).float(), atol=1e-3, rtol=0)
    assert result[6].absent_ids == ()
    inside_other = result[6].probabilities[2][labels[6] == 3]
    assert inside_other.max() < 1e-3
    assert not math.isnan(result[6].confidence[1])
    assert math.isnan(result[6].confidence[0])


def test_presence_leaves_objects_alone_that_are_absent_nowhere(network: Network) -> None:
    _, annotations = toy_shot((0, 6))
    plain = probabilities(network, annotations, absence="memory")
    assert torch.equal(probabilities(network, annotations, absence="presence"), plain)


def test_presence_only_takes_from_the_object_that_is_absent_somewhere(network: Network) -> None:
    _, annotations = toy_shot((0,))
    empty = Annotation(9, (7,), torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool))
    both = annotations.with_annotation(empty)
    given = {"working_memory": False, "deep_update_every": 100, "direction": "forward"}
    plain = probabilities(network, both, absence="memory", **given)
    weighed = probabilities(network, both, absence="presence", **given)
    assert torch.equal(weighed[:, 1], plain[:, 1])
    assert (weighed[:, 2] <= plain[:, 2]).all()


def test_frames_declared_absent_come_out_empty(network: Network) -> None:
    _, annotations = toy_shot((0,))
    declared = annotations.with_absence(AbsenceRange(7, 4, 9))
    result = run(network, declared)
    for t in range(12):
        assert (7 in result[t].absent_ids) == (4 <= t <= 9)
        if 4 <= t <= 9:
            assert result[t].probabilities[2].max() < 1e-3
            assert result[t].confidence[1] == 0


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_range_limits_the_pass_and_outside_annotations_still_count(
    network: Network, direction: str
) -> None:
    source, annotations = toy_shot((0, 11))
    chosen = replace(SMALL, direction=direction)
    some = propagate(network, source, annotations, chosen, frame_range=range(4, 8))
    assert sorted(s.frame_index for s in some) == [4, 5, 6, 7]


@settings(deadline=None, max_examples=8)
@given(
    stops=st.integers(1, 11),
    direction=st.sampled_from(DIRECTIONS),
    architecture=st.sampled_from(ARCHITECTURES),
)
def test_a_pass_resumed_anywhere_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, stops: int, direction: str, architecture: str
) -> None:
    network = tiny_network(architecture)
    source, annotations = toy_shot((3, 8))
    chosen = replace(SMALL, direction=direction, memorize_every=1)
    whole = list(propagate(network, source, annotations, chosen))
    backward = tmp_path_factory.mktemp("backward")
    first = Propagation(network, source, annotations, chosen)
    first.keep_backward_in(backward)
    part = [s for _, s in zip(range(stops), first, strict=False)]
    second = Propagation(network, source, annotations, chosen)
    second.keep_backward_in(backward)
    second.load_state({name: tensor.clone() for name, tensor in first.state().items()})
    resumed = part + list(second)
    assert [s.frame_index for s in resumed] == [s.frame_index for s in whole]
    for one, other in zip(resumed, whole, strict=True):
        assert torch.equal(one.probabilities, other.probabilities)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_nearly_the_same_labels(dtype: str) -> None:
    _, annotations = toy_shot()
    full = probabilities(bundled(), annotations)
    half = probabilities(load_model("lite", Runtime.choose("cpu", dtype)), annotations)
    assert half.dtype == torch.float32
    assert (half.argmax(1) == full.argmax(1)).float().mean() > 0.99


def test_memory_modes_differ_and_working_memory_off_stores_nothing(network: Network) -> None:
    source, annotations = toy_shot((0, 6))
    off = Propagation(network, source, annotations, replace(SMALL, working_memory=False))
    for _ in off:
        assert off.view.counts.working == 0
    on = probabilities(network, annotations)
    assert not torch.equal(on, probabilities(network, annotations, working_memory=False))


def test_augmentations_are_stored_beside_the_annotation(network: Network) -> None:
    source, annotations = toy_shot((0, 6))
    one = Propagation(network, source, annotations, SMALL, augment=("blur", "zoom_out"))
    next(iter(one))
    entries = one.view.permanent_entries
    assert [tuple(e) for e in entries] == [(t, a) for t in (0, 6) for a in (0, 1, 2)]
    cells = (HEIGHT // 16) * (WIDTH // 16)
    assert one.view.counts.permanent < 6 * cells


def test_no_annotation_is_refused(network: Network) -> None:
    source, _ = toy_shot()
    with pytest.raises(InputError, match="annotate at least one frame"):
        propagate(network, source, AnnotationSet(), SMALL)


def test_an_annotation_past_the_end_says_how_many_frames_there_are(network: Network) -> None:
    source, annotations = toy_shot((0,))
    late = replace(annotations.annotations[0], frame_index=40)
    with pytest.raises(InputError, match=r"frame 40: the shot has 12 frames \(0 to 11\)"):
        propagate(network, source, annotations.with_annotation(late), SMALL)


def test_an_annotation_of_another_size_names_both(network: Network) -> None:
    source, _ = toy_shot()
    small = Annotation(0, (1,), torch.ones(1, 8, 8))
    with pytest.raises(ShapeError, match=f"expected shape {WIDTH}x{HEIGHT}, got 8x8"):
        propagate(network, source, AnnotationSet((small,)), SMALL)


def test_a_range_outside_the_shot_is_refused(network: Network) -> None:
    source, annotations = toy_shot()
    with pytest.raises(InputError, match="does not lie in the shot's 0 to 11"):
        propagate(network, source, annotations, SMALL, frame_range=range(5, 20))
