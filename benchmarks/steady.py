"""Steadied and refined mattes against true masks, and a film of before and after.

python benchmarks/steady.py --data DATA [--data DATA] [--sequences NAME,NAME] [--annotated 5]
    [--looks "as it comes;steady 2"]
    [--film FILE.webp --crop LEFT,TOP,WIDTH,HEIGHT --show FIRST-LAST]

The bundled model segments each sequence from evenly spread true masks; its results are scored as
they come, steadied along motion, refined against the plate, and both. J&F up is good, dtSSD x100 of
hard masks down is good; annotated frames do not count. The film shows a part of the first sequence:
the outline of its masks before, and after two rounds of steadying.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from xmempp_core import PropagationSettings, Runtime, Track, load_model, propagate
from xmempp_core.evaluation.datasets import Clip, open_datasets
from xmempp_core.evaluation.metrics import Labels, mean_score, score_frames, temporal_error
from xmempp_core.mattes.edges import EdgeSettings
from xmempp_core.mattes.export import matte_frames
from xmempp_core.mattes.plan import MatteJob, planned
from xmempp_core.mattes.presets import MatteSettings

REFINED = EdgeSettings(refine_pixels=8, black_point=0.3, white_point=0.7)
LOOKS = {
    "as it comes": MatteSettings(),
    "steady 1": MatteSettings(steady=1),
    "steady 2": MatteSettings(steady=2),
    "refined": MatteSettings(edges=REFINED),
    "steady 2, refined": MatteSettings(steady=2, edges=REFINED),
}
OUTLINE = (255, 220, 0)
FILM_ZOOM = 2


def spread(clip: Clip, count: int) -> list[int]:
    """Evenly spread frames that have true masks, the first and last among them."""
    known = list(clip.mask_files)
    places = np.linspace(0, len(known) - 1, count).round().astype(int)
    return sorted({known[i] for i in places})


def segmented(clip: Clip, annotated: list[int]) -> Track:
    """The clip by the bundled model with the settings of the command line."""
    network = load_model("lite", Runtime.choose("cpu", "float32"))
    return Track.collect(
        propagate(network, clip.source, clip.annotations(annotated), PropagationSettings())
    )


def label_maps(track: Track, clip: Clip, settings: MatteSettings) -> Iterator[Labels]:
    """The best of objects and background on each frame of the mattes."""
    plan = planned(track, MatteJob(Path(), settings), 1)
    ids = np.array([0, *(one.object_ids[0] for one in plan.objects)], np.uint8)
    for frame in matte_frames(track, plan, settings, clip.source):
        objects = torch.stack(frame.mattes)
        soft = torch.cat([(1 - objects.sum(0, keepdim=True)).clamp(min=0), objects])
        yield ids[soft.argmax(0).numpy()]


def scored(clip: Clip, maps: list[Labels], annotated: list[int]) -> dict[str, float]:
    """J, F, J&F and dtSSD x100."""
    predicted, truth = dict(enumerate(maps)), {t: clip.truth(t) for t in clip.mask_files}
    score = mean_score(score_frames(predicted, truth, annotated))
    unsteady = temporal_error(predicted, truth, annotated) or 0.0
    facts = {"J": score.j, "F": score.f, "J&F": score.jf}
    return {**{k: round(v, 4) for k, v in facts.items()}, "dtSSD": round(100 * unsteady, 2)}


def write_film(
    path: Path, plates: list[np.ndarray], before: list[Labels], after: list[Labels]
) -> None:
    """Outlines before and after, side by side, as an animated WebP."""
    pictures = [
        np.concatenate([outlined(plate, one), outlined(plate, other)], 1)
        for plate, one, other in zip(plates, before, after, strict=True)
    ]
    images = [Image.fromarray(picture) for picture in pictures]
    images[0].save(path, save_all=True, append_images=images[1:], duration=125, loop=0, quality=60)


def outlined(plate: np.ndarray, labels: Labels) -> np.ndarray:
    """The plate, twice as large, with the outline of the masks."""
    large = cv2.resize(plate, None, fx=FILM_ZOOM, fy=FILM_ZOOM, interpolation=cv2.INTER_LINEAR)
    hard = cv2.resize((labels > 0).astype(np.uint8), large.shape[1::-1], interpolation=0)
    contours, _ = cv2.findContours(hard, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(large.copy(), contours, -1, OUTLINE, 2)


def main() -> None:
    """Measures, prints JSON, and writes the film if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", action="append", required=True, type=Path)
    parser.add_argument("--sequences", default="")
    parser.add_argument("--annotated", type=int, default=5)
    parser.add_argument("--looks", default=";".join(LOOKS), help="semicolons between")
    parser.add_argument("--film", type=Path)
    parser.add_argument("--crop", default="0,0,10000,10000")
    parser.add_argument("--show", default="0-40")
    options = parser.parse_args()
    wanted = tuple(name for name in options.sequences.split(",") if name)
    result = {}
    for number, clip in enumerate(open_datasets(options.data, sequences=wanted)):
        annotated = spread(clip, options.annotated)
        track = segmented(clip, annotated)
        looks = {name: LOOKS[name] for name in options.looks.split(";")}
        maps = {name: list(label_maps(track, clip, look)) for name, look in looks.items()}
        result[clip.name] = {name: scored(clip, one, annotated) for name, one in maps.items()}
        print(json.dumps({clip.name: result[clip.name]}, indent=1), flush=True)
        if options.film and number == 0:
            left, top, width, height = (int(n) for n in options.crop.split(","))
            first, last = (int(n) for n in options.show.split("-"))
            part = np.s_[top : top + height, left : left + width]
            shown = range(first, last + 1)
            plates = [clip.source.frame(i).numpy()[part] for i in shown]
            both = [[maps[name][i][part] for i in shown] for name in ("as it comes", "steady 2")]
            write_film(options.film, plates, *both)


if __name__ == "__main__":
    main()
