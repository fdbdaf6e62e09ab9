"""Every shipped workflow runs in the real ComfyUI on the bundled clip and model."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
import torch
from graphs import Graph

WORKFLOWS = Path(__file__).parents[1] / "workflows"
# The real SAM 3 cannot be had here; its workflow runs with the node of the test pack in its place.
NAMES = sorted(p.stem for p in WORKFLOWS.glob("*.json") if p.stem != "7_sam3_start")
SMALL = 96
"""Internal size for tests, to be done in seconds."""


def shrunk(name: str, **sinks: tuple[str, int]) -> Graph:
    """A shipped graph at a small internal size, with sinks at some outputs."""
    graph = Graph(json.loads((WORKFLOWS / f"{name}.json").read_text()))
    for node in graph.values():
        if node["class_type"] == "XMemPPPropagate":
            node["inputs"]["internal_size"] = SMALL
    for label, link in sinks.items():
        graph[f"sink_{label}"] = {
            "class_type": "TestSink",
            "inputs": {"value": list(link), "label": label},
        }
    return graph


def node_of(graph: Graph, class_type: str) -> str:
    return next(i for i, node in graph.items() if node["class_type"] == class_type)


def shown_files(bed, result) -> list[Path]:
    folders = {name: bed.base / name for name in ("temp", "output", "input")}
    return [
        folders[one["type"]] / one["subfolder"] / one["filename"]
        for shown in result.outputs.values()
        for one in shown.get("images", ())
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_workflow_runs_and_shows_its_pictures(bed, name):
    result = bed.run(shrunk(name))
    assert result.success, result.error
    files = shown_files(bed, result)
    assert files
    assert all(path.stat().st_size > 0 for path in files)


def test_the_quick_start_follows_the_bunny_and_plays_all_frames(bed):
    graph = shrunk("1_quick_start")
    graph = shrunk("1_quick_start", track=(node_of(graph, "XMemPPPropagate"), 0))
    result = bed.run(graph)
    assert result.success, result.error
    track = bed.received["track"]
    assert len(track) == 132
    assert track.object_ids == (1, 2)
    assert all((track.label_map(i) == 1).sum() > 5000 for i in range(10, 132, 20))
    film = next(path for path in shown_files(bed, result) if path.suffix == ".mp4")
    with av.open(str(film)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 132


def test_annotated_frames_come_back_exactly(bed):
    graph = shrunk("1_quick_start")
    graph = shrunk("1_quick_start", track=(node_of(graph, "XMemPPPropagate"), 0), set=("3", 1))
    graph["sink_set"]["inputs"]["value"] = [node_of(graph, "XMemPPAddAnnotation"), 0]
    assert bed.run(graph).success
    track, annotations = bed.received["track"], bed.received["set"]
    assert annotations.frame_indices == (12, 60, 122)
    for one in annotations:
        assert torch.equal(track.label_map(one.frame_index), one.label_map())


def test_a_second_run_takes_everything_from_the_cache(bed):
    graph = shrunk("1_quick_start")
    assert bed.run(graph).success
    again = bed.run(graph)
    assert again.success
    assert set(again.cached) == set(graph)


def test_the_loop_proposes_frames_far_from_the_annotated_one(bed):
    graph = shrunk("2_xmem_loop")
    candidates = node_of(graph, "XMemPPSelectCandidates")
    graph = shrunk("2_xmem_loop", pictures=(candidates, 0), text=(candidates, 2))
    result = bed.run(graph)
    assert result.success, result.error
    assert bed.received["pictures"].shape == (2, 720, 1280, 3)
    numbers = [int(line.split()[1]) for line in bed.received["text"].splitlines()]
    assert len(set(numbers)) == 2
    assert all(abs(number - 12) > 10 for number in numbers)


def test_mattes_of_two_objects_do_not_overlap(bed):
    graph = shrunk("3_several_objects")
    masks = [i for i, node in graph.items() if node["class_type"] == "XMemPPTrackToMask"]
    graph = shrunk("3_several_objects", one=(masks[0], 0), two=(masks[1], 0))
    assert bed.run(graph).success
    one, two = bed.received["one"], bed.received["two"]
    assert one.shape == two.shape == (24, 720, 1280)
    assert 0 < one.mean() < 1
    assert 0 < two.mean() < 1
    assert (one + two).max() <= 1 + 1e-4


def test_a_track_that_went_to_disk_and_back_gives_the_same_masks(bed):
    graph = shrunk("4_label_maps")
    graph = shrunk(
        "4_label_maps",
        made=(node_of(graph, "XMemPPPropagate"), 0),
        loaded=(node_of(graph, "XMemPPLoadTrack"), 0),
    )
    assert bed.run(graph).success
    made, loaded = bed.received["made"], bed.received["loaded"]
    assert made is not loaded
    for frame_index in (0, 60, 131):
        assert torch.equal(made.label_map(frame_index), loaded.label_map(frame_index))


def test_the_negative_annotation_empties_its_frames(bed):
    graph = shrunk("6_negative_annotation")
    graph = shrunk("6_negative_annotation", track=(node_of(graph, "XMemPPPropagate"), 0))
    assert bed.run(graph).success
    track = bed.received["track"]
    assert not any((track.label_map(i) == 1).any() for i in range(6))
    assert (track.label_map(12) == 1).any()


def test_the_sam3_track_becomes_annotations_of_the_chosen_frames(bed):
    graph = shrunk("7_sam3_start_fake")
    found = node_of(graph, "XMemPPAnnotationsFromMasks")
    masks = node_of(graph, "XMemPPTrackToMask")
    graph = shrunk("7_sam3_start_fake", found=(found, 0), masks=(masks, 0))
    assert bed.run(graph).success
    annotations = bed.received["found"]
    assert annotations.frame_indices == (0, 12, 24)
    for one in annotations:
        sent = bed.received["masks"][one.frame_index] > 0.5
        both = (one.mask(1) & sent).sum() / (one.mask(1) | sent).sum()
        assert both > 0.95
