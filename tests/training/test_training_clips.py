"""Clips: motion, plans as a function of the step, pixels as the plan says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from training_data import write_training_data

from xmempp_core.training.clips import render
from xmempp_core.training.library import PictureLibrary
from xmempp_core.training.motion import affine, blur_kernel, neighbors, track
from xmempp_core.training.plans import BatchPlan, ClipPlan, Layer, plan_batch
from xmempp_core.training.settings import SCHEDULES, ClipShape, Stage, TrainingSettings
from xmempp_core.training.sources import read_sources

SIZE = 64


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> PictureLibrary:
    folder = write_training_data(tmp_path_factory.mktemp("data"))
    return PictureLibrary.build(read_sources(folder), torch.device("cpu"))


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> TrainingSettings:
    shapes = (ClipShape(SIZE, 4), ClipShape(96, 3))
    monkeypatch.setitem(SCHEDULES, "full", (Stage(1.0, shapes),))
    return TrainingSettings(pixels_per_step=3 * SIZE * SIZE * 4)


@given(
    seed=st.integers(0, 10**6),
    length=st.integers(1, 60),
    count=st.integers(2, 8),
    longest=st.integers(1, 8),
)
def test_neighbors_lie_in_the_sequence_in_order(
    seed: int, length: int, count: int, longest: int
) -> None:
    positions = neighbors(np.random.default_rng(seed), length, count, longest)
    assert len(positions) == count
    assert positions.min() >= 0
    assert positions.max() < length
    steps = np.diff(positions)
    assert (steps >= 0).all() or (steps <= 0).all()
    if length >= count:
        assert (steps != 0).all()


def test_spacing_covers_neighbors_and_far_frames() -> None:
    rng = np.random.default_rng(0)
    steps = [abs(np.diff(neighbors(rng, 80, 4, 8))) for _ in range(300)]
    smallest = np.array([s.min() for s in steps])
    assert (smallest == 1).mean() > 0.2
    assert np.concatenate(steps).max() > 30


@pytest.mark.parametrize("flip", [1, -1])
def test_affine_brings_the_center_to_its_place(flip: int) -> None:
    centers, places = np.array([[10.0, 20.0]]), np.array([[50.0, 40.0]])
    matrix = affine(centers, np.array([2.0]), np.array([0.3]), flip, places)[0]
    assert matrix @ [50, 40, 1] == pytest.approx([10, 20], abs=1e-5)
    # twice as large: a step in the output is half a step in the source
    assert np.linalg.norm(matrix[:, 0]) == pytest.approx(0.5)
    assert np.sign(np.linalg.det(matrix[:, :2])) == flip


def test_a_track_drifts_steadily_or_jumps() -> None:
    steady = track(np.random.default_rng(1), 6, 10, 0, 0)
    assert np.diff(steady) == pytest.approx(np.full(5, steady[-1] / 5))
    assert steady[0] == 0
    assert np.diff(track(np.random.default_rng(1), 6, 10, 0, 1)).std() > 1


@given(seed=st.integers(0, 1000))
def test_blur_kernels_keep_the_brightness(seed: int) -> None:
    kernel = blur_kernel(np.random.default_rng(seed), 5)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.min() >= 0


def test_a_step_always_has_the_same_clips(
    library: PictureLibrary, settings: TrainingSettings
) -> None:
    first, again = (render(library, plan_batch(library.index, settings, 7)) for _ in range(2))
    assert torch.equal(first.frames, again.frames)
    assert torch.equal(first.labels, again.labels)
    other = render(library, plan_batch(library.index, settings, 8))
    assert other.frames.shape != first.frames.shape or not torch.equal(other.frames, first.frames)
    reseeded = plan_batch(library.index, replace(settings, seed=2), 7)
    assert not np.array_equal(
        reseeded.clips[0].scene.to_source[0],
        plan_batch(library.index, settings, 7).clips[0].scene.to_source[0],
    )


def test_clips_are_sound_over_many_steps(
    library: PictureLibrary, settings: TrainingSettings
) -> None:
    seen, areas, given_frames, look_alikes = set(), [], [], 0
    for step in range(60):
        plan = plan_batch(library.index, settings, step)
        clips = render(library, plan)
        assert clips.frames.shape[:2] == (len(plan.clips), plan.shape.frames)
        assert clips.frames.min() >= 0
        assert clips.frames.max() <= 1
        assert clips.labels.max() <= plan.targets
        assert any(plan.given)
        assert not any(g and m for g, m in zip(plan.given, plan.memorized, strict=True))
        seen.add((plan.shape, plan.targets))
        given_frames.append(plan.given.index(True))
        areas.append((clips.labels > 0).float().mean().item())
        look_alikes += any(layer.target == 0 for clip in plan.clips for layer in clip.pasted)
    assert {targets for _, targets in seen} == {1, 2, 3}
    assert len({shape for shape, _ in seen}) == 2
    assert max(given_frames) > 0
    assert 0.02 < np.mean(areas) < 0.6
    assert look_alikes > 20


def _still(library: PictureLibrary, **changes: object) -> Layer:
    """Picture 0, its object 1 as target 1, not moved at all."""
    identity = np.tile(np.eye(2, 3, dtype=np.float32), (2, 1, 1))
    zero = np.zeros
    layer = Layer(
        zero(2, int), 1, 1, identity, zero((2, 2, 4, 4), np.float32),
        np.array([0, 0, 1], np.float32), np.ones(2, bool), zero(3, np.float32), False,
    )  # fmt: skip
    return replace(layer, **changes)


def _batch(
    scene: Layer, *pasted: Layer, given: tuple[bool, bool] = (True, False), **changes: object
) -> BatchPlan:
    sharp = np.zeros((2, 5, 5), np.float32)
    sharp[:, 2, 2] = 1
    color, offset = np.eye(3, dtype=np.float32), np.zeros((2, 3), np.float32)
    plan = replace(ClipPlan(scene, pasted, color, offset, sharp), **changes)
    return BatchPlan((plan,), ClipShape(SIZE, 2), 2, given, (False, False))


def test_a_scene_that_does_not_move_is_the_picture(library: PictureLibrary) -> None:
    clips = render(library, _batch(_still(library)))
    picture = library.pictures[0, :, :, :SIZE]
    assert torch.allclose(clips.frames[0, 1] * 255, picture[:3].float(), atol=0.01)
    assert torch.equal(clips.labels[0, 0], (picture[3] == 1).long())


def test_a_scene_goes_on_as_a_mirror_image_beyond_its_border(library: PictureLibrary) -> None:
    moved = np.tile(np.eye(2, 3, dtype=np.float32), (2, 1, 1))
    moved[:, 0, 2] = -10  # output column 10 shows source column 0
    clips = render(library, _batch(_still(library, to_source=moved)))
    row = clips.frames[0, 0, :, 5]
    assert torch.allclose(row[:, 9], row[:, 11], atol=1e-4)
    assert torch.allclose(row[:, 0], row[:, 20], atol=1e-4)


def test_only_one_side_of_a_part_is_the_target(library: PictureLibrary) -> None:
    right = np.array([1, 0, -20], np.float32)  # x > 20
    labels = render(library, _batch(_still(library, part=right))).labels[0, 0]
    whole = render(library, _batch(_still(library))).labels[0, 0]
    assert not labels[:, :21].any()
    assert torch.equal(labels[:, 21:], whole[:, 21:])


def test_a_pasted_object_covers_what_is_below_it_where_it_is_visible(
    library: PictureLibrary,
) -> None:
    visible = np.array([True, False])
    over = _still(library, pictures=np.full(2, 12), target=2, visible=visible)  # a cut-out
    clips = render(library, _batch(_still(library), over))
    square = (slice(12, 36), slice(12, 36))
    assert (clips.labels[0, 0][square] == 2).all()
    expected = library.pictures[12, :3][:, 14:34, 14:34].float()
    assert torch.allclose(clips.frames[0, 0][:, 14:34, 14:34] * 255, expected, atol=0.01)
    assert not (clips.labels[0, 1] == 2).any()
    assert (clips.labels[0, 1] == 1).any()


def test_a_look_alike_hides_but_is_no_target(library: PictureLibrary) -> None:
    over = _still(library, pictures=np.full(2, 12), target=0)
    labels = render(library, _batch(_still(library), over)).labels[0, 0]
    assert not labels[12:28, 12:34].any()


def test_a_target_that_no_given_frame_shows_is_background(library: PictureLibrary) -> None:
    over = _still(library, pictures=np.full(2, 12), target=2, visible=np.array([False, True]))
    hidden = render(library, _batch(_still(library), over))
    assert not (hidden.labels == 2).any()
    assert (hidden.labels == 1).any()
    shown = render(library, _batch(_still(library), over, given=(True, True)))
    assert (shown.labels[0, 1] == 2).any()


def test_color_and_blur_act_on_the_picture_alone(library: PictureLibrary) -> None:
    plain = render(library, _batch(_still(library)))
    offset = np.array([[0, 0, 0], [20, 20, 20]], np.float32)
    blur = np.zeros((2, 5, 5), np.float32)
    blur[0] = 1 / 25
    blur[1, 2, 2] = 1
    changed = render(library, _batch(_still(library), offset=offset, blur=blur))
    assert torch.equal(changed.labels, plain.labels)
    brighter = (plain.frames[0, 1] * 255 + 20).clamp(0, 255)
    assert torch.allclose(changed.frames[0, 1] * 255, brighter, atol=0.01)
    center = plain.frames[0, 0][:, 20:25, 5:10].mean((1, 2))
    assert torch.allclose(changed.frames[0, 0][:, 22, 7], center, atol=1e-5)


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> PictureLibrary:
    """A striped background, a white square of alpha 160, a square in 6 frames."""
    root = tmp_path_factory.mktemp("cutouts")
    stripes = np.tile(np.arange(96, dtype=np.uint8)[None, :, None], (64, 1, 3))
    for frame in range(7):
        square = np.full((32, 32, 4), 255, np.uint8)
        square[..., 3] = 0
        square[8:24, 8:24, 3] = 160 if frame == 6 else 255
        folder = root / ("cutout/square/images" if frame == 6 else "cutout_video/square/frames")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(square).save(folder / f"{frame}.png")
    (root / "background/stripes/images").mkdir(parents=True)
    Image.fromarray(stripes).save(root / "background/stripes/images/a.png")
    return PictureLibrary.build(read_sources(root), torch.device("cpu"))


def test_a_cut_out_is_laid_over_with_its_own_alpha(cutouts: PictureLibrary) -> None:
    square, background = cutouts.index.cutouts[0], cutouts.index.backgrounds[0]
    identity = np.tile(np.eye(2, 3, dtype=np.float32), (2, 1, 1))
    scene = _still(cutouts, pictures=np.full(2, background), target=0)
    pasted = _still(cutouts, pictures=np.full(2, square), to_source=identity)
    clips = render(cutouts, _batch(scene, pasted))
    stripe = torch.arange(8, 24) / 255
    share = 160 / 255
    seen = clips.frames[0, 0, :, 8:24, 8:24]
    assert torch.allclose(seen, ((1 - share) * stripe + share).expand_as(seen), atol=1e-6)
    assert (clips.labels[0, 0] == 1).sum() == 16 * 16


def test_clips_of_cut_outs_on_backgrounds_are_sound(
    cutouts: PictureLibrary, settings: TrainingSettings
) -> None:
    moving, look_alikes = set(), 0
    for step in range(20):
        plan = plan_batch(cutouts.index, settings, step)
        clips = render(cutouts, plan)
        assert clips.labels.max() <= plan.targets
        for clip in plan.clips:
            assert clip.scene.pictures[0] == cutouts.index.backgrounds[0]
            assert clip.scene.target == 0
            targets = [layer.target for layer in clip.pasted if layer.target]
            assert sorted(targets) == list(range(1, plan.targets + 1))
            assert not any(layer.shrunk_edge for layer in clip.pasted)
            moving |= {len(set(layer.pictures.tolist())) > 1 for layer in clip.pasted}
            look_alikes += any(layer.target == 0 for layer in clip.pasted)
    assert moving == {False, True}
    assert look_alikes > 5
