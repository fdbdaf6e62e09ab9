"""Types of 16 bits show the masks of float32 on the bundled clip."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import xmempp_core
from xmempp_core.evaluation.metrics import mean_score, score_frames
from xmempp_core.formats.annotations.folder import load_annotations
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.network.checkpoint import load_model
from xmempp_core.propagation.precision import LEAST_IOU, mean_iou
from xmempp_core.propagation.propagation import propagate
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.segmentation import label_map_of

CLIP = Path(xmempp_core.__file__).parent / "assets" / "demo"
GIVEN, TRUE = 12, 60
"""The annotated frame of a pass, and the one that is compared with its true mask."""


def masks(device: str, dtype: str) -> dict[int, torch.Tensor]:
    """Label maps of the frames after the annotated one."""
    film = open_frames(CLIP / "bigbuckbunny.mp4")
    network = load_model("lite", Runtime.choose(device, dtype))
    settings = PropagationSettings(direction="forward", internal_size=240, memorize_every=5)
    annotations = load_annotations(CLIP, film).only([GIVEN])
    pass_ = propagate(network, film, annotations, settings, frame_range=range(GIVEN, TRUE + 1))
    return {one.frame_index: label_map_of(one) for one in pass_ if one.frame_index != GIVEN}


def check_gate(device: str, dtype: str) -> None:
    """Mean IoU at least 0.99, J&F within 0.002."""
    plain, other = masks(device, "float32"), masks(device, dtype)
    ious = [mean_iou(plain[t], other[t]) for t in plain]
    assert sum(ious) / len(ious) >= LEAST_IOU
    film = open_frames(CLIP / "bigbuckbunny.mp4")
    given = load_annotations(CLIP, film).at(TRUE)
    assert given is not None
    truth = {TRUE: given.label_map().numpy()}
    jf = [
        mean_score(score_frames({TRUE: found[TRUE].numpy()}, truth)).jf for found in (plain, other)
    ]
    assert jf[0] > 0.8  # or the comparison would say nothing
    assert abs(jf[1] - jf[0]) <= 0.002


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits_show_the_masks_of_float32(dtype: str) -> None:
    check_gate("cpu", dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits_show_the_masks_of_float32_on_cuda(dtype: str) -> None:
    check_gate("cuda", dtype)
