"""The tables and pictures of docs/adaptation.md, from what benchmarks/adaptation.py measured.

    python benchmarks/adaptation_report.py --results FOLDER [--page PAGE.md [--pictures SET]]

Writes the tables between the marks in the page, and into images/adaptation.jpg beside it the frames
where adaptation gained and lost most, of the sequences of a data set whose pictures may be shown.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from plain_errors import run_plainly

from xmempp_core.errors import InputError
from xmempp_core.evaluation.datasets import Clip, open_dataset
from xmempp_core.evaluation.metrics import FrameScore, score_frames
from xmempp_core.pictures.overlays import draw_overlay, to_uint8
from xmempp_core.pictures.sheets import contact_sheet

BEGIN, END = "<!-- tables: benchmarks/adaptation_report.py -->", "<!-- end of tables -->"
GIVEN, FIRST, SECOND = "given network", "first round", "second round"
RESULTS = {
    GIVEN: "bundled",
    FIRST: "round one",
    SECOND: "round two",
    "chosen": "chosen",
    "steadied": "steadied",
}
CHOOSING = ("bmx-trees", "dance-twirl", "dog", "kite-surf", "scooter-black", "pumavos_chair")
"""Sequences on which the recipe and the rule were chosen."""
TILE_WIDTH = 320


@dataclass(frozen=True)
class Measured:
    """One sequence with one number of annotated frames."""

    sequence: str
    count: int
    jf: dict[str, float]
    """J&F of the frames that are not annotated, by result."""
    taken: str
    """Result that was taken."""
    annotated: list[int]
    seconds: dict[str, list[float]]
    """Wall and processor seconds by stage."""
    maps: Path
    """The label maps, where they were kept."""

    @property
    def gain(self) -> float:
        """Of what was taken over the bundled model."""
        return self.jf["chosen"] - self.jf[GIVEN]

    @property
    def best(self) -> float:
        """J&F of the best result that could be taken."""
        return max(self.jf[name] for name in (GIVEN, FIRST, SECOND) if name in self.jf)


def main() -> None:
    """Reads the results and fills the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="folder of the JSON files")
    parser.add_argument("--pictures", type=Path, help="data set whose frames are drawn")
    parser.add_argument("--mode", default="auto", choices=("quick", "auto"))
    parser.add_argument("--page", type=Path, help="Markdown file with the marks of the tables")
    options = parser.parse_args()
    files = options.results.glob(f"*_{options.mode}.json")
    measured = sorted(map(read, files), key=lambda m: m.sequence)
    if not measured:
        raise InputError(f"{options.results} holds no results of {options.mode}; measure first")
    text = "\n".join([*means(measured), "", *by_sequence(measured), "", *times(measured)])
    print(text)
    if options.page:
        fill(options.page, text)
        if options.pictures:
            clips = {clip.name: clip for clip in open_dataset(options.pictures)}
            draw(measured, clips, options.page.parent / "images" / "adaptation.jpg")


def read(path: Path) -> Measured:
    """One file of benchmarks/adaptation.py."""
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Measured(
        figures["sequence"],
        len(figures["annotated"]),
        figures["jf"],
        figures["facts"]["network"],
        figures["annotated"],
        figures["seconds"],
        path.with_suffix(".npz"),
    )


def means(measured: Sequence[Measured]) -> Iterable[str]:
    """The mean over sequences, by number of annotated frames."""
    yield (
        "| annotated | sequences | " + " | ".join(RESULTS.values()) + " | most gained | most lost |"
    )
    yield "|---" * (len(RESULTS) + 4) + "|"
    for count, group in grouped(measured):
        for title, part in parts(group):
            cells = [mean(m.jf.get(name) for m in part) for name in RESULTS]
            gains = [m.gain for m in part]
            extremes = f"{max(gains):+.3f} | {min(0.0, *gains):+.3f}"
            yield f"| {count} | {title} | " + " | ".join(cells) + f" | {extremes} |"


def parts(group: Sequence[Measured]) -> Iterable[tuple[str, list[Measured]]]:
    """The sequences of DAVIS in all, used for choosing and not, and the chair."""
    davis = [m for m in group if not m.sequence.startswith("pumavos")]
    for title, part in (
        ("DAVIS", davis),
        ("used for choosing", [m for m in davis if m.sequence in CHOOSING]),
        ("not used", [m for m in davis if m.sequence not in CHOOSING]),
        ("pumavos_chair", [m for m in group if m.sequence == "pumavos_chair"]),
    ):
        if part:
            yield title if len(part) == 1 else f"{title} ({len(part)})", part


def by_sequence(measured: Sequence[Measured]) -> Iterable[str]:
    """Every sequence, what was taken and what that lost against the best."""
    yield "| sequence | annotated | " + " | ".join(RESULTS.values()) + " | taken | below the best |"
    yield "|---" * (len(RESULTS) + 4) + "|"
    for _, group in grouped(measured):
        for m in group:
            cells = [mean([m.jf.get(name)]) for name in RESULTS]
            lost = m.best - m.jf["chosen"]
            verdict = f"{RESULTS[m.taken]} | {'' if lost <= 0 else f'{lost:.3f}'} |"
            yield f"| {m.sequence} | {m.count} | " + " | ".join(cells) + f" | {verdict}"


def times(measured: Sequence[Measured]) -> Iterable[str]:
    """Mean processor seconds of the stages."""
    totals: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for m in measured:
        for stage, (_, used) in m.seconds.items():
            totals[stage][m.count].append(used)
        totals["**all**"][m.count].append(sum(used for _, used in m.seconds.values()))
    counts = sorted({m.count for m in measured})
    yield "| stage | " + " | ".join(f"{count} annotated" for count in counts) + " |"
    yield "|---" * (len(counts) + 1) + "|"
    for stage in sorted(totals, key=lambda s: (s == "**all**", -sum(map(sum, totals[s].values())))):
        cells = [
            f"{statistics.mean(totals[stage][c]):.0f}" if totals[stage][c] else "" for c in counts
        ]
        yield f"| {stage} | " + " | ".join(cells) + " |"


def grouped(measured: Sequence[Measured]) -> Iterable[tuple[int, list[Measured]]]:
    """By number of annotated frames."""
    for count in sorted({m.count for m in measured}):
        yield count, [m for m in measured if m.count == count]


def mean(values: Iterable[float | None]) -> str:
    """Empty where one was not measured."""
    known = list(values)
    return "" if None in known else f"{statistics.mean(filter(None, known)):.3f}"


def fill(page: Path, text: str) -> None:
    """Puts the tables between the marks."""
    old = page.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    page.write_text(pattern.sub(f"{BEGIN}\n\n{text}\n\n{END}", old), encoding="utf-8")


def draw(measured: Sequence[Measured], clips: dict[str, Clip], path: Path) -> None:
    """The frames where adaptation gained and lost most, a row each, with three annotated frames."""
    shown = [m for m in measured if m.sequence in clips and m.maps.exists() and m.count == 3]
    tiles = [
        tile
        for m in shown
        for gained in (True, False)
        for tile in row(m, clips[m.sequence], gained)
    ]
    if tiles:
        pictures, titles = zip(*tiles, strict=True)
        sheet = contact_sheet(pictures, titles, columns=4)
        Image.fromarray(sheet.numpy()).save(path, quality=85)


def row(m: Measured, clip: Clip, gained: bool) -> list[tuple[torch.Tensor, str]]:
    """Truth, bundled, taken and steadied on the frame that gained (or lost) most."""
    with np.load(m.maps) as file:
        maps = {name: file[name] for name in (GIVEN, m.taken, "steadied")}
    truth = {t: clip.truth(t) for t in clip.mask_files}
    scores = {
        name: frame_means(score_frames(dict(enumerate(by)), truth, m.annotated))
        for name, by in maps.items()
    }
    change = {t: scores[m.taken][t] - scores[GIVEN][t] for t in scores[GIVEN]}
    frame = max(change, key=lambda t: change[t] if gained else -change[t])
    labeled = {"truth": truth[frame], **{name: by[frame] for name, by in maps.items()}}
    titles = {
        "truth": "truth",
        "steadied": "steadied",
        GIVEN: "bundled",
        m.taken: f"{m.taken}, taken",
    }
    return [
        (tile(clip, frame, labels), f"{m.sequence} {frame} {titles[name]}")
        for name, labels in labeled.items()
    ]


def frame_means(scores: Iterable[FrameScore]) -> dict[int, float]:
    """J&F of each frame, mean over its objects."""
    by_frame: dict[int, list[float]] = defaultdict(list)
    for score in scores:
        by_frame[score.frame_index].append((score.j + score.f) / 2)
    return {frame: statistics.mean(values) for frame, values in by_frame.items()}


def tile(clip: Clip, frame_index: int, labels: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8: the frame with the masks drawn over it, small."""
    picture = to_uint8(clip.source.frame(frame_index)).cpu().numpy()
    height = round(picture.shape[0] * TILE_WIDTH / picture.shape[1])
    small = cv2.resize(picture, (TILE_WIDTH, height), interpolation=cv2.INTER_AREA)
    ids = cv2.resize(labels, (TILE_WIDTH, height), interpolation=cv2.INTER_NEAREST)
    return draw_overlay(torch.from_numpy(small), torch.from_numpy(ids), {})


if __name__ == "__main__":
    run_plainly(main)
