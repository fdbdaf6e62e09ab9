"""Pictures, films and single-frame files: what is drawn where, and what readers find in them."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from drawn import DrawnPass, disk, numbered_shot, soft_segmentation
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.atomic import replacing, write_bytes
from xmempp_core.errors import FormatError, InputError, ShapeError
from xmempp_core.formats.annotations.label_maps import PALETTE
from xmempp_core.formats.mattes.png import write_matte
from xmempp_core.pictures.films import OverlayVideo
from xmempp_core.pictures.overlays import display_color, draw_overlay, to_uint8
from xmempp_core.pictures.pictures import write_picture, write_probabilities
from xmempp_core.pictures.sheets import burn_in, contact_sheet, spread_frames, track_contact_sheet
from xmempp_core.track.track import Track
from xmempp_core.types import Size

SIZE = Size(60, 80)


def _labels() -> Tensor:
    return disk(SIZE, 0.5, 0.5, 0.3).to(torch.uint8) * 3


def test_an_overlay_leaves_the_background_tints_the_inside_and_draws_the_border() -> None:
    frame = torch.full((*SIZE, 3), 100, dtype=torch.uint8)
    labels = _labels()
    picture = draw_overlay(frame, labels, {3: (0, 200, 50)})
    assert torch.equal(picture[labels == 0], frame[labels == 0])
    assert picture[30, 40].tolist() == [58, 142, 79]  # 58 % frame, 42 % color
    border = (labels == 3) & ~disk(SIZE, 0.5, 0.5, 0.3 - 1.5 / 60)
    line = (picture == torch.tensor([0, 200, 50])).all(-1)
    assert line[30, 40 - 18]
    assert (line & ~border).sum() == 0
    assert (frame == 100).all()


def test_an_object_cut_by_the_picture_has_no_line_there() -> None:
    frame = torch.zeros(*SIZE, 3)
    labels = torch.zeros(SIZE, dtype=torch.uint8)
    labels[:, 40:] = 1
    line = (draw_overlay(frame, labels, {1: (9, 9, 9)}) == 9).all(-1)
    assert line[:, 40].all()
    assert not line[:, 41:].any()


def test_neighbors_are_both_outlined_in_their_own_color() -> None:
    labels = torch.ones(SIZE, dtype=torch.uint8)
    labels[:, 40:] = 2
    picture = draw_overlay(torch.zeros(*SIZE, 3), labels)
    assert tuple(picture[9, 39].tolist()) == display_color(1)
    assert tuple(picture[9, 40].tolist()) == display_color(2)


def test_an_overlay_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="label map: expected shape 80x60, got 79x60"):
        draw_overlay(torch.zeros(*SIZE, 3), _labels()[:, 1:])


def test_display_colors_are_bright_and_all_different() -> None:
    colors = [display_color(i) for i in range(1, 256)]
    assert len(set(colors)) == 255
    assert min(max(color) for color in colors) > 80
    assert display_color(4, {4: (1, 2, 3)}) == (1, 2, 3)
    assert PALETTE[1] == (128, 0, 0)


def test_float_frames_show_as_the_same_bytes() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(16, 16, 1).expand(16, 16, 3)
    assert torch.equal(to_uint8(levels.float() / 255), levels)
    assert to_uint8(torch.tensor([[[-1.0, 0.5, 7.0]]])).tolist() == [[[0, 128, 255]]]


def test_a_written_picture_reads_back(tmp_path: Path) -> None:
    picture = draw_overlay(torch.rand(*SIZE, 3), _labels())
    write_picture(tmp_path / "ä b" / "p.png", picture)
    data = np.frombuffer((tmp_path / "ä b" / "p.png").read_bytes(), np.uint8)
    assert np.array_equal(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], picture.numpy())


def test_a_matte_has_16_bits(tmp_path: Path) -> None:
    alpha = torch.linspace(0, 1, 1200).reshape(30, 40)
    write_matte(tmp_path / "m.png", alpha)
    levels = cv2.imread(str(tmp_path / "m.png"), cv2.IMREAD_UNCHANGED)
    assert (levels.dtype, levels.shape) == (np.uint16, (30, 40))
    assert (levels.min(), levels.max()) == (0, 65535)
    assert np.abs(levels / 65535 - alpha.numpy()).max() < 1e-5


def test_probabilities_are_written_as_float16_with_their_ids(tmp_path: Path) -> None:
    p = torch.rand(3, *SIZE).softmax(0)
    write_probabilities(tmp_path / "00003.npz", p, (3, 7))
    with np.load(tmp_path / "00003.npz") as stored:
        assert set(stored) == {"probabilities", "object_ids"}
        assert stored["object_ids"].tolist() == [3, 7]
        assert np.array_equal(stored["probabilities"], p.half().numpy())
    with pytest.raises(ShapeError, match=r"expected shape \(4, H, W\), got \(3, 60, 80\)"):
        write_probabilities(tmp_path / "x.npz", p, (1, 2, 3))
    assert [f.name for f in tmp_path.iterdir()] == ["00003.npz"]


def _film(path: Path) -> tuple[av.VideoStream, list[np.ndarray], list[Fraction]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
        return stream, pictures, [frame.pts * frame.time_base for frame in frames]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), None])
def test_an_overlay_film_keeps_frames_rate_and_colors(
    tmp_path: Path, rate: Fraction | None
) -> None:
    size = Size(61, 79)
    labels = torch.zeros(size, dtype=torch.uint8)
    with OverlayVideo(tmp_path / "o.mp4", rate, colors={1: (9, 9, 9)}) as film:
        for level in (20, 120, 240):
            film.add(torch.tensor([level, 60, 30], dtype=torch.uint8).expand(*size, 3), labels)
    stream, pictures, times = _film(tmp_path / "o.mp4")
    assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert (stream.height, stream.width) == (62, 80)
    assert times == [i / (rate or Fraction(24)) for i in range(3)]
    assert stream.average_rate == (rate or 24)
    for picture, level in zip(pictures, (20, 120, 240), strict=True):
        assert np.abs(picture[[5, 61], [5, 79]] - np.array([level, 60, 30.0])).max() <= 4
    assert [f.name for f in tmp_path.iterdir()] == ["o.mp4"]


def _write_film(path: Path, pictures: list[Tensor]) -> None:
    with OverlayVideo(path) as film:
        for picture in pictures:
            film.add_picture(picture)


ROOT = Path(__file__).parents[2]
WRITE_A_FILM = """
import sys
from toy import toy_frames
from xmempp_core.pictures.films import OverlayVideo
with OverlayVideo(sys.argv[1]) as film:
    for frame, labels in zip(*toy_frames()):
        film.add(frame, labels)
"""


def test_the_same_pictures_give_the_same_bytes_whatever_memory_held_before(tmp_path: Path) -> None:
    films = set()
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))
    for filling in ("0", "1"):  # what glibc fills fresh memory with
        film = tmp_path / f"{filling}.mp4"
        subprocess.run(
            [sys.executable, "-c", WRITE_A_FILM, str(film)],
            check=True,
            env={**os.environ, "PYTHONPATH": paths, "MALLOC_PERTURB_": filling},
        )
        films.add(film.read_bytes())
    assert len(films) == 1


def test_a_film_that_fails_leaves_nothing(tmp_path: Path) -> None:
    picture = torch.zeros(*SIZE, 3)
    with pytest.raises(ShapeError, match=r"frame 1 of b.mp4: expected shape 80x60, got 80x50"):
        _write_film(tmp_path / "b.mp4", [picture, picture[:50]])
    with pytest.raises(FormatError, match="would hold no frame"):
        _write_film(tmp_path / "c.mp4", [])
    with pytest.raises(InputError, match="frame rate 0 is not above 0"):
        OverlayVideo(tmp_path / "d.mp4", Fraction(0))
    assert not list(tmp_path.iterdir())


def test_a_contact_sheet_holds_every_picture_and_marks_the_annotated() -> None:
    pictures = [torch.full((270, 480, 3), 40 * i, dtype=torch.uint8) for i in range(6)]
    sheet = contact_sheet(pictures, [f"{i:05d}" for i in range(6)], marked=[2], columns=3)
    assert sheet.shape == (2 * 284 + 14, 3 * 494 + 14, 3)
    for i in range(6):
        middle = sheet[14 + 284 * (i // 3) + 100, 14 + 494 * (i % 3) + 240]
        assert middle.tolist() == [40 * i] * 3
    corners = [sheet[14, 14 + 494 * i].tolist() for i in range(3)]
    assert corners[0] == corners[1] != corners[2] == [255, 178, 36]


@given(st.integers(1, 5), st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_pictures_of_any_size_and_number_make_a_sheet(n: int, size: tuple[int, int]) -> None:
    sheet = contact_sheet([torch.zeros(*size, 3)] * n, ["1"] * n, marked=[0])
    assert sheet.shape[0] >= size[0]


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one picture"):
        contact_sheet([], [])


def test_burning_in_changes_the_lower_left_corner_of_a_copy() -> None:
    picture = torch.full((270, 480, 3), 128, dtype=torch.uint8)
    burnt = burn_in(picture, "01001")
    changed = (burnt != picture).any(-1)[1:-1, 1:-1].nonzero() + 1
    assert changed[:, 0].min() > 200
    assert changed[:, 1].max() < 150
    assert burnt.max() > 220
    assert (picture == 128).all()


@given(
    st.sets(st.integers(0, 200), min_size=1),
    st.integers(1, 20),
    st.data(),
)
def test_spread_frames_hold_the_wanted_ones(
    frames: set[int], count: int, data: st.DataObject
) -> None:
    ordered = sorted(frames)
    wanted = sorted(data.draw(st.sets(st.sampled_from(ordered), max_size=count)))
    chosen = spread_frames(ordered, wanted, count)
    assert chosen == sorted(set(chosen))
    assert set(wanted) <= set(chosen) <= frames
    assert len(chosen) == min(count, len(frames))


def test_a_sheet_of_a_track_marks_its_annotated_frames() -> None:
    source = numbered_shot(9, SIZE)
    annotations = AnnotationSet((Annotation(3, (1,), disk(SIZE, 0.5, 0.5, 0.2)[None]),))
    segmentations = [soft_segmentation(i, (1,), SIZE, SIZE) for i in range(9)]
    track = Track.collect(DrawnPass(source, annotations, segmentations))
    sheet = track_contact_sheet(track, source, count=3)
    amber = (sheet == torch.tensor([255, 178, 36])).all(-1)
    # Frames 0, 3 and 8 in a row: the mark is in the second tile alone.
    columns = amber.nonzero()[:, 1]
    assert (columns.min(), columns.max()) == (14 + 94, 14 + 94 + 79)


def _replace_half(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise KeyboardInterrupt


def test_replacing_keeps_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        _replace_half(path)
    assert ([p.name for p in tmp_path.iterdir()], path.read_text()) == (["a.txt"], "old")
    write_bytes(path, b"new")
    assert path.read_text() == "new"
    with pytest.raises(FormatError, match="is a folder; give the name of a file"):
        write_bytes(tmp_path, b"new")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_or_device_is_refused_and_stays_what_it_is(linked: bool, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    target = tmp_path / "link" if linked else pipe
    if linked:
        target.symlink_to(pipe)
    with pytest.raises(FormatError, match=r"is a (FIFO|device) and no regular file"):
        write_bytes(target, b"new")
    assert pipe.is_fifo()
    assert target.is_symlink() == linked
