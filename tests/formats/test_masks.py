"""Annotation folders: what goes in comes out, and what cannot be understood is refused."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import NamedShot, disk, numbered_shot
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from xmempp_core.annotations import AbsenceRange, Annotation, AnnotationSet
from xmempp_core.errors import FormatError, InputError, ShapeError
from xmempp_core.formats.annotations.folder import (
    annotation_files,
    annotations_from_files,
    fit_masks,
    load_annotations,
    save_annotations,
)
from xmempp_core.formats.annotations.label_maps import PALETTE, read_label_map, write_label_map
from xmempp_core.formats.annotations.notes import NOTES_NAME
from xmempp_core.types import Size

DEMO = Path(__file__).parents[2] / "xmempp_core/assets/demo"
SIZE = Size(24, 32)
SHOT = numbered_shot(20, SIZE)


def _labels(size: Size = SIZE, **boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Ids drawn as boxes (top, bottom, left, right): _labels(i3=(0, 4, 0, 4))."""
    labels = np.zeros(size, np.uint8)
    for name, (top, bottom, left, right) in boxes.items():
        labels[top:bottom, left:right] = int(name[1:])
    return labels


def _assert_same(one: AnnotationSet, other: AnnotationSet) -> None:
    assert one.frame_indices == other.frame_indices
    for a, b in zip(one, other, strict=True):
        assert (a.object_ids, a.exhaustive) == (b.object_ids, b.exhaustive)
        assert torch.equal(a.masks, b.masks)
    assert (one.names, one.colors, one.absences) == (other.names, other.colors, other.absences)


def _reread(annotations: AnnotationSet, shot: NamedShot = SHOT) -> AnnotationSet:
    files = dict(annotation_files(annotations, shot))
    top = [name for name in files if "/" not in name]
    return annotations_from_files(top, files.__getitem__, shot, where=Path("memory"))


@st.composite
def annotation_sets(draw: st.DrawFn) -> AnnotationSet:
    ids = st.integers(1, 255)
    annotations = []
    for index in draw(st.sets(st.integers(0, 19), max_size=4)):
        objects = draw(st.lists(ids, unique=True, max_size=3))
        boxes = [draw(st.tuples(*[st.integers(0, 5)] * 4)) for _ in objects]
        masks = torch.zeros(len(objects), 6, 7, dtype=torch.bool)
        for mask, (top, left, height, width) in zip(masks, boxes, strict=True):
            mask[top : top + height, left : left + width] = True
        annotations.append(Annotation(index, tuple(objects), masks, draw(st.booleans())))
    ranges = st.tuples(ids, st.integers(0, 40), st.integers(0, 40))
    return AnnotationSet(
        tuple(annotations),
        draw(st.dictionaries(ids, st.text(max_size=5), max_size=3)),
        draw(st.dictionaries(ids, st.tuples(*[st.integers(0, 255)] * 3), max_size=3)),
        tuple(AbsenceRange(i, min(a, b), max(a, b)) for i, a, b in draw(st.lists(ranges))),
    )


@settings(max_examples=50, deadline=None)
@given(annotation_sets(), st.sampled_from([0, 7, 1001]))
def test_every_annotation_set_survives_its_files(annotations: AnnotationSet, first: int) -> None:
    _assert_same(_reread(annotations, numbered_shot(20, Size(6, 7), first)), annotations)


def test_overlapping_masks_explicit_absence_and_absence_ranges_survive_a_folder(
    tmp_path: Path,
) -> None:
    masks = torch.stack([disk(SIZE, 0.5, x, 0.3) for x in (0.4, 0.5)])
    annotations = AnnotationSet(
        (
            Annotation(3, (3, 7), masks),
            Annotation(5, (3, 9), torch.stack([masks[0], torch.zeros(SIZE, dtype=torch.bool)])),
            Annotation(8, (), torch.zeros(0, *SIZE, dtype=torch.bool), exhaustive=True),
        ),
        {3: "le lièvre"},
        {7: (1, 2, 3)},
        (AbsenceRange(9, 5, 30),),
    )
    folder = tmp_path / "ça va"
    save_annotations(annotations, folder, SHOT)
    assert masks[0].logical_and(masks[1]).any()
    assert not (folder / "overlaps").exists()
    _assert_same(load_annotations(folder, SHOT), annotations)


def test_mask_files_of_older_folders_lie_over_the_map_the_higher_one_on_top(tmp_path: Path) -> None:
    three, five, seven = (disk(SIZE, 0.5, x, 0.3) for x in (0.4, 0.5, 0.6))
    save_annotations(
        AnnotationSet((Annotation(3, (7, 5, 3), torch.stack([seven, five, three])),)),
        tmp_path,
        SHOT,
    )
    for i, mask in ((5, five), (7, seven)):
        write_label_map(tmp_path / "overlaps" / f"00003.{i}.png", mask.to(torch.uint8) * i)
    notes = {
        "frames": {
            "00003": {
                "objects": [3, 5, 7],
                "overlaps": {"7": "overlaps/00003.7.png", "5": "overlaps/00003.5.png"},
            }
        }
    }
    (tmp_path / NOTES_NAME).write_text(json.dumps(notes), encoding="utf-8")
    loaded = load_annotations(tmp_path, SHOT)
    expected = torch.zeros(SIZE, dtype=torch.uint8)
    for i, mask in ((3, three), (5, five), (7, seven)):
        expected[mask] = i
    assert torch.equal(loaded.at(3).label_map(), expected)
    save_annotations(loaded, tmp_path, SHOT)
    assert not list((tmp_path / "overlaps").iterdir())
    _assert_same(load_annotations(tmp_path, SHOT), loaded)


def test_saving_again_leaves_nothing_of_the_earlier_set(tmp_path: Path) -> None:
    masks = torch.stack([disk(SIZE, 0.5, x, 0.3) for x in (0.4, 0.5)])
    first = AnnotationSet((Annotation(3, (3, 7), masks), Annotation(4, (3, 7), masks)))
    second = AnnotationSet((Annotation(4, (3, 7), torch.stack([masks[0], ~masks[0]])),))
    save_annotations(first, tmp_path, SHOT)
    save_annotations(second, tmp_path, SHOT)
    _assert_same(load_annotations(tmp_path, SHOT), second)
    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {"00004.png", NOTES_NAME}


def test_saving_refuses_a_folder_with_maps_of_somebody_else(tmp_path: Path) -> None:
    write_label_map(tmp_path / "00009.png", torch.zeros(SIZE, dtype=torch.uint8))
    one = AnnotationSet((Annotation(3, (1,), disk(SIZE, 0.5, 0.5, 0.3)[None]),))
    with pytest.raises(FormatError, match=r"holds other label maps, such as 00009.png"):
        save_annotations(one, tmp_path, SHOT)
    assert [p.name for p in tmp_path.iterdir()] == ["00009.png"]


def test_saving_refuses_what_the_shot_does_not_have(tmp_path: Path) -> None:
    mask = disk(SIZE, 0.5, 0.5, 0.3)[None]
    with pytest.raises(InputError, match="frame 20 is annotated, but the shot has 20 frames"):
        save_annotations(AnnotationSet((Annotation(20, (1,), mask),)), tmp_path, SHOT)
    with pytest.raises(ShapeError, match="expected shape 32x24, got 31x24"):
        save_annotations(AnnotationSet((Annotation(2, (1,), mask[..., 1:]),)), tmp_path, SHOT)


@pytest.mark.parametrize("kind", ["palette", "grey", "grey16", "greyalpha"])
def test_sparse_ids_come_back_as_they_are(tmp_path: Path, kind: str) -> None:
    labels = _labels(i3=(0, 9, 0, 9), i7=(10, 20, 10, 20))
    image = Image.fromarray(labels)
    if kind == "palette":
        image.putpalette([255, 0, 0] * 256)
    elif kind == "grey16":
        image = Image.fromarray(labels.astype(np.uint16))
    elif kind == "greyalpha":
        image.putalpha(255)
    image.save(tmp_path / "00004.png")
    annotations = load_annotations(tmp_path, SHOT)
    assert annotations.object_ids == (3, 7)
    (annotation,) = annotations
    assert annotation.frame_index == 4
    assert annotation.exhaustive
    assert torch.equal(annotation.label_map(), torch.from_numpy(labels))


def test_a_black_and_white_map_of_one_bit_is_object_1(tmp_path: Path) -> None:
    Image.fromarray(_labels(i1=(3, 9, 3, 9)).astype(bool)).save(tmp_path / "00000.png")
    assert load_annotations(tmp_path, SHOT).object_ids == (1,)


def test_written_maps_read_back_with_all_256_ids(tmp_path: Path) -> None:
    labels = torch.arange(256, dtype=torch.uint8).reshape(8, 32).repeat_interleave(3, 0)
    write_label_map(tmp_path / "a.png", labels)
    assert torch.equal(read_label_map(tmp_path / "a.png"), labels)
    image = Image.open(tmp_path / "a.png").convert("RGB")
    assert [image.getpixel((i % 32, 3 * (i // 32))) for i in range(256)] == list(PALETTE)
    image.save(tmp_path / "rgb.png")
    assert torch.equal(read_label_map(tmp_path / "rgb.png"), labels)


def test_the_palette_is_the_one_of_davis() -> None:
    assert PALETTE[:4] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    assert (PALETTE[8], PALETTE[22], PALETTE[255]) == ((64, 0, 0), (0, 192, 128), (224, 224, 192))
    assert len(set(PALETTE)) == 256
    demo = Image.open(DEMO / "00012.png").getpalette()
    assert tuple(demo[:66]) == tuple(c for color in PALETTE[:22] for c in color)


def test_colors_are_numbered_once_for_the_whole_folder(tmp_path: Path) -> None:
    pink, gold, green = (255, 0, 255), (255, 200, 0), PALETTE[2]
    for name, colors in {"00002": (gold, pink), "00001": (pink,), "00010": (green, gold)}.items():
        picture = np.zeros((*SIZE, 3), np.uint8)
        for i, color in enumerate(colors):
            picture[2:8, 2 + 10 * i : 8 + 10 * i] = color
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    annotations = load_annotations(tmp_path, SHOT)
    # Pink appears first; 2 belongs to the palette's green, so that gold is 3.
    assert [a.object_ids for a in annotations] == [(1,), (1, 3), (2, 3)]
    assert annotations.colors == {1: pink, 3: gold}
    assert annotations.at(2).mask(1)[4, 14]


def test_colors_noted_in_the_json_have_their_ids(tmp_path: Path) -> None:
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[2:8, 2:8] = (255, 0, 255)
    Image.fromarray(picture).save(tmp_path / "00001.png")
    (tmp_path / NOTES_NAME).write_text('{"colors": {"9": [255, 0, 255]}}')
    assert load_annotations(tmp_path, SHOT).object_ids == (9,)


def test_transparent_pixels_are_background(tmp_path: Path) -> None:
    picture = np.full((*SIZE, 4), (255, 255, 255, 0), np.uint8)
    picture[2:8, 2:8] = (*PALETTE[5], 255)
    Image.fromarray(picture).save(tmp_path / "00001.png")
    (annotation,) = load_annotations(tmp_path, SHOT)
    assert (annotation.object_ids, int(annotation.masks.sum())) == ((5,), 36)


def _antialiased(color: tuple[int, ...] | int, mode: str) -> Image.Image:
    big = Image.new(mode, (4 * 320, 4 * 240))
    ImageDraw.Draw(big).ellipse((400, 200, 900, 700), fill=color)
    return big.resize((320, 240), Image.Resampling.BOX)


@pytest.mark.parametrize(
    ("color", "mode"),
    [((128, 0, 0), "RGB"), ((255, 40, 200), "RGB"), (255, "L"), (200, "L")],
)
def test_antialiased_edges_are_counted_and_refused(
    tmp_path: Path, color: tuple[int, ...] | int, mode: str
) -> None:
    image = _antialiased(color, mode)
    image.save(tmp_path / "00001.png")
    with pytest.raises(FormatError, match=r"00001.png: \d+ colors cover under 0.1 %") as caught:
        load_annotations(tmp_path, numbered_shot(3, Size(240, 320)))
    counts = [n for n, _ in image.getcolors(1000)]
    rare = sum(n < 0.001 * 320 * 240 for n in counts)
    assert int(re.search(r"(\d+) color", str(caught.value)).group(1)) == rare > 1


def test_one_mixed_palette_color_along_an_edge_is_refused(tmp_path: Path) -> None:
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[40:90, 40:100] = PALETTE[1]
    picture[40:90, 100] = PALETTE[8]  # half of PALETTE[1]
    Image.fromarray(picture).save(tmp_path / "00001.png")
    with pytest.raises(FormatError, match="1 color covers under"):
        load_annotations(tmp_path, numbered_shot(3, Size(240, 320)))


@pytest.mark.parametrize("rgb", [False, True])
def test_a_tiny_object_is_no_edge(tmp_path: Path, rgb: bool) -> None:
    labels = _labels(Size(240, 320), i1=(20, 80, 20, 80), i9=(100, 200, 20, 80), i8=(5, 9, 5, 9))
    image = Image.fromarray(np.array(PALETTE, np.uint8)[labels] if rgb else labels)
    image.save(tmp_path / "00001.png")
    annotations = load_annotations(tmp_path, numbered_shot(3, Size(240, 320)))
    assert annotations.object_ids == (1, 8, 9)


def test_a_photograph_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "00001.png")
    with pytest.raises(FormatError, match=r"holds \d+ colors, at most 255"):
        load_annotations(tmp_path, SHOT)


def test_maps_are_matched_by_name_before_number(tmp_path: Path) -> None:
    shot = NamedShot(["plate.1001", "plate.1002", "take2"], SIZE)
    for name in ("plate.1002", "mask_01001", "take2"):
        write_label_map(tmp_path / f"{name}.PNG", torch.from_numpy(_labels(i1=(0, 5, 0, 5))))
    assert load_annotations(tmp_path, shot).frame_indices == (0, 1, 2)


def test_a_map_of_no_frame_and_two_maps_of_one_are_refused(tmp_path: Path) -> None:
    write_label_map(tmp_path / "00012.png", torch.zeros(SIZE, dtype=torch.uint8))
    with pytest.raises(FormatError, match=r"00012.png matches no frame.*00000 to 00009"):
        load_annotations(tmp_path, numbered_shot(10, SIZE))
    write_label_map(tmp_path / "12.png", torch.zeros(SIZE, dtype=torch.uint8))
    with pytest.raises(FormatError, match=r"00012.png and 12.png mean the same frame"):
        load_annotations(tmp_path, SHOT)


def test_the_demo_maps_fit_the_film_and_need_no_word(caplog: pytest.LogCaptureFixture) -> None:
    film = numbered_shot(132, Size(720, 1280))
    with caplog.at_level(logging.WARNING):
        annotations = load_annotations(DEMO, film)
    assert annotations.frame_indices == (12, 60, 122)
    assert annotations.object_ids == (1, 2)
    assert caplog.messages == []
    assert torch.equal(annotations.at(60).label_map(), read_label_map(DEMO / "00060.png"))


def test_maps_of_another_size_are_scaled_to_the_nearest_pixel_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = read_label_map(DEMO / "00060.png")[:480, :854]
    write_label_map(tmp_path / "00060.png", labels)
    with caplog.at_level(logging.WARNING):
        annotations = load_annotations(tmp_path, numbered_shot(132, Size(720, 1280)))
    assert caplog.messages == [f"{tmp_path}: 1 label map of 854x480 scaled to the frames' 1280x720"]
    rows = (2 * torch.arange(720) + 1) * 480 // (2 * 720)
    columns = (2 * torch.arange(1280) + 1) * 854 // (2 * 1280)
    assert torch.equal(annotations.at(60).label_map(), labels[rows][:, columns])


def test_other_proportions_are_refused_with_both_sizes() -> None:
    labels = torch.zeros(480, 640, dtype=torch.uint8)
    with pytest.raises(ShapeError, match=r"label map a.png: expected shape 1280x720, got 640x480"):
        fit_masks(labels, Size(720, 1280), "label map a.png")
    assert fit_masks(labels, Size(721, 960), "a").shape == (721, 960)
    with pytest.raises(ShapeError):
        fit_masks(labels, Size(723, 960), "a")


def test_masks_scale_as_one_block_and_keep_their_kind() -> None:
    masks = torch.stack([disk(Size(10, 10), 0.5, 0.5, 0.3)] * 2)
    scaled = fit_masks(masks, Size(20, 20), "masks")
    assert scaled.dtype == torch.bool
    assert torch.equal(scaled, masks.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_the_json_alone_can_declare_absence(tmp_path: Path) -> None:
    (tmp_path / NOTES_NAME).write_text('{"frames": {"7": {"absent": [2]}}}')
    (annotation,) = load_annotations(tmp_path, SHOT)
    assert (annotation.frame_index, annotation.absent_ids) == (7, (2,))
    assert not annotation.exhaustive


def test_absence_ranges_use_the_numbers_of_the_sequence(tmp_path: Path) -> None:
    shot = NamedShot([f"plate.{n}" for n in (1001, 1002, 1005, 1006)], SIZE)
    ranges = [(2, 1002, 1005), (3, 1003, 1004), (4, 900, 1003), (5, 1004, 1010)]
    absences = [{"object": i, "first": a, "last": b} for i, a, b in ranges]
    (tmp_path / NOTES_NAME).write_text(json.dumps({"absences": absences}))
    assert load_annotations(tmp_path, shot).absences == (
        AbsenceRange(2, 1, 2),
        AbsenceRange(4, 0, 1),
        AbsenceRange(5, 2, 7),
    )


def test_drawn_objects_that_a_map_does_not_speak_about_are_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = _labels(i1=(0, 5, 0, 5), i2=(6, 9, 6, 9))
    write_label_map(tmp_path / "00003.png", torch.from_numpy(labels))
    (tmp_path / NOTES_NAME).write_text('{"frames": {"00003": {"objects": [1]}}}')
    (annotation,) = load_annotations(tmp_path, SHOT)
    assert (annotation.object_ids, annotation.exhaustive) == ((1,), False)
    assert "objects 2 are drawn but not listed" in caplog.text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "is not valid"),
        ("[]", "an object {...} must hold everything"),
        ('{"version": 2}', "version 2 is unknown"),
        ('{"frame": {}}', "unknown key 'frame'"),
        ('{"names": {"0": "x"}}', "object id 0 is not an integer from 1 to 255"),
        ('{"names": {"a": "x"}}', "object id 'a' is not an integer"),
        ('{"names": {"1": 2}}', "2 must be text"),
        ('{"colors": {"1": [0, 0, 256]}}', "must be three integers 0 to 255"),
        ('{"absences": [{"object": 1}]}', "must be like"),
        ('{"absences": [{"object": 1, "first": 9, "last": 3}]}', "runs backward"),
        ('{"frames": {"00003": []}}', r"frame '00003' is \[\]"),
        ('{"frames": {"00003": {"absent": 2}}}', '"absent" is 2, it must be a list'),
        ('{"frames": {"00003": {"absent": [true]}}}', "object id True"),
        ('{"frames": {"99": {"absent": [2]}}}', "99 matches no frame"),
        ('{"frames": {"00004": {"objects": [1]}}}', "can only list absent objects"),
        ('{"frames": {"00003": {"absent": [1]}}}', "both drawn and declared absent"),
        ('{"frames": {"00003": {"overlaps": {"1": "../x.png"}}}}', "must lie in the same folder"),
        ('{"frames": {"00003": {"overlaps": {"1": "x.png"}}}}', "x.png: does not exist"),
    ],
)
def test_a_json_that_cannot_be_understood_is_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    write_label_map(tmp_path / "00003.png", torch.from_numpy(_labels(i1=(0, 5, 0, 5))))
    (tmp_path / NOTES_NAME).write_text(text)
    with pytest.raises(FormatError, match=problem) as caught:
        load_annotations(tmp_path, SHOT)
    assert str(tmp_path) in str(caught.value)


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is no folder"):
        load_annotations(tmp_path / "nowhere", SHOT)
    with pytest.raises(FormatError, match="holds no label-map PNG"):
        load_annotations(tmp_path, SHOT)
    with pytest.raises(FormatError, match=r"a.png: does not exist"):
        read_label_map(tmp_path / "a.png")
    write_label_map(tmp_path / "00003.png", torch.from_numpy(_labels(i1=(0, 5, 0, 5))))
    whole = (tmp_path / "00003.png").read_bytes()
    for content in (b"", whole[:60], whole[:-30], b"GIF89a" + whole[6:]):
        (tmp_path / "00003.png").write_bytes(content)
        with pytest.raises(FormatError, match=r"00003.png: is no PNG picture or is damaged"):
            load_annotations(tmp_path, SHOT)


def test_grey_values_above_255_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full(SIZE, 300, np.uint16)).save(tmp_path / "00003.png")
    with pytest.raises(FormatError, match="holds the gray value 300"):
        load_annotations(tmp_path, SHOT)
