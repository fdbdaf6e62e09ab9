"""Paint of the stock mask editor belongs to its frame, whatever happens to the plate meanwhile."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from graphs import Graph, annotation, clip
from PIL import Image

BOX = slice(5, 20)
NAMES = (f"clipspace-painted-masked-{number}.png" for number in count(1))
AGAIN = "empty the field image, run this node, and paint frame {} again"


def painted(bed, picture: np.ndarray, box: slice | None = BOX) -> str:
    """What the mask editor leaves: the picture, transparent where it was painted."""
    alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
    if box is not None:
        alpha[box, box] = 0
    name = next(NAMES)
    rgba = np.concatenate([picture, alpha], -1)
    Image.fromarray(rgba, "RGBA").save(bed.base / "input" / name)
    return f"{name} [input]"


def shown(bed, graph: Graph, node: str) -> np.ndarray:
    """The picture that the node shows to be painted on."""
    result = bed.run(graph)
    assert result.success, result.error
    file = result.outputs[node]["images"][0]
    with Image.open(Path(bed.base / "temp" / file["filename"])) as picture:
        return np.array(picture)


def paint(bed, frames: tuple[str, int], graph: Graph, **values: object) -> str:
    """Paint on what a node shows; the graph is left without that node."""
    node = annotation(graph, frames, **values)
    name = painted(bed, shown(bed, graph, node))
    del graph[node]
    return name


def annotated(bed, graph: Graph, node: str) -> tuple[torch.Tensor, list[str]]:
    """The mask that a node makes of its object, and what it says."""
    graph.sink((node, 0), "set")
    result = bed.run(graph)
    assert result.success, result.error
    values = graph[node]["inputs"]
    mask = bed.received["set"].at(values["frame_index"]).mask(values["object_id"])
    return mask, list(result.outputs[node].get("text", ()))


def refusal(bed, graph: Graph, node: str) -> str:
    """The message of a node that refuses its paint."""
    result = bed.run(graph)
    assert result.failed_node == node
    return result.error


def box_mask(height: int = 64, width: int = 96, scale: int = 1) -> torch.Tensor:
    mask = torch.zeros(height * scale, width * scale, dtype=torch.bool)
    mask[5 * scale : 20 * scale, 5 * scale : 20 * scale] = True
    return mask


def test_paint_on_the_frame_is_the_annotation(bed):
    graph = Graph()
    shot = clip(graph)
    name = paint(bed, (shot, 0), graph, frame_index=2)
    node = annotation(graph, (shot, 0), frame_index=2, image=name)
    mask, said = annotated(bed, graph, node)
    assert torch.equal(mask, box_mask())
    assert said == []


def test_paint_of_another_frame_is_refused_and_its_own_frame_offered(bed):
    graph = Graph()
    shot = clip(graph)
    name = paint(bed, (shot, 0), graph, frame_index=2)
    node = annotation(graph, (shot, 0), frame_index=7, image=name)
    assert refusal(bed, graph, node) == (
        f"the paint {name.removesuffix(' [input]')} was made on frame 2, and frame_index is 7: "
        f"set frame_index to 2, or: {AGAIN.format(7)}"
    )
    graph[node]["inputs"]["frame_index"] = 2
    assert torch.equal(annotated(bed, graph, node)[0], box_mask())


def test_the_wrong_frame_of_a_locked_off_shot_is_refused(bed):
    graph = Graph()
    shot = clip(graph)
    one = graph.add("ImageFromBatch", image=(shot, 0), batch_index=0, length=1)
    still = graph.add("RepeatImageBatch", image=(one, 0), amount=8)
    name = paint(bed, (still, 0), graph, frame_index=2)
    node = annotation(graph, (still, 0), frame_index=7, image=name)
    assert "was made on frame 2, and frame_index is 7" in refusal(bed, graph, node)


def test_the_wrong_frame_of_another_version_of_a_locked_off_shot_is_refused(bed):
    graph = Graph()
    shot = clip(graph)
    one = graph.add("ImageFromBatch", image=(shot, 0), batch_index=0, length=1)
    still = graph.add("RepeatImageBatch", image=(one, 0), amount=8)
    longer = graph.add("RepeatImageBatch", image=(one, 0), amount=9)
    name = paint(bed, (still, 0), graph, frame_index=2)
    node = annotation(graph, (longer, 0), frame_index=7, image=name)
    assert "was made on frame 2, and frame_index is 7" in refusal(bed, graph, node)


def test_paint_survives_a_graded_plate_with_a_notice(bed):
    graph = Graph()
    shot = clip(graph)
    graded = clip(graph, seed=1)
    name = paint(bed, (shot, 0), graph, frame_index=2)
    node = annotation(graph, (graded, 0), frame_index=2, image=name)
    mask, said = annotated(bed, graph, node)
    assert torch.equal(mask, box_mask())
    assert said == [
        f"frame 2 looks different from when {name.removesuffix(' [input]')} was painted on it: "
        "the clip is another version or another clip. The paint is kept. "
        f"To drop it: {AGAIN.format(2)}."
    ]


def test_paint_survives_a_resized_plate_scaled_and_with_a_notice(bed):
    graph = Graph()
    shot = clip(graph)
    large = clip(graph, height=128, width=192)
    name = paint(bed, (shot, 0), graph, frame_index=2)
    node = annotation(graph, (large, 0), frame_index=2, image=name)
    mask, said = annotated(bed, graph, node)
    assert torch.equal(mask, box_mask(scale=2))
    assert "The paint is kept, scaled from 96x64." in said[0]


def test_paint_of_other_proportions_is_refused(bed):
    graph = Graph()
    shot = clip(graph)
    square = clip(graph, height=64, width=64)
    name = paint(bed, (shot, 0), graph, frame_index=2)
    node = annotation(graph, (square, 0), frame_index=2, image=name)
    assert refusal(bed, graph, node) == (
        f"the paint {name.removesuffix(' [input]')} on frame 2: expected shape 64x64, got 96x64; "
        "draw it on a frame of this shot, other proportions cannot be scaled"
    )


def test_a_re_encoded_plate_of_the_same_look_is_taken_silently(bed):
    graph = Graph()
    shot = clip(graph)
    name = paint(bed, (shot, 0), graph, frame_index=2)
    # the same pictures as a video are another clip to the node
    longer = graph.add(
        "ImageBatch", image1=(shot, 0), image2=(shot, 0)
    )  # twice as long, same beginning
    node = annotation(graph, (longer, 0), frame_index=2, image=name)
    mask, said = annotated(bed, graph, node)
    assert torch.equal(mask, box_mask())
    assert said == []


def trimmed(graph: Graph, film: Path, start: float) -> str:
    video = graph.add("TestFileVideo", path=str(film), in_memory=False)
    return graph.add(
        "Video Slice", video=(video, 0), start_time=start, duration=0.4, strict_duration=False
    )


def test_another_trim_moves_the_number_and_the_new_one_is_offered(bed, film):
    graph = Graph()
    early, late = trimmed(graph, film, 0.0), trimmed(graph, film, 0.2)
    name = paint(bed, (early, 0), graph, frame_index=7)
    node = annotation(graph, (late, 0), frame_index=7, image=name)
    assert "was made on frame 2, and frame_index is 7: set frame_index to 2" in refusal(
        bed, graph, node
    )
    graph[node]["inputs"]["frame_index"] = 2
    assert torch.equal(annotated(bed, graph, node)[0], box_mask())


def test_paint_on_a_frame_that_the_trim_leaves_out_is_named(bed, film):
    graph = Graph()
    early, late = trimmed(graph, film, 0.0), trimmed(graph, film, 0.6)
    name = paint(bed, (early, 0), graph, frame_index=3)
    node = annotation(graph, (late, 0), frame_index=3, image=name)
    assert refusal(bed, graph, node) == (
        f"the paint {name.removesuffix(' [input]')} was made on frame 3 of the whole clip, which "
        f"is not in frames: link the part that was painted, or: {AGAIN.format(3)}"
    )


def test_paint_of_a_part_that_became_a_clip_of_its_own_is_kept_with_a_notice(bed):
    graph = Graph()
    shot = clip(graph)
    part = graph.add("ImageFromBatch", image=(shot, 0), batch_index=2, length=4)
    name = paint(bed, (shot, 0), graph, frame_index=5)
    node = annotation(graph, (part, 0), frame_index=3, image=name)
    mask, said = annotated(bed, graph, node)
    assert torch.equal(mask, box_mask())
    assert said == [
        f"the paint {name.removesuffix(' [input]')} was made on frame 5 of another clip, which "
        "shows what frame 3 shows here. It is kept."
    ]


def test_paint_of_another_object_is_kept_with_a_notice(bed):
    graph = Graph()
    shot = clip(graph)
    name = paint(bed, (shot, 0), graph, frame_index=2, object_id=1)
    node = annotation(graph, (shot, 0), frame_index=2, object_id=4, image=name)
    mask, said = annotated(bed, graph, node)
    assert torch.equal(mask, box_mask())
    assert said == [
        f"the paint {name.removesuffix(' [input]')} was made while object_id was 1; "
        "it is now object 4."
    ]


def test_paint_over_drawn_objects_stays_valid_when_those_change(bed):
    """The node shows the objects over the frame, so that is what the artist paints on."""
    graph = Graph()
    shot = clip(graph)
    mask = graph.add("TestMask", count=1, height=64, width=96, empty=False, layout="NHW")
    one = annotation(graph, (shot, 0), frame_index=2, mask=(mask, 0))
    name = paint(bed, (shot, 0), graph, frame_index=2, object_id=2, annotations=(one, 0))
    graph[one]["inputs"]["mask"] = [shot, 2]
    node = annotation(
        graph, (shot, 0), frame_index=2, object_id=2, annotations=(one, 0), image=name
    )
    assert annotated(bed, graph, node)[1] == []


def test_strokes_of_the_color_brush_do_not_hide_where_it_was_painted(bed):
    graph = Graph()
    shot = clip(graph)
    node = annotation(graph, (shot, 0), frame_index=2)
    picture = shown(bed, graph, node)
    picture[:40] = (200, 30, 30)
    graph[node]["inputs"].update(image=painted(bed, picture), frame_index=7)
    assert "was made on frame 2" in refusal(bed, graph, node)


def test_nothing_painted_in_the_editor(bed):
    graph = Graph()
    shot = clip(graph)
    node = annotation(graph, (shot, 0))
    name = painted(bed, shown(bed, graph, node), box=None)
    graph[node]["inputs"]["image"] = name
    assert refusal(bed, graph, node) == (
        f"nothing is painted in {name.removesuffix(' [input]')}. {AGAIN.format(0)}; to say that "
        "the object is not on this frame, switch on absent"
    )


# ---- paint of version 0.1.0: the picture alone, which does not say its frame


@pytest.fixture
def frames(bed) -> np.ndarray:
    """The frames of the test clip, as 0.1.0 showed them."""
    graph = Graph()
    graph.sink((clip(graph), 0), "images")
    assert bed.run(graph).success
    return (bed.received["images"] * 255).round().byte().numpy()


def test_old_paint_on_its_frame_still_opens(bed, frames):
    graph = Graph()
    shot = clip(graph)
    node = annotation(graph, (shot, 0), frame_index=2, image=painted(bed, frames[2]))
    mask, said = annotated(bed, graph, node)
    assert torch.equal(mask, box_mask())
    assert said == []


def test_old_paint_on_another_picture_is_kept_with_a_notice(bed, frames):
    graph = Graph()
    shot = clip(graph)
    name = painted(bed, frames[0])
    node = annotation(graph, (shot, 0), frame_index=7, image=name)
    mask, said = annotated(bed, graph, node)
    assert torch.equal(mask, box_mask())
    assert said == [
        f"the paint {name.removesuffix(' [input]')} (96x64) was made on another picture than "
        "frame 7 shows (96x64), and does not say which: another version of the clip, or another "
        f"frame. It is kept as it is. To drop it: {AGAIN.format(7)}."
    ]
