"""Cryptomatte: ids and header of the specification, read back by other libraries and by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import cryptomatte_api
import mmh3
import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813 - the name its manual uses
import pytest
import torch
from drawn import NamedShot
from hypothesis import assume, given
from hypothesis import strategies as st
from matte_track import COUNT, FRAME_NAMES, IDS, NAMES, SIZE, annotation_set, make_track

from xmempp_core.cli.main import main
from xmempp_core.errors import FormatError, InputError
from xmempp_core.formats.mattes.cryptomatte import level_ranks, ranked, write_cryptomatte
from xmempp_core.formats.mattes.cryptomatte_ids import hash_of, header_of, manifest_of
from xmempp_core.formats.mattes.picture import MattePicture, PictureOptions
from xmempp_core.formats.mattes.reading import find_mattes
from xmempp_core.formats.tracks import save_track
from xmempp_core.mattes.alpha import MatteObject
from xmempp_core.mattes.choices import chosen_settings
from xmempp_core.mattes.export import export_mattes
from xmempp_core.mattes.imported import open_mattes
from xmempp_core.mattes.plan import MatteJob
from xmempp_core.pictures.pictures import write_picture
from xmempp_core.track.track import Track
from xmempp_core.types import Size

PLATE = NamedShot(FRAME_NAMES, SIZE)
OPTIONS = PictureOptions(32, "zips", "white", premultiplied=False)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def track() -> Track:
    return make_track()


@pytest.fixture(scope="module")
def written(track: Track, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    output = tmp_path_factory.mktemp("cryptomatte")
    return list(export_mattes(track, MatteJob(output, chosen_settings("cryptomatte", {}))).files)


def wanted(track: Track, index: int, object_id: int) -> np.ndarray:
    return track.probabilities(index)[1 + IDS.index(object_id)].numpy()


def channels_of(path: Path) -> dict[str, np.ndarray]:
    channels = OpenEXR.File(str(path), separate_channels=True).channels()
    return {name: channel.pixels for name, channel in channels.items()}


def write_foreign(
    path: Path, header: Mapping[str, Any], channels: Mapping[str, np.ndarray]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    OpenEXR.File(dict(header), dict(channels)).write(str(path))


def as_float(bits: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.full(size, bits, np.uint32).view(np.float32)


def write_named(path: Path, layer: str, names: Mapping[str, float], **more: Any) -> None:
    """A frame of another program, one rank an object, with lower-case channels."""
    channels = {}
    for rank, (name, coverage) in enumerate(names.items()):
        start = f"{layer}{rank // 2:02d}"
        pair = ("r", "g") if rank % 2 == 0 else ("b", "a")
        channels[f"{start}.{pair[0]}"] = as_float(hash_of(name))
        channels[f"{start}.{pair[1]}"] = np.full(SIZE, coverage, np.float32)
    key = f"cryptomatte/{hash_of(layer):08x}"[:-1]
    manifest = json.dumps({name: f"{hash_of(name):08x}" for name in names})
    stated = {"name": layer, "hash": "MurmurHash3_32", "conversion": "uint32_to_float32"}
    stated |= {"manifest": manifest} | more
    write_foreign(path, {f"{key}/{k}": v for k, v in stated.items() if v is not None}, channels)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hello", 0x248BFA47),
        ("cube", 0xD9682F08),
        ("sphere", 0x591E9A8D),
        ("plane", 0x2E2136B8),
        ("mädchen", 0x6A4E5613),
    ],
)
def test_ids_are_the_known_ones(name: str, expected: int) -> None:
    assert hash_of(name) == expected


@pytest.mark.parametrize("bits", [0, 1, 0x007FFFFF, 0x7F800000, 0x7F800001, 0xFFFFFFFF, 0x80000000])
def test_exponents_of_no_normal_number_are_changed_by_their_lowest_bit(
    monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    monkeypatch.setattr(mmh3, "hash", lambda *_, **__: bits)
    assert hash_of("any") == bits ^ 0x00800000


@given(NAME)
def test_every_id_is_a_normal_float(name: str) -> None:
    value = np.array([hash_of(name)], np.uint32).view(np.float32)[0]
    assert np.isfinite(value)
    assert abs(value) >= np.finfo(np.float32).tiny


@given(st.lists(NAME, min_size=1, max_size=6, unique=True))
def test_a_manifest_holds_every_name_as_it_is(names: list[str]) -> None:
    manifest = manifest_of(names)
    assume(len(set(manifest.values())) == len(names))
    header = header_of(manifest)
    keys = {key.rpartition("/")[0] for key in header}
    assert keys == {"cryptomatte/3ae39a5"}
    text = header["cryptomatte/3ae39a5/manifest"]
    assert json.loads(text) == {name: f"{hash_of(name):08x}" for name in names}


def test_cryptomatte_api_reads_the_same_masks(track: Track, written: list[Path]) -> None:
    for index, path in enumerate(written):
        (matte,) = cryptomatte_api.Cryptomatte.load(path)
        assert matte.metadata().name() == "CryptoObject"
        for object_id in IDS:
            expected = wanted(track, index, object_id)
            if expected.any():
                assert np.array_equal(matte.mask(NAMES[object_id]), expected)
            assert np.array_equal(matte.mask(hash_of(NAMES[object_id])), expected)


def test_openimageio_reads_ids_in_32_bits_and_the_header(written: list[Path]) -> None:
    for path in written:
        picture = oiio.ImageInput.open(str(path))
        spec = picture.spec()
        assert spec.getattribute("compression") == "zips"
        assert spec.getattribute("cryptomatte/3ae39a5/name") == "CryptoObject"
        assert spec.getattribute("cryptomatte/3ae39a5/hash") == "MurmurHash3_32"
        assert spec.getattribute("cryptomatte/3ae39a5/conversion") == "uint32_to_float32"
        names = json.loads(spec.getattribute("cryptomatte/3ae39a5/manifest"))
        assert set(names) == set(NAMES.values())
        values = picture.read_image(spec.format)
        assert values.dtype == np.float32
        layers = [name for name in spec.channelnames if name.endswith(".R")]
        ids = np.ascontiguousarray(values[..., list(spec.channelnames).index(layers[0])])
        assert set(ids.view(np.uint32).ravel()) <= {0, *(int(n, 16) for n in names.values())}


def test_ranks_are_equal_on_every_frame_ordered_and_add_up(
    track: Track, written: list[Path]
) -> None:
    assert len({tuple(sorted(channels_of(path))) for path in written}) == 1
    for index, path in enumerate(written):
        channels = channels_of(path)
        ranks = [channels[f"CryptoObject{n:02d}.{c}"] for n in range(2) for c in "GA"]
        assert all((one >= after).all() for one, after in pairwise(ranks))
        background = track.probabilities(index)[0].numpy()
        assert np.abs(sum(ranks) + background - 1).max() < 1e-6


def test_ranks_go_by_need(tmp_path: Path) -> None:
    half = torch.zeros(SIZE)
    half[:30] = 0.5
    frames = [
        {"a": half, "b": 0.5 - half, "c": torch.zeros(SIZE)},
        {"a": half, "b": half, "c": torch.zeros(SIZE)},
        {"a": half / 2, "b": half / 2, "c": half / 4},
    ]
    paths = [tmp_path / f"{index}.exr" for index in range(3)]
    for path, alphas in zip(paths, frames, strict=True):
        write_cryptomatte(path, MattePicture(alphas), OPTIONS)
    assert [len(channels_of(path)) for path in paths] == [4, 4, 8]
    before = [channels_of(path) for path in paths]
    level_ranks(paths)
    assert [len(channels_of(path)) for path in paths] == [8, 8, 8]
    for path, old in zip(paths, before, strict=True):
        new = channels_of(path)
        for name, pixels in new.items():
            assert np.array_equal(pixels.view(np.uint32), old.get(name, pixels * 0).view(np.uint32))
        (matte,) = cryptomatte_api.Cryptomatte.load(path)
        assert "a" in matte.masks()


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=6))
def test_coverages_are_kept_and_share_where_there_is_too_much(values: list[float]) -> None:
    alphas = {f"o{i}": torch.full((1, 1), value) for i, value in enumerate(values)}
    manifest = manifest_of(alphas)
    ids, coverages = ranked(alphas, manifest)
    assert float(coverages.sum()) <= 1 + 1e-5
    got = dict(zip(ids.ravel().tolist(), coverages.ravel().tolist(), strict=True))
    total = sum(values)
    for name, value in zip(alphas, values, strict=True):
        expected = value if total <= 1 else value / total
        assert abs(got.get(manifest[name], 0.0) - expected) < 1e-5


def test_joined_objects_are_one_and_no_object_is_in_two_mattes(
    track: Track, tmp_path: Path
) -> None:
    settings, both = chosen_settings("cryptomatte", {}), MatteObject("both", (2, 5))
    job = MatteJob(tmp_path, settings, object_ids=(9,), joined=(both,))
    done = export_mattes(track, job)
    (matte,) = cryptomatte_api.Cryptomatte.load(done.files[1])
    total = wanted(track, 1, 2) + wanted(track, 1, 5)
    assert np.abs(matte.mask("both") - total).max() < 1e-6
    with pytest.raises(InputError, match=r"object 5 is in the mattes '5' and 'both'; a Crypto"):
        export_mattes(track, MatteJob(tmp_path / "b", settings, object_ids=(5,), joined=(both,)))
    assert not (tmp_path / "b").exists()


def test_equal_names_are_numbered_and_equal_ids_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = annotation_set().named(5, "hat").named(2, "hat").named(9, "Hat")
    track = make_track()
    object.__setattr__(track, "annotations", named)
    settings = chosen_settings("cryptomatte", {})
    done = export_mattes(track, MatteJob(tmp_path / "a", settings))
    content = json.loads(done.sidecar.read_text(encoding="utf-8"))
    assert [one["layer"] for one in content["objects"]] == ["hat", "hat_2", "Hat"]
    monkeypatch.setattr(mmh3, "hash", lambda *_, **__: 0x12345678)
    with pytest.raises(InputError, match="'hat' and 'hat_2' have the same Cryptomatte id; rename"):
        export_mattes(track, MatteJob(tmp_path / "b", settings))
    assert not (tmp_path / "b").exists()


def test_what_was_exported_comes_back_by_name(track: Track, written: list[Path]) -> None:
    folder = written[0].parent
    everything = open_mattes(folder, PLATE)
    assert [clip.name for clip in everything.clips] == list(NAMES.values())
    for index, alpha in enumerate(find_mattes(folder, "hat_ left_right")[0].alphas(size=SIZE)):
        assert np.array_equal(alpha.numpy(), wanted(track, index, 9))
    named = find_mattes(folder, "5, Hat: left/right")
    assert [clip.name for clip in named] == ["5", "Hat: left/right"]
    assert open_mattes(folder.parent, PLATE).object_ids == IDS
    (one,) = open_mattes(folder.parent, PLATE, channel="Hat: left/right").clips
    assert one.object_id == 2
    with pytest.raises(FormatError, match=r"lists no object 'hut'; objects are Hat: left/right"):
        find_mattes(folder.parent, "hut")
    with pytest.raises(FormatError, match=r"has no object 'hut'; objects are Hat: left/right, 5"):
        find_mattes(folder, "5,hut")


def test_a_channel_of_the_file_is_still_a_channel(tmp_path: Path) -> None:
    write_named(tmp_path / "m.1001.exr", "obj", {"A": 0.25, "b": 0.5})
    file = OpenEXR.File(str(tmp_path / "m.1001.exr"), separate_channels=True)
    channels = {name: channel.pixels for name, channel in file.channels().items()}
    header = {k: v for k, v in file.header().items() if k != "channels"}
    channels["Z"] = np.full(SIZE, 0.75, np.float32)
    write_foreign(tmp_path / "m.1001.exr", header, channels)
    assert float(next(find_mattes(tmp_path, "Z")[0].alphas())[0, 0]) == 0.75
    assert float(next(find_mattes(tmp_path, "A")[0].alphas())[0, 0]) == 0.25


def test_manifests_of_all_frames_are_joined_and_several_cryptomattes_told_apart(
    tmp_path: Path,
) -> None:
    write_named(tmp_path / "a" / "m.1001.exr", "obj", {"hat": 0.25})
    write_named(tmp_path / "a" / "m.1002.exr", "obj", {"hat": 0.5, "coat": 0.25})
    assert [clip.name for clip in find_mattes(tmp_path / "a")] == ["hat", "coat"]
    first, second = find_mattes(tmp_path / "a", "coat")[0].alphas()
    assert (float(first.max()), float(second.max())) == (0, 0.25)
    write_named(tmp_path / "b.exr", "obj", {"hat": 0.25})
    write_named(tmp_path / "c.exr", "mat", {"hat": 0.5, "felt": 0.5})
    files = [OpenEXR.File(str(tmp_path / n), separate_channels=True) for n in ("b.exr", "c.exr")]
    header = {k: v for f in files for k, v in f.header().items() if k != "channels"}
    both = {n: c.pixels for f in files for n, c in f.channels().items()}
    write_foreign(tmp_path / "two" / "m.1001.exr", header, both)
    with pytest.raises(FormatError, match="several Cryptomattes: obj, mat; name one of them"):
        find_mattes(tmp_path / "two")
    with pytest.raises(FormatError, match="several objects 'hat'; name obj/hat or mat/hat"):
        find_mattes(tmp_path / "two", "hat")
    assert [clip.name for clip in find_mattes(tmp_path / "two", "mat")] == ["hat", "felt"]
    (one,) = find_mattes(tmp_path / "two", "mat/hat")
    assert float(next(one.alphas()).max()) == 0.5


def test_names_may_lie_beside_or_be_missing(tmp_path: Path) -> None:
    write_named(tmp_path / "a.exr", "obj", {"hat": 0.25}, manifest=None, manif_file="n.json")
    with pytest.raises(FormatError, match=r"names in 'n\.json', which cannot be read; copy it"):
        find_mattes(tmp_path / "a.exr")
    (tmp_path / "n.json").write_text(json.dumps({"hat": f"{hash_of('hat'):08x}"}))
    assert [clip.name for clip in find_mattes(tmp_path / "a.exr")] == ["hat"]
    write_named(tmp_path / "b.exr", "obj", {"hat": 0.25, "coat": 0.5}, manifest=None)
    digits = sorted(f"{hash_of(name):08x}" for name in ("hat", "coat"))
    assert [clip.name for clip in find_mattes(tmp_path / "b.exr")] == digits
    (hat,) = find_mattes(tmp_path / "b.exr", "hat")
    assert float(next(hat.alphas()).max()) == 0.25
    with pytest.raises(FormatError, match="has no object 'hut'"):
        find_mattes(tmp_path / "b.exr", "hut")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"hash": "MD5"}, "has a Cryptomatte obj with the hash MD5, not MurmurHash3_32"),
        ({"conversion": "none"}, "with the conversion none, not uint32_to_float32"),
        ({"manifest": "{"}, "has a damaged manifest of obj"),
        ({"manifest": "[1]"}, "has a damaged manifest of obj"),
        ({"manifest": '{"a": "zz"}'}, "has a damaged manifest of obj"),
        ({"manifest": '{"a": "1ffffffff"}'}, "is no id of 32 bits"),
        ({"manifest": None, "manif_file": "../n.json"}, "names a manifest outside its folder"),
    ],
)
def test_damaged_headers_are_one_sentence(
    tmp_path: Path, more: dict[str, Any], problem: str
) -> None:
    write_named(tmp_path / "m.exr", "obj", {"hat": 0.25}, **more)
    with pytest.raises(FormatError, match=problem):
        find_mattes(tmp_path / "m.exr")


def test_half_floats_and_missing_channels_are_one_sentence(tmp_path: Path) -> None:
    header = header_of(manifest_of(["hat"]))
    half = np.zeros(SIZE, np.float16)
    write_foreign(tmp_path / "h.exr", header, {"CryptoObject00.R": half, "CryptoObject00.G": half})
    with pytest.raises(FormatError, match=r"holds CryptoObject00\.R in float16, which spoils ids"):
        next(find_mattes(tmp_path / "h.exr")[0].alphas())
    write_foreign(tmp_path / "n.exr", header, {"R": half})
    with pytest.raises(FormatError, match="lacks the channels of the Cryptomatte CryptoObject"):
        next(find_mattes(tmp_path / "n.exr")[0].alphas())
    names = [f"n{index}" for index in range(256)]
    write_foreign(tmp_path / "p.1001.exr", header_of(manifest_of(names)), {"R": half})
    with pytest.raises(InputError, match="there are 256 mattes, a track holds 255 objects at most"):
        open_mattes(tmp_path / "p.1001.exr", PLATE)


def test_pixels_lie_where_the_windows_say(tmp_path: Path) -> None:
    small = Size(10, 20)
    header = {
        **header_of(manifest_of(["hat"])),
        "displayWindow": ((0, 0), (SIZE.width - 1, SIZE.height - 1)),
        "dataWindow": ((7, 3), (7 + small.width - 1, 3 + small.height - 1)),
    }
    channels = {
        "CryptoObject00.R": as_float(hash_of("hat"), small),
        "CryptoObject00.G": np.full(small, 0.5, np.float32),
    }
    write_foreign(tmp_path / "m.1001.exr", header, channels)
    alpha = next(find_mattes(tmp_path)[0].alphas(size=SIZE))
    expected = torch.zeros(SIZE)
    expected[3 : 3 + small.height, 7 : 7 + small.width] = 0.5
    assert torch.equal(alpha, expected)


def test_the_command_line_writes_and_reads_it(
    track: Track, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_track(track, tmp_path / "t.xmtrack")
    for index, name in enumerate(FRAME_NAMES):
        write_picture(tmp_path / "plates" / f"{name}.png", PLATE.frame(index))
    command = ["export", "--track", str(tmp_path / "t.xmtrack"), "--quiet"]
    for place, more in (("a", ["--preset", "cryptomatte"]), ("b", ["--format", "cryptomatte"])):
        assert main([*command, "--output", str(tmp_path / place), *more, "--shot", "s"]) == 0
        assert len(list((tmp_path / place).rglob("s_cryptomatte_v001.*.exr"))) == COUNT
    base = ["import-mattes", "--mattes", str(tmp_path / "a"), "--quiet", "--json"]
    base += ["--frames", str(tmp_path / "plates"), "--output", str(tmp_path / "roto")]
    assert main([*base, "--channel", "5"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["objects"] == [5]
    assert main([*base, "--channel", "6"]) == 2
    assert "lists no object '6'" in capsys.readouterr().err
