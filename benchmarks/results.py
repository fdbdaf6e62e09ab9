"""What the bundled model reaches on real clips, and what its confidence is worth.

    python benchmarks/results.py --data DIR [--model lite|FILE] [--output docs]

DIR holds pumavos_chair, pumavos_caps and davis16-val-public, each with JPEGImages and Annotations.
Writes results.md and, of the PUMaVOS clips (CC BY 4.0), contact sheets into images/. Annotated
frames are not counted.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from plain_errors import run_plainly

from xmempp_core.annotations import Annotation
from xmempp_core.evaluation.datasets import Clip, open_dataset
from xmempp_core.evaluation.metrics import mean_score, score_frames
from xmempp_core.network.checkpoint import load_model
from xmempp_core.pictures.sheets import track_contact_sheet
from xmempp_core.propagation.propagation import propagate
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.track import Track
from xmempp_core.types import ModelInfo, Network


@dataclass(frozen=True)
class Case:
    """A sequence and its annotated frames."""

    data: str
    sequence: str
    annotated: tuple[int, ...]
    picture: str = ""
    """Name of the contact sheet; none where empty."""
    absent_object: int | None = None
    """Object that is declared absent on the first frame."""


CASES = (
    Case("pumavos_chair", "pumavos_chair", (0, 20, 40), "pumavos_chair"),
    Case("pumavos_chair", "pumavos_chair", (0,)),
    Case("pumavos_caps", "pumavos_caps", (0, 33, 66), "pumavos_caps"),
    Case("pumavos_caps", "pumavos_caps", (0, 33, 66), "pumavos_caps_absent", absent_object=2),
    Case("davis16-val-public", "dog", (0,)),
    Case("davis16-val-public", "car-shadow", (0,)),
)


OTHERS = "\n## 16 bits\n"
"""Heading of what `precision_gate.py` found."""


def main() -> None:
    """Runs all cases and writes docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--output", type=Path, default=Path("docs"))
    options = parser.parse_args()
    network = load_model(options.model, Runtime.choose("cpu"))
    settings = PropagationSettings()
    lines = []
    for case in CASES:
        clip = open_dataset(options.data / case.data, sequences=_names(case))[0]
        track = _track(network, clip, case, settings)
        lines.append(_row(clip, case, track))
        print(lines[-1], flush=True)
        if case.picture:
            sheet = track_contact_sheet(track, clip.source)
            write_sheet(options.output / "images" / f"{case.picture}.jpg", sheet)
    correlation = _confidence(network, options.data)
    page = options.output / "results.md"
    text = _page(network.info, lines, correlation) + _of_others(page)
    page.write_text(text, encoding="utf-8")


def write_sheet(path: Path, sheet: torch.Tensor) -> None:
    """A contact sheet (H, W, 3) uint8 as JPEG, at most 1600 pixels wide."""
    picture = Image.fromarray(sheet.numpy())
    picture.thumbnail((1600, 1600))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=88)


def _of_others(page: Path) -> str:
    """What other benchmarks found, from its heading on; empty where there is none yet."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    start = text.find(OTHERS)
    return "" if start < 0 else text[start:]


def _names(case: Case) -> tuple[str, ...]:
    return () if case.data == case.sequence else (case.sequence,)


def _track(network: Network, clip: Clip, case: Case, settings: PropagationSettings) -> Track:
    annotations = clip.annotations(case.annotated)
    if case.absent_object is not None:
        nothing = torch.zeros(1, *clip.source.size, dtype=torch.bool)
        absent = Annotation(case.annotated[0], (case.absent_object,), nothing)
        annotations = annotations.with_annotation(absent)
    return Track.collect(propagate(network, clip.source, annotations, settings))


def _row(clip: Clip, case: Case, track: Track) -> str:
    truth = {t: clip.truth(t) for t in clip.mask_files}
    predicted = {t: track.label_map(t).numpy() for t in truth}
    score = mean_score(score_frames(predicted, truth, case.annotated))
    measured = len(set(truth) - set(case.annotated))
    annotated = ", ".join(map(str, case.annotated))
    if case.absent_object is not None:
        annotated += f"; object {case.absent_object} absent on {case.annotated[0]}"
    return f"| {case.sequence} | {annotated} | {measured} | {score.j:.3f} | {score.f:.3f} |"


def _confidence(network: Network, data: Path) -> tuple[float, int]:
    """Rank correlation of confidence and J over all frames of the public clips, frame 0 given."""
    settings = replace(PropagationSettings(), internal_size=240)
    confidences, overlaps = [], []
    for clip in open_dataset(data / "davis16-val-public"):
        case = Case("davis16-val-public", clip.name, (0,))
        track = _track(network, clip, case, settings)
        truth = {t: clip.truth(t) for t in clip.mask_files}
        predicted = {t: track.label_map(t).numpy() for t in truth}
        for one in score_frames(predicted, truth, case.annotated):
            confidences.append(track.confidence(one.frame_index)[0])
            overlaps.append(one.j)
    ranks = [np.argsort(np.argsort(values)) for values in (confidences, overlaps)]
    return float(np.corrcoef(*ranks)[0, 1]), len(overlaps)


def _page(model: ModelInfo, lines: list[str], correlation: tuple[float, int]) -> str:
    rows = "\n".join(lines)
    rank, count = correlation
    return f"""# Results on real clips

Made by `python benchmarks/results.py --data DIR` with the bundled model (SHA-256
{model.sha256[:16]}), default settings, 480 pixels, float32 on the CPU, torch {torch.__version__}.
Annotated frames are not counted. J is region similarity, F contour accuracy, as DAVIS defines
them. More sequences, more annotations and the comparison with other methods stand in
[the model card](../xmempp_core/weights/MODEL_CARD.md).

| sequence | annotated frames | measured frames | J | F |
|---|---|---|---|---|
{rows}

`pumavos_chair` (60 frames): the object is the chair's reflection, the real chair in front of it a
look-alike. `pumavos_caps` (87 frames, five of them with masks): two caps, the second (green) comes
and goes. A label map without an object that no earlier map shows says nothing to memory, so the
green cap settles on the jacket while it is away; one negative annotation ("object 2 is absent on
frame 0") keeps it off.

![chair](images/pumavos_chair.jpg)

![caps](images/pumavos_caps.jpg)

![caps, with one negative annotation](images/pumavos_caps_absent.jpg)

Both clips: PUMaVOS, M. Bekuzarov, A. Bermudez, J.-Y. Lee, H. Li, CC BY 4.0; masks drawn over them.

## What confidence is worth

The confidence of a frame and object (mean of 2p - 1 over the pixels with p > 0.5) against J, all
frames of the ten public DAVIS 2016 sequences with frame 0 annotated, 240 pixels: rank correlation
{rank:.2f} over {count} frames. It orders the frames of a shot well enough to look at the least
confident first; it is no estimate of J.
"""


if __name__ == "__main__":
    run_plainly(main)
