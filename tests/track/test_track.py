"""Tracks: exact label maps, soft values within a step, annotations above both."""

from __future__ import annotations

import gc
import io
import json
import math
import os
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from drawn import DrawnPass, disk, model_info, numbered_shot, soft_segmentation
from hypothesis import given, settings
from hypothesis import strategies as st

from xmempp_core.annotations import AbsenceRange, Annotation, AnnotationSet
from xmempp_core.errors import FormatError, InputError, ShapeError
from xmempp_core.formats.tracks import load_track, save_track
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.segmentation import Segmentation, label_map_of, probabilities_of
from xmempp_core.track.track import Shot, Track
from xmempp_core.types import Size

INTERNAL = Size(24, 42)
SIZE = Size(61, 107)
IDS = (2, 5, 9)
MASKS = torch.stack([disk(SIZE, 0.5, x, 0.3) for x in (0.3, 0.5)])
ANNOTATIONS = AnnotationSet(
    (
        Annotation(0, IDS, torch.cat([MASKS, torch.zeros(1, *SIZE, dtype=torch.bool)]), True),
        Annotation(3, (5,), MASKS[1:]),
        Annotation(4, (2, 5), MASKS),
    ),
    {2: "hat"},
    {5: (9, 8, 7)},
    (AbsenceRange(9, 2, 6),),
)


def _segmentation(index: int) -> Segmentation:
    annotation = ANNOTATIONS.at(index)
    absent = set(ANNOTATIONS.absent_at(index)) | set(annotation.absent_ids if annotation else ())
    segmentation = soft_segmentation(index, IDS, INTERNAL, SIZE)
    listed = annotation.object_ids if annotation else ()
    confidence = [math.nan if i in listed else 0.5 + i / 100 for i in IDS]
    return replace(
        segmentation,
        annotation=annotation,
        absent_ids=tuple(sorted(absent)),
        confidence=tuple(confidence),
    )


def _track(count: int = 8, memory_bytes: int = 2**20) -> Track:
    shot = Shot.of(numbered_shot(count, SIZE, first=1001))
    track = Track(
        shot, ANNOTATIONS, PropagationSettings(top_k=7), model_info(), memory_bytes=memory_bytes
    )
    for index in (3, 4, 5, 6, 7, 2, 1, 0):
        track.add(_segmentation(index))
    return track


def _resized(probabilities: torch.Tensor) -> torch.Tensor:
    return F.interpolate(
        probabilities[None], size=tuple(SIZE), mode="bilinear", align_corners=False
    )[0]


def test_labels_are_the_argmax_of_the_resized_unrounded_probabilities() -> None:
    segmentation = replace(soft_segmentation(7, IDS, INTERNAL, SIZE), size=SIZE)
    best = _resized(segmentation.probabilities).argmax(0)
    wanted = torch.tensor((0, *IDS))[best]
    assert torch.equal(label_map_of(segmentation).long(), wanted)
    assert len(wanted.unique()) == 4


def test_ties_go_to_the_first_channel() -> None:
    halves = torch.tensor([0.1, 0.3, 0.3, 0.3])[:, None, None].expand(4, *INTERNAL)
    assert (label_map_of(Segmentation(0, IDS, halves, SIZE, (0.0,) * 3)) == 2).all()
    even = torch.full((4, *INTERNAL), 0.25)
    assert not label_map_of(Segmentation(0, IDS, even, SIZE, (0.0,) * 3)).any()


def test_an_annotated_object_stands_exactly_and_its_rest_goes_to_the_next_best() -> None:
    segmentation = _segmentation(3)
    labels = label_map_of(segmentation)
    assert torch.equal(labels == 5, MASKS[1])
    others = _resized(segmentation.probabilities)[[0, 1]]  # without 5, and 9 is absent
    wanted = torch.tensor([0, 2])[others.argmax(0)]
    assert torch.equal(labels[~MASKS[1]].long(), wanted[~MASKS[1]])
    was_five = label_map_of(replace(segmentation, annotation=None, absent_ids=())) == 5
    assert (was_five & ~MASKS[1]).any()


def test_absent_objects_have_no_pixel_and_no_probability() -> None:
    segmentation = replace(_segmentation(6), absent_ids=(2, 9))
    assert set(label_map_of(segmentation).unique().tolist()) <= {0, 5}
    p = probabilities_of(segmentation)
    assert not p[[1, 3]].any()
    torch.testing.assert_close(p.sum(0), torch.ones(SIZE))


def test_everything_listed_gives_the_annotation_alone() -> None:
    segmentation = _segmentation(0)
    assert torch.equal(label_map_of(segmentation), segmentation.annotation.label_map())
    p = probabilities_of(segmentation)
    assert torch.equal(p[1:], segmentation.annotation.masks.float())
    assert torch.equal(p[0], 1 - segmentation.annotation.masks.any(0).float())


def test_overlapping_masks_are_cut_the_same_way_in_hard_and_soft_results() -> None:
    segmentation = _segmentation(4)
    assert (MASKS[0] & MASKS[1]).any()
    shown = torch.stack([MASKS[0] & ~MASKS[1], MASKS[1]])
    assert torch.equal(probabilities_of(segmentation)[1:3].bool(), shown)
    labels = label_map_of(segmentation)
    assert torch.equal(torch.stack([labels == 2, labels == 5]), shown)


def test_results_at_their_own_size_are_not_written_into() -> None:
    segmentation = replace(
        soft_segmentation(0, IDS, SIZE, SIZE), annotation=ANNOTATIONS.at(3), absent_ids=(9,)
    )
    before = segmentation.probabilities.clone()
    probabilities_of(segmentation)
    label_map_of(segmentation)
    assert torch.equal(segmentation.probabilities, before)


def test_an_annotation_of_another_size_is_refused() -> None:
    wrong = Annotation(1, (5,), MASKS[1:, 1:])
    segmentation = replace(_segmentation(1), annotation=wrong)
    for result in (label_map_of, probabilities_of):
        with pytest.raises(ShapeError, match="annotation of frame 1: masks"):
            result(segmentation)


@pytest.mark.parametrize("memory_bytes", [0, 5000, 2**20])
def test_a_track_gives_back_what_was_added(memory_bytes: int) -> None:
    track = _track(memory_bytes=memory_bytes)
    assert track.frame_indices == tuple(range(8))
    assert (track.object_ids, track.size, track.frame_rate) == (IDS, SIZE, Fraction(25))
    assert track.frame_names[:2] == ("01001", "01002")
    for index in range(8):
        segmentation = _segmentation(index)
        assert torch.equal(track.label_map(index), label_map_of(segmentation))
        soft = track.probabilities(index)
        assert soft.dtype == torch.float32
        if not segmentation.annotation and not segmentation.absent_ids:
            assert (soft - probabilities_of(segmentation)).abs().max() < 1 / 32768 + 1e-6
        if segmentation.annotation:
            for object_id in segmentation.annotation.object_ids:
                mask = segmentation.annotation.mask(object_id)
                assert torch.equal(soft[1 + IDS.index(object_id)], mask.float())
        assert repr(track.confidence(index)) == repr(segmentation.confidence)


@given(st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_stored_probabilities_sum_to_one_and_are_less_than_a_step_off(n: int, seed: int) -> None:
    ids = tuple(range(1, n + 1))
    size = Size(9, 16)
    segmentation = soft_segmentation(0, ids, size, size, seed)
    shot = Shot.of(numbered_shot(1, size))
    masks = torch.zeros(n, *size, dtype=torch.bool)
    # The annotation names the objects; it lies on a frame that is not looked at.
    annotations = AnnotationSet((Annotation(5, ids, masks),))
    track = Track(shot, annotations, PropagationSettings(), model_info())
    track.add(segmentation)
    soft = track.probabilities(0)
    torch.testing.assert_close(soft.sum(0), torch.ones(size))
    assert (soft - segmentation.probabilities).abs().max() < 1 / 32768 + 1e-6


def test_a_half_stays_a_half_and_so_does_every_level() -> None:
    size, ids = Size(2, 4), (1, 2, 3)
    masks = torch.zeros(3, *size, dtype=torch.bool)
    annotations = AnnotationSet((Annotation(5, ids, masks),))
    track = Track(Shot.of(numbered_shot(1, size)), annotations, PropagationSettings(), model_info())
    rows = [(0.5, 0.5, 0, 0), (0, 0.3, 0.5, 0.2), (0.25, 0.25, 0.5, 0), (0.1, 0.2, 0.2, 0.5)]
    rows += [(0, 0, 1, 0), (1, 0, 0, 0), (0.375, 0.125, 0.5, 0), (0.5, 0.5 - 2**-15, 0, 2**-15)]
    given = torch.tensor(rows).T.reshape(4, *size)
    track.add(Segmentation(0, ids, given, size, (1.0,) * 3))
    soft = track.probabilities(0)
    assert torch.equal(soft == 0.5, given == 0.5)
    assert torch.equal(soft.sum(0), torch.ones(size))
    exact = [0, 2, 4, 5, 6, 7]
    assert torch.equal(soft.flatten(1)[:, exact], given.flatten(1)[:, exact])


def _saved_by_version_1(path: Path) -> torch.Tensor:
    """A track file with 8-bit levels; returns the levels of frame 7."""
    save_track(_track(), path)
    _rewritten(path, version=1)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    kept = {}
    for index in range(8):
        soft = _segmentation(index).probabilities.cumsum(0) * 255
        soft = soft.round().clamp(0, 255)
        soft[-1] = 255
        levels = soft.diff(dim=0, prepend=torch.zeros(1, *INTERNAL)).to(torch.uint8)
        kept[index] = levels
        entries[f"probabilities/{index:05d}.zlib"] = zlib.compress(levels.numpy().tobytes())
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return kept[7]


def test_older_tracks_of_8_bits_open_and_can_be_saved_again(tmp_path: Path) -> None:
    levels = _saved_by_version_1(tmp_path / "old.xmtrack")
    loaded = load_track(tmp_path / "old.xmtrack")
    assert torch.equal(loaded.segmentation(7).probabilities, levels.float() / 255)
    assert torch.equal(loaded.label_map(7), label_map_of(_segmentation(7)))
    loaded.add(_segmentation(6))  # of this version
    save_track(loaded, tmp_path / "new.xmtrack")
    again = load_track(tmp_path / "new.xmtrack")
    for index in range(8):
        assert torch.equal(again.probabilities(index), loaded.probabilities(index))


def test_collect_gathers_a_pass_and_reports_progress() -> None:
    seen: list[tuple[int, int]] = []
    source = numbered_shot(8, SIZE)
    track = Track.collect(
        DrawnPass(source, ANNOTATIONS, [_segmentation(i) for i in range(8)]),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(i, 8) for i in range(1, 9)]
    assert torch.equal(track.label_map(5), label_map_of(_segmentation(5)))


def test_records_carried_over_make_the_same_track() -> None:
    track = _track()
    other = Track(track.shot, ANNOTATIONS, track.settings, track.model, memory_bytes=1)
    for record in track.records():
        other.add_record(record)
    assert all(other.record(i) == track.record(i) for i in (1, 2, 5, 6, 7))
    assert torch.equal(other.probabilities(4), track.probabilities(4))
    assert other.stored_bytes == track.stored_bytes > 0


def test_a_frame_added_again_is_replaced() -> None:
    track = _track()
    track.add(replace(_segmentation(6), absent_ids=IDS))
    assert not track.label_map(6).any()
    assert len(track) == 8
    assert torch.equal(track.label_map(5), label_map_of(_segmentation(5)))


def test_a_track_refuses_what_is_not_its_own() -> None:
    track = _track()
    with pytest.raises(InputError, match="frame 8 is not in the track, which holds 8 frames, 0 to"):
        track.label_map(8)
    with pytest.raises(InputError, match="record of frame 8: the shot has 8 frames"):
        track.add(replace(_segmentation(7), frame_index=8))
    with pytest.raises(InputError, match="has the objects"):
        track.add(soft_segmentation(1, (2, 5), INTERNAL, SIZE))
    with pytest.raises(ShapeError, match="expected shape 107x61, got 10x10"):
        track.add(soft_segmentation(1, IDS, INTERNAL, Size(10, 10)))
    with pytest.raises(ShapeError):
        track.add_record(replace(track.record(1), shape=(2, *INTERNAL)))


def test_a_damaged_record_is_named() -> None:
    track = _track()
    record = track.record(6)
    track.add_record(replace(record, labels=record.labels[:-9]))
    with pytest.raises(InputError, match="frame 6 is damaged"):
        track.label_map(6)
    track.add_record(replace(record, labels=b"no zlib"))
    with pytest.raises(InputError, match="frame 6 is damaged"):
        track.label_map(6)
    track.add_record(replace(record, shape=(4, 1, 1)))
    with pytest.raises(InputError, match="frame 6 is damaged"):
        track.probabilities(6)


def test_a_temporary_folder_goes_with_the_track(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    track = _track(memory_bytes=10)
    assert len(list(tmp_path.rglob("*.bin"))) == len(track)
    del track
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_a_track_file_holds_everything(tmp_path: Path) -> None:
    track = _track()
    path = tmp_path / "été" / "shot.xmtrack"
    save_track(track, path)
    loaded = load_track(path)
    assert [p.name for p in path.parent.iterdir()] == ["shot.xmtrack"]
    assert loaded.shot == track.shot
    assert loaded.settings == track.settings
    assert loaded.model == replace(track.model, path=Path("tiny.safetensors"))
    assert loaded.object_ids == IDS
    for name in ("names", "colors", "absences", "frame_indices"):
        assert getattr(loaded.annotations, name) == getattr(ANNOTATIONS, name)
    assert loaded.annotations.at(4).masks.equal(ANNOTATIONS.at(4).masks)
    assert loaded.frame_indices == track.frame_indices
    for index in track.frame_indices:
        # Compared as text: NaN equals NaN there.
        assert repr(loaded.record(index)) == repr(track.record(index))
        assert torch.equal(loaded.label_map(index), track.label_map(index))
        assert torch.equal(loaded.probabilities(index), track.probabilities(index))


def test_a_track_of_no_frame_and_no_rate_can_be_saved(tmp_path: Path) -> None:
    shot = replace(_track().shot, frame_rate=None)
    save_track(Track(shot, ANNOTATIONS, PropagationSettings(), model_info()), tmp_path / "t")
    loaded = load_track(tmp_path / "t")
    assert (loaded.frame_indices, loaded.frame_rate) == ((), None)


def test_a_file_cut_anywhere_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.xmtrack"
    save_track(_track(), path)
    whole = path.read_bytes()
    for share in (0, 0.1, 0.5, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(FormatError, match=r"a.xmtrack: is no track file or is incomplete"):
            load_track(path)
    with pytest.raises(FormatError, match=r"b.xmtrack: does not exist"):
        load_track(tmp_path / "b.xmtrack")


def test_a_flipped_byte_in_any_entry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xmtrack"
    save_track(_track(), path)
    whole = path.read_bytes()
    for position in range(40, len(whole), len(whole) // 60):
        damaged = bytearray(whole)
        damaged[position] ^= 255
        path.write_bytes(damaged)
        try:
            loaded = load_track(path)
        except FormatError:
            continue
        # Bytes that no reader looks at, such as time stamps.
        assert repr(list(loaded.records())) == repr(list(_track().records()))


def _rewritten(path: Path, **changes: object) -> None:
    """Change keys of a track file's header."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    header = {**json.loads(entries["track.json"]), **changes}
    entries["track.json"] = json.dumps(header).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    path.write_bytes(buffer.getvalue())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format": "tar"}, "is an archive but no track"),
        ({"version": 3}, "is a track of version 3, this program reads 1 to 2"),
        ({"size": [10]}, "wrong content"),
        ({"size": [61, 300]}, "expected shape 300x61, got 107x61"),
        ({"size": [10**6, 10**6]}, "1000000x1000000 pixels; more than"),
        ({"size": ["9" * 5000, 1]}, "wrong content"),
        ({"frame_rate": "1/0"}, "wrong content"),
        ({"frame_rate": "1e9999999"}, "frame rate '1e9999999' is no fraction such as 25/1"),
        ({"frame_rate": "9" * 5000 + "/1"}, "is no fraction such as 25/1"),
        ({"frame_names": ["../../x"] * len(_track().shot)}, "cannot be the name of a file"),
        ({"frame_names": ["\ud800"]}, "is an archive but no track"),
        ({"frame_names": ["a"]}, "do not fit together"),
        ({"size": [math.inf, 3]}, "is an archive but no track"),
        ({"settings": {"top_k": -1}}, "setting top_k is -1"),
        ({"model": {}}, "wrong content"),
        ({"frames": [{"index": 999}]}, "wrong content"),
        ({"frames": None}, "wrong content"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(
    tmp_path: Path, changes: dict[str, object], problem: str
) -> None:
    path = tmp_path / "a.xmtrack"
    save_track(_track(), path)
    _rewritten(path, **changes)
    with pytest.raises(FormatError, match=problem):
        load_track(path)


def test_a_foreign_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(FormatError, match="is an archive but no track"):
        load_track(tmp_path / "a.zip")


def test_a_failed_save_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "a.xmtrack"
    track = _track()
    save_track(track, path)
    before = path.read_bytes()
    track.annotations = ANNOTATIONS.with_annotation(Annotation(99, (5,), MASKS[1:]))
    with pytest.raises(InputError, match="frame 99 is annotated"):
        save_track(track, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.xmtrack"]
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="cannot be written"):
        save_track(_track(), tmp_path / "file" / "a.xmtrack")


_LONG_SHOT = """
import resource
from dataclasses import replace
import torch
from drawn import model_info, numbered_shot
from xmempp_core.settings import PropagationSettings
from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.track.records import FrameRecord
from xmempp_core.track.segmentation import Segmentation, label_map_of
from xmempp_core.track.track import Shot, Track
from xmempp_core.types import Size

internal, size = Size(480, 854), Size(1080, 1920)
annotation = Annotation(0, (1, 2, 3), torch.zeros(3, *size, dtype=torch.bool))
shot = Shot.of(numbered_shot(10_000, size))
track = Track(shot, AnnotationSet((annotation,)), PropagationSettings(), model_info())

def blobs(seed):
    y, x = torch.meshgrid(torch.arange(480.0), torch.arange(854.0), indexing="ij")
    noise = torch.randn(3, 480, 854, generator=torch.Generator().manual_seed(seed))
    noise = torch.nn.functional.avg_pool2d(noise, 5, 1, 2) * 10
    logits = []
    for n in range(3):
        dy, dx = y - 140 - 90 * n, x - 200 - 200 * n
        radius = 110 * (1 + 0.2 * torch.sin(7 * torch.atan2(dy, dx) + seed))
        logits.append(((radius - torch.hypot(dy, dx)) * 0.7).clamp(-9, 9))
    return torch.cat([torch.zeros(1, 480, 854), torch.stack(logits) + noise]).softmax(0)

made = [Segmentation(0, (1, 2, 3), blobs(i), size, (1.0,) * 3) for i in range(5)]
samples = [FrameRecord.of(one, label_map_of(one)) for one in made]
for index in range(10_000):
    track.add_record(replace(samples[index % 5], frame_index=index))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, track.stored_bytes)
"""


@pytest.mark.slow
def test_ten_thousand_frames_of_1080p_stay_under_a_gigabyte() -> None:
    tests = Path(__file__).parents[1]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tests / "support"), str(tests.parent)]),
    }
    command = [sys.executable, "-c", _LONG_SHOT]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    peak_bytes, stored_bytes = map(int, run.stdout.split())
    assert stored_bytes > 3e8  # enough to have left the memory budget
    assert peak_bytes < 1e9


def test_new_names_and_colors_give_the_same_results_under_them() -> None:
    track = _track()
    named = replace(ANNOTATIONS, names={2: "cap"}, colors={5: (1, 2, 3)})
    twin = track.renamed(named)
    assert twin.annotations is named
    assert track.annotations is ANNOTATIONS
    assert torch.equal(twin.label_map(5), track.label_map(5))
    assert track.renamed(replace(ANNOTATIONS)) is track, "nothing is new"


@pytest.mark.parametrize(
    "other",
    [
        ANNOTATIONS.without(4),
        ANNOTATIONS.with_annotation(Annotation(3, (5,), ~MASKS[1:])),
        replace(ANNOTATIONS, absences=()),
        replace(ANNOTATIONS, annotations=tuple(replace(a, exhaustive=True) for a in ANNOTATIONS)),
    ],
    ids=["a frame less", "another mask", "no absence", "exhaustive"],
)
def test_what_a_set_says_is_its_fingerprint_and_no_track_takes_another(
    other: AnnotationSet,
) -> None:
    assert other.fingerprint != ANNOTATIONS.fingerprint
    with pytest.raises(InputError, match="not those that the track was made of; propagate"):
        _track().renamed(other)


def _packed(path: Path, target: Path, compression: int, **entries: bytes) -> Path:
    """A track file packed in another way, with entries replaced."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w", compression) as archive:
        for name in source.namelist():
            archive.writestr(name, entries.get(name, source.read(name)))
    return target


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_archive_packed_as_no_track_is_refused(tmp_path: Path, compression: int) -> None:
    save_track(_track(), tmp_path / "a.xmtrack")
    path = _packed(tmp_path / "a.xmtrack", tmp_path / "b.xmtrack", compression)
    for damage in (0, 40, 400):
        data = bytearray(path.read_bytes())
        data[60 : 60 + damage] = bytes(damage)
        path.write_bytes(data)
        with pytest.raises(FormatError, match=r"b\.xmtrack: is "):
            load_track(path)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xmtrack"
    save_track(_track(), path)
    data = path.read_bytes().replace(
        b"PK\x01\x02\x14\x00\x14\x00\x00", b"PK\x01\x02\x14\x00\x14\x00\x01"
    )
    data = data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    assert data != path.read_bytes()
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.xmtrack: is "):
        load_track(path)


@pytest.mark.parametrize("kind", ["probabilities/00000.zlib", "labels/00000.zlib"])
def test_an_entry_larger_than_its_frame_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    save_track(_track(), tmp_path / "a.xmtrack")
    bomb = {kind: bytes(10_000_000)}
    path = _packed(tmp_path / "a.xmtrack", tmp_path / "b.xmtrack", zipfile.ZIP_DEFLATED, **bomb)
    assert path.stat().st_size < 200_000
    read = zipfile.ZipFile.read

    def small_only(archive: zipfile.ZipFile, name: str) -> bytes:
        assert archive.getinfo(name).file_size < 10_000_000
        return read(archive, name)

    monkeypatch.setattr(zipfile.ZipFile, "read", small_only)
    with pytest.raises(FormatError, match=r"has 10000000 bytes where at most \d+ fit"):
        load_track(path)


def test_a_fifo_is_no_track_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xmtrack")
    with pytest.raises(FormatError, match=r"a\.xmtrack: is a FIFO and no regular file"):
        load_track(tmp_path / "a.xmtrack")
