"""Mattes in: what was exported comes back; other programs' files are matched and read."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
import torch
from drawn import NamedShot, disk
from matte_track import COUNT, FIRST, FRAME_NAMES, IDS, SIZE, make_track

from xmempp_core.cli.main import main
from xmempp_core.errors import FormatError, InputError, ShapeError
from xmempp_core.formats.annotations.folder import load_annotations
from xmempp_core.formats.mattes.alpha_pixels import read_alpha
from xmempp_core.formats.mattes.reading import find_mattes
from xmempp_core.formats.tracks import load_track
from xmempp_core.mattes.choices import default_template
from xmempp_core.mattes.export import export_mattes
from xmempp_core.mattes.imported import (
    label_maps,
    mattes_as_annotations,
    mattes_as_track,
    open_mattes,
)
from xmempp_core.mattes.plan import MatteJob
from xmempp_core.mattes.presets import MatteSettings
from xmempp_core.pictures.pictures import write_picture
from xmempp_core.track.track import Track

PLATE = NamedShot(FRAME_NAMES, SIZE)
# What one step of a format is; films of 8 bits are not lossless.
STEPS = {
    ("png", 8, False): 1 / 255,
    ("png", 16, False): 1 / 65535,
    ("exr", 16, False): 1 / 1024,
    ("exr", 16, True): 1 / 1024,
    ("exr", 32, False): 1e-6,
    ("cryptomatte", 32, False): 1e-6,
    ("cutout", 16, False): 1 / 65535,
    ("prores", None, False): 1 / 1023,
    ("webm", None, False): 0.35,
    ("mp4", None, False): 0.35,
}


@pytest.fixture(scope="module")
def track() -> Track:
    return make_track()


def exported(track: Track, output: Path, format: str, bits: int | None, layers: bool) -> Path:
    settings = MatteSettings(
        format=format,
        bits=bits,
        layers=layers,
        template=default_template(format, in_one_file=layers),
    )
    return export_mattes(track, MatteJob(output, settings)).sidecar


def test_label_maps_come_back_exactly(track: Track, tmp_path: Path) -> None:
    exported(track, tmp_path, "labels", None, False)
    found = open_mattes(tmp_path, PLATE)
    assert found.object_ids == IDS
    assert found.how == "by frame number"
    maps = dict(label_maps(found, SIZE))
    assert list(maps) == list(range(COUNT))
    for index, labels in maps.items():
        assert torch.equal(labels, track.label_map(index))


@pytest.mark.parametrize(("format", "bits", "layers"), STEPS)
def test_soft_mattes_come_back_within_a_step(
    track: Track, tmp_path: Path, format: str, bits: int | None, layers: bool
) -> None:
    step = STEPS[format, bits, layers]
    sidecar = exported(track, tmp_path, format, bits, layers)
    found = open_mattes(sidecar, PLATE)
    assert sorted(found.object_ids) == list(IDS)
    ids = torch.tensor((0, *IDS))
    for index, labels in label_maps(found, SIZE):
        p = track.probabilities(index)
        p[0] = (1 - p[1:].sum(0)).clamp(min=0)
        best = p.topk(2, 0).values
        differs = ids[p.argmax(0)] != labels
        assert float((best[0] - best[1])[differs].max() if differs.any() else 0) <= 2 * step
        assert float(differs.float().mean()) < 0.02


def test_an_exported_track_becomes_a_track_to_be_corrected(track: Track, tmp_path: Path) -> None:
    found = open_mattes(exported(track, tmp_path, "exr", 32, True), PLATE)
    again = mattes_as_track(found, PLATE, (0, 4))
    assert again.frame_indices == tuple(range(COUNT))
    assert again.object_ids == IDS
    assert again.annotations.frame_indices == (0, 4)
    assert again.annotations.names[2] == "Hat: left/right"
    for index in (1, 2):
        assert torch.equal(again.label_map(index), track.label_map(index))
        assert (again.probabilities(index) - track.probabilities(index)).abs().max() < 1e-3


def write_square(path: Path, x: int, kind: str) -> np.ndarray:
    """A soft square as another program would write it."""
    alpha = np.zeros(SIZE, np.float32)
    alpha[10:40, x : x + 20] = 1
    alpha[10:40, x] = 0.25
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "tiff16":
        tifffile.imwrite(path, np.rint(alpha * 65535).astype(np.uint16))
    elif kind == "tiff_rgba":
        rgba = np.dstack([alpha * 0, alpha * 0 + 1, alpha * 0, alpha])
        tifffile.imwrite(path, np.rint(rgba * 255).astype(np.uint8), photometric="rgb")
    elif kind == "png_rgba":
        bgra = np.dstack([alpha * 0 + 1, alpha * 0, alpha * 0, alpha])
        cv2.imwrite(str(path), np.rint(bgra * 65535).astype(np.uint16))
    elif kind == "png_rgb":
        cv2.imwrite(str(path), np.rint(np.dstack([alpha] * 3) * 255).astype(np.uint8))
    else:
        OpenEXR.File({}, {"R": alpha * 0, "hat.A": alpha, "A": alpha * 0}).write(str(path))
    return alpha


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("tiff16", "tif"), ("tiff_rgba", "tiff"), ("png_rgba", "png"), ("png_rgb", "png")],
)
def test_pictures_of_other_programs_are_read_as_alpha(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    alpha = write_square(path, 5, kind)
    assert np.abs(read_alpha(path).numpy() - alpha).max() < 0.5 / 255 + 1e-6
    if "rgba" in kind:
        color = "B" if suffix == "png" else "G"
        assert (read_alpha(path, color) == 1).all()
    with pytest.raises(FormatError, match="has no channel Z"):
        read_alpha(path, "Z")


def test_a_folder_for_each_object_and_a_layer_are_found(tmp_path: Path) -> None:
    for name, x in (("hat", 5), ("3", 60)):
        for index in range(2):
            write_square(tmp_path / "m" / name / f"{name}.{FIRST + index}.png", x, "png_rgb")
    found = open_mattes(tmp_path / "m", PLATE)
    assert dict(zip([c.name for c in found.clips], found.object_ids, strict=True)) == {
        "3": 3,
        "hat": 1,
    }
    annotations = mattes_as_annotations(found, PLATE)
    assert annotations.frame_indices == (0, 1)
    assert annotations.at(0).mask(1)[20, 6]
    assert not annotations.at(0).mask(1)[20, 5]
    for index in range(2):
        write_square(tmp_path / "e" / f"m.{FIRST + index}.exr", 5, "exr")
    clips = find_mattes(tmp_path / "e", "hat")
    assert len(clips) == 1
    assert next(clips[0].alphas())[20, 6] == 1
    assert [clip.channel for clip in find_mattes(tmp_path / "e")] == ["hat.A"]


def test_frames_are_matched_by_number_by_order_or_by_offset(tmp_path: Path) -> None:
    for number in (1, 2, 4):
        write_square(tmp_path / f"m.{number:04d}.png", 5, "png_rgb")
    with pytest.raises(InputError, match="no matte belongs to a frame of the shot"):
        open_mattes(tmp_path, PLATE)
    by_offset = open_mattes(tmp_path, PLATE, offset=FIRST)
    assert by_offset.frame_indices == (1, 2, 4)
    assert by_offset.how == f"by frame number plus {FIRST}"
    by_order = open_mattes(tmp_path, PLATE, matching="order", offset=4)
    assert by_order.frame_indices == (4, 5)
    assert by_order.how == "in order plus 4; 1 belong to no frame"
    three = NamedShot(FRAME_NAMES[:3], SIZE)
    assert open_mattes(tmp_path, three).how == "in order"


def test_wrong_mattes_are_one_sentence(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_square(tmp_path / name / f"m.{FIRST}.png", 5, "png_rgb")
    write_square(tmp_path / "b" / f"m.{FIRST + 1}.png", 5, "png_rgb")
    with pytest.raises(InputError, match="have other frames; give them one by one"):
        open_mattes(tmp_path, PLATE)
    with pytest.raises(FormatError, match="does not exist"):
        open_mattes(tmp_path / "none", PLATE)
    (tmp_path / "a" / f"m.{FIRST}.png").write_bytes(b"")
    with pytest.raises(FormatError, match="is not a readable image"):
        mattes_as_annotations(open_mattes(tmp_path / "a", PLATE), PLATE)
    small = NamedShot(FRAME_NAMES, SIZE._replace(height=60))
    with pytest.raises(ShapeError, match="give mattes of the size of the frames"):
        mattes_as_annotations(open_mattes(tmp_path / "b", small), small)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(FormatError, match="is no JSON that an export of mattes wrote"):
        open_mattes(tmp_path / "x.json", PLATE)
    (tmp_path / "x.json").write_text('{"format": "xmempp-mattes", "frames": 3}')
    with pytest.raises(FormatError, match="is damaged"):
        open_mattes(tmp_path / "x.json", PLATE)
    for name, problem in (("x.mov", "cannot be read as a video"), ("x.exr", "be read as OpenEXR")):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(FormatError, match=problem):
            open_mattes(tmp_path / name, PLATE)


def test_a_film_without_alpha_is_read_by_its_brightness(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "m.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 108, 62, "yuv420p"
        for _ in range(COUNT):
            mask = disk(SIZE._replace(height=62, width=108), 0.5, 0.5, 0.3).numpy()
            picture = np.repeat((mask * 255).astype(np.uint8)[..., None], 3, 2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    found = open_mattes(tmp_path / "m.mp4", PLATE)
    assert (found.how, len(found.positions)) == ("in order", COUNT)
    first = mattes_as_annotations(found, PLATE, (0,)).at(0).masks[0]
    assert (first != disk(SIZE, 0.5, 0.5, 0.3)).float().mean() < 0.02
    with pytest.raises(FormatError, match="is a film without alpha"):
        mattes_as_annotations(open_mattes(tmp_path / "m.mp4", PLATE, channel="A"), PLATE)


def test_the_command_line_writes_annotations_and_tracks(
    track: Track, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index, name in enumerate(FRAME_NAMES):
        write_picture(tmp_path / "plates" / f"{name}.png", PLATE.frame(index))
    sidecar = exported(track, tmp_path / "m", "png", 16, False)
    base = ["import-mattes", "--mattes", str(sidecar), "--frames", str(tmp_path / "plates")]
    base += ["--quiet"]
    assert main([*base, "--output", str(tmp_path / "roto"), "--every", "2"]) == 0
    annotations = load_annotations(tmp_path / "roto", PLATE)
    assert annotations.frame_indices == (0, 2, 4)
    assert torch.equal(annotations.at(2).label_map(), track.label_map(2))
    file = tmp_path / "t.xmtrack"
    assert main([*base, "--track", str(file), "--use", "1002"]) == 0
    assert load_track(file).annotations.frame_indices == (1,)
    assert main([*base, "--track", str(file)]) == 2
    assert "exists; --overwrite replaces it" in capsys.readouterr().err
    assert main([*base, "--output", str(tmp_path / "r"), "--every", "0"]) == 2
    assert "allowed is 1 and up" in capsys.readouterr().err
    assert main([*base, "--output", str(tmp_path / "r"), "--use", "1009"]) == 2
    assert "there is no frame 1009" in capsys.readouterr().err
