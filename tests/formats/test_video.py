"""Any frame of a video equals decoding from the start, byte for byte, whatever the stream does."""

from __future__ import annotations

import gc
import logging
import random
import re
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import VideoReformatter

from xmempp_core.errors import CapacityError, FormatError, InputError
from xmempp_core.formats.frames import video_scan
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.formats.frames.video import VideoFrames
from xmempp_core.formats.frames.video_decoder import VideoDecoder
from xmempp_core.types import FrameSource

WIDTH, HEIGHT = 64, 48
CASES = Path(__file__).parents[1] / "data" / "cases"


@dataclass(frozen=True)
class Film:
    """How a test film is made."""

    name: str
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    frames: int = 26
    times: Sequence[int] | None = None
    """Presentation times in 1/100 s; None = a frame every 1/25 s."""
    rotation: int = 0
    group: int = 8


def x264(text: str) -> dict[str, str]:
    return {"x264-params": f"scenecut=0:{text}"}


def x265(text: str) -> dict[str, str]:
    return {"x265-params": f"log-level=none:scenecut=0:keyint=8:min-keyint=8:{text}"}


VARIED = [0, 1, 4, 6, 13, 14, 17, 30, 31, 33, 40, 41, 42, 50, 57, 58, 60, 61, 70, 75]
FILMS = [
    Film("b_frames.mp4", options=x264("bframes=3")),
    Film("b_frames.mkv", options=x264("bframes=3")),
    Film("b_frames.ts", options=x264("bframes=3")),
    Film("open_group.mp4", options=x264("bframes=3:b-adapt=0:open-gop=1")),
    Film("open_group.ts", options=x264("bframes=3:b-adapt=0:open-gop=1")),
    Film("open_group_hevc.mp4", "libx265", options=x265("bframes=3:b-adapt=0:open-gop=1")),
    Film("open_group_mpeg2.mpg", "mpeg2video", options={"bf": "2"}),
    Film("variable_rate.mp4", frames=20, times=VARIED),
    Film("variable_rate.mkv", frames=20, times=VARIED),
    Film("rotated.mp4", rotation=90),
    Film("ten_bit.mkv", "libx265", "yuv420p10le", x265("bframes=3")),
    Film("prores.mov", "prores_ks", "yuv422p10le"),
    Film("gradual_refresh.mkv", options=x264("intra-refresh=1:keyint=8")),
    Film("no_timestamps.h264"),
    Film("wrong_timestamps.avi", options=x264("bframes=3")),
    Film("vp8.webm", "libvpx", options={"auto-alt-ref": "1", "lag-in-frames": "8"}),
    Film("rgb.mkv", "ffv1", "bgr0"),
]


def make_film(folder: Path, film: Film) -> Path:
    """A film that pans over noise, so that every frame is another."""
    path = folder / film.name
    base = np.random.default_rng(1).integers(0, 255, (HEIGHT // 4, WIDTH, 3), np.uint8)
    base = base.repeat(4, axis=0).repeat(4, axis=1)
    with av.open(path, "w") as container:
        stream = container.add_stream(film.codec, rate=25, options=dict(film.options))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, film.pixel_format
        stream.codec_context.gop_size = film.group
        if film.times is not None:
            stream.codec_context.time_base = Fraction(1, 100)
        if film.rotation:
            stream.set_display_rotation(film.rotation)
        for i in range(film.frames):
            picture = np.ascontiguousarray(base[:, 2 * i : 2 * i + WIDTH])
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            if film.times is not None:
                frame.pts, frame.time_base = film.times[i], Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut_start(path: Path, frames: int) -> Path:
    """The film without its first frames, by an edit list: the packets stay as they are."""
    target = path.with_name("edit_list.mp4")
    with av.open(path) as source, av.open(target, "w") as result:
        stream = source.streams.video[0]
        copy = result.add_stream_from_template(stream)
        offset = int(frames / stream.average_rate / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = (
                    packet.pts - offset,
                    packet.dts - offset,
                    copy,
                )
                result.mux(packet)
    return target


def decode_from_start(path: Path) -> list[torch.Tensor]:
    """The frames as PyAV decodes and converts them, turned by `rotation`."""
    reformatter, frames = VideoReformatter(), []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            is_deep = frame.format.components[0].bits > 8
            rgb = reformatter.reformat(frame, format="rgb48le" if is_deep else "rgb24")
            pixels = torch.from_numpy(np.rot90(rgb.to_ndarray(), round(frame.rotation / 90)).copy())
            frames.append(pixels.float() / 65535 if is_deep else pixels)
    return frames


def assert_any_order_equals(source: FrameSource, expected: list[torch.Tensor]) -> None:
    count = len(expected)
    assert len(source) == count
    shuffled = [*range(count), *range(count)]
    random.Random(2).shuffle(shuffled)
    for order in (range(count), range(count - 1, -1, -1), shuffled):
        for i in order:
            frame = source.frame(i)
            assert frame.dtype == expected[i].dtype
            assert torch.equal(frame, expected[i]), f"frame {i}"


@pytest.mark.parametrize("film", FILMS, ids=lambda film: film.name)
def test_frames_in_any_order_equal_decoding_from_the_start(
    tmp_path: Path, film: Film, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_film(tmp_path, film)
    expected = decode_from_start(path)
    assert len(expected) == film.frames
    assert_any_order_equals(open_frames(path), expected)
    assert "damaged" not in caplog.text


@pytest.mark.parametrize("film", [f for f in FILMS if "open" in f.name], ids=lambda film: film.name)
def test_the_open_groups_of_these_tests_are_open(tmp_path: Path, film: Film) -> None:
    with av.open(make_film(tmp_path, film)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    keyframes = [i for i, packet in enumerate(packets) if packet.is_keyframe]
    assert sum(packets[i + 1].pts < packets[i].pts for i in keyframes[1:]) >= 2


@pytest.mark.parametrize("first", [3, 11, 16])
def test_an_edit_list_cuts_frames_out_wherever_it_starts(tmp_path: Path, first: int) -> None:
    film = make_film(tmp_path, Film("whole.mp4", options=x264("bframes=3")))
    path = cut_start(film, first)
    expected = decode_from_start(film)[first:]
    assert_any_order_equals(open_frames(path), expected)
    assert_any_order_equals(open_frames(path), decode_from_start(path))


def test_reading_from_a_small_memory_gives_the_same_frames(tmp_path: Path) -> None:
    path = make_film(tmp_path, Film("film.mp4", options=x264("bframes=3"), group=26))
    expected = decode_from_start(path)
    frame_bytes = WIDTH * HEIGHT * 3 // 2
    for decoded_bytes in (0, 3 * frame_bytes):
        assert_any_order_equals(VideoFrames(path, decoded_bytes=decoded_bytes), expected)


def count_decoded(monkeypatch: pytest.MonkeyPatch, read: Callable[[], object]) -> int:
    """Frames that reading decodes."""
    count = 0
    step = VideoDecoder.__next__

    def counted(self: VideoDecoder) -> tuple[int, av.VideoFrame]:
        nonlocal count
        count += 1
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(VideoDecoder, "__next__", counted)
        read()
    return count


def test_reading_backward_decodes_each_group_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_film(tmp_path, Film("film.mp4", options=x264("bframes=3"), frames=64, group=32))
    source = open_frames(path)
    backward = count_decoded(monkeypatch, lambda: [source.frame(i) for i in range(63, -1, -1)])
    assert backward == 64
    forward = count_decoded(monkeypatch, lambda: list(source))
    assert forward <= 64


def test_decoded_frames_stay_within_their_memory(tmp_path: Path) -> None:
    path = make_film(tmp_path, Film("film.mp4", frames=40, group=40))
    source = VideoFrames(path, decoded_bytes=50_000)
    for i in range(39, -1, -1):
        source.frame(i)
        held_bytes = sum(p.buffer_size for f in source._run.values() for p in f.planes)
        assert 0 < held_bytes <= 50_000


def test_reading_forward_keeps_no_more_than_one_frame(tmp_path: Path) -> None:
    source = VideoFrames(make_film(tmp_path, Film("film.mp4")))
    source.frame(0)
    for i in range(1, len(source)):
        source.frame(i)
        assert len(source._run) == 1


def test_a_frame_that_was_read_is_gone_without_the_garbage_collector(tmp_path: Path) -> None:
    source = VideoFrames(make_film(tmp_path, Film("film.mp4")))
    source.frame(0)
    gc.collect()
    gc.disable()
    try:
        for i in range(1, len(source)):
            source.frame(i)
        assert gc.collect() < len(source) - 1
    finally:
        gc.enable()


def test_ten_bit_films_come_as_float_with_more_than_256_levels(tmp_path: Path) -> None:
    film = Film("ten_bit.mkv", "ffv1", "yuv420p10le", frames=2)
    frame = open_frames(make_film(tmp_path, film)).frame(1)
    assert frame.dtype == torch.float32
    assert 0 <= frame.min() < frame.max() <= 1
    levels = frame.unique() * 255
    assert (levels - levels.round()).abs().max() > 0.1


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (-90, -1), (180, 2)])
def test_rotation_of_the_file_turns_frames_and_size(
    tmp_path: Path, rotation: int, turns: int
) -> None:
    upright = open_frames(make_film(tmp_path, Film("upright.mp4")))
    turned = open_frames(make_film(tmp_path, Film("turned.mp4", rotation=rotation)))
    assert turned.size == ((HEIGHT, WIDTH) if rotation == 180 else (WIDTH, HEIGHT))
    assert torch.equal(turned.frame(3), upright.frame(3).rot90(turns))


def test_a_mirroring_file_is_mirrored(tmp_path: Path) -> None:
    path = tmp_path / "mirrored.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264rgb", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb24"
        stream.set_display_rotation(0, hflip=True)
        picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    assert np.array_equal(open_frames(path).frame(0).numpy(), picture[:, ::-1])


def test_rates_are_exact_fractions(tmp_path: Path) -> None:
    path = tmp_path / "ntsc.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(24000, 1001))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(WIDTH, HEIGHT, "yuv420p")))
        container.mux(stream.encode())
    assert open_frames(path).frame_rate == Fraction(24000, 1001)
    assert open_frames(make_film(tmp_path, Film("film.mkv"))).frame_rate == 25


def test_a_variable_rate_is_the_average_that_the_times_give(tmp_path: Path) -> None:
    rate = open_frames(make_film(tmp_path, Film("v.mkv", frames=20, times=VARIED))).frame_rate
    assert rate is not None
    assert float(rate) == pytest.approx(19 / 0.75, rel=1e-3)


def test_frames_of_a_video_are_numbered_by_position_in_five_digits(tmp_path: Path) -> None:
    source = open_frames(make_film(tmp_path, Film("film.mp4", frames=12)))
    assert (source.number(11), source.name(11)) == (11, "00011")
    with pytest.raises(
        InputError, match=r"position 12 is outside the shot; its 12 frames are 0 to"
    ):
        source.frame(12)
    with pytest.raises(InputError, match="position -1 is outside"):
        source.frame(-1)


def test_paths_with_spaces_accents_and_colons_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "söme shot %04d"
    folder.mkdir()
    assert len(open_frames(make_film(folder, Film("täke: 1 #2.mp4", frames=3)))) == 3


def test_the_fingerprint_follows_the_content_and_not_the_place(tmp_path: Path) -> None:
    path = make_film(tmp_path, Film("film.mp4"))
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(path.read_bytes())
    other = make_film(tmp_path, Film("other.mp4", options=x264("bframes=1")))
    assert open_frames(path).fingerprint == open_frames(copy).fingerprint
    assert open_frames(path).fingerprint != open_frames(other).fingerprint
    linear = open_frames(path, input_colorspace="linear")
    assert open_frames(path).fingerprint != linear.fingerprint


def test_another_color_space_makes_float_display_values(tmp_path: Path) -> None:
    path = make_film(tmp_path, Film("film.mp4"))
    plain = open_frames(path).frame(0).float() / 255
    linear = open_frames(path, input_colorspace="linear").frame(0)
    middle = (plain > 0.1) & (plain < 0.9)
    assert linear.dtype == torch.float32
    assert (linear[middle] > plain[middle] + 0.04).all()


def test_a_closed_source_opens_again_when_read(tmp_path: Path) -> None:
    source = VideoFrames(make_film(tmp_path, Film("film.mp4")))
    before = source.frame(20)
    source.close()
    source.close()
    assert torch.equal(source.frame(20), before)


def test_writing_into_a_frame_changes_no_later_one(tmp_path: Path) -> None:
    source = open_frames(make_film(tmp_path, Film("rgb.avi", "rawvideo", "rgb24")))
    frame = source.frame(2)
    before = frame.clone()
    frame.zero_()
    assert torch.equal(source.frame(2), before)


def test_a_sound_track_does_not_disturb_the_pictures(tmp_path: Path) -> None:
    silent = make_film(tmp_path, Film("silent.mp4", options=x264("bframes=3")))
    path = tmp_path / "sound.mp4"
    with av.open(silent) as source, av.open(path, "w") as result:
        sound = result.add_stream("aac", rate=48000, layout="mono")
        copy = result.add_stream_from_template(source.streams.video[0])
        result.mux(encode_silence(sound))
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                result.mux(packet)
    assert_any_order_equals(open_frames(path), decode_from_start(silent))


def encode_silence(stream: av.AudioStream) -> list[av.Packet]:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), "fltp", "mono")
    frame.sample_rate = 48000
    return [*stream.encode(frame), *stream.encode()]


def test_a_sound_file_is_refused(tmp_path: Path) -> None:
    with av.open(tmp_path / "sound.mp4", "w") as container:
        container.mux(encode_silence(container.add_stream("aac", rate=48000, layout="mono")))
    with pytest.raises(FormatError, match=r"sound\.mp4: has no video stream, only audio"):
        open_frames(tmp_path / "sound.mp4")


def test_a_film_without_frames_is_refused(tmp_path: Path) -> None:
    with av.open(tmp_path / "none.mkv", "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.start_encoding()
    with pytest.raises(
        FormatError, match=r"none\.mkv: (has a video stream without|cannot be read)"
    ):
        open_frames(tmp_path / "none.mkv")


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.avi"])
@pytest.mark.parametrize("kept", [0.5, 0.8])
def test_a_film_that_is_cut_off_is_refused(tmp_path: Path, name: str, kept: float) -> None:
    path = make_film(tmp_path, Film(name, frames=50))
    if path.suffix == ".mp4":  # an index at the end would be lost as a whole
        path = remux_with_index_first(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(
        FormatError, match=r"film\.\w+: is cut off after \d+ frames; copy or export"
    ):
        open_frames(path)


def test_a_film_that_lost_its_index_is_refused(tmp_path: Path) -> None:
    path = make_film(tmp_path, Film("film.mp4"))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(FormatError, match=r"film\.mp4: cannot be read as a video"):
        open_frames(path)


def remux_with_index_first(path: Path) -> Path:
    target = path.with_name("fast_film.mp4")
    options = {"movflags": "faststart"}
    with av.open(path) as source, av.open(target, "w", options=options) as result:
        copy = result.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                result.mux(packet)
    return target


def test_a_damaged_film_names_the_frame_that_cannot_be_decoded(tmp_path: Path) -> None:
    path = make_film(tmp_path, Film("film.mkv", "ffv1", frames=20, group=1))
    with av.open(path) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    pos, size = packets[12]
    data[pos + 10 : pos + size] = bytes(size - 10)
    path.write_bytes(data)
    source = open_frames(path)
    assert source.frame(11).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(FormatError, match=r"film\.mkv: frame 00012 cannot be decoded"):
        source.frame(12)


@pytest.mark.parametrize("content", [b"", b"just a line of text\n", bytes(range(256)) * 20])
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.mp4"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"notes\.mp4: cannot be read as a video \(.+\)"):
        open_frames(path)


# ---- damage


def test_a_stream_joined_of_two_is_read_and_the_damage_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = CASES / "F14_joined.ts"
    expected = decode_from_start(path)
    assert len(expected) == 20
    source = open_frames(path)
    source.frame(0)
    assert not caplog.records, "nothing is said before the frames are read"
    assert_any_order_equals(source, expected)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "joined.ts: the file is damaged at frame 00007 to 00008; what is read" in caplog.text


def packets_of(path: Path) -> list[tuple[int, int, int, bool]]:
    """Byte, size, time and kind of each packet."""
    with av.open(path) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        return [(p.pos, p.size, p.pts, p.is_keyframe) for p in packets]


@pytest.mark.parametrize("options", ["bframes=3:b-adapt=0", "bframes=3:b-adapt=0:open-gop=1"])
@pytest.mark.parametrize("hit", [9, 12, 17])
def test_damage_that_the_decoder_hides_is_named_up_to_the_next_keyframe(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, options: str, hit: int
) -> None:
    film = Film("film.mp4", options=x264(options), frames=40)
    whole = make_film(tmp_path, film)
    before = list(open_frames(whole))
    packets = packets_of(whole)
    data = bytearray(whole.read_bytes())
    pos, size, *_ = packets[hit]
    data[pos + size // 2 : pos + size] = bytes(size - size // 2)
    path = tmp_path / "hit.mp4"
    path.write_bytes(data)
    source = open_frames(path)
    changed, refused = [], {}
    for i in range(len(source)):
        try:
            if not torch.equal(source.frame(i), before[i]):
                changed.append(i)
        except FormatError as error:
            refused[i] = str(error)
    assert changed or refused
    for i, sentence in refused.items():
        assert f"frame {i:05d} cannot be decoded: damaged there" in sentence
    assert len(refused) <= 1
    named = [int(n) for n in re.findall(r"\d{5}", caplog.text)]
    if not changed:  # nothing was predicted from the frame that is lost
        return
    assert min(named) <= min(changed)
    assert max(changed) <= max(named)
    keyframes = sorted(time for _, _, time, is_key in packets if is_key)
    times = sorted(time for _, _, time, _ in packets)
    next_key = next(time for time in keyframes if time > packets[hit][2])
    assert max(named) < times.index(next_key)
    assert len(caplog.records) == 1


def test_a_film_cut_off_within_its_sound_is_refused(tmp_path: Path) -> None:
    silent = make_film(tmp_path, Film("silent.mp4", frames=50))
    path = tmp_path / "sound.mp4"
    options = {"movflags": "faststart"}
    with av.open(silent) as source, av.open(path, "w", options=options) as result:
        copy = result.add_stream_from_template(source.streams.video[0])
        sound = result.add_stream("aac", rate=48000, layout="mono")
        pictures = [p for p in source.demux(video=0) if p.dts is not None]
        for packet in [*pictures, *encode_silence(sound)]:
            packet.stream = copy if packet in pictures else sound
            result.mux(packet)
    data = path.read_bytes()
    last = max(pos + size for pos, size, *_ in packets_of(path))
    for kept in range(last - 3000, last, 150):
        path.write_bytes(data[:kept])
        with pytest.raises(FormatError, match=r"sound\.mp4: is cut off after \d+ frames"):
            open_frames(path)


@pytest.mark.parametrize(
    ("name", "known", "unknown"),
    [("film.avi", b"FMP4", b"QQQQ"), ("film.mkv", b"V_MPEG4/ISO/ASP", b"V_MPEG9/ISO/ASP")],
)
def test_a_film_without_a_decoder_is_refused_by_its_codec(
    tmp_path: Path, name: str, known: bytes, unknown: bytes
) -> None:
    path = make_film(tmp_path, Film(name, "mpeg4", frames=5))
    path.write_bytes(path.read_bytes().replace(known, unknown))
    expected = f"is a video of codec {unknown.decode()}, which cannot be decoded here; export"
    with pytest.raises(FormatError, match=expected):
        open_frames(path)


# ---- one index for each file


def count_scans(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    scanned: list[Path] = []
    scan = video_scan._scan_packets

    def counted(path: Path) -> object:
        scanned.append(path)
        return scan(path)

    monkeypatch.setattr(video_scan, "_scan_packets", counted)
    return scanned


def test_a_file_is_indexed_once_however_often_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_film(tmp_path, Film("film.mp4"))
    scanned = count_scans(monkeypatch)
    expected = list(open_frames(path))
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        for frames in pool.map(lambda _: list(open_frames("film.mp4")), range(8)):
            assert all(map(torch.equal, frames, expected))
    assert len(scanned) == 1


def test_a_file_that_changed_is_indexed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_film(tmp_path, Film("film.mp4", frames=10))
    scanned = count_scans(monkeypatch)
    assert len(open_frames(path)) == 10
    make_film(tmp_path, Film("film.mp4", frames=12))
    assert len(open_frames(path)) == 12
    assert len(scanned) == 2


def test_few_indexes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video_scan._index.cache_clear()
    whole = make_film(tmp_path, Film("film.mp4", frames=3))
    for i in range(20):
        open_frames(shutil.copyfile(whole, tmp_path / f"{i}.mp4"))
    assert video_scan._index.cache_info().currsize == 8


def test_running_out_of_memory_while_decoding_does_not_blame_the_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_frames(make_film(tmp_path, Film("film.mp4")))

    def fail(*_: object) -> None:
        raise av.error.MemoryError(12, "Cannot allocate memory")

    monkeypatch.setattr(VideoDecoder, "__next__", fail)
    with pytest.raises(CapacityError, match=r"film\.mp4: there is not enough memory to read it"):
        source.frame(20)
