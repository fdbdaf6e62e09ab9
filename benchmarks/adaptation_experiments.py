"""Questions about adaptation that benchmarks/adaptation.py leaves open, each answered by a table.

    python benchmarks/adaptation_experiments.py going-on --data DAVIS --sequences dog,kite-surf

going-on  one more pair of annotated frames: train anew, or go on from the model of the first three?
seeds     the mean of the weights of three seeds, beside each of them
share     only a share of the difference taken, with one annotated frame
keys      frames chosen by Algorithm 1 with the bundled and with adapted keys
frozen    time of a step in the blocks that do not learn: all that keeping their features could save
thin      the rule's signal without thin parts, from the label maps of benchmarks/adaptation.py

J&F of the frames that are not annotated, bundled model, pass at 480 pixels, every frame.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from adaptation import labels, score, spread
from plain_errors import run_plainly
from torch import Tensor

from xmempp_core.adaptation.adaptation import FIRST, GIVEN, SECOND
from xmempp_core.adaptation.fitting import Fitting
from xmempp_core.adaptation.settings import AdaptationSettings
from xmempp_core.adaptation.shot_pictures import PictureSize, ShotPictures, shot_pictures
from xmempp_core.adaptation.signals import LEAST_UNSTEADINESS
from xmempp_core.candidates.request import CandidateRequest
from xmempp_core.candidates.select import select_candidates
from xmempp_core.evaluation.datasets import Clip, open_dataset
from xmempp_core.mattes.flow import correspondences, flow_picture, odd_pixels_at, warped
from xmempp_core.mattes.steady import thin_parts
from xmempp_core.network.adapted import AnyNetwork, adapted_network
from xmempp_core.network.checkpoint import load_model
from xmempp_core.network.difference import WeightDifference
from xmempp_core.propagation.propagation import Propagation, propagate
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.track import Track
from xmempp_core.types import Size

PASSES = PropagationSettings(internal_size=480)
SEEDS = (1, 2, 3)
SHARES = (1.0, 0.85, 0.7)
THIN_PIXELS = 7


def main() -> None:
    """Prints the table of one experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--data", type=Path, required=True, help="a data set as DAVIS lays it out")
    parser.add_argument("--sequences", default="", help="names, comma separated (default: all)")
    parser.add_argument("--results", type=Path, help="of benchmarks/adaptation.py, for thin")
    options = parser.parse_args()
    names = tuple(name for name in options.sequences.split(",") if name)
    rows = []
    for clip in open_dataset(options.data, sequences=names):
        row = EXPERIMENTS[options.experiment](clip, options)
        if row:
            rows.append(row)
            print(clip.name, json.dumps(row), flush=True)
    keys = [key for key in rows[0] if all(isinstance(row[key], float) for row in rows)]
    print("mean", json.dumps({k: round(statistics.mean(row[k] for row in rows), 4) for k in keys}))


Row = dict[str, float | str]


def going_on(clip: Clip, _: argparse.Namespace) -> Row:
    """Five annotated frames, three of which a model is adapted to already."""
    base, three, five = load_model("lite"), annotated(clip, 3), annotated(clip, 5)
    first = fitted(base, clip, three)
    half = AdaptationSettings(mode="quick", steps=50)
    return {
        "model of three": passed(first, clip, five),
        "anew, 100 steps": passed(fitted(base, clip, five), clip, five),
        "goes on, 50 steps": passed(fitted(first, clip, five, half), clip, five),
        "goes on, 100 steps": passed(fitted(first, clip, five), clip, five),
    }


def seeds(clip: Clip, _: argparse.Namespace) -> Row:
    """Three annotated frames."""
    base, frames = load_model("lite"), annotated(clip, 3)
    fits = [
        difference(base, clip, frames, AdaptationSettings(mode="quick", seed=seed))
        for seed in SEEDS
    ]
    single = [passed(adapted_network(base, one, "{}"), clip, frames) for one in fits]
    mean = {name: sum(d.tensors[name].float() for d in fits) / len(fits) for name in shared(fits)}
    return {
        "bundled": passed(base, clip, frames),
        "mean of one seed": round(statistics.mean(single), 4),
        "worst seed": min(single),
        "mean of the weights": passed(changed(base, mean, 1.0), clip, frames),
        "0.7 of it": passed(changed(base, mean, 0.7), clip, frames),
    }


def share(clip: Clip, _: argparse.Namespace) -> Row:
    """One annotated frame."""
    base, frames = load_model("lite"), annotated(clip, 1)
    whole = difference(base, clip, frames).tensors
    return {"bundled": passed(base, clip, frames)} | {
        f"{one:.2f} of the difference": passed(changed(base, whole, one), clip, frames)
        for one in SHARES
    }


def keys(clip: Clip, _: argparse.Namespace) -> Row:
    """The first frame annotated, two more chosen; the pass after is of the bundled model."""
    base, first = load_model("lite"), annotated(clip, 1)
    adapted = fitted(base, clip, first)
    row: Row = {"evenly spread": passed(base, clip, annotated(clip, 3))}
    for name, network in (("bundled keys", base), ("adapted keys", adapted)):
        track = Track.collect(propagate(network, clip.source, clip.annotations(first), PASSES))
        chosen = select_candidates(network, clip.source, track, CandidateRequest(first, 2)).indices
        row[f"frames, {name}"] = ", ".join(map(str, chosen))
        row[name] = passed(base, clip, sorted({*first, *chosen}))
    return row


def frozen(clip: Clip, _: argparse.Namespace) -> Row:
    """Processor seconds of a step, and of the blocks that do not learn within it."""
    network, frames = load_model("lite"), annotated(clip, 3)
    spent = 0.0

    def timed(layer: torch.nn.Module) -> None:
        compute = layer.forward

        def forward(*inputs: Tensor) -> Tensor:
            nonlocal spent
            start = time.process_time()
            result: Tensor = compute(*inputs)
            spent += time.process_time() - start
            return result

        layer.forward = forward  # type: ignore[method-assign]

    torch.set_num_threads(1)
    settings = AdaptationSettings(mode="quick", steps=10)
    fitting = Fitting(network, pictures(clip, frames), settings, 10)
    plain = step_seconds(fitting)
    for layer in network.trunk_layers[:6]:
        timed(layer)
    step_seconds(fitting)
    return {"a step": round(plain, 3), "of it frozen": round(spent / 10, 3)}


def step_seconds(fitting: Fitting) -> float:
    """Mean processor seconds of a step."""
    start = time.process_time()
    for _ in fitting.run():
        pass
    return (time.process_time() - start) / fitting.steps


def thin(clip: Clip, options: argparse.Namespace) -> Row | None:
    """Three annotated frames: what is taken, and what by a signal that leaves thin parts out."""
    path = options.results / f"{clip.name}_3_auto.json"
    if not path.with_suffix(".npz").exists():
        return None
    jf = json.loads(path.read_text(encoding="utf-8"))["jf"]
    with np.load(path.with_suffix(".npz")) as file:
        maps = {name: torch.from_numpy(file[name]) for name in (GIVEN, FIRST, SECOND)}
    sums = {name: np.zeros(2) for name in maps}
    pairs = range(0, len(clip.source) - 1, 2)
    for t in pairs:
        one, other = (flow_picture(clip.source.frame(i)) for i in (t, t + 1))
        at_size = correspondences(one, other)[0].at(clip.source.size)
        for name, by in maps.items():
            mask, following = by[t] > 0, (by[t + 1] > 0)[None].float()
            differs = at_size.trust * ((warped(following, at_size)[0] > 0.5) != mask)
            root = mask.sum().clamp(min=1).sqrt()
            width = odd_pixels_at(THIN_PIXELS, Size(*mask.shape), least=3)
            thick = differs.clone()
            thick[thin_parts(mask, width)] = 0
            sums[name] += np.array([float(differs.sum() / root), float(thick.sum() / root)])
    row: Row = {"best": max(jf[FIRST], jf[SECOND])}
    for place, title in enumerate(("whole", "without thin parts")):
        level = {name: max(s[place] / len(pairs), LEAST_UNSTEADINESS) for name, s in sums.items()}
        taken = min((FIRST, SECOND), key=lambda name: level[name])
        row[f"{title}, takes"] = taken
        row[title] = jf[taken]
        row[f"{title}, unsteadiness"] = ", ".join(f"{level[n]:.2f}" for n in (GIVEN, FIRST, SECOND))
    return row


# ---- what they share


def annotated(clip: Clip, count: int) -> list[int]:
    return spread(sorted(clip.mask_files), count)


def pictures(clip: Clip, frames: Sequence[int]) -> ShotPictures:
    how = PictureSize(480, True, torch.device("cpu"))
    return shot_pictures(clip.source, clip.annotations(frames), how)


def difference(
    base: AnyNetwork,
    clip: Clip,
    frames: Sequence[int],
    settings: AdaptationSettings | None = None,
) -> WeightDifference:
    """What one round changes."""
    settings = settings or AdaptationSettings(mode="quick")
    steps = settings.steps_for(len(frames))
    *_, last = Fitting(base, pictures(clip, frames), settings, steps).run()
    assert isinstance(last, WeightDifference)
    return last


def fitted(
    base: AnyNetwork,
    clip: Clip,
    frames: Sequence[int],
    settings: AdaptationSettings | None = None,
) -> AnyNetwork:
    """A network after one round."""
    return adapted_network(base, difference(base, clip, frames, settings), "{}")


def changed(base: AnyNetwork, tensors: Mapping[str, Tensor], amount: float) -> AnyNetwork:
    """The base with a share of a difference."""
    scaled = {name: amount * tensor.float() for name, tensor in tensors.items()}
    return adapted_network(base, WeightDifference(scaled, base.info.sha256), "{}")


def shared(fits: Iterable[WeightDifference]) -> list[str]:
    """Parameters that all of them changed."""
    return sorted(set.intersection(*(set(one.tensors) for one in fits)))


def passed(network: AnyNetwork, clip: Clip, frames: Sequence[int]) -> float:
    """J&F of a pass."""
    annotations = clip.annotations(frames)
    with torch.inference_mode():
        maps = {
            one.frame_index: labels(clip, one.probabilities, annotations.object_ids)
            for one in Propagation(network, clip.source, annotations, PASSES)
        }
    return score(clip, maps, frames)


EXPERIMENTS: dict[str, Callable[[Clip, argparse.Namespace], Row | None]] = {
    "going-on": going_on,
    "seeds": seeds,
    "share": share,
    "keys": keys,
    "frozen": frozen,
    "thin": thin,
}


if __name__ == "__main__":
    run_plainly(main)
