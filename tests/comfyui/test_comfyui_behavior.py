"""How the nodes behave in a real ComfyUI: caching, Cancel, progress, model management, clips."""

from __future__ import annotations

import filecmp
import functools
import gc
import logging
import weakref
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from graphs import Graph, annotation, clip, propagation


def candidates(graph: Graph, shot: str, annotations: tuple[str, int], **values: object) -> str:
    """Load XMem++ and Select Annotation Candidates, which propagates first."""
    model = graph.add("XMemPPLoadModel", model="lite (bundled)", precision="auto")
    given = {"k": 2, "alpha": 0.5, "min_mask_pixels": 9, "method": "algorithm1", **values}
    return graph.add(
        "XMemPPSelectCandidates",
        model=(model, 0),
        frames=(shot, 0),
        annotations=annotations,
        **given,
    )


def features_logged(caplog: pytest.LogCaptureFixture) -> tuple[int, int]:
    """Frames reused and encoded in the last pass, from the log."""
    line = [r.getMessage() for r in caplog.records if r.getMessage().startswith("features:")][-1]
    words = line.split()
    return int(words[1]), int(words[4])


def test_one_more_annotation_encodes_no_frame_again(bed, caplog):
    caplog.set_level(logging.INFO)

    def run(second: bool) -> None:
        graph = Graph()
        shot = clip(graph)
        last = annotation(graph, (shot, 0), mask=(shot, 2))
        if second:
            last = annotation(
                graph, (shot, 0), mask=(shot, 2), frame_index=5, annotations=(last, 0)
            )
        graph.sink((propagation(graph, (shot, 0), (last, 0)), 0), "track")
        # the model node keeps its identity: same inputs, same cache entry
        assert bed.run(graph).success

    run(second=False)
    assert features_logged(caplog)[1] == 8
    run(second=True)
    reused, encoded = features_logged(caplog)
    assert encoded == 0
    assert reused >= 8


def passes_logged(caplog: pytest.LogCaptureFixture) -> int:
    """How many passes ran."""
    return sum(r.getMessage().startswith("features:") for r in caplog.records)


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ({}, 1),
        ({"frame_index": 6}, 1),
        ({"name": "cube"}, 1),
        ({"absent_frames": "6-7"}, 2),
        ({"absent": True}, 2),
    ],
    ids=["nothing", "another frame", "a name", "an absence", "an annotation"],
)
@pytest.mark.parametrize("slot", [0, 1], ids=["images", "video"])
def test_only_what_changes_a_mask_runs_the_pass_again(bed, caplog, slot, change, passes):
    caplog.set_level(logging.INFO)
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, slot), mask=(shot, 2))
    last = annotation(graph, (shot, slot), frame_index=4, annotations=(first, 0))
    track = propagation(graph, (shot, slot), (last, 0))
    film = graph.add("XMemPPTrackPreview", track=(track, 0), frames=(shot, slot), style="matte")
    graph.sink((track, 0), "track")
    before = bed.run(graph)
    assert before.success, before.error
    graph[last]["inputs"].update(change)
    after = bed.run(graph)
    assert after.success, after.error
    assert passes_logged(caplog) == passes
    assert (track in after.cached) is (not change)
    assert bed.received["track"].annotations.names == (
        {1: change["name"]} if "name" in change else {}
    )
    same_film = after.outputs[film] == before.outputs[film]
    assert same_film is (passes == 1 and "name" not in change)


def test_masks_linked_after_a_run_need_no_second_propagation(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0))
    graph.add("XMemPPTrackPreview", track=(track, 0), frames=(shot, 0), style="overlay")
    assert bed.run(graph).success
    masks = graph.add(
        "XMemPPTrackToMask",
        track=(track, 0),
        object_ids="",
        first_frame=2,
        frame_count=0,
        binary=True,
    )
    graph.sink((masks, 0), "masks")
    result = bed.run(graph)
    assert result.success
    assert track in result.cached
    assert bed.received["masks"].shape == (6, 64, 96)
    assert set(bed.received["masks"].unique().tolist()) == {0.0, 1.0}


def test_settings_without_effect_are_named_on_the_node(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0), direction="independent")
    graph.sink((track, 0), "track")
    result = bed.run(graph)
    assert result.success, result.error
    assert len(bed.received["track"]) == 8
    said = "Direction independent: without effect are memorize_every=5."
    assert result.outputs[track]["text"] == [said]
    graph[track]["inputs"]["memorize_every"] = 10
    result = bed.run(graph)
    assert "text" not in result.outputs[track]


@pytest.mark.parametrize("direction", ["outward", "bidirectional", "independent"])
def test_cancel_is_heard_within_a_frame_and_the_next_run_succeeds(bed, monkeypatch, direction):
    graph = Graph()
    shot = clip(graph, frame_count=40)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    last = annotation(graph, (shot, 0), mask=(shot, 2), frame_index=39, annotations=(first, 0))
    track = propagation(graph, (shot, 0), (last, 0), direction=direction)
    graph.sink((track, 0), "track")
    host = bed.pack_module("nodes.host")
    real, calls = host.check_interrupted, []

    def cancel_at_the_fifth_frame():
        calls.append(1)
        if len(calls) == 5:
            bed.interrupt()
        real()

    monkeypatch.setattr(host, "check_interrupted", cancel_at_the_fifth_frame)
    result = bed.run(graph)
    assert result.interrupted
    assert len(calls) == 5, "nothing ran on after Cancel"
    assert "track" not in bed.received
    again = bed.run(graph)
    assert again.success
    assert first in again.cached
    assert len(bed.received["track"]) == 40


def test_progress_counts_all_frames_and_shows_a_picture(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0))
    graph.sink((track, 0), "track")
    result = bed.run(graph)
    events = [data for event, data in result.events if event == "bed_progress" and data[0] == track]
    assert events[0][1:3] == (1, 9), "the annotated frame is in memory"
    assert events[-1][1:3] == (9, 9)
    pictures = [data[3] for data in events if data[3] is not None]
    assert pictures[0][0] == "JPEG"
    assert pictures[0][1].size == (96, 64)


def test_progress_of_both_directions_never_goes_back(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    last = annotation(graph, (shot, 0), mask=(shot, 2), frame_index=7, annotations=(first, 0))
    track = propagation(graph, (shot, 0), (last, 0), direction="bidirectional")
    graph.sink((track, 0), "track")
    result = bed.run(graph)
    assert result.success, result.error
    events = [data for event, data in result.events if event == "bed_progress" and data[0] == track]
    values = [data[1] for data in events]
    assert {data[2] for data in events} == {18}, "two annotated frames, both ways"
    assert values == sorted(values)
    assert values[-1] == 18


def test_a_model_is_downloaded_on_request_and_is_there_the_next_time(bed, monkeypatch):
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    weights = bed.pack_module("xmempp_core.network.checkpoint").BUNDLED["lite"]
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(weights.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        download = bed.pack_module("nodes.download")
        url = f"http://127.0.0.1:{server.server_port}/lite.safetensors"
        remote = download.RemoteModel("fetched.safetensors", url)
        monkeypatch.setattr(download, "MODELS", (remote,))
        graph = Graph()
        model = graph.add(
            "XMemPPLoadModel", model="download: fetched.safetensors", precision="float32"
        )
        graph.sink((model, 0), "model")
        result = bed.run(graph)
        server.shutdown()
        thread.join()
    assert result.success, result.error
    path = bed.base / "models" / "xmem" / "fetched.safetensors"
    assert filecmp.cmp(path, weights, shallow=False)
    assert bed.received["model"].info.path == path
    graph[model]["inputs"]["model"] = "fetched.safetensors"
    assert bed.run(graph).success, "it is listed as a file now, and the server is gone"


def test_nothing_painted_blocks_with_advice_and_no_error(bed):
    graph = Graph()
    shot = clip(graph)
    empty = annotation(graph, (shot, 0))
    track = propagation(graph, (shot, 0), (empty, 0))
    graph.add("XMemPPTrackPreview", track=(track, 0), frames=(shot, 0), style="overlay")
    result = bed.run(graph)
    assert result.success
    advice = (
        "Nothing is annotated yet: right-click Add Permanent Annotation > Open in Mask Editor, "
        "paint, save, run again."
    )
    assert result.outputs[track]["text"] == [advice]
    assert empty in result.outputs, "the frame to paint on is shown"
    assert "execution_error" not in [event for event, _ in result.events]


def test_candidates_of_nothing_annotated_block_with_advice_and_no_error(bed):
    graph = Graph()
    shot = clip(graph)
    empty = annotation(graph, (shot, 0))
    node = candidates(graph, shot, (empty, 0))
    graph.add("PreviewImage", images=(node, 0))
    result = bed.run(graph)
    assert result.success, result.error
    assert result.outputs[node]["text"][0].startswith("Nothing is annotated yet: right-click")
    assert empty in result.outputs, "the frame to paint on is shown"


def test_no_further_candidate_ends_what_is_behind_it_without_an_error(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    node = candidates(graph, shot, (first, 0), min_mask_pixels=64 * 96)
    graph.add("PreviewImage", images=(node, 0))
    annotation(graph, (shot, 0), frame_index=(node, 1))
    result = bed.run(graph)
    assert result.success, result.error
    assert result.outputs[node]["text"] == [
        "No further frame is worth annotating: none with min_mask_pixels of the objects in it "
        "differs from the annotated ones."
    ]


def test_the_search_for_candidates_shows_progress_and_hears_cancel_though_no_frame_is_read(
    bed, monkeypatch
):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0))
    graph.sink((track, 0), "track")
    assert bed.run(graph).success
    graph.add(
        "XMemPPSelectCandidates",
        model=graph[track]["inputs"]["model"],
        frames=(shot, 0),
        annotations=(first, 0),
        track=(track, 0),
        k=1,
        alpha=0.5,
        min_mask_pixels=9,
        method="algorithm1",
    )
    host = bed.pack_module("nodes.host")
    real, calls = host.check_interrupted, []

    def cancel_at_the_fifth_frame():
        calls.append(1)
        if len(calls) == 5:
            bed.interrupt()
        real()

    with monkeypatch.context() as patch:
        patch.setattr(host, "check_interrupted", cancel_at_the_fifth_frame)
        assert bed.run(graph).interrupted
    assert len(calls) == 5, "nothing ran on after Cancel"
    result = bed.run(graph)
    assert result.success, result.error
    steps = [data[1:3] for event, data in result.events if event == "bed_progress"]
    assert steps[-1] == (8, 8)


def test_candidates_of_a_film_may_be_looked_for_in_its_pictures(bed, film):
    graph = Graph()
    video = graph.add("TestFileVideo", path=str(film), in_memory=False)
    pictures = graph.add("GetVideoComponents", video=(video, 0))
    mask = graph.add("TestMask", count=1, height=64, width=96, empty=False, layout="NHW")
    first = annotation(graph, (video, 0), mask=(mask, 0))
    track = propagation(graph, (video, 0), (first, 0))
    node = graph.add(
        "XMemPPSelectCandidates",
        model=graph[track]["inputs"]["model"],
        frames=(pictures, 0),
        annotations=(first, 0),
        track=(track, 0),
        k=1,
        alpha=0.0,
        min_mask_pixels=0,
        method="uncertainty",
    )
    graph.sink((node, 0), "pictures")
    result = bed.run(graph)
    assert result.success, result.error
    assert bed.received["pictures"].shape == (1, 64, 96, 3)


def test_free_memory_moves_the_model_out_and_it_comes_back(bed):
    import comfy.model_management as mm

    def run(seed: int) -> None:
        graph = Graph()
        shot = clip(graph, seed=seed)
        first = annotation(graph, (shot, 0), mask=(shot, 2))
        graph.sink((propagation(graph, (shot, 0), (first, 0)), 0), "track")
        assert bed.run(graph).success

    run(1)
    assert "Managed" in [m.model.model.__class__.__name__ for m in mm.current_loaded_models]
    mm.unload_all_models()
    assert mm.current_loaded_models == []
    run(2)


def test_free_memory_asks_the_system_to_take_back_what_the_model_held(bed, monkeypatch):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0))
    graph.sink((graph[track]["inputs"]["model"][0], 0), "model")
    graph.sink((track, 0), "track")
    assert bed.run(graph).success
    features = weakref.ref(bed.received.pop("model").shelf._cache)
    assert features() is not None
    gone = []
    heap = bed.pack_module("nodes.heap")
    monkeypatch.setattr(heap, "give_back", lambda: gone.append(features() is None))
    bed.reset_cache()
    gc.collect()
    assert True in gone, "asked when the features were gone"


@pytest.mark.parametrize("cancelled", [False, True])
def test_nothing_of_a_pass_outlives_it(bed, monkeypatch, cancelled):
    bank = bed.pack_module("xmempp_core.memory.bank").MemoryBank
    host = bed.pack_module("nodes.host")
    real, alive = host.check_interrupted, []

    def look():
        alive.append(sum(type(one) is bank for one in gc.get_objects()))
        if cancelled and len(alive) == 8:
            bed.interrupt()
        real()

    monkeypatch.setattr(host, "check_interrupted", look)
    graph = Graph()
    shot = clip(graph, frame_count=12)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    graph.sink((propagation(graph, (shot, 0), (first, 0)), 0), "track")
    assert bed.run(graph).interrupted is cancelled
    assert max(alive) == 1, "the pass has one memory bank"
    gc.collect()
    assert not any(type(one) is bank for one in gc.get_objects())


def test_what_is_cached_beside_the_model_is_no_inference_tensor(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0))
    graph.sink((graph[track]["inputs"]["model"][0], 0), "model")
    graph.sink((track, 0), "track")
    assert bed.run(graph).success
    model = bed.received["model"]
    assert not any(p.is_inference() for p in model.patcher.model.parameters())
    cache = model.shelf._cache
    assert cache.statistics.held_bytes > 0
    assert not any(f.key.is_inference() for f in cache._held.values())


# ---- clips


def frames_given(bed, graph: Graph, link: tuple[str, int]) -> list[torch.Tensor]:
    """The frames that the nodes see behind a link."""
    graph.sink(link, "frames")
    assert bed.run(graph).success
    source = bed.pack_module("nodes.convert").frames_of(bed.received["frames"])
    return [source.frame(i) for i in range(len(source))]


@pytest.mark.parametrize(("start", "duration"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.2, 0.64)])
@pytest.mark.parametrize("in_memory", [False, True])
def test_a_trimmed_video_has_the_frames_that_comfyui_gives(bed, film, start, duration, in_memory):
    graph = Graph()
    video = graph.add("TestFileVideo", path=str(film), in_memory=in_memory)
    cut = graph.add(
        "Video Slice", video=(video, 0), start_time=start, duration=duration, strict_duration=False
    )
    parts = graph.add("GetVideoComponents", video=(cut, 0))
    graph.sink((parts, 0), "images")
    frames = frames_given(bed, graph, (cut, 0))
    images = bed.received["images"]
    assert len(frames) == len(images)
    for ours, theirs in zip(frames, images, strict=True):
        assert (ours.float() / 255 - theirs).abs().mean() < 0.02


def test_a_video_in_memory_has_one_copy_on_disk_however_often_it_is_read(bed, film):
    def copies() -> list[Path]:
        return list((bed.base / "temp").glob("*.video"))

    for path in copies():
        path.unlink()
    graph = Graph()
    video = graph.add("TestFileVideo", path=str(film), in_memory=True)
    for frame_index in (1, 2):
        annotation(graph, (video, 0), frame_index=frame_index)
    assert bed.run(graph).success
    (copy,) = copies()
    assert filecmp.cmp(copy, film, shallow=False)


def test_a_trimmed_video_of_varying_rate_has_the_frames_that_comfyui_gives(bed, tmp_path):
    path = tmp_path / "varying.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(
                np.full((64, 96, 3), 12 * number, np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = 3 + number**2, Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    graph = Graph()
    video = graph.add("TestFileVideo", path=str(path), in_memory=False)
    cut = graph.add(
        "Video Slice", video=(video, 0), start_time=0.5, duration=1.0, strict_duration=False
    )
    parts = graph.add("GetVideoComponents", video=(cut, 0))
    graph.sink((parts, 0), "images")
    frames = frames_given(bed, graph, (cut, 0))
    images = bed.received["images"]
    assert 0 < len(frames) == len(images) < 20
    for ours, theirs in zip(frames, images, strict=True):
        assert (ours.float() / 255 - theirs).abs().mean() < 0.02


def test_a_rotated_video_stands_upright(bed, film, tmp_path):
    turned = tmp_path / "turned.mp4"
    with av.open(str(film)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90) if hasattr(stream, "set_display_rotation") else None
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a rotation")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    graph = Graph()
    video = graph.add("TestFileVideo", path=str(turned), in_memory=False)
    parts = graph.add("GetVideoComponents", video=(video, 0))
    graph.sink((parts, 0), "images")
    frames = frames_given(bed, graph, (video, 0))
    assert tuple(frames[0].shape) == tuple(bed.received["images"].shape[1:]) == (96, 64, 3)
    assert (frames[20].float() / 255 - bed.received["images"][20]).abs().mean() < 0.02


def test_a_video_made_in_the_graph_keeps_its_pictures_and_rate(bed):
    graph = Graph()
    shot = clip(graph)
    graph.sink((shot, 0), "images")
    frames = frames_given(bed, graph, (shot, 1))
    assert torch.equal(torch.stack(frames), bed.received["images"])
    source = bed.pack_module("nodes.convert").frames_of(bed.received["frames"])
    assert source.frame_rate == 25


def test_image_and_video_of_the_same_pictures_are_the_same_clip(bed):
    graph = Graph()
    shot = clip(graph)
    graph.sink((shot, 0), "images")
    graph.sink((shot, 1), "video")
    assert bed.run(graph).success
    frames_of = bed.pack_module("nodes.convert").frames_of
    one, two = (frames_of(bed.received[name]) for name in ("images", "video"))
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_with_any_number_of_channels_are_taken(bed, channels):
    frames_of = bed.pack_module("nodes.convert").frames_of
    source = frames_of(torch.rand(2, 8, 12, channels, dtype=torch.float16))
    assert source.frame(1).shape == (8, 12, 3)
    assert source.frame(1).dtype == torch.float32


# ---- masks


@pytest.mark.parametrize("layout", ["NHW", "HW", "N1HW", "NHW1"])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (128, 192), (32, 48)])
def test_a_mask_of_any_shape_and_agreeing_size_annotates_the_frame(bed, layout, height, width):
    graph = Graph()
    shot = clip(graph)
    mask = graph.add("TestMask", count=1, height=height, width=width, empty=False, layout=layout)
    given = annotation(graph, (shot, 0), mask=(mask, 0), frame_index=3)
    graph.sink((given, 0), "set")
    graph.sink((given, 1), "frame")
    result = bed.run(graph)
    assert result.success, result.error
    one = bed.received["set"].at(3)
    expected = torch.zeros(64, 96, dtype=torch.bool)
    expected[16:32, 24:48] = True
    assert torch.equal(one.mask(1), expected)
    assert bed.received["frame"].shape == (1, 64, 96, 3)
    assert len(result.outputs[given]["images"]) == 1


def test_one_mask_for_each_frame_gives_the_one_of_the_frame(bed):
    graph = Graph()
    shot = clip(graph)
    given = annotation(graph, (shot, 0), mask=(shot, 2), frame_index=5, object_id=7, name="cube")
    graph.sink((given, 0), "set")
    graph.sink((shot, 2), "masks")
    assert bed.run(graph).success
    annotations = bed.received["set"]
    assert torch.equal(annotations.at(5).mask(7), bed.received["masks"][5] > 0.5)
    assert annotations.names[7] == "cube"


def test_sparse_object_ids_stay_as_they_are(bed):
    graph = Graph()
    shot = clip(graph)
    one = annotation(graph, (shot, 0), mask=(shot, 2), object_id=3)
    mask = graph.add("TestMask", count=1, height=64, width=96, empty=False, layout="NHW")
    two = annotation(graph, (shot, 0), mask=(mask, 0), object_id=200, annotations=(one, 0))
    track = propagation(graph, (shot, 0), (two, 0))
    graph.sink((track, 0), "track")
    picked = graph.add(
        "XMemPPTrackToMask",
        track=(track, 0),
        object_ids="200",
        first_frame=0,
        frame_count=1,
        binary=True,
    )
    graph.sink((picked, 0), "mask")
    assert bed.run(graph).success
    assert bed.received["track"].object_ids == (3, 200)
    assert torch.equal(bed.received["mask"][0] > 0, bed.received["track"].label_map(0) == 200)


def test_masks_of_other_nodes_become_annotations_of_the_listed_frames(bed):
    graph = Graph()
    shot = clip(graph)
    given = graph.add(
        "XMemPPAnnotationsFromMasks",
        masks=(shot, 2),
        frame_indices="0, 3-5",
        object_id=2,
        folder="",
    )
    graph.sink((given, 0), "set")
    graph.sink((shot, 2), "masks")
    assert bed.run(graph).success
    annotations = bed.received["set"]
    assert annotations.frame_indices == (0, 3, 4, 5)
    for one in annotations:
        assert torch.equal(one.mask(2), bed.received["masks"][one.frame_index] > 0.5)


def test_masks_of_another_size_than_the_set_join_it_at_the_larger_size(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    for frame_index, (height, width) in ((3, (32, 48)), (5, (128, 192))):
        mask = graph.add("TestMask", count=1, height=height, width=width, empty=False, layout="NHW")
        first = graph.add(
            "XMemPPAnnotationsFromMasks",
            masks=(mask, 0),
            frame_indices=str(frame_index),
            object_id=1,
            folder="",
            annotations=(first, 0),
        )
    graph.sink((first, 0), "set")
    result = bed.run(graph)
    assert result.success, result.error
    assert {one.size for one in bed.received["set"]} == {(128, 192)}
    assert torch.equal(bed.received["set"].at(3).masks, bed.received["set"].at(5).masks)


def test_absent_frames_and_a_name_reach_the_next_node_though_nothing_is_painted(bed):
    graph = Graph()
    shot = clip(graph)
    unpainted = annotation(graph, (shot, 0), name="cube", absent_frames="6-7")
    painted = annotation(
        graph, (shot, 0), mask=(shot, 2), frame_index=2, annotations=(unpainted, 0)
    )
    imported = graph.add(
        "XMemPPAnnotationsFromMasks",
        masks=(shot, 2),
        frame_indices="2",
        object_id=1,
        folder="",
        annotations=(unpainted, 0),
    )
    graph.sink((painted, 0), "painted")
    graph.sink((imported, 0), "imported")
    assert bed.run(graph).success
    for label in ("painted", "imported"):
        annotations = bed.received[label]
        assert annotations.names == {1: "cube"}
        assert [(a.first_frame, a.last_frame) for a in annotations.absences] == [(6, 7)]


def test_a_sam3_track_of_two_objects_gets_two_numbers(bed):
    graph = Graph()
    shot = clip(graph)
    sam = graph.add("TestFakeSam3Track", masks=(shot, 2), object_count=2)
    given = graph.add(
        "XMemPPAnnotationsFromMasks",
        masks=(sam, 0),
        frame_indices="4",
        object_id=5,
        folder="",
    )
    graph.sink((given, 0), "set")
    result = bed.run(graph)
    assert result.success, result.error
    assert bed.received["set"].at(4).object_ids == (5, 6)


def test_removing_an_annotation_leaves_the_others(bed):
    graph = Graph()
    shot = clip(graph)
    one = annotation(graph, (shot, 0), mask=(shot, 2))
    two = annotation(graph, (shot, 0), mask=(shot, 2), frame_index=5, annotations=(one, 0))
    rest = graph.add("XMemPPRemoveAnnotation", annotations=(two, 0), frame_index=0, object_id=0)
    graph.sink((rest, 0), "rest")
    graph.sink((two, 0), "all")
    assert bed.run(graph).success
    assert bed.received["rest"].frame_indices == (5,)
    assert bed.received["all"].frame_indices == (0, 5), "an input is never changed"


def test_saved_annotations_come_back_with_names_absences_and_overlaps(bed):
    graph = Graph()
    shot = clip(graph)
    one = annotation(graph, (shot, 0), mask=(shot, 2), name="cube", absent_frames="6-7")
    two = annotation(
        graph, (shot, 0), frame_index=3, object_id=9, absent=True, annotations=(one, 0)
    )
    saved = graph.add("XMemPPSaveAnnotations", annotations=(two, 0), folder="shots/a b/ü")
    loaded = graph.add("XMemPPLoadAnnotations", folder=(saved, 0))
    graph.sink((two, 0), "given")
    graph.sink((loaded, 0), "loaded")
    result = bed.run(graph)
    assert result.success, result.error
    given, back = bed.received["given"], bed.received["loaded"]
    assert result.outputs[saved]["text"] == ["shots/a b/ü [output]"]
    assert back.frame_indices == given.frame_indices == (0, 3)
    assert back.names == given.names
    assert back.absences == given.absences
    assert torch.equal(back.at(0).masks, given.at(0).masks)
    assert back.at(3).absent_ids == (9,)


def test_a_whole_path_below_the_output_folder_is_as_good_as_a_name(bed):
    graph = Graph()
    shot = clip(graph)
    one = annotation(graph, (shot, 0), mask=(shot, 2))
    graph.add("XMemPPSaveAnnotations", annotations=(one, 0), folder="by_path")
    assert bed.run(graph).success
    again = Graph()
    loaded = again.add("XMemPPLoadAnnotations", folder=str(bed.base / "output" / "by_path"))
    again.sink((loaded, 0), "loaded")
    result = bed.run(again)
    assert result.success, result.error
    assert bed.received["loaded"].frame_indices == (0,)


@pytest.mark.parametrize("style", ["overlay", "outline", "matte", "cut-out"])
def test_every_style_of_preview_is_a_film_even_of_odd_size(bed, style):
    graph = Graph()
    shot = clip(graph, height=65, width=97, frame_count=4)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0))
    preview = graph.add("XMemPPTrackPreview", track=(track, 0), frames=(shot, 0), style=style)
    result = bed.run(graph)
    assert result.success, result.error
    shown = result.outputs[preview]
    assert shown["animated"] == [True]
    with av.open(str(bed.base / "temp" / shown["images"][0]["filename"])) as container:
        assert sum(1 for _ in container.decode(video=0)) == 4
