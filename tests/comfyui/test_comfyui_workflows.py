"""Every shipped workflow runs in the real ComfyUI on the bundled clip and model."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from graphs import Graph

WORKFLOWS = Path(__file__).parents[1] / "workflows"
# The real SAM 3 cannot be had here; its workflow runs with the node of the test pack in its place.
PAINTED_BY_HAND = "01_annotate_a_shot"
NAMES = sorted(
    p.stem for p in WORKFLOWS.glob("*.json") if p.stem not in ("11_sam3_start", PAINTED_BY_HAND)
)
SMALL = 96
"""Internal size for tests, to be done in seconds."""
FEW_FRAMES = {"09_correct_a_matte": "50-70"}
"""Frames whose mattes are written in tests, where fewer do."""


# What the tests look at, by workflow: label and class of the node, output; the first of its class.
SINKS: dict[str, tuple[tuple[str, str, int], ...]] = {
    PAINTED_BY_HAND: (),
    "02_quick_start": (
        ("track", "XMemPPPropagate", 0),
        ("set", "XMemPPAddAnnotation", 0),
    ),
    "03_xmem_loop": (
        ("pictures", "XMemPPSelectCandidates", 0),
        ("text", "XMemPPSelectCandidates", 2),
    ),
    "04_several_objects": (
        ("bunny", "Matte of the bunny", 0),
        ("boulder", "Matte of the boulder", 0),
    ),
    "05_label_maps": (("made", "XMemPPPropagate", 0), ("loaded", "XMemPPLoadTrack", 0)),
    "08_mattes_for_nuke": (
        ("first", "XMemPPExportMattes", 0),
        ("last", "XMemPPExportMattes", 1),
    ),
    "09_correct_a_matte": (
        ("given", "XMemPPImportMattes", 0),
        ("track", "XMemPPImportMattes", 1),
        ("first", "The corrected mattes", 0),
    ),
    "10_into_generation": (
        ("masks", "FeatherMask", 0),
        ("latent", "SetLatentNoiseMask", 0),
        ("picture", "ImageCompositeMasked", 0),
    ),
    "06_negative_annotation": (("track", "XMemPPPropagate", 0),),
    "07_adapt_to_the_shot": (
        ("model", "XMemPPAdaptModel", 0),
        ("track", "XMemPPPropagate", 0),
    ),
    "11_sam3_start_fake": (
        ("found", "XMemPPAnnotationsFromMasks", 0),
        ("masks", "XMemPPTrackToMask", 0),
    ),
}


def shrunk(name: str) -> Graph:
    """A shipped graph at a small internal size, with its sinks."""
    graph = Graph(json.loads((WORKFLOWS / f"{name}.json").read_text()))
    for node in graph.values():
        if node["class_type"] in ("XMemPPPropagate", "XMemPPAdaptModel"):
            node["inputs"]["internal_size"] = SMALL
        if node["class_type"] == "XMemPPExportMattes" and name in FEW_FRAMES:
            node["inputs"]["frame_range"] = FEW_FRAMES[name]
        if node["class_type"] == "XMemPPAdaptModel":
            node["inputs"]["steps"] = 2
    for label, kind, slot in SINKS[name]:
        node = next(
            key for key, one in graph.items() if kind in (one["class_type"], one["_meta"]["title"])
        )
        graph[f"sink {label}"] = {
            "class_type": "TestSink",
            "inputs": {"value": [node, slot], "label": label},
            "_meta": {"title": "sink"},
        }
    return graph


@pytest.fixture(scope="module")
def ran(bed) -> Callable[[str], tuple[Any, dict[str, Any]]]:
    """Result and received values of a workflow, run once for all tests."""

    @functools.cache
    def run(name: str) -> tuple[Any, dict[str, Any]]:
        bed.reset_cache()
        bed.received.clear()
        result = bed.run(shrunk(name))
        assert result.success, result.error
        return result, dict(bed.received)

    return run


def shown_files(bed, result) -> list[Path]:
    folders = {name: bed.base / name for name in ("temp", "output", "input")}
    return [
        folders[one["type"]] / one["subfolder"] / one["filename"]
        for shown in result.outputs.values()
        for one in shown.get("images", ())
    ]


def test_the_annotators_workflow_waits_for_paint_and_hands_on_what_is_painted(bed, ran):
    result, _ = ran(PAINTED_BY_HAND)
    assert not shown_files(bed, result)
    assert any("xmempp_source" in shown for shown in result.outputs.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_workflow_runs_and_shows_its_pictures(bed, ran, name):
    files = shown_files(bed, ran(name)[0])
    assert files
    assert all(path.stat().st_size > 0 for path in files)


def test_the_quick_start_follows_the_bunny_and_plays_all_frames(bed, ran):
    result, received = ran("02_quick_start")
    track = received["track"]
    assert len(track) == 132
    assert track.object_ids == (1, 2)
    assert all((track.label_map(i) == 1).sum() > 5000 for i in range(10, 132, 20))
    film = next(path for path in shown_files(bed, result) if path.suffix == ".mp4")
    with av.open(str(film)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 132


def test_annotated_frames_come_back_exactly(ran):
    track, annotations = (ran("02_quick_start")[1][label] for label in ("track", "set"))
    assert annotations.frame_indices == (12, 60, 122)
    for one in annotations:
        assert torch.equal(track.label_map(one.frame_index), one.label_map())


def test_the_loop_proposes_frames_far_from_the_annotated_one(ran):
    received = ran("03_xmem_loop")[1]
    assert received["pictures"].shape == (2, 720, 1280, 3)
    numbers = [int(line.split()[1]) for line in received["text"].splitlines()]
    assert len(set(numbers)) == 2
    assert all(abs(number - 12) > 10 for number in numbers)


def test_mattes_of_two_objects_do_not_overlap(ran):
    bunny, boulder = (ran("04_several_objects")[1][label] for label in ("bunny", "boulder"))
    assert bunny.shape == boulder.shape == (24, 720, 1280)
    assert 0 < bunny.mean() < 1
    assert 0 < boulder.mean() < 1
    assert (bunny + boulder).max() <= 1 + 1e-4


def test_a_track_that_went_to_disk_and_back_gives_the_same_masks(ran):
    made, loaded = (ran("05_label_maps")[1][label] for label in ("made", "loaded"))
    assert made is not loaded
    for frame_index in (0, 60, 131):
        assert torch.equal(made.label_map(frame_index), loaded.label_map(frame_index))


def test_mattes_for_nuke_are_numbered_from_1001_and_play(bed, ran):
    result, received = ran("08_mattes_for_nuke")
    first, last = (Path(received[label]) for label in ("first", "last"))
    assert first.name == "bunny_010_bunny_matte_v001.1001.exr"
    assert last.name == "bunny_010_boulder_matte_v001.1132.exr"
    assert first.is_file()
    assert last.is_file()
    film = next(path for path in shown_files(bed, result) if path.suffix == ".mp4")
    with av.open(str(film)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 132


def test_the_masks_drive_core_nodes(ran):
    received = ran("10_into_generation")[1]
    assert received["masks"].shape == (4, 720, 1280)
    assert received["latent"]["noise_mask"].shape[-2:] == (720, 1280)
    corner = received["picture"][:, -1, -1]
    assert torch.allclose(corner, torch.tensor([0x30, 0x60, 0xA0]) / 255, atol=0.01)


def test_mattes_that_went_out_come_back_as_annotations_and_as_a_track(ran):
    received = ran("09_correct_a_matte")[1]
    assert len(received["track"]) == 21
    assert received["given"].frame_indices == (50,)
    assert (received["track"].label_map(60) > 0).any()
    assert Path(received["first"]).is_file()


def test_the_negative_annotation_empties_its_frames(ran):
    track = ran("06_negative_annotation")[1]["track"]
    assert not any((track.label_map(i) == 1).any() for i in range(6))
    assert (track.label_map(12) == 1).any()


def test_the_pass_is_made_by_the_adapted_model(ran):
    model, track = (ran("07_adapt_to_the_shot")[1][label] for label in ("model", "track"))
    assert json.loads(model.info.adaptation)["annotated_frames"] == [12, 60, 122]
    assert track.model.sha256 == model.info.sha256


def test_the_sam3_track_becomes_annotations_of_the_chosen_frames(ran):
    found, masks = (ran("11_sam3_start_fake")[1][label] for label in ("found", "masks"))
    assert found.frame_indices == (0, 12, 24)
    for one in found:
        sent = masks[one.frame_index] > 0.5
        assert (one.mask(1) & sent).sum() / (one.mask(1) | sent).sum() > 0.95


def test_a_second_run_takes_everything_from_the_cache(bed):
    graph = shrunk("02_quick_start")
    for node in graph.values():
        if node["class_type"] == "XMemPPPropagate":
            node["inputs"]["internal_size"] = 32
    assert bed.run(graph).success
    again = bed.run(graph)
    assert again.success
    assert set(again.cached) == set(graph)
