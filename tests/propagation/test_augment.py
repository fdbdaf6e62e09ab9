"""Augmentation changes picture and masks together and says what a moved picture left open."""

from __future__ import annotations

import pytest
import torch

from xmempp_core.errors import InputError, ShapeError
from xmempp_core.propagation.augment import (
    AUGMENTATIONS,
    ELEVEN,
    augment_annotation,
    parse_augmentations,
)

MOVES = tuple(
    n for n in AUGMENTATIONS if n.split("_")[0] in ("rotate", "zoom", "shear", "translate")
)


def drawn_frame() -> tuple[torch.Tensor, torch.Tensor]:
    """A gray picture with two flat rectangles, and their masks."""
    frame = torch.full((60, 80, 3), 90, dtype=torch.uint8)
    masks = torch.zeros(2, 60, 80, dtype=torch.bool)
    masks[0, 20:35, 25:45] = True
    masks[1, 40:50, 50:70] = True
    frame[masks[0]] = torch.tensor([200, 30, 30], dtype=torch.uint8)
    frame[masks[1]] = torch.tensor([30, 30, 200], dtype=torch.uint8)
    return frame, masks


@pytest.mark.parametrize("name", [*MOVES, "crop"])
def test_masks_move_with_their_objects(name: str) -> None:
    frame, masks = drawn_frame()

    (got,) = augment_annotation([name], frame, masks)

    red = (got.frame[..., 0] > 150) & (got.frame[..., 2] < 100)
    blue = (got.frame[..., 2] > 150) & (got.frame[..., 0] < 100)
    for seen, mask in zip((red, blue), got.masks, strict=True):
        assert mask.any()
        differing = (seen ^ mask).sum() / mask.sum()
        assert differing < 0.35, "at most a rim of one pixel, from rounding to other neighbors"
    assert not torch.equal(got.masks, masks)


@pytest.mark.parametrize("name", [n for n in AUGMENTATIONS if n not in MOVES and n != "crop"])
def test_looks_leave_the_masks_as_they_are(name: str) -> None:
    frame, masks = drawn_frame()
    frame = (frame + torch.arange(80, dtype=torch.uint8)[None, :, None] % 7).contiguous()

    (got,) = augment_annotation([name], frame, masks)

    assert torch.equal(got.masks, masks)
    assert got.coverage is None
    assert not torch.equal(got.frame, frame)


@pytest.mark.parametrize("name", MOVES)
def test_coverage_tells_what_the_moved_picture_left_open(name: str) -> None:
    frame, masks = drawn_frame()

    (got,) = augment_annotation([name], frame, masks)

    black = (got.frame == 0).all(-1)
    if name == "zoom_in":
        assert got.coverage is None
        assert not black.any()
    else:
        assert got.coverage is not None
        assert 0.2 < got.coverage.mean() < 0.95
        assert ((got.coverage == 0) ^ black).float().mean() < 0.01


def test_an_empty_annotation_and_one_without_objects_are_augmented_too() -> None:
    frame, masks = drawn_frame()

    for given in (torch.zeros_like(masks), masks[:0]):
        for got in augment_annotation(AUGMENTATIONS, frame, given):
            assert got.masks.shape == given.shape
            assert not got.masks.any()
            assert got.frame.shape == frame.shape
            assert got.frame.dtype == torch.uint8


def test_float_frames_give_the_same_as_their_bytes_and_nothing_is_written_to() -> None:
    frame, masks = drawn_frame()
    before = frame.clone(), masks.clone()

    from_bytes = augment_annotation(AUGMENTATIONS, frame, masks)
    from_floats = augment_annotation(AUGMENTATIONS, frame.float() / 255, masks)

    for one, other in zip(from_bytes, from_floats, strict=True):
        assert torch.equal(one.frame, other.frame), one.name
    assert torch.equal(frame, before[0])
    assert torch.equal(masks, before[1])


def test_names_are_parsed_into_memory_order() -> None:
    assert parse_augmentations("none") == ()
    assert parse_augmentations("all") == ELEVEN
    assert len(ELEVEN) == 11
    assert parse_augmentations("best3") == ("blur", "zoom_in", "shear_right")
    assert parse_augmentations("shear_left, bright,bright") == ("bright", "shear_left")
    assert parse_augmentations("best3,gray") == ("blur", "zoom_in", "shear_right", "gray")


def test_wrong_names_and_shapes_are_refused() -> None:
    frame, masks = drawn_frame()

    with pytest.raises(InputError, match=r"'blurry' is unknown; use none, best3, all, bright"):
        parse_augmentations("blurry")
    with pytest.raises(ShapeError, match="masks to augment"):
        augment_annotation(["blur"], frame, masks[:, :-1])
    with pytest.raises(ShapeError, match="frame to augment"):
        augment_annotation(["blur"], frame[..., 0], masks)
