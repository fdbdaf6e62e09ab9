"""Edge controls: each does what it says, none loses a frame, annotated frames stand."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from drawn import NamedShot, disk
from hypothesis import given, settings
from hypothesis import strategies as st
from matte_track import COUNT, FRAME_NAMES, SIZE, make_track

from xmempp_core.errors import InputError, SettingsError
from xmempp_core.mattes.edges import EdgeSettings, with_edges
from xmempp_core.mattes.export import matte_frames
from xmempp_core.mattes.plan import MatteJob, planned
from xmempp_core.mattes.presets import MatteSettings
from xmempp_core.types import Size

BIG = Size(80, 100)


def soft_disk(radius: float = 0.3) -> torch.Tensor:
    """A disk with an edge of a few pixels."""
    y = torch.arange(BIG.height)[:, None] - 40.0
    x = torch.arange(BIG.width)[None] - 50.0
    return ((radius * BIG.height - torch.hypot(y, x)) / 4 + 0.5).clamp(0, 1)


def edged(matte: torch.Tensor, **values: float) -> torch.Tensor:
    return with_edges(matte, EdgeSettings(**values))


def test_the_usual_settings_change_nothing() -> None:
    matte = soft_disk()
    assert with_edges(matte, EdgeSettings()) is matte
    assert EdgeSettings().is_off


def test_black_and_white_point_stretch_and_their_limit_is_a_threshold() -> None:
    matte = soft_disk()
    stretched = edged(matte, black_point=0.25, white_point=0.75)
    torch.testing.assert_close(stretched, ((matte - 0.25) / 0.5).clamp(0, 1))
    assert torch.equal(edged(matte, black_point=0.5, white_point=0.5), (matte >= 0.5).float())


@pytest.mark.parametrize("pixels", [-3.0, -1.5, -0.5, 0.5, 1.0, 2.25])
def test_growing_moves_the_edge_by_parts_of_a_pixel(pixels: float) -> None:
    matte = soft_disk()
    grown = edged(matte, grow_pixels=pixels)
    row = slice(50, 100)
    moved = float(grown[40, row].sum() - matte[40, row].sum())
    assert abs(moved - pixels) < 0.3


def test_feathering_widens_the_edge_and_keeps_the_area() -> None:
    matte = (soft_disk() > 0.5).float()
    soft = edged(matte, feather_pixels=6.0)
    assert int(((soft > 0.02) & (soft < 0.98)).sum()) > 200
    assert abs(float(soft.sum() - matte.sum())) < 0.01 * float(matte.sum())


def test_holes_and_specks_go_by_size_and_the_rest_stays() -> None:
    clean = disk(BIG, 0.5, 0.5, 0.35).float()
    dirty = clean.clone()
    dirty[38:42, 48:52] = 0  # 16 pixels
    dirty[2:5, 2:5] = 1  # 9 pixels
    dirty[60:72, 85:97] = 1  # 144 pixels
    filled = edged(dirty, fill_holes_pixels=16)
    assert (filled[38:42, 48:52] == 1).all()
    assert (filled[2:5, 2:5] == 1).all()
    assert torch.equal(edged(dirty, fill_holes_pixels=15), dirty)
    swept = edged(dirty, remove_specks_pixels=9)
    assert not swept[2:5, 2:5].any()
    assert (swept[60:72, 85:97] == 1).all()
    assert not swept[38:42, 48:52].any()
    assert torch.equal(edged(clean, fill_holes_pixels=500, remove_specks_pixels=50), clean)


def test_refining_brings_the_edge_to_that_of_the_picture() -> None:
    truth = disk(BIG, 0.5, 0.5, 0.3).float()
    picture = (truth[..., None] * torch.tensor([160.0, 90, 20]) + 60).to(torch.uint8)
    coarse = torch.nn.functional.avg_pool2d(truth[None, None], 4)
    coarse = torch.nn.functional.interpolate(coarse, tuple(BIG), mode="bilinear")[0, 0]
    points = {"black_point": 0.3, "white_point": 0.7}
    refined = with_edges(coarse, EdgeSettings(refine_pixels=8, **points), picture)
    stretched = edged(coarse, **points)
    assert (refined - truth).abs().mean() < 0.2 * (stretched - truth).abs().mean()
    with pytest.raises(InputError, match="refined by the frames"):
        with_edges(coarse, EdgeSettings(refine_pixels=8))


@pytest.mark.parametrize(
    "values",
    [
        {"feather_pixels": 5e-324},
        {"grow_pixels": 5e-324},
        {"grow_pixels": -5e-324},
        {"white_point": 5e-324},
        {"black_point": 0.5, "white_point": 0.5 + 1e-16},
    ],
)
def test_the_smallest_numbers_are_numbers_too(values: dict[str, float]) -> None:
    matte = torch.linspace(0, 1, 35).reshape(5, 7)
    after = edged(matte, **values)
    assert after.isfinite().all()
    assert 0 <= float(after.min()) <= float(after.max()) <= 1


@given(
    values=st.fixed_dictionaries(
        {
            "black_point": st.floats(0, 0.5),
            "white_point": st.floats(0.5, 1),
            "grow_pixels": st.floats(-4, 4),
            "feather_pixels": st.floats(0, 6),
            "fill_holes_pixels": st.floats(0, 100),
            "remove_specks_pixels": st.floats(0, 100),
        }
    ),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_a_matte_stays_a_matte_and_its_source_as_it_was(
    values: dict[str, float], seed: int
) -> None:
    noise = torch.rand(1, 1, 6, 8, generator=torch.Generator().manual_seed(seed))
    matte = torch.nn.functional.interpolate(noise, (33, 47), mode="bicubic")[0, 0].clamp(0, 1)
    before = matte.clone()
    after = edged(matte, **values)
    assert after.shape == matte.shape
    assert after.dtype == torch.float32
    assert 0 <= float(after.min()) <= float(after.max()) <= 1
    assert torch.equal(matte, before)


@pytest.mark.parametrize("name", [one.name for one in fields(EdgeSettings)])
def test_as_many_frames_come_out_and_annotated_ones_stand_unless_asked(
    name: str, tmp_path: Path
) -> None:
    value = {"white_point": 0.5, "black_point": 0.3}.get(name, 2.0)
    if name.startswith(("fill", "remove")):
        value = 1e6
    track, plate = make_track(), NamedShot(FRAME_NAMES, SIZE)
    results = {}
    for asked in (False, True):
        own = MatteSettings().with_values({name: value, "edges_of_annotated": asked})
        plan = planned(track, MatteJob(tmp_path, own), 1)
        results[asked] = list(matte_frames(track, plan, own, plate))
    assert [frame.frame_index for frame in results[False]] == list(range(COUNT))
    exact = track.probabilities(3)[2]  # object 5 is annotated on frame 3
    assert torch.equal(results[False][3].mattes[1], exact)
    if name in ("grow_pixels", "feather_pixels", "remove_specks_pixels"):
        assert not torch.equal(results[True][3].mattes[1], exact)


def test_wrong_values_are_named() -> None:
    for values, problem in (
        ({"black_point": -0.1}, "black_point is -0.1, allowed is 0 to 1"),
        ({"grow_pixels": 1e9}, "grow_pixels is"),
        ({"feather_pixels": "2"}, "feather_pixels is '2', allowed is a number"),
        ({"black_point": 0.6, "white_point": 0.5}, "allowed is 0 to white_point 0.5"),
        ({"grow_pixels": float("nan")}, "grow_pixels is nan"),
    ):
        with pytest.raises(SettingsError, match=problem):
            EdgeSettings(**values)  # type: ignore[arg-type]
