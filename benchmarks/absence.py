"""What an annotation "absent here" does, on eight constructed clips.

    python benchmarks/absence.py [--model lite|FILE] [--output docs/absence.json]

All clips are cut from the bundled film: a cut-out moves in front of a background from the same
film, and a look-alike (the same cut-out, mirrored and lightly tinted) enters after frame 0 and
stays, growing. In four clips the object leaves for good; in four it stays but is hidden for three
frames. Frame 0 is annotated, and then one frame on which the object is absent. Printed are, for
each way of treating the absence, the false pixels on frames without the object (in parts of the
object's size, lower is better) and J on frames with it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from plain_errors import run_plainly

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.cli.demo import CLIP, VIDEO
from xmempp_core.formats.annotations.folder import load_annotations
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.network.checkpoint import load_model
from xmempp_core.propagation.propagation import propagate
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.segmentation import label_map_of
from xmempp_core.types import Network

HEIGHT, WIDTH, FRAMES = 240, 352, 40
LEAVES_AT, TWIN_ENTERS_AT, ABSENT_FRAME = 12, 6, 18
HIDDEN = range(15, 18)


@dataclass(frozen=True, eq=False)
class Clip:
    """A constructed clip."""

    name: str
    frames: np.ndarray
    """(T, H, W, 3) uint8"""
    masks: np.ndarray
    """(T, H, W) bool, the object where it is seen"""
    absent_frame: int


@dataclass(frozen=True, eq=False)
class CutOut:
    """A picture with its mask."""

    picture: np.ndarray
    mask: np.ndarray

    def resized(self, height: int) -> CutOut:
        """The cut-out at another height."""
        width = round(self.mask.shape[1] * height / self.mask.shape[0])
        picture = cv2.resize(self.picture, (width, height), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(self.mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
        return CutOut(picture, mask > 0)


def construct_clips() -> list[Clip]:
    """Four clips whose object leaves, four whose object stays."""
    source = open_frames(VIDEO)
    annotations = load_annotations(CLIP, source)
    # (annotated frame, object, height in pixels, left edge of the background in the film)
    recipes = [(12, 1, 80, 560), (60, 1, 110, 700), (122, 1, 96, 880), (60, 2, 56, 620)]
    clips = []
    for number, (frame_index, object_id, height, left) in enumerate(recipes):
        annotation = annotations.at(frame_index)
        assert annotation is not None
        mask = annotation.mask(object_id).numpy()
        cut_out = _cut(source.frame(frame_index).numpy(), mask).resized(height)
        backgrounds = [_background(source.frame(t).numpy(), left) for t in range(60, 60 + FRAMES)]
        for leaves in (True, False):
            clips.append(_clip(number, cut_out, backgrounds, leaves))
    return sorted(clips, key=lambda clip: clip.name)


def _cut(picture: np.ndarray, mask: np.ndarray) -> CutOut:
    rows, columns = np.nonzero(mask)
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return CutOut(picture[box], mask[box])


def _background(picture: np.ndarray, left: int) -> np.ndarray:
    right = min(left + 528, picture.shape[1])
    return cv2.resize(
        picture[180:540, right - 528 : right], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA
    )


def _clip(number: int, cut_out: CutOut, backgrounds: list[np.ndarray], leaves: bool) -> Clip:
    tinted = np.clip(cut_out.picture * np.array([1.06, 0.97, 0.92]), 0, 255).astype(np.uint8)
    twin = CutOut(tinted[:, ::-1], cut_out.mask[:, ::-1])
    frames, masks = [], []
    speed = (WIDTH * 0.35 + cut_out.mask.shape[1]) / LEAVES_AT if leaves else 3.0
    for t, background in enumerate(backgrounds):
        picture = background.copy()
        if t >= TWIN_ENTERS_AT:
            grown = twin.resized(round(twin.mask.shape[0] * (0.75 + 0.5 * t / FRAMES)))
            _paste(picture, grown, WIDTH - 8.0 * (t - TWIN_ENTERS_AT), 95 + 12 * np.sin(t / 4))
        x = WIDTH * 0.3 - speed * t if leaves else 20 + speed * t
        hidden = not leaves and t in HIDDEN
        y = 120 + 6 * np.sin(t / 2)
        masks.append(np.zeros((HEIGHT, WIDTH), bool) if hidden else _paste(picture, cut_out, x, y))
        frames.append(picture)
    kind = "leaves" if leaves else "stays"
    absent = ABSENT_FRAME if leaves else HIDDEN[1]
    return Clip(f"{kind} {number + 1}", np.stack(frames), np.stack(masks), absent)


def _paste(picture: np.ndarray, cut_out: CutOut, x: float, y: float) -> np.ndarray:
    """Pastes a cut-out with its center row at y and left edge at x; returns where it is seen."""
    shift = np.float32([[1, 0, x], [0, 1, y - cut_out.mask.shape[0] / 2]])
    size = (WIDTH, HEIGHT)
    alpha = cv2.warpAffine(cut_out.mask.astype(np.float32), shift, size)[..., None]
    moved = cv2.warpAffine(cut_out.picture, shift, size, borderMode=cv2.BORDER_REPLICATE)
    picture[:] = (picture * (1 - alpha) + moved * alpha).round().astype(np.uint8)
    return alpha[..., 0] > 0.5


def measure(network: Network, clip: Clip, absence: str | None) -> dict[str, float]:
    """False pixels without the object and J with it; `absence` None = no negative annotation."""
    annotations = AnnotationSet((_annotation(clip, 0),))
    if absence is not None:
        annotations = annotations.with_annotation(_annotation(clip, clip.absent_frame))
    settings = PropagationSettings(internal_size=None, memorize_every=5)
    if absence is not None:
        settings = replace(settings, absence=absence)
    false, overlap = [], []
    size = clip.masks[0].sum()
    for one in propagate(network, open_frames(clip.frames), annotations, settings):
        if one.frame_index in (0, clip.absent_frame):
            continue
        got, true = label_map_of(one).numpy() == 1, clip.masks[one.frame_index]
        if true.any():
            overlap.append((got & true).sum() / (got | true).sum())
        else:
            false.append(got.sum() / size)
    return {"false": float(np.mean(false)), "J": float(np.mean(overlap))}


def _annotation(clip: Clip, frame_index: int) -> Annotation:
    mask = torch.from_numpy(clip.masks[frame_index])
    return Annotation(frame_index, (1,), mask[None])


def main() -> None:
    """Prints the table and writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lite")
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    network = load_model(options.model, Runtime.choose("cpu"))
    modes = (None, "memory", "presence")
    results: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'clip':<12}" + "".join(f"{m or 'none':>20}" for m in modes) + "   (false, J)")
    for clip in construct_clips():
        row = {str(mode): measure(network, clip, mode) for mode in modes}
        results[clip.name] = row
        cells = (f"{r['false']:.3f}, {r['J']:.3f}" for r in row.values())
        print(f"{clip.name:<12}" + "".join(f"{c:>20}" for c in cells), flush=True)
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_plainly(main)
