"""Masks steadied along motion: what they keep, what they calm, what they leave alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xmempp_core.errors import InputError, ShapeError
from xmempp_core.mattes.flow import correspondences, flow_picture, warped
from xmempp_core.mattes.steady import MAX_ROUNDS, SoftFrame, steadied, thin_parts

HEIGHT, WIDTH = 96, 128


def texture(seed: int = 0) -> np.ndarray:
    """A smooth random picture with room to move over."""
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT + 64, WIDTH + 64, 3), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2).astype(np.float32)
    return np.clip((blurred - 128) * 3 + 128, 0, 255).astype(np.uint8)


def moving_picture(step: int, count: int = 7, seed: int = 0) -> list[Tensor]:
    """A texture that moves to the right by `step` pixels a frame."""
    whole = texture(seed)
    starts = [32 - step * t for t in range(count)]
    return [torch.from_numpy(whole[32:-32, s : s + WIDTH].copy()) for s in starts]


def square(x: int, y: int = 30, side: int = 36) -> Tensor:
    """(H, W) float mask."""
    mask = torch.zeros(HEIGHT, WIDTH)
    mask[y : y + side, max(x, 0) : x + side] = 1
    return mask


def probabilities(*objects: Tensor) -> Tensor:
    """Objects with the background in front."""
    masks = torch.stack(objects)
    return torch.cat([1 - masks.sum(0, keepdim=True), masks])


def shot(
    pictures: Sequence[Tensor],
    soft: Sequence[Tensor],
    known: dict[int, tuple[bool, ...]] | None = None,
) -> Iterator[SoftFrame]:
    nothing = (False,) * (len(soft[0]) - 1)
    for t, (picture, maps) in enumerate(zip(pictures, soft, strict=True)):
        yield SoftFrame(t, picture, maps, (known or {}).get(t, nothing))


def boiling(step: int, count: int = 7) -> list[Tensor]:
    """A square that moves with the picture; its height flickers by 4 pixels."""
    return [probabilities(square(30 + step * t, side=36 + 4 * (t % 2))) for t in range(count)]


def flicker(shot_masks: Sequence[Tensor]) -> float:
    """Mean change of the first object's area from frame to frame."""
    return float(torch.stack([maps[1].sum() for maps in shot_masks]).diff().abs().mean())


def test_boiling_edges_of_a_moving_object_calm_down_and_do_not_smear() -> None:
    before = boiling(step=3)
    after = list(steadied(shot(moving_picture(3), before), 2))
    assert flicker(after) < 0.25 * flicker(before)
    for t, maps in enumerate(after):
        inside = square(30 + 3 * t + 3, y=33, side=30) > 0
        assert (maps[1][inside] > 0.97).all()
        outside = square(30 + 3 * t - 4, y=26, side=48) == 0
        assert (maps[1][outside] < 0.03).all()


@pytest.mark.parametrize("step", [3, 8])
def test_a_plain_average_smears_where_the_flow_does_not(step: int) -> None:
    count = 5
    soft = [probabilities(square(20 + step * t)) for t in range(count)]
    after = list(steadied(shot(moving_picture(step, count), soft), 1))[2][1]
    plain = torch.stack([s[1] for s in soft]).mean(0)
    wanted = soft[2][1]
    assert (after - wanted).abs().sum() < 0.1 * (plain - wanted).abs().sum()


@given(
    objects=st.integers(1, 3),
    rounds=st.integers(0, 3),
    count=st.integers(1, 6),
    seed=st.integers(0, 99),
)
@settings(max_examples=15, deadline=None)
def test_as_many_frames_come_out_as_go_in_and_their_channels_sum_to_one(
    objects: int, rounds: int, count: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, objects + 1, 6, 8, generator=generator) * 4
    soft = torch.nn.functional.interpolate(logits, (HEIGHT, WIDTH), mode="bicubic").softmax(1)
    before = soft.clone()
    after = list(steadied(shot(moving_picture(2, count, seed), list(soft)), rounds))
    assert len(after) == count
    for maps in after:
        assert maps.shape == (objects + 1, HEIGHT, WIDTH)
        assert maps.dtype == torch.float32
        assert float(maps.min()) >= 0
        torch.testing.assert_close(maps.sum(0), torch.ones(HEIGHT, WIDTH))
    assert torch.equal(soft, before)
    if rounds == 0 or count == 1:
        torch.testing.assert_close(torch.stack(after), soft)


def test_annotated_frames_stand_exactly_and_pull_their_neighbors() -> None:
    soft = [probabilities(square(30, side=36)) for _ in range(5)]
    soft[2] = probabilities(square(30, side=42))
    pictures = moving_picture(0, 5)
    free = list(steadied(shot(pictures, soft), 2))
    pinned = list(steadied(shot(pictures, soft, {2: (True,)}), 2))
    assert torch.equal(pinned[2], soft[2])
    assert not torch.equal(free[2], soft[2])
    ring = (square(30, side=42) - square(30, side=36)) > 0
    for t in (0, 1, 3, 4):
        assert pinned[t][1][ring].mean() > free[t][1][ring].mean() > 0.01


def test_only_listed_objects_of_an_annotated_frame_stand() -> None:
    one = [square(10, side=20 + 4 * (t % 2)) for t in range(5)]
    two = [square(70, side=30 + 4 * (t % 2)) for t in range(5)]
    soft = [probabilities(a, b) for a, b in zip(one, two, strict=True)]
    maps = list(steadied(shot(moving_picture(0, 5), soft, {2: (True, False)}), 1))[2]
    assert torch.equal(maps[1], one[2])
    assert not torch.equal(maps[2], two[2])
    torch.testing.assert_close(maps.sum(0), torch.ones(HEIGHT, WIDTH))


def test_nothing_changes_where_the_flow_cannot_be_trusted() -> None:
    soft = boiling(0, 5)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (5, HEIGHT, WIDTH, 3), dtype=torch.uint8, generator=generator)
    brightness = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand_as(noise) * 60
    after = torch.stack(list(steadied(shot(list(brightness), soft), 2)))
    torch.testing.assert_close(after, torch.stack(soft), rtol=0, atol=1e-6)
    # in noise a few pixels find their like by chance
    after = torch.stack(list(steadied(shot(list(noise), soft), 2)))
    assert float(((after - torch.stack(soft)).abs() > 1e-3).float().mean()) < 0.002


def test_thin_parts_keep_their_own_value_for_every_object() -> None:
    def rope(t: int) -> Tensor:
        mask = torch.zeros(HEIGHT, WIDTH)
        mask[20 + t % 2, 10:100] = 1
        return mask

    below = [square(40, y=50, side=30 + 4 * (t % 2)) for t in range(5)]
    soft = [probabilities(rope(t), b) for t, b in enumerate(below)]
    after = list(steadied(shot(moving_picture(0, 5), soft), 2))
    for a, b in zip(after, soft, strict=True):
        assert torch.equal(a[:, 18:24], b[:, 18:24])
    assert not torch.equal(after[2][2], soft[2][2])


def test_thin_is_what_a_disk_does_not_fit_into() -> None:
    mask = torch.zeros(40, 60, dtype=torch.bool)
    mask[5:25, 5:25] = True
    mask[30:33, 5:50] = True
    thin = thin_parts(mask, 5)
    assert thin[30:33, 5:50].all()
    assert not thin[9:21, 9:21].any()


def test_missing_frames_are_nobodys_neighbors() -> None:
    soft = boiling(0, 3)
    pictures = moving_picture(0, 3)
    far = [SoftFrame(5 * t, pictures[t], soft[t], (False,)) for t in range(3)]
    torch.testing.assert_close(torch.stack(list(steadied(far, 2))), torch.stack(soft))


def test_a_window_of_frames_is_held_and_not_the_shot() -> None:
    pictures, soft, asked = moving_picture(0, 1)[0], boiling(0, 1)[0], []

    def endless() -> Iterator[SoftFrame]:
        for t in range(10_000):
            asked.append(t)
            yield SoftFrame(t, pictures, soft, (False,))

    stream = steadied(endless(), 2)
    next(stream)
    assert len(asked) == 5
    next(stream)
    assert len(asked) == 6


def test_masks_of_another_size_than_the_picture_follow_it() -> None:
    small = [torch.nn.functional.avg_pool2d(m, 2) for m in boiling(4, 5)]
    after = list(steadied(shot(moving_picture(4, 5), small), 1))
    assert after[2].shape == small[2].shape
    assert flicker(after) < 0.5 * flicker(small)


def test_flow_finds_a_shift_and_its_way_back() -> None:
    one, other = (flow_picture(p) for p in moving_picture(5, 2))
    there, back = correspondences(one, other)
    inner = np.s_[20:-20, 20:-20]
    for found, dx in ((there, 5.0), (back, -5.0)):
        assert abs(float(found.flow[inner][..., 0].median()) - dx) < 0.3
        assert abs(float(found.flow[inner][..., 1].median())) < 0.3
        assert found.trust[inner].mean() > 0.5
    seen = warped(other.float().mean(-1)[None], there)[0]
    assert (seen - one.float().mean(-1)).abs()[inner].mean() < 6


@pytest.mark.parametrize("size", [(1, 1), (8, 300), (31, 33), (1080, 1920)])
def test_pictures_of_any_size_have_a_flow(size: tuple[int, int]) -> None:
    picture = flow_picture(torch.rand(*size, 3))
    assert min(picture.shape[:2]) == min(*size, 480)
    there, _ = correspondences(picture, picture)
    assert there.flow.shape == (*picture.shape[:2], 2)
    assert (there.trust > 0.9).all()


def test_what_cannot_be_steadied_is_one_sentence() -> None:
    for rounds in (-1, MAX_ROUNDS + 1, 1.5):
        with pytest.raises(InputError, match="allowed are 0"):
            list(steadied([], rounds))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="soft masks of frame 3"):
        SoftFrame(3, torch.zeros(4, 4, 3), torch.zeros(2, 4, 4), (True, True))
    with pytest.raises(ShapeError, match="expected shape"):
        correspondences(torch.zeros(4, 4, 3), torch.zeros(4, 5, 3))
    with pytest.raises(ShapeError, match="frame"):
        flow_picture(torch.zeros(4, 4))
