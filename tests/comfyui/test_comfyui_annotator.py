"""The annotator's nodes in a real ComfyUI: open, answer, propagate, hand on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from bed import PACK
from graphs import Graph, annotation, clip

PROJECT = "0123456789abcdef"
OTHER_PROJECT = "fedcba9876543210"
FILM = PACK / "xmempp_core" / "assets" / "demo" / "bigbuckbunny.mp4"


@pytest.fixture(autouse=True)
def no_results(bed):
    """Every test begins without clips and results of others."""
    for module, name, field in (
        ("annotator_results", "RESULTS", "_results"),
        ("annotator_sources", "CLIPS", "_clips"),
    ):
        getattr(getattr(bed.pack_module(f"nodes.{module}"), name), field).clear()


def node(graph: Graph, shot: str, class_type: str = "XMemPPAnnotator", **values: Any) -> str:
    """An annotator node or a request of its view, with a model."""
    model = graph.add("XMemPPLoadModel", model="lite (bundled)", precision="auto")
    return graph.add(class_type, model=(model, 0), frames=(shot, 0), **values)


def asked(bed, request: dict[str, Any], value: Any = "", **clip_values: Any) -> Any:
    """What came of a request, run as the view does: by a prompt of its own."""
    graph = Graph()
    shot = clip(graph, **clip_values)
    project = value if isinstance(value, str) else json.dumps(value)
    node(graph, shot, "XMemPPAnnotatorRequest", project=project, request=json.dumps(request))
    return bed.run(graph)


def ui(result) -> dict[str, Any]:
    """The ui part of the only output node."""
    assert result.success, result.error
    (only,) = result.outputs.values()
    return only


def painted(bed, marks: dict[int, list[int]], **more: Any) -> dict[str, str]:
    """A project with a square of each object on some frames: the widget's value."""
    routes = bed.pack_module("nodes.routes")
    project = routes.project_of(PROJECT)
    annotations = {}
    for index, objects in marks.items():
        labels = np.zeros((64, 96), np.uint8)
        for place, object_id in enumerate(objects):
            labels[10 + 26 * place : 30 + 26 * place, 10 + 4 * index : 30 + 4 * index] = object_id
        annotations[str(index)] = {
            "mask": project.put_labels(labels),
            "objects": objects,
            "absent": [],
        }
    ids = sorted({i for objects in marks.values() for i in objects})
    document = {
        "version": 1,
        "source": "",
        "parent": "",
        "objects": [
            {"id": i, "name": f"thing {i}", "color": "#0072b2", "locked": False, "visible": True}
            for i in ids
        ],
        "annotations": annotations,
        "absent_ranges": [],
        "range": None,
        **more,
    }
    from xmempp_core import document_of

    assert document_of(document)
    core = bed.pack_module("xmempp_core")
    revision = project.put_document(core.document_of(document))
    return {"project": PROJECT, "revision": revision}


def test_open_says_what_the_clip_is_and_serves_its_frames(bed):
    (facts,) = ui(asked(bed, {"action": "open"}))["xmempp_source"]
    assert (facts["count"], facts["width"], facts["height"]) == (8, 96, 64)
    assert facts["digits"] == 5
    found = bed.pack_module("nodes.annotator_sources").CLIPS.find(facts["key"])
    assert found.proxies.jpeg(3, 160).startswith(b"\xff\xd8")


def test_a_film_that_is_open_is_not_opened_again(bed, tmp_path, monkeypatch):
    sources = bed.pack_module("nodes.annotator_sources")
    convert, host = (bed.pack_module(f"nodes.{name}") for name in ("convert", "host"))
    path = tmp_path / "film.mp4"
    path.write_bytes(FILM.read_bytes())
    clip_of = sources.CLIPS.opened
    first = clip_of(host.video_from_file(path))
    opened = []
    frames_of = convert.frames_of
    monkeypatch.setattr(convert, "frames_of", lambda video: opened.append(1) or frames_of(video))
    assert clip_of(host.video_from_file(path)) is first
    assert not opened
    trimmed = host.video_from_file(path).as_trimmed(0, 1)
    assert clip_of(trimmed) is not first
    path.touch()
    assert clip_of(host.video_from_file(path)).key == first.key
    assert opened


def test_linked_annotations_become_the_first_revision_of_a_new_project(bed):
    graph = Graph()
    shot = clip(graph)
    given = annotation(graph, (shot, 0), mask=(shot, 2), frame_index=2, object_id=5, name="dot")
    request = json.dumps({"action": "open", "project": OTHER_PROJECT})
    place = node(
        graph, shot, "XMemPPAnnotatorRequest", annotations=(given, 0), project="", request=request
    )
    result = bed.run(graph)
    assert result.success, result.error
    shown = result.outputs[place]
    (document,), (value,) = shown["xmempp_document"], shown["xmempp_value"]
    assert [(one["id"], one["name"]) for one in document["objects"]] == [(5, "dot")]
    assert document["annotations"]["2"]["objects"] == [5]
    project = bed.pack_module("nodes.routes").project_of(OTHER_PROJECT)
    assert project.document(value["revision"]).to_dict() == document


def test_an_answer_is_what_propagate_gives_with_each_frame_alone(bed):
    value = painted(bed, {0: [1, 2], 5: [1]})
    (answer,) = ui(asked(bed, {"action": "answer", "frames": [3, 6]}, value))["xmempp_result"]
    assert (answer["kind"], answer["frames"]) == ("answers", [3, 6])
    request = {"action": "propagate", "direction": "independent"}
    result = asked(bed, request, value)
    (whole,) = ui(result)["xmempp_result"]
    assert whole["token"] == answer["token"]
    assert (whole["kind"], whole["complete"]) == ("pass", True)
    told = [data for event, data in result.events if event == "xmempp.annotator"]
    computed = [i for data in told for i in data["frames"]]
    assert computed == [0, 1, 2, 4, 5, 7], "what was answered is not computed again"
    assert {data["token"] for data in told} == {whole["token"]}


def test_an_object_that_is_not_said_on_a_frame_is_predicted_there(bed):
    value = painted(bed, {0: [1, 2], 5: [1]})
    (answer,) = ui(asked(bed, {"action": "answer", "frames": [5]}, value))["xmempp_result"]
    curve = answer["confidence"]
    assert curve["1"][5] is None, "annotated"
    assert curve["2"][5] is not None, "predicted"
    assert curve["2"][4] is None, "not computed"


def test_after_an_edit_only_the_edited_frame_is_memorized_again(bed, monkeypatch):
    memorized = []
    kind = bed.pack_module("xmempp_core.propagation.permanent_memory").PermanentMemory
    add = kind.add

    def watched(self, entry):
        memorized.append(entry.frame_index)
        yield from add(self, entry)

    monkeypatch.setattr(kind, "add", watched)
    ask = {"action": "answer", "frames": [3]}
    (first,) = ui(asked(bed, ask, painted(bed, {0: [1], 5: [1]})))["xmempp_result"]
    (second,) = ui(asked(bed, ask, painted(bed, {0: [1], 6: [1]})))["xmempp_result"]
    assert first["token"] != second["token"]
    assert memorized == [0, 5, 6]


def test_a_pass_is_taken_as_it_is_by_the_next_run_and_by_the_node_itself(bed):
    value = painted(bed, {0: [1], 5: [1]})
    request = {"action": "propagate", "direction": "bidirectional"}
    (passed,) = ui(asked(bed, request, value))["xmempp_result"]
    assert passed["complete"]
    again = asked(bed, request, value)
    assert ui(again)["xmempp_result"] == [passed]
    assert not [data for event, data in again.events if event == "xmempp.annotator"]

    graph = Graph()
    shot = clip(graph)
    place = node(graph, shot, project=json.dumps(value))
    graph.sink((place, 0), "annotations")
    graph.sink((place, 1), "track")
    result = bed.run(graph)
    assert result.success, result.error
    assert result.outputs[place]["xmempp_result"] == [passed]
    track = bed.received["track"]
    assert track.settings.direction == "bidirectional"
    assert dict(track.annotations.names) == {1: "thing 1"}
    assert bed.received["annotations"].frame_indices == (0, 5)


def test_a_range_is_propagated_alone_and_annotations_outside_it_count(bed):
    value = painted(bed, {0: [1], 5: [1]})
    request = {"action": "propagate", "range": [3, 6]}
    (passed,) = ui(asked(bed, request, value))["xmempp_result"]
    assert passed["frames"] == [3, 4, 5, 6]
    assert passed["range"] == [3, 6]


def test_cancel_ends_a_pass_within_a_frame_and_what_is_computed_stays(bed):
    value = painted(bed, {0: [1]})

    def cancel(event, data):
        if event == "xmempp.annotator":
            bed.interrupt()

    bed.server.listeners.append(cancel)
    result = asked(bed, {"action": "propagate"}, value)
    bed.server.listeners.clear()
    assert result.interrupted
    (told,) = [data for event, data in result.events if event == "xmempp.annotator"]
    found = bed.pack_module("nodes.annotator_results").RESULTS.find(told["token"])
    assert 1 <= len(found.summary()["frames"]) <= 2
    assert ui(asked(bed, {"action": "propagate"}, value))["xmempp_result"][0]["complete"]


def test_without_anything_painted_the_node_waits_and_says_what_to_do(bed):
    graph = Graph()
    shot = clip(graph)
    place = node(graph, shot)
    graph.sink((place, 1), "track")
    result = bed.run(graph)
    assert result.success, result.error
    assert "Nothing is annotated yet" in result.outputs[place]["text"][0]
    assert "track" not in bed.received


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("{", "is no JSON"),
        ({"project": "../../etc", "revision": "0" * 40}, "is no project id"),
        ({"project": PROJECT, "revision": "0" * 40}, "is not in input/xmempp"),
        ({"project": PROJECT}, "names no project and revision"),
    ],
)
def test_a_project_that_cannot_be_used_is_said_and_open_still_shows_the_clip(bed, value, sentence):
    shown = ui(asked(bed, {"action": "open"}, value))
    assert shown["xmempp_source"]
    assert sentence in shown["xmempp_message"][0]["text"]
    refused = asked(bed, {"action": "answer", "frames": [0]}, value)
    assert not refused.success
    assert sentence in refused.error


def test_a_missing_mask_is_said_and_a_pass_refuses_to_leave_it_out(bed):
    value = painted(bed, {0: [1], 5: [1]})
    project = bed.pack_module("nodes.routes").project_of(PROJECT)
    document = project.document(value["revision"])
    path = project.mask_path(document.frames[5].mask)
    kept = path.read_bytes()
    path.unlink()
    try:
        opened = ui(asked(bed, {"action": "open"}, value))
        (message,) = opened["xmempp_message"]
        assert message["kind"] == "mask"
        assert "mask of frame 5" in message["text"]
        assert opened["xmempp_missing"] == [5]
        refused = asked(bed, {"action": "propagate"}, value)
        assert "mask of frame 5" in refused.error
    finally:
        path.write_bytes(kept)


def test_another_clip_is_said_and_what_fits_is_kept(bed):
    value = painted(bed, {0: [1], 5: [1]}, source="a" * 40)
    shown = ui(asked(bed, {"action": "open"}, value, frame_count=4))
    other, past = shown["xmempp_message"]
    assert "new version of the plate, or another clip" in other["text"]
    assert "past the end of the clip are left out (5;" in past["text"]
    (answer,) = ui(asked(bed, {"action": "answer", "frames": [2]}, value, frame_count=4))[
        "xmempp_result"
    ]
    assert answer["frames"] == [2]


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"action": "dance"}, "allowed is one of open, answer"),
        ({"action": "answer", "frames": [99]}, "frame 99 is not in the shot"),
        ({"action": "answer", "frames": [-1]}, "allowed is a whole number"),
        ({"action": "propagate", "direction": "sideways"}, "direction"),
        ({"action": "propagate", "range": [3, 99]}, "does not lie in 0 to 7"),
        ({"action": "open", "surprise": 1}, "reload the page"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_refused_in_a_sentence(bed, request_, sentence):
    refused = asked(bed, request_, painted(bed, {0: [1]}))
    assert not refused.success
    assert sentence in refused.error


def test_open_needs_no_model_and_shows_what_was_computed_last(bed):
    value = painted(bed, {0: [1], 5: [1]})
    (answer,) = ui(asked(bed, {"action": "answer", "frames": [3]}, value))["xmempp_result"]
    graph = Graph()
    shot = clip(graph)
    graph.add(
        "XMemPPAnnotatorRequest",
        frames=(shot, 0),
        project=json.dumps(value),
        request=json.dumps({"action": "open"}),
    )
    assert ui(bed.run(graph))["xmempp_result"] == [answer]
    graph["2"]["inputs"]["request"] = json.dumps({"action": "answer", "frames": [3]})
    assert "link Load XMem++" in bed.run(graph).error


def test_another_pass_of_the_same_revision_is_what_the_node_hands_on(bed):
    value = painted(bed, {0: [1], 5: [1]})

    def run():
        graph = Graph()  # ComfyUI notes in a prompt what has changed: each run takes a new one
        shot = clip(graph)
        place = node(graph, shot, project=json.dumps(value))
        graph.sink((place, 1), "track")
        result = bed.run(graph)
        assert result.success, result.error
        return place in result.cached, bed.received["track"].settings.direction

    assert run() == (False, "outward")
    assert run() == (True, "outward"), "nothing changed"
    assert ui(asked(bed, {"action": "propagate", "direction": "forward"}, value))
    assert run() == (False, "forward")


def test_suggestions_say_why_before_and_after_a_pass(bed):
    value = painted(bed, {0: [1]})
    ask = {"action": "suggest", "count": 2, "way": "keys"}
    early = ui(asked(bed, ask, value))["xmempp_candidates"]
    assert len(early) == 2
    assert all("picture looks unlike" in one["why"] for one in early)
    unsure = {**ask, "way": "uncertainty"}
    assert "propagate first" in asked(bed, unsure, value).error
    ui(asked(bed, {"action": "propagate"}, value))
    late = ui(asked(bed, ask, value))["xmempp_candidates"]
    assert all("objects look unlike" in one["why"] for one in late)
    assert 0 not in [one["frame"] for one in (*early, *late)]
    assert all(
        "may be wrong" in x["why"] for x in ui(asked(bed, unsure, value))["xmempp_candidates"]
    )


def test_an_adapted_model_is_kept_with_the_project_and_used_when_asked_for(bed):
    value = painted(bed, {0: [1], 5: [1]})
    answer = {"action": "answer", "frames": [3]}
    with_adapted = {**answer, "adapted": True}
    assert "adapt it to the shot" in asked(bed, with_adapted, value).error
    (plain,) = ui(asked(bed, answer, value))["xmempp_result"]
    (verdict,) = ui(asked(bed, {"action": "adapt", "mode": "quick"}, value))["xmempp_adapted"]
    assert verdict["text"].startswith("taken: ")
    (adapted,) = ui(asked(bed, with_adapted, value))["xmempp_result"]
    assert adapted["token"] != plain["token"]
    bed.reset_cache()  # as after a restart: the file is there
    again = {**value, "adapted": True}
    assert ui(asked(bed, answer, again))["xmempp_result"][0]["token"] == adapted["token"]
    assert "mode" in asked(bed, {"action": "adapt", "mode": "slow"}, value).error


def test_a_linked_track_is_shown_and_handed_on_until_something_is_painted(bed):
    graph = Graph()
    shot = clip(graph)
    given = annotation(graph, (shot, 0), mask=(shot, 2))
    model = graph.add("XMemPPLoadModel", model="lite (bundled)", precision="auto")
    from graphs import PROPAGATE

    track = graph.add(
        "XMemPPPropagate", model=(model, 0), frames=(shot, 0), annotations=(given, 0), **PROPAGATE
    )
    place = graph.add(
        "XMemPPAnnotator", model=(model, 0), frames=(shot, 0), track=(track, 0), project=""
    )
    graph.sink((track, 0), "given")
    graph.sink((place, 1), "track")
    result = bed.run(graph)
    assert result.success, result.error
    assert bed.received["track"] is bed.received["given"]
    (shown,) = result.outputs[place]["xmempp_result"]
    assert (shown["kind"], len(shown["frames"])) == ("track", 8)
