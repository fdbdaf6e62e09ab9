"""What the values of a label map mean: one rule each, and a line for what was found."""

from __future__ import annotations

import io
import json
import logging
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from drawn import NamedShot, numbered_shot, soft_segmentation
from PIL import Image

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.cli.main import main
from xmempp_core.errors import FormatError, InputError
from xmempp_core.formats.annotations.folder import (
    annotation_files,
    annotations_from_files,
    load_annotations,
    save_annotations,
)
from xmempp_core.formats.annotations.label_maps import PALETTE, read_lone_map, write_label_map
from xmempp_core.formats.annotations.notes import NOTES_NAME
from xmempp_core.formats.annotations.summary import found_objects
from xmempp_core.track.segmentation import label_map_of, probabilities_of
from xmempp_core.types import Size

CASES = Path(__file__).parents[1] / "data" / "cases"
SIZE = Size(24, 32)
SHOT = numbered_shot(20, SIZE)
CASE_SHOT = NamedShot([f"{n:04d}" for n in range(8)], Size(96, 128))


def boxes(**places: tuple[int, int, int, int]) -> np.ndarray:
    """Values drawn as boxes (top, bottom, left, right): boxes(v3=(0, 4, 0, 4))."""
    values = np.zeros(SIZE, np.uint8)
    for name, (top, bottom, left, right) in places.items():
        values[top:bottom, left:right] = int(name[1:])
    return values


def save(folder: Path, name: str, values: np.ndarray, palette: bool = False) -> None:
    image = Image.fromarray(values)
    if palette:
        image.putpalette([c for color in PALETTE for c in color])
    image.save(folder / f"{name}.png")


def raw_png(values: np.ndarray, depth: int, kind: int) -> bytes:
    """A PNG whose samples (H, W[, C]) are written with any depth."""
    rows = values.reshape(len(values), -1)
    if depth == 16:
        lines = [row.astype(">u2").tobytes() for row in rows]
    else:
        bits = ((rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(len(rows), -1)
        lines = [np.packbits(row.astype(np.uint8)).tobytes() for row in bits]
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, kind, 0, 0, 0)
    parts = {b"IHDR": head, b"IDAT": zlib.compress(b"".join(b"\0" + line for line in lines))}
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in {**parts, b"IEND": b""}.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


# ---- black and white


def test_black_and_white_is_object_1_whatever_the_bit_depth() -> None:
    annotations = load_annotations(CASES / "F09_bilevel_and_8bit", CASE_SHOT)
    assert [(a.frame_index, a.object_ids) for a in annotations] == [(0, (1,)), (6, (1,))]
    assert [int(a.masks.sum()) for a in annotations] == [576, 576]


@pytest.mark.parametrize("kind", ["gray", "palette", "gray16", "gray1", "alpha"])
def test_white_alone_is_object_1_in_every_kind_of_png(tmp_path: Path, kind: str) -> None:
    white = boxes(v255=(3, 9, 3, 9))
    if kind == "gray16":
        Image.fromarray(white.astype(np.uint16) * 257).save(tmp_path / "00000.png")
    elif kind == "gray1":
        Image.fromarray(white > 0).save(tmp_path / "00000.png")
    elif kind == "alpha":
        image = Image.fromarray(white)
        image.putalpha(255)
        image.save(tmp_path / "00000.png")
    else:
        save(tmp_path, "00000", white, palette=kind == "palette")
    (annotation,) = load_annotations(tmp_path, SHOT)
    assert annotation.object_ids == (1,)
    assert (int(annotation.masks.sum()), annotation.void) == (36, None)


def test_255_is_an_object_where_the_notes_name_it(tmp_path: Path) -> None:
    save(tmp_path, "00000", boxes(v255=(3, 9, 3, 9), v2=(10, 12, 3, 9)))
    (tmp_path / NOTES_NAME).write_text('{"names": {"255": "sky"}}')
    (annotation,) = load_annotations(tmp_path, SHOT)
    assert (annotation.object_ids, annotation.void) == ((2, 255), None)


# ---- void


def test_255_beside_smaller_ids_is_nobodys_and_a_line_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        (annotation,) = load_annotations(CASES / "F13_voc_void", CASE_SHOT)
    assert annotation.object_ids == (1,)
    assert (int(annotation.masks.sum()), int(annotation.void.sum())) == (576, 100)
    assert "255 stands beside other ids and is void, nobody's, in 0000.png" in caplog.text
    assert found_objects(AnnotationSet((annotation,)), CASE_SHOT.name) == (
        "1 annotated frame; 0000: object 1 (576 pixels), void (100 pixels)"
    )


def test_one_map_with_void_makes_255_void_in_all_maps_of_the_folder(tmp_path: Path) -> None:
    save(tmp_path, "00000", boxes(v1=(0, 5, 0, 5), v255=(5, 6, 0, 5)))
    save(tmp_path, "00001", boxes(v255=(5, 6, 0, 5)))
    first, second = load_annotations(tmp_path, SHOT)
    assert (first.object_ids, second.object_ids) == ((1,), ())
    assert [int(a.void.sum()) for a in (first, second)] == [5, 5]


def test_the_notes_can_tell_which_value_is_void(tmp_path: Path) -> None:
    save(tmp_path, "00000", boxes(v1=(0, 5, 0, 5), v9=(5, 6, 0, 5), v255=(9, 10, 0, 5)))
    (tmp_path / NOTES_NAME).write_text('{"void": 9}')
    (annotation,) = load_annotations(tmp_path, SHOT)
    assert (annotation.object_ids, int(annotation.void.sum())) == ((1, 255), 5)
    for text, problem in {
        '{"void": 256}': "is 256, it must be an integer",
        '{"void": "x"}': "'x', it must be",
        '{"void": 9, "names": {"9": "x"}}': '"void" is 9, which is an object as well',
    }.items():
        (tmp_path / NOTES_NAME).write_text(text)
        with pytest.raises(FormatError, match=problem):
            load_annotations(tmp_path, SHOT)


def test_void_colors_of_the_palette_are_void_in_color_maps_too(tmp_path: Path) -> None:
    values = boxes(v1=(0, 5, 0, 5), v255=(5, 9, 0, 5))
    Image.fromarray(np.array(PALETTE, np.uint8)[values]).save(tmp_path / "00000.png")
    (annotation,) = load_annotations(tmp_path, SHOT)
    assert (annotation.object_ids, int(annotation.void.sum())) == ((1,), 20)


@pytest.mark.parametrize("ids", [(1, 2), (1, 254, 255)])
def test_void_survives_its_folder(tmp_path: Path, ids: tuple[int, ...]) -> None:
    labels = torch.zeros(SIZE, dtype=torch.uint8)
    for place, object_id in enumerate(ids):
        labels[4 * place : 4 * place + 3, :9] = object_id
    void = torch.zeros(SIZE, dtype=torch.bool)
    void[:2, 5:20] = True
    annotations = AnnotationSet((Annotation.from_label_map(3, labels, void),))
    save_annotations(annotations, tmp_path, SHOT)
    (again,) = load_annotations(tmp_path, SHOT)
    assert again.object_ids == ids
    assert torch.equal(again.label_map(), labels)
    assert torch.equal(again.void, void & (labels == 0))
    assert AnnotationSet((again,)).fingerprint == annotations.fingerprint


def test_objects_of_all_values_leave_no_room_for_void() -> None:
    labels = torch.arange(256, dtype=torch.uint8).reshape(8, 32)
    annotation = Annotation.from_label_map(0, labels, labels == 0)
    with pytest.raises(InputError, match="255 objects and void pixels do not fit"):
        list(annotation_files(AnnotationSet((annotation,)), numbered_shot(1, Size(8, 32))))


def test_void_changes_what_a_set_says() -> None:
    labels = torch.zeros(SIZE, dtype=torch.uint8)
    labels[:5] = 1
    plain = AnnotationSet((Annotation.from_label_map(0, labels),))
    void = AnnotationSet((Annotation.from_label_map(0, labels, labels == 0),))
    assert plain.fingerprint != void.fingerprint


def test_a_mask_laid_over_void_takes_its_pixels() -> None:
    labels = torch.zeros(SIZE, dtype=torch.uint8)
    labels[:5] = 1
    mask = torch.zeros(1, *SIZE, dtype=torch.bool)
    mask[:, 5:8] = True
    before = AnnotationSet((Annotation.from_label_map(0, labels, labels == 0),))
    after = before.with_annotation(Annotation(0, (2,), mask)).at(0)
    assert torch.equal(after.void, (labels == 0) & ~mask[0])


def test_void_of_a_map_of_another_size_is_scaled_with_it(tmp_path: Path) -> None:
    save(tmp_path, "00000", boxes(v1=(0, 5, 0, 5), v255=(5, 6, 0, 5)))
    (annotation,) = load_annotations(tmp_path, numbered_shot(1, Size(48, 64)))
    assert (int(annotation.masks.sum()), int(annotation.void.sum())) == (100, 20)


def test_a_track_keeps_object_255_of_maps_without_a_word_about_void() -> None:
    buffer = io.BytesIO()
    Image.fromarray(boxes(v255=(0, 5, 0, 5))).save(buffer, "PNG")
    files = {"00000.png": buffer.getvalue()}
    read = annotations_from_files(files, files.get, SHOT, where=Path("track"), are_ids=True)
    assert read.object_ids == (255,)


# ---- alpha, depth, palettes, soft mattes


def test_alpha_counts_from_128(tmp_path: Path) -> None:
    (annotation,) = load_annotations(CASES / "F11_soft_alpha", CASE_SHOT)
    alpha = np.array(Image.open(CASES / "F11_soft_alpha" / "0000.png"))[..., 3]
    assert torch.equal(annotation.mask(1), torch.from_numpy(alpha >= 128))
    assert 450 <= int(annotation.masks.sum()) <= 576
    gray = np.stack([boxes(v7=(0, 4, 0, 4)), np.full(SIZE, 128, np.uint8)], -1)
    gray[0, 0, 1] = 127
    Image.fromarray(gray, "LA").save(tmp_path / "a.png")
    assert int((read_lone_map(tmp_path / "a.png").labels == 7).sum()) == 15


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grays_of_few_bits_are_not_scaled(tmp_path: Path, depth: int) -> None:
    values = boxes(v1=(0, 5, 0, 5)) if depth == 1 else boxes(v1=(0, 5, 0, 5), v3=(9, 12, 0, 5))
    (tmp_path / "a.png").write_bytes(raw_png(values, depth, 0))
    assert np.array_equal(read_lone_map(tmp_path / "a.png").labels, values)


def test_colors_of_16_bits_are_read_where_8_bits_can_say_them(tmp_path: Path) -> None:
    values = boxes(v1=(0, 5, 0, 5), v3=(9, 12, 0, 5))
    colors = np.array(PALETTE, np.uint16)[values] * 257
    ok, data = cv2.imencode(".png", colors[..., ::-1])
    assert ok
    (tmp_path / "a.png").write_bytes(data.tobytes())
    assert np.array_equal(read_lone_map(tmp_path / "a.png").labels, values)
    ok, data = cv2.imencode(".png", colors[..., ::-1] + np.uint16(1))
    (tmp_path / "a.png").write_bytes(data.tobytes())
    with pytest.raises(FormatError, match=r"a.png: holds 16-bit colors that 8 bits cannot say"):
        read_lone_map(tmp_path / "a.png")


def test_ids_of_16_bit_gray_with_alpha_are_not_cut(tmp_path: Path) -> None:
    values = boxes(v3=(9, 12, 0, 5))
    samples = np.stack([values.astype(np.uint16), np.full(SIZE, 65535, np.uint16)], -1)
    (tmp_path / "a.png").write_bytes(raw_png(samples, 16, 4))
    assert np.array_equal(read_lone_map(tmp_path / "a.png").labels, values)


def test_palettes_that_give_one_color_two_indices_are_refused(tmp_path: Path) -> None:
    red, green = [255, 0, 0], [0, 255, 0]
    for name, colors in {"00000": (red, green), "00001": (green, red)}.items():
        image = Image.fromarray(boxes(v1=(0, 5, 0, 5), v2=(9, 12, 0, 5)))
        image.putpalette([0, 0, 0, *colors[0], *colors[1]])
        image.save(tmp_path / f"{name}.png")
    with pytest.raises(FormatError, match=r"\(0, 255, 0\) has the index 2 in 00000.png, 1 in 000"):
        load_annotations(tmp_path, SHOT)


def test_palettes_without_colors_of_their_own_are_read_by_index(tmp_path: Path) -> None:
    for name, value in {"00000": 3, "00001": 7}.items():
        image = Image.fromarray(boxes(v3=(0, 5, 0, 5)) // 3 * value)
        image.putpalette([*[0, 0, 0], *[255, 0, 0] * 2, *[value, 0, 0] * 253])
        image.save(tmp_path / f"{name}.png")
    assert load_annotations(tmp_path, SHOT).object_ids == (3, 7)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_soft_matte_is_refused_with_the_remedy(tmp_path: Path, mode: str) -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (32, 1))
    Image.fromarray(ramp).convert(mode).save(tmp_path / "00000.png")
    with pytest.raises(FormatError, match=r"holds 64 grays, as a soft matte does; save it in bla"):
        load_annotations(tmp_path, numbered_shot(1, Size(32, 64)))


def test_many_grays_are_ids_where_the_notes_name_them(tmp_path: Path) -> None:
    values = np.arange(48, dtype=np.uint8).reshape(6, 8).repeat(4, 0).repeat(4, 1)
    save(tmp_path, "00000", values)
    names = {str(i): f"object {i}" for i in range(1, 48)}
    (tmp_path / NOTES_NAME).write_text(json.dumps({"names": names}))
    assert len(load_annotations(tmp_path, SHOT).object_ids) == 47


def test_a_map_that_asks_for_too_many_pixels_is_refused_before_decoding(tmp_path: Path) -> None:
    data = bytearray(raw_png(boxes(v1=(0, 5, 0, 5)), 8, 0))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(FormatError, match=r"has 60000 x 60000 pixels; a map has at most"):
        read_lone_map(tmp_path / "a.png")


def test_an_animated_map_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(boxes(v1=(0, 5, n, 5 + n))) for n in range(2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(FormatError, match="is an animated PNG; save one picture for each frame"):
        read_lone_map(tmp_path / "a.png")


# ---- what was found


def test_a_line_says_which_objects_were_found_on_which_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_label_map(tmp_path / "00003.png", torch.from_numpy(boxes(v1=(0, 5, 0, 5))))
    write_label_map(tmp_path / "00007.png", torch.from_numpy(boxes(v2=(0, 2, 0, 5))))
    (tmp_path / NOTES_NAME).write_text(
        '{"names": {"1": "bunny"}, "frames": {"00007": {"absent": [1]}}}'
    )
    line = (
        "2 annotated frames; 00003: object 1 bunny (25 pixels); "
        "00007: object 1 bunny absent, object 2 (10 pixels)"
    )
    assert found_objects(load_annotations(tmp_path, SHOT), SHOT.name) == line
    assert main(["info", str(tmp_path)]) == 0
    assert line in capsys.readouterr().out


def test_info_tells_why_maps_with_notes_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_label_map(tmp_path / "00003.png", torch.from_numpy(boxes(v1=(0, 5, 0, 5))))
    (tmp_path / NOTES_NAME).write_text('{"frame": {}}')
    assert main(["info", str(tmp_path)]) == 2
    assert "unknown key 'frame'" in capsys.readouterr().err


# ---- results


def test_predictions_stand_in_void_pixels_of_hard_and_soft_results() -> None:
    labels = torch.zeros(SIZE, dtype=torch.uint8)
    labels[:9] = 1
    void = torch.zeros(SIZE, dtype=torch.bool)
    void[5:20] = True
    plain = soft_segmentation(4, (1, 2, 3), Size(12, 16), SIZE)
    empty = torch.zeros(1, *SIZE, dtype=torch.bool)
    said = Annotation.from_label_map(4, labels, void).merged(Annotation(4, (3,), empty))
    result = replace(plain, annotation=said, absent_ids=(2,))
    hard, soft = label_map_of(result), probabilities_of(result)
    nobody = said.void
    only_1 = label_map_of(replace(plain, absent_ids=(2, 3)))
    assert {0, 1} == set(only_1[nobody].tolist())
    assert torch.equal(hard[nobody], only_1[nobody])
    assert torch.equal(hard[~nobody], labels[~nobody])
    expected = probabilities_of(replace(plain, absent_ids=(2, 3)))
    assert torch.allclose(soft[:, nobody], expected[:, nobody], atol=1e-6)
    assert torch.equal(soft[1][~nobody], (labels == 1)[~nobody].float())
    assert torch.equal(soft[2:], torch.zeros(2, *SIZE))
    assert torch.allclose(soft.sum(0), torch.ones(SIZE))
