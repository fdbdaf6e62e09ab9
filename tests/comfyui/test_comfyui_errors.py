"""Errors an artist can act on: each text in full, and the next run succeeds."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch
from graphs import Graph, annotation, clip, propagation


def error_of(bed, graph: Graph, node: str) -> str:
    """The message of the node that fails; afterwards a sound graph must run."""
    if not graph[node]["class_type"].endswith(("AddAnnotation", "TrackPreview")):
        graph.sink((node, 0), "value")  # other nodes run only for somebody
    result = bed.run(graph)
    assert not result.success
    assert result.failed_node == node, result.error
    sound = Graph()
    shot = clip(sound, frame_count=3)
    first = annotation(sound, (shot, 0), mask=(shot, 2))
    sound.sink((propagation(sound, (shot, 0), (first, 0)), 0), "track")
    assert bed.run(sound).success
    return result.error


def test_a_mask_of_another_shape(bed):
    graph = Graph()
    shot = clip(graph)
    mask = graph.add("TestMask", count=1, height=50, width=100, empty=False, layout="NHW")
    node = annotation(graph, (shot, 0), mask=(mask, 0), frame_index=2)
    assert error_of(bed, graph, node) == (
        "mask of frame 2: expected shape 96x64, got 100x50; draw it on a frame of this shot, "
        "other proportions cannot be scaled"
    )


def test_annotations_of_another_shape(bed):
    graph = Graph()
    other = clip(graph, height=64, width=64)
    first = annotation(graph, (other, 0), mask=(other, 2))
    shot = clip(graph)
    node = propagation(graph, (shot, 0), (first, 0))
    assert error_of(bed, graph, node) == (
        "masks of frame 0: expected shape 96x64, got 64x64; draw it on a frame of this shot, "
        "other proportions cannot be scaled"
    )


def test_the_empty_mask_of_load_image(bed):
    graph = Graph()
    shot = clip(graph)
    mask = graph.add("TestMask", count=1, height=64, width=64, empty=True, layout="NHW")
    node = annotation(graph, (shot, 0), mask=(mask, 0))
    assert error_of(bed, graph, node) == (
        "mask of frame 0: it is empty and 64x64, which is what Load Image gives for a picture "
        "without transparency; use Load Image (as Mask) with channel red, or paint a mask"
    )


def test_an_empty_mask(bed):
    graph = Graph()
    shot = clip(graph)
    mask = graph.add("TestMask", count=1, height=64, width=96, empty=True, layout="NHW")
    node = annotation(graph, (shot, 0), mask=(mask, 0))
    assert error_of(bed, graph, node) == (
        "mask of frame 0: no pixel of the 96x64 mask is set; link a mask with the object in it, "
        "or switch on absent in Add Permanent Annotation to say that the object is not there"
    )


def test_another_number_of_masks(bed):
    graph = Graph()
    shot = clip(graph)
    mask = graph.add("TestMask", count=3, height=64, width=96, empty=False, layout="NHW")
    node = annotation(graph, (shot, 0), mask=(mask, 0))
    assert error_of(bed, graph, node) == (
        "mask holds 3 masks, but the clip has 8 frames; link one mask, or one for each frame"
    )


def test_a_frame_past_the_end(bed):
    graph = Graph()
    shot = clip(graph)
    node = annotation(graph, (shot, 0), frame_index=8)
    assert error_of(bed, graph, node) == (
        "frame_index is 8, but the clip has 8 frames; choose 0 to 7"
    )


def test_an_annotation_past_the_end(bed):
    graph = Graph()
    long, shot = clip(graph), clip(graph, frame_count=4)
    first = annotation(graph, (long, 0), mask=(long, 2), frame_index=6)
    node = propagation(graph, (shot, 0), (first, 0))
    assert error_of(bed, graph, node) == (
        "frame 6 is annotated, but the clip has 4 frames (0 to 3); take it out with Remove "
        "Permanent Annotation, or link the clip it was made for"
    )


# ---- names of files


def test_paint_that_is_gone(bed):
    graph = Graph()
    shot = clip(graph)
    node = annotation(graph, (shot, 0), image="clipspace-painted-masked-5.png [input]")
    assert error_of(bed, graph, node) == (
        "clipspace-painted-masked-5.png: there is nothing of that name in ComfyUI's input folder; "
        "check the name"
    )


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../b.png"])
def test_a_name_that_leads_out_of_the_folder(bed, name):
    graph = Graph()
    shot = clip(graph)
    node = annotation(graph, (shot, 0), image=name)
    assert error_of(bed, graph, node) == (
        f"The name {name!r} does not lead to a place inside input/; "
        "write a name such as shot_010/track"
    )


# ---- models, tracks, lists


def test_a_model_file_that_is_not_xmem(bed):
    folder = bed.base / "models" / "xmem"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"layer.weight": torch.zeros(3)}, folder / "other.pth")
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    node = propagation(graph, (shot, 0), (first, 0))
    model = graph[node]["inputs"]["model"][0]
    graph[model]["inputs"]["model"] = "other.pth"
    assert error_of(bed, graph, model) == (
        f"{folder / 'other.pth'}: is no XMem model: it has no key_proj.key_proj.weight"
    )


@pytest.mark.parametrize(("count", "slot"), [(5, 0), (5, 1)])
def test_frames_of_another_length_than_the_track(bed, count, slot):
    graph = Graph()
    shot, other = clip(graph), clip(graph, frame_count=count)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0))
    node = graph.add("XMemPPTrackPreview", track=(track, 0), frames=(other, slot), style="overlay")
    assert error_of(bed, graph, node) == (
        "the track is of 8 frames of 96x64, but frames has 5 of 96x64; "
        "link the clip the track was made from"
    )


def test_a_saved_track_refuses_another_clip(bed):
    graph = Graph()
    shot, other = clip(graph), clip(graph, seed=1)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0))
    saved = graph.add("XMemPPSaveTrack", track=(track, 0), filename="cube")
    node = graph.add("XMemPPLoadTrack", filename=(saved, 0), frames=(other, 0))
    assert error_of(bed, graph, node) == (
        "the track was made from another clip of 8 frames of 96x64: its pictures differ from "
        "those of frames; link the clip the track was made from"
    )
    assert (bed.base / "output" / "cube.xmtrack").is_file()


def test_a_name_to_save_under_whose_folder_is_a_file(bed):
    output = bed.base / "output"
    output.mkdir(exist_ok=True)
    (output / "taken").write_text("a file")
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    node = graph.add("XMemPPSaveAnnotations", annotations=(first, 0), folder="taken/shot")
    assert error_of(bed, graph, node) == (
        f"{output / 'taken'}: cannot be made a folder (File exists); choose another name"
    )


def test_an_object_that_the_track_does_not_have(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0))
    node = graph.add(
        "XMemPPTrackToMask",
        track=(track, 0),
        object_ids="1, 3",
        first_frame=0,
        frame_count=0,
        binary=True,
    )
    assert error_of(bed, graph, node) == (
        "object_ids names object 3, but the track has 1; leave it empty for all"
    )


def test_frames_that_the_track_does_not_have(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    track = propagation(graph, (shot, 0), (first, 0))
    node = graph.add(
        "XMemPPTrackToMask",
        track=(track, 0),
        object_ids="",
        first_frame=6,
        frame_count=4,
        binary=True,
    )
    assert error_of(bed, graph, node) == (
        "first_frame 6 and frame_count 4 ask for frame 8, but the track holds 8 frames, 0 to 7"
    )


@pytest.mark.parametrize("text", ["0, x", "0-10000000000", "1.5"])
def test_a_list_of_frames_that_is_none(bed, text):
    graph = Graph()
    shot = clip(graph)
    node = graph.add(
        "XMemPPAnnotationsFromMasks",
        masks=(shot, 2),
        frame_indices=text,
        object_id=1,
        folder="",
    )
    assert error_of(bed, graph, node) == (
        f"frame_indices '{text}' is not a list of numbers such as 0, 24, 48-50"
    )


def test_a_range_of_absence_that_runs_backward(bed):
    graph = Graph()
    shot = clip(graph)
    node = annotation(graph, (shot, 0), absent_frames="7-3")
    assert error_of(bed, graph, node) == ("absent_frames '7-3': 7-3 runs backward; write 3-7")


def test_neither_masks_nor_folder(bed):
    graph = Graph()
    node = graph.add("XMemPPAnnotationsFromMasks", frame_indices="0", object_id=1, folder="")
    assert error_of(bed, graph, node) == (
        "neither masks nor folder is given; link masks or name a folder."
    )


def test_neither_masks_nor_folder_where_comfyui_has_no_sam3(bed, monkeypatch):
    monkeypatch.delitem(bed.nodes.NODE_CLASS_MAPPINGS, "SAM3_VideoTrack")
    graph = Graph()
    node = graph.add("XMemPPAnnotationsFromMasks", frame_indices="0", object_id=1, folder="")
    assert error_of(bed, graph, node) == (
        "neither masks nor folder is given; link masks or name a folder. "
        "This ComfyUI has no SAM 3 nodes."
    )


def test_masks_of_two_proportions_in_one_set(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    mask = graph.add("TestMask", count=1, height=50, width=100, empty=False, layout="NHW")
    node = graph.add(
        "XMemPPAnnotationsFromMasks",
        masks=(mask, 0),
        frame_indices="3",
        object_id=1,
        folder="",
        annotations=(first, 0),
    )
    assert error_of(bed, graph, node) == (
        "masks of frame 3: expected shape 96x64, got 100x50; draw it on a frame of this shot, "
        "other proportions cannot be scaled"
    )


def test_an_empty_mask_among_annotations_from_masks_names_the_node_for_absence(bed):
    graph = Graph()
    mask = graph.add("TestMask", count=1, height=64, width=96, empty=True, layout="NHW")
    node = graph.add(
        "XMemPPAnnotationsFromMasks", masks=(mask, 0), frame_indices="3", object_id=1, folder=""
    )
    assert error_of(bed, graph, node) == (
        "masks: no pixel of the 96x64 mask is set; link a mask with the object in it, or switch on "
        "absent in Add Permanent Annotation to say that the object is not there"
    )


def test_a_sam3_track_without_objects(bed):
    graph = Graph()
    shot = clip(graph)
    sam = graph.add("TestFakeSam3Track", masks=(shot, 2), object_count=0)
    node = graph.add(
        "XMemPPAnnotationsFromMasks", masks=(sam, 0), frame_indices="0", object_id=1, folder=""
    )
    assert error_of(bed, graph, node) == (
        "the SAM 3 track holds no object; try another text or a lower threshold in SAM 3"
    )


def test_removing_what_is_not_annotated(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    node = graph.add("XMemPPRemoveAnnotation", annotations=(first, 0), frame_index=5, object_id=0)
    assert error_of(bed, graph, node) == "frame 5 is not annotated; annotated frames are 0"


def test_a_setting_out_of_range(bed):
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    node = propagation(
        graph,
        (shot, 0),
        (first, 0),
        working_memory_min_frames=10,
        working_memory_max_frames=10,
    )
    assert error_of(bed, graph, node) == (
        "setting working_memory_min_frames is 10, allowed is 0 to working_memory_max_frames - 1 = 9"
    )


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
    ids=["cuda", "mps", "cpu", "python"],
)
def test_out_of_memory_says_what_to_lower_and_frees_the_model(bed, monkeypatch, error):
    import comfy.model_management as mm

    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    node = propagation(graph, (shot, 0), (first, 0))
    graph.sink((node, 0), "track")
    # the allocator's own exception, raised where the pass first asks for memory
    memory = bed.pack_module("xmempp_core.propagation.permanent_memory")

    def full(*_args, **_kwargs):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(memory, "frame_tokens", full)
        result = bed.run(graph)
    assert not result.success
    assert result.failed_node == node
    assert result.error == (
        "The device ran out of memory; what was taken is free again. Lower internal_size, or "
        "long_term_max_elements and working_memory_max_frames (advanced inputs), or choose "
        "precision float16 in Load XMem++."
    )
    assert mm.current_loaded_models == []
    assert bed.run(graph).success


def test_out_of_memory_lets_go_of_the_pass_before_the_device_is_asked_to_free_memory(
    bed, monkeypatch
):
    import comfy.model_management as mm

    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    graph.sink((propagation(graph, (shot, 0), (first, 0)), 0), "track")
    engine = bed.pack_module("xmempp_core.propagation.permanent_memory")
    bank = bed.pack_module("xmempp_core.memory.bank").MemoryBank
    real, alive = mm.soft_empty_cache, []

    def full(*_args, **_kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    def look(*args, **kwargs):
        alive.append(sum(type(one) is bank for one in gc.get_objects()))
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "frame_tokens", full)
        patch.setattr(mm, "soft_empty_cache", look)
        assert not bed.run(graph).success
    assert alive[-1] == 0


def test_a_downloaded_model_that_was_changed_is_refused(bed):
    folder = bed.base / "models" / "xmem"
    folder.mkdir(parents=True, exist_ok=True)
    weights = Path(bed.pack_module("xmempp_core.network.checkpoint").BUNDLED["lite"])
    (folder / "mine.safetensors").write_bytes(weights.read_bytes())
    (folder / "mine.safetensors.sha256").write_text("0" * 64 + "  mine.safetensors\n")
    graph = Graph()
    shot = clip(graph)
    first = annotation(graph, (shot, 0), mask=(shot, 2))
    node = propagation(graph, (shot, 0), (first, 0))
    model = graph[node]["inputs"]["model"][0]
    graph[model]["inputs"]["model"] = "mine.safetensors"
    message = error_of(bed, graph, model)
    assert "mine.safetensors: has changed since it was downloaded (SHA-256 " in message
    assert message.endswith("delete it and mine.safetensors.sha256, then download it again")
