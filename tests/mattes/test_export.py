"""Mattes as files: what every format holds, names, versions, whole or absent."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from bad_disks import files_of_at_most, unprivileged_folder
from drawn import NamedShot
from matte_track import COUNT, FIRST, FRAME_NAMES, IDS, SIZE, make_track
from shot_on_disk import files_below

from xmempp_core.errors import FormatError, InputError, XMemError
from xmempp_core.formats.annotations.label_maps import read_label_map
from xmempp_core.formats.frames.time_codes import TimeCode
from xmempp_core.formats.mattes.reading import find_mattes
from xmempp_core.mattes.alpha import MatteObject
from xmempp_core.mattes.export import export_mattes, preview_mattes
from xmempp_core.mattes.plan import MatteJob
from xmempp_core.mattes.presets import MatteSettings, load_preset, preset_names
from xmempp_core.track.segmentation import probabilities_of
from xmempp_core.track.track import Track

PLATE = NamedShot(FRAME_NAMES, SIZE, Fraction(24000, 1001))


@pytest.fixture(scope="module")
def track() -> Track:
    return make_track()


def export(track: Track, output: Path, job: dict[str, Any] | None = None, **values: Any) -> Any:
    """An export with settings by name; `job` has what is no setting."""
    settings = MatteSettings().with_values(values) if "format" not in values else of(**values)
    return export_mattes(track, MatteJob(output, settings, **(job or {})), source=PLATE)


def of(format: str, **values: Any) -> MatteSettings:
    """Settings of a format with a template that fits it."""
    suffix = {
        "exr": "exr",
        "cryptomatte": "exr",
        "prores": "mov",
        "webm": "webm",
        "mp4": "mp4",
    }.get(format, "png")
    frame = "" if format in ("prores", "webm", "mp4") else ".{frame}"
    name = "m" if format in ("labels", "cryptomatte") or values.get("layers") else "{object}"
    return MatteSettings(format=format, **{"template": f"{name}{frame}.{suffix}", **values})


def decoded(path: Path, codec: str | None = None) -> list[np.ndarray]:
    """Alpha of a film, or its luma where it has none, in parts of the highest level."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if codec is None:
            frames = list(container.decode(stream))
        else:
            decoder = av.CodecContext.create(codec, "r")
            packets = list(container.demux(stream))
            frames = [f for packet in packets for f in decoder.decode(packet)]
    return [plane_values(frame, 3 if len(frame.planes) > 3 else 0) for frame in frames]


def plane_values(frame: av.VideoFrame, index: int) -> np.ndarray:
    plane, component = frame.planes[index], frame.format.components[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    values = rows.view(np.uint16 if component.bits > 8 else np.uint8)[:, : plane.width]
    return values / (2**component.bits - 1)


def wanted(track: Track, index: int, object_id: int) -> np.ndarray:
    return track.probabilities(index)[1 + IDS.index(object_id)].numpy()


@pytest.mark.parametrize("bits", [8, 16])
def test_gray_pngs_hold_the_rounded_alpha(track: Track, tmp_path: Path, bits: int) -> None:
    done = export(track, tmp_path, format="png", bits=bits)
    assert len(done.files) == COUNT * len(IDS)
    for index in range(COUNT):
        for name, object_id in (("Hat_ left_right", 2), ("5", 5), ("hat_ left_right_2", 9)):
            pixels = cv2.imread(str(tmp_path / f"{name}.{FIRST + index}.png"), -1)
            assert pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
            top = 2**bits - 1
            alpha = wanted(track, index, object_id).astype(np.float64)
            assert np.array_equal(pixels, np.rint(alpha * top))


def test_hard_mattes_are_those_of_the_label_maps(track: Track, tmp_path: Path) -> None:
    export(track, tmp_path, format="png", bits=8, hard=True)
    for index in range(COUNT):
        pixels = cv2.imread(str(tmp_path / f"5.{FIRST + index}.png"), -1)
        assert np.array_equal(pixels == 255, track.label_map(index).numpy() == 5)
        assert set(np.unique(pixels)) <= {0, 255}


def test_label_maps_hold_the_chosen_objects(track: Track, tmp_path: Path) -> None:
    export(track, tmp_path, {"object_ids": (5, 9)}, format="labels")
    for index in range(COUNT):
        labels = track.label_map(index)
        labels[labels == 2] = 0
        assert torch.equal(read_label_map(tmp_path / f"m.{FIRST + index}.png"), labels)


@pytest.mark.parametrize("premultiplied", [False, True])
def test_cutouts_have_the_plate_under_a_straight_alpha(
    track: Track, tmp_path: Path, premultiplied: bool
) -> None:
    export(track, tmp_path, format="cutout", bits=16, fill="plate", premultiplied=premultiplied)
    pixels = cv2.imread(str(tmp_path / f"5.{FIRST + 1}.png"), -1) / 65535
    alpha, color = pixels[..., 3:], pixels[..., 2::-1]
    plate = PLATE.frame(1).numpy() / 255
    for background in (0.0, 0.7):
        over = (color if premultiplied else alpha * color) + (1 - alpha) * background
        truth = alpha * plate + (1 - alpha) * background
        assert np.abs(over - truth).max() < 1e-4


@pytest.mark.parametrize(
    ("bits", "compression"), [(16, "zips"), (16, "piz"), (32, "zip"), (32, "none")]
)
def test_exr_holds_half_or_float_and_0_5_stays_0_5(
    tmp_path: Path, bits: int, compression: str
) -> None:
    track = make_track()
    halves = track.segmentation(1).probabilities * 0 + torch.tensor([0.5, 0.5, 0, 0])[:, None, None]
    track.add(replace(track.segmentation(1), probabilities=halves))
    export(track, tmp_path, format="exr", bits=bits, compression=compression)
    for index in range(COUNT):
        file = OpenEXR.File(str(tmp_path / f"5.{FIRST + index}.exr"), separate_channels=True)
        assert list(file.channels()) == ["A"]
        pixels = file.channels()["A"].pixels
        kind = np.float16 if bits == 16 else np.float32
        assert pixels.dtype == kind
        assert np.array_equal(pixels, wanted(track, index, 5).astype(kind))
        assert file.header()["framesPerSecond"] == Fraction(24000, 1001)
    file = OpenEXR.File(str(tmp_path / f"Hat_ left_right.{FIRST + 1}.exr"), separate_channels=True)
    assert (file.channels()["A"].pixels == 0.5).all()


def test_exr_takes_windows_pixel_aspect_time_code_and_rate_from_the_plate(tmp_path: Path) -> None:
    height, width = SIZE
    display = ((10, 20), (width + 9, height + 19))
    overscan = ((2, 12), (width + 17, height + 27))
    cases = {
        "display": (display, overscan, display),
        "data": (((30, 30), (79, 59)), display, display),
    }
    for place, (shown, stored, covered) in cases.items():
        (left, top), (right, bottom) = stored
        code = OpenEXR.TimeCode(1, 2, 3, 4, *([0] * 14))
        header = {
            "displayWindow": shown,
            "dataWindow": stored,
            "pixelAspectRatio": 2.0,
            "timeCode": code,
            "framesPerSecond": Fraction(25),
        }
        pixels = np.zeros((bottom - top + 1, right - left + 1), np.float16)
        plates = tmp_path / f"plates_{place}"
        plates.mkdir()
        for name in FRAME_NAMES:
            OpenEXR.File(header, dict.fromkeys("RGB", pixels)).write(str(plates / f"{name}.exr"))
        source = NamedShot(FRAME_NAMES, SIZE)
        source.exr_window = place  # type: ignore[attr-defined]
        source.path = lambda i, at=plates: at / f"{FRAME_NAMES[i]}.exr"  # type: ignore[attr-defined]
        job = MatteJob(tmp_path / place, of("exr"), frames=(1,))
        export_mattes(make_track(), job, source=source)
        written = OpenEXR.File(str(tmp_path / place / f"5.{FIRST + 1}.exr")).header()
        assert np.array_equal(written["displayWindow"], shown)
        assert np.array_equal(written["dataWindow"], covered)
        assert written["pixelAspectRatio"] == 2.0
        assert repr(written["timeCode"]) == repr(code)
        assert written["framesPerSecond"] == Fraction(25)


def test_layers_have_safe_names_and_stand_on_every_frame(track: Track, tmp_path: Path) -> None:
    export(track, tmp_path, format="exr", layers=True)
    assert len(list(tmp_path.glob("*.exr"))) == COUNT
    for index in range(COUNT):
        file = OpenEXR.File(str(tmp_path / f"m.{FIRST + index}.exr"), separate_channels=True)
        layers = {"Hat_left_right.A": 2, "object_5.A": 5, "hat_left_right_2.A": 9}
        assert set(file.channels()) == set(layers)
        for name, object_id in layers.items():
            pixels = file.channels()[name].pixels
            assert np.array_equal(pixels, wanted(track, index, object_id).astype(np.float16))
    assert not file.channels()["Hat_left_right.A"].pixels.any()  # absent, and there


def test_prores_keeps_ten_bits_of_alpha_rate_and_start(track: Track, tmp_path: Path) -> None:
    export(track, tmp_path, format="prores", fill="plate", premultiplied=True)
    for index, alpha in enumerate(decoded(tmp_path / "5.mov")):
        assert np.abs(alpha - wanted(track, index, 5)).max() <= 1 / 1023
    assert index == COUNT - 1
    with av.open(str(tmp_path / "5.mov")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(24000, 1001)
        assert stream.codec_context.pix_fmt.startswith("yuva444p1")
        assert stream.codec_context.colorspace == 1
        assert stream.codec_context.color_primaries == 1
        tags = {**stream.metadata, **container.metadata}
        assert tags["timecode"] == "00:00:41:17"
        assert tags["comment"] == "alpha: premultiplied; fill: plate"


def test_a_time_code_that_does_not_fit_the_rate_is_said(
    track: Track, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = NamedShot(FRAME_NAMES, SIZE)
    source.time_code = lambda index: TimeCode(1, 0, 0, 25 + index)  # type: ignore[attr-defined]
    export_mattes(track, MatteJob(tmp_path, of("prores"), frames=(0,)), source=source)
    assert "time code 01:00:00:25 does not fit 24000/1001 frames a second" in caplog.text
    with av.open(str(tmp_path / "5.mov")) as container:
        assert container.streams.video[0].metadata["timecode"] == "00:00:41:17"


def test_white_and_black_fills_come_back_as_such(track: Track, tmp_path: Path) -> None:
    for fill, level in (("white", 940 / 1023), ("black", 64 / 1023)):
        export(track, tmp_path / fill, {"object_ids": (5,)}, format="prores", fill=fill)
        with av.open(str(tmp_path / fill / "5.mov")) as container:
            for frame in container.decode(video=0):
                assert np.abs(plane_values(frame, 0) - level).max() <= 2 / 1023


def test_webm_has_an_alpha_that_browsers_read(track: Track, tmp_path: Path) -> None:
    export(track, tmp_path, {"object_ids": (5,)}, format="webm")
    frames = decoded(tmp_path / "5.webm", "libvpx-vp9")
    assert len(frames) == COUNT
    for index, alpha in enumerate(frames):
        inside = alpha[: SIZE.height, : SIZE.width]
        assert np.abs(inside - wanted(track, index, 5)).mean() < 0.02
    with av.open(str(tmp_path / "5.webm")) as container:
        assert container.streams.video[0].metadata.get("ALPHA_MODE", "1") == "1"


def test_luma_mattes_are_gray_of_limited_range(track: Track, tmp_path: Path) -> None:
    export(track, tmp_path, {"object_ids": (5,)}, format="mp4")
    frames = decoded(tmp_path / "5.mp4")
    assert len(frames) == COUNT
    for index, luma in enumerate(frames):
        inside = (luma[: SIZE.height, : SIZE.width] * 255 - 16) / 219
        assert np.abs(inside - wanted(track, index, 5)).mean() < 0.02


def test_joined_objects_add_up(track: Track, tmp_path: Path) -> None:
    both = MatteObject("both", (2, 5))
    done = export(track, tmp_path, {"joined": (both,)}, format="exr", bits=32)
    assert {path.name.split(".")[0] for path in done.files} == {"both"}
    for index in range(COUNT):
        file = OpenEXR.File(str(tmp_path / f"both.{FIRST + index}.exr"), separate_channels=True)
        total = probabilities_of(track.segmentation(index))[[1, 2]].sum(0).clamp(0, 1)
        assert np.array_equal(file.channels()["A"].pixels, total.numpy())
    with pytest.raises(InputError, match="cannot join objects"):
        export(track, tmp_path / "l", {"joined": (both,)}, format="labels")


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_writes_and_says_what_it_wrote(
    track: Track, tmp_path: Path, preset: str
) -> None:
    done = export_mattes(track, MatteJob(tmp_path, load_preset(preset)), source=None)
    content = json.loads(done.sidecar.read_text(encoding="utf-8"))
    written = {k: v for k, v in files_below(tmp_path).items() if not k.endswith(".json")}
    assert {k: sha256(v).hexdigest() for k, v in written.items()} == content["files"]
    assert [str(path.relative_to(tmp_path)) for path in done.files] == list(content["files"])
    assert content["frames"] == list(range(FIRST, FIRST + COUNT))
    assert content["annotated_frames"] == [FIRST, FIRST + 3]
    assert content["settings"]["format"] == load_preset(preset).format
    assert [one["ids"] for one in content["objects"]] == [[2], [5], [9]]
    assert not list(tmp_path.glob(".export*"))


def test_a_changed_copy_of_a_preset_is_a_preset(track: Track, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('format = "png"\ntemplate = "{object}_{version:02d}.{frame}.png"\nbits = 8\n')
    export_mattes(track, MatteJob(tmp_path / "o", load_preset(path), shot="A"))
    assert (tmp_path / "o" / f"5_01.{FIRST}.png").is_file()
    assert (tmp_path / "o" / "A_mattes_v001.json").is_file()
    for text, problem in (
        ("format = ", "cannot be read as a preset"),
        ("frmat = 'png'", "there is no setting 'frmat'"),
        ("bits = '8'", "setting bits is '8'"),
        ("bits = 12", "setting bits of png is 12, allowed is 16, 8"),
        ("format = 'exr'", "must end with .exr"),
        ("layers = true", "layers are for the format exr"),
        ("steady = 99", "steady is 99 rounds"),
        ("padding = 0", "setting padding is 0"),
    ):
        path.write_text(text)
        with pytest.raises(FormatError, match=problem):
            load_preset(path)
    with pytest.raises(InputError, match="there is no preset nuk; presets are aftereffects"):
        load_preset("nuk")


def test_files_that_are_there_are_refused_counted_up_or_replaced(
    track: Track, tmp_path: Path
) -> None:
    template = "{object}_v{version:03d}.{frame}.png"
    first = export(track, tmp_path, template=template)
    before = files_below(tmp_path)
    with pytest.raises(FormatError, match="--version-up writes the next version"):
        export(track, tmp_path, template=template)
    assert files_below(tmp_path) == before
    up = export(track, tmp_path, {"existing": "version-up"}, template=template)
    assert (first.version, up.version) == (1, 2)
    first.sidecar.with_name("plate_mattes_v007.json").write_text("{}")
    assert export(track, tmp_path, {"existing": "version-up"}, template=template).version == 8
    after = files_below(tmp_path)
    assert {name: after[name] for name in before} == before
    shorter = {"existing": "overwrite", "frames": (0, 1)}
    export(track, tmp_path, shorter, template=template)
    left = {path.name for path in tmp_path.glob("5_v001*")}
    assert left == {f"5_v001.{FIRST}.png", f"5_v001.{FIRST + 1}.png"}
    with pytest.raises(InputError, match=r"has no \{version\} to count up"):
        export(track, tmp_path, {"existing": "version-up"}, template="{object}.{frame}.png")


def test_a_sidecar_of_a_newer_version_is_refused_and_left_as_it_is(
    track: Track, tmp_path: Path
) -> None:
    done = export(track, tmp_path, format="png")
    content = json.loads(done.sidecar.read_text(encoding="utf-8"))
    done.sidecar.write_text(json.dumps({**content, "version": 2}), encoding="utf-8")
    before = files_below(tmp_path)
    with pytest.raises(FormatError, match=r"newer version of the program \(format 2.*; update"):
        export(track, tmp_path, {"existing": "overwrite"}, format="png")
    assert files_below(tmp_path) == before
    for place in (tmp_path, done.sidecar):
        with pytest.raises(FormatError, match=r"newer version of the program \(format 2"):
            find_mattes(place)
    done.sidecar.write_text(json.dumps({**content, "version": None}), encoding="utf-8")
    assert len(find_mattes(tmp_path)) == len(IDS)


def test_equal_exports_have_equal_bytes(track: Track, tmp_path: Path) -> None:
    for format in ("png", "exr", "cryptomatte", "prores", "webm", "mp4", "labels", "cutout"):
        for place in ("a", "b"):
            export(track, tmp_path / place / format, {"frames": (0, 1, 2)}, format=format)
    assert files_below(tmp_path / "a") == files_below(tmp_path / "b")


@pytest.mark.parametrize(
    ("names", "first_frame", "expected"),
    [
        (FRAME_NAMES, None, [1001, 1002, 1003]),
        (FRAME_NAMES, 1, [1, 2, 3]),
        (["p.0001", "p.0002", "p.0005"], None, [1, 2, 5]),
        (["00000", "00001", "00002"], None, [1001, 1002, 1003]),
        (["00000", "00001", "00002"], 0, [0, 1, 2]),
    ],
)
def test_numbers_are_the_plates_own_or_start_at_1001(
    tmp_path: Path, names: list[str], first_frame: int | None, expected: list[int]
) -> None:
    track = make_track(
        names + [f"p.{9000 + i}" for i in range(3)]
        if names[0][0] == "p"
        else [*names, "00003", "00004", "00005"]
    )
    settings = of("png", first_frame=first_frame)
    done = export_mattes(track, MatteJob(tmp_path, settings, frames=(0, 1, 2)))
    assert sorted(path.name for path in done.files if path.name.startswith("5")) == [
        f"5.{n:04d}.png" for n in expected
    ]


def test_a_failing_export_leaves_nothing(
    track: Track, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = make_track(held=range(3))
    with pytest.raises(XMemError, match="frame 4 is not in the track"):
        export(broken, tmp_path / "new", {"frames": (0, 1, 4)})
    assert not (tmp_path / "new").exists()

    def full(path: Path) -> Any:
        return shutil._ntuple_diskusage(10, 9, 1)  # type: ignore[attr-defined]

    monkeypatch.setattr(shutil, "disk_usage", full)
    for format in ("exr", "prores"):
        with pytest.raises(FormatError, match=r"0\.00 GB free, the mattes need about"):
            export(track, tmp_path / "new", format=format)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_to_is_one_sentence(track: Track, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="file: is a file; give a folder"):
        export(track, tmp_path / "file")


def test_wrong_jobs_are_refused_in_a_sentence(track: Track, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no object 4; the track's objects are 2, 5, 9"):
        export(track, tmp_path, {"object_ids": (4,)})
    with pytest.raises(InputError, match="gives two mattes the name"):
        export(track, tmp_path, template="m.{frame}.png")
    for values in ({"steady": 1}, {"format": "prores", "fill": "plate", "template": "{id}.mov"}):
        job = MatteJob(tmp_path, MatteSettings().with_values(values))
        with pytest.raises(InputError, match="need the frames of the shot; give them"):
            export_mattes(track, job)
    other = NamedShot(FRAME_NAMES[:-1], SIZE)
    with pytest.raises(InputError, match="is of 6 frames of 107x61, but the frames given are 5"):
        export_mattes(track, MatteJob(tmp_path, MatteSettings()), source=other)
    assert not any(tmp_path.iterdir())


def test_steadied_mattes_differ_but_not_where_annotated(track: Track, tmp_path: Path) -> None:
    still = NamedShot(FRAME_NAMES, SIZE)
    still.frame = lambda index: torch.full((*SIZE, 3), 90, dtype=torch.uint8)  # type: ignore[method-assign]
    settings = of("exr", bits=32, steady=1)
    export_mattes(track, MatteJob(tmp_path / "s", settings), source=still)
    export(track, tmp_path / "p", format="exr", bits=32)

    def read(place: str, index: int) -> np.ndarray:
        path = tmp_path / place / f"5.{FIRST + index}.exr"
        return OpenEXR.File(str(path), separate_channels=True).channels()["A"].pixels

    for index in range(COUNT):
        same = np.array_equal(read("s", index), read("p", index))
        assert same == (index in (0, 3))
    # a part of the shot is what the whole gives
    job = MatteJob(tmp_path / "part", settings, frames=(2,))
    export_mattes(track, job, source=still)
    assert np.array_equal(read("part", 2), read("s", 2))


def test_a_preview_is_the_frame_that_is_written(track: Track, tmp_path: Path) -> None:
    settings = of("exr", bits=32)
    _, frame = preview_mattes(track, MatteJob(tmp_path, settings), frame_index=2)
    assert not any(tmp_path.iterdir())
    assert frame.frame_index == 2
    for alpha, object_id in zip(frame.mattes, IDS, strict=True):
        assert np.array_equal(alpha.numpy(), wanted(track, 2, object_id))


@pytest.mark.parametrize("room_bytes", [0, 300])
@pytest.mark.parametrize(
    "format", ["png", "labels", "cutout", "exr", "cryptomatte", "prores", "webm", "mp4"]
)
def test_a_full_disk_leaves_nothing_and_is_one_sentence(
    track: Track, tmp_path: Path, format: str, room_bytes: int
) -> None:
    output = tmp_path / "out"
    with files_of_at_most(room_bytes), pytest.raises(FormatError) as caught:
        export(track, output, format=format)
    assert "cannot be written" in str(caught.value)
    assert Path(caught.value.path).is_relative_to(output)
    assert ".export-" not in str(caught.value)
    assert not output.exists()


def test_a_disk_that_fills_up_late_leaves_an_earlier_export_as_it_was(
    track: Track, tmp_path: Path
) -> None:
    """The sidecar is the largest file of this export, and the last."""
    export(track, tmp_path, {"frames": (0,)}, format="png", bits=8)
    before = files_below(tmp_path)
    largest = max(len(data) for name, data in before.items() if name.endswith(".png"))
    job = {"frames": (0,), "existing": "overwrite"}
    with files_of_at_most(largest), pytest.raises(FormatError, match="cannot be written to: File"):
        export(track, tmp_path, job, format="png", bits=8)
    assert files_below(tmp_path) == before


def test_a_read_only_folder_is_one_sentence(track: Track) -> None:
    with unprivileged_folder() as folder:
        folder.chmod(0o555)
        with pytest.raises(FormatError, match="cannot be written to: Permission denied"):
            export(track, folder / "out", format="exr")
        with pytest.raises(FormatError, match="cannot be written to: Permission denied"):
            export(track, folder, format="exr")
        folder.chmod(0o755)
        assert not any(folder.iterdir())


def test_a_folder_in_the_place_of_a_file_is_found_before_anything_is_moved(
    track: Track, tmp_path: Path
) -> None:
    (tmp_path / f"hat_ left_right_2.{FIRST}.png").mkdir()
    with pytest.raises(FormatError, match="is a folder; remove it, or rename"):
        export(track, tmp_path, {"existing": "overwrite"}, format="png")
    assert not files_below(tmp_path)
