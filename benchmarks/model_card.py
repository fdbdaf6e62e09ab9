"""The tables of the bundled model's card: J, F and J&F by method and number of annotations.

    python benchmarks/model_card.py --data DIR --scores FOLDER [--counts 1,3,5,10]
        [--sequences A,B] [--methods "XMem++,optical flow"] [--card FILE]

DIR holds davis16-val-public and pumavos_chair, each with JPEGImages and Annotations. Scores of
every pass are kept in FOLDER as soon as they are known, so that runs can be split by sequence and
go on after an interruption; `--card` writes the tables of all that FOLDER holds into a Markdown
file, between the lines that mark them. Annotated frames are evenly spread and not counted.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from plain_errors import run_plainly

from xmempp_core.evaluation.datasets import Clip, open_dataset
from xmempp_core.evaluation.experiments import CURVES
from xmempp_core.evaluation.passes import ClipPasses, Method, PassScore
from xmempp_core.network.checkpoint import load_model
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings

METHODS = tuple(method for method in CURVES if not method.augment)
DAVIS, CHAIR = "davis16-val-public", "pumavos_chair"
BEGIN, END = "<!-- tables: benchmarks/model_card.py -->", "<!-- end of tables -->"

Scores = dict[tuple[str, str, int], PassScore]
"""By sequence, method and number of annotations."""


def main() -> None:
    """Measures what is asked for, prints it, and fills the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--counts", default="1,3,5,10")
    parser.add_argument("--sequences", help="measure only these")
    parser.add_argument("--methods", help="measure only these")
    parser.add_argument("--card", type=Path)
    options = parser.parse_args()
    counts = [int(word) for word in options.counts.split(",")]
    clips = [*open_dataset(options.data / DAVIS), *open_dataset(options.data / CHAIR)]
    wanted = options.sequences.split(",") if options.sequences else [c.name for c in clips]
    names = options.methods.split(",") if options.methods else [m.name for m in METHODS]
    methods = [method for method in METHODS if method.name in names]
    for clip in clips:
        if clip.name in wanted:
            measure(clip, options.model, options.scores, counts, methods)
    scores = read_scores(clips, options.scores)
    tables = all_tables(scores, [c.name for c in clips])
    print(tables)
    if options.card:
        fill(options.card, tables)


def measure(
    clip: Clip, model: str, folder: Path, counts: Sequence[int], methods: Sequence[Method]
) -> None:
    """Scores of one clip, one count after the other."""
    network = load_model(model, Runtime.choose("cpu"))
    run = {"model": network.info.sha256, "settings": PropagationSettings().to_json(), "step": 1}
    path = folder / f"{clip.name}.json"
    passes = ClipPasses(network, clip, PropagationSettings(), path, run)
    for count in counts:
        for method in methods:
            score = passes.score(method, spread(clip, count))
            print(f"{clip.name} {method.name} {count}: J&F {score.jf:.3f}", flush=True)


def spread(clip: Clip, count: int) -> list[int]:
    """Evenly spread frames, the first among them, the last where there are several."""
    return [int(t) for t in torch.linspace(0, len(clip) - 1, count).floor()]


def read_scores(clips: Iterable[Clip], folder: Path) -> Scores:
    """All scores that a folder holds."""
    scores: Scores = {}
    for clip in clips:
        path = folder / f"{clip.name}.json"
        known = json.loads(path.read_text(encoding="utf-8"))["passes"] if path.exists() else {}
        for method in METHODS:
            for count in range(1, 11):
                key = f"{method.key}|{' '.join(map(str, spread(clip, count)))}"
                if key in known:
                    scores[clip.name, method.name, count] = PassScore(**known[key])
    return scores


def all_tables(scores: Scores, names: Sequence[str]) -> str:
    """The tables as Markdown."""
    davis = [name for name in names if name != CHAIR]
    parts = [
        f"**{DAVIS}**, mean of {len(davis)} sequences, 480 pixels: J / F / J&F",
        _means(scores, davis),
        f"**{CHAIR}**: J / F / J&F",
        _means(scores, [CHAIR]),
        "**By sequence**: J&F of XMem++ / optical flow",
        _by_sequence(scores, names),
    ]
    return "\n\n".join(parts)


def _counts(scores: Scores) -> list[int]:
    return sorted({count for _, _, count in scores})


def _head(first: str, counts: Sequence[int]) -> str:
    words = (f"{count} annotated" for count in counts)
    return f"| {first} | {' | '.join(words)} |\n|{'---|' * (len(counts) + 1)}"


def _means(scores: Scores, names: Sequence[str]) -> str:
    counts = _counts(scores)
    rows = [_head("method", counts)]
    for method in METHODS:
        cells = []
        for count in counts:
            found = [scores.get((name, method.name, count)) for name in names]
            cells.append(_mean([one for one in found if one is not None], len(names)))
        rows.append(f"| {method.name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _mean(found: Sequence[PassScore], wanted: int) -> str:
    if len(found) < wanted:
        return "not measured"
    means = (statistics.fmean(getattr(one, name) for one in found) for name in ("j", "f", "jf"))
    return " / ".join(f"{mean:.3f}" for mean in means)


def _by_sequence(scores: Scores, names: Sequence[str]) -> str:
    counts = _counts(scores)
    rows = [_head("sequence", counts)]
    for name in names:
        cells = [_against_flow(scores, name, count) for count in counts]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _against_flow(scores: Scores, name: str, count: int) -> str:
    ours, flow = (scores.get((name, method, count)) for method in ("XMem++", "optical flow"))
    return "not measured" if ours is None or flow is None else f"{ours.jf:.3f} / {flow.jf:.3f}"


def fill(card: Path, tables: str) -> None:
    """Puts the tables between their marks in a Markdown file."""
    text = card.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{card}: lacks the line {BEGIN}")
    card.write_text(pattern.sub(f"{BEGIN}\n\n{tables}\n\n{END}", text), encoding="utf-8")


if __name__ == "__main__":
    run_plainly(main)
