"""Void pixels of an annotation: nothing is said there, by the memory or by the result."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import ARCHITECTURES, tiny_network
from torch import Tensor
from toy import HEIGHT, WIDTH, toy_shot

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.formats.tracks import load_track, save_track
from xmempp_core.propagation.augment import ELEVEN, augment_annotation
from xmempp_core.propagation.propagation import Propagation
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.segmentation import label_map_of, probabilities_of
from xmempp_core.track.track import Track
from xmempp_core.types import Network

SETTINGS = PropagationSettings(internal_size=None)
FRAME = 4


@pytest.fixture(params=ARCHITECTURES)
def network(request: pytest.FixtureRequest) -> Network:
    return tiny_network(request.param)


def labels_and_void() -> tuple[Tensor, Tensor]:
    """A label map of one object in the upper left, and a void block below it."""
    labels = torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)
    labels[:20, :40] = 3
    void = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    void[16:48, 16:80] = True
    return labels, void


def annotated(*, with_void: bool) -> AnnotationSet:
    labels, void = labels_and_void()
    return AnnotationSet((Annotation.from_label_map(FRAME, labels, void if with_void else None),))


def pass_of(network: Network, annotations: AnnotationSet, **more: object) -> Propagation:
    return Propagation(network, toy_shot()[0], annotations, SETTINGS, **more)


@pytest.mark.parametrize("direction", ["forward", "outward", "bidirectional", "independent"])
def test_what_is_predicted_stands_in_void_pixels_alone(network: Network, direction: str) -> None:
    labels, void = labels_and_void()
    void &= labels == 0
    settings = PropagationSettings(internal_size=None, direction=direction)
    source, annotations = toy_shot()[0], annotated(with_void=True)
    (result,) = [
        s for s in Propagation(network, source, annotations, settings) if s.frame_index == FRAME
    ]
    soft = probabilities_of(result)
    assert torch.equal(soft[1][~void], (labels == 3)[~void].float())
    assert soft[1][void].max() > 1e-3
    assert torch.allclose(soft[1][void], result.probabilities[1][void], atol=1e-5)
    hard = label_map_of(result)
    assert torch.equal(hard[~void], labels[~void])
    assert torch.equal(hard[void] == 3, soft[1][void] > soft[0][void])


def test_permanent_memory_leaves_out_cells_that_are_void_for_the_most_part(
    network: Network,
) -> None:
    counts = []
    for with_void in (False, True):
        one = pass_of(network, annotated(with_void=with_void))
        for _ in one.prepare():
            pass
        counts.append(one.view.counts.permanent)
    # of the 4 x 2 void cells one shows the object
    assert counts[0] - counts[1] == 4 * 2 - 2


def test_a_frame_that_is_void_but_for_its_object_is_remembered(network: Network) -> None:
    labels, _ = labels_and_void()
    void = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    annotations = AnnotationSet((Annotation.from_label_map(FRAME, labels, void),))
    one = pass_of(network, annotations, augment=("bright", "zoom_out"))
    results = {s.frame_index: s for s in one}
    assert torch.equal(label_map_of(results[FRAME])[labels == 3], labels[labels == 3])
    assert torch.isfinite(results[0].probabilities).all()


def test_augmented_frames_carry_their_void_pixels_along() -> None:
    labels, void = labels_and_void()
    frame = toy_shot()[0].frame(FRAME)
    masks = (labels == 3)[None]
    void &= ~masks[0]
    for one in augment_annotation([*ELEVEN, "crop"], frame, masks, void=void):
        assert one.coverage is not None
        assert not bool(one.coverage[one.masks[0]].eq(0).any()), one.name
    (bright,) = augment_annotation(["bright"], frame, masks, void=void)
    assert torch.equal(bright.coverage, (~void).float())


def test_void_stands_in_a_track_and_its_file(network: Network, tmp_path: Path) -> None:
    one = pass_of(network, annotated(with_void=True))
    track = Track.collect(one)
    save_track(track, tmp_path / "t.xmtrack")
    again = load_track(tmp_path / "t.xmtrack")
    assert torch.equal(again.annotations.at(FRAME).void, track.annotations.at(FRAME).void)
    assert torch.equal(again.label_map(FRAME), track.label_map(FRAME))
    assert torch.equal(again.probabilities(FRAME), track.probabilities(FRAME))
