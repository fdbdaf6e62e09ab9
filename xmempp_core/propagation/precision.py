"""dtype "auto": the float type in which masks come soonest here, measured once and kept.

A type of 16 bits is taken where it is faster than float32 and shows the same masks. Some processors
need many times as long for it, so that the first trials are tiny and each next one is begun only if
it will end in time.
"""

from __future__ import annotations

import copy
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..annotations import AnnotationSet
from ..errors import is_out_of_memory
from ..formats.annotations.folder import load_annotations
from ..formats.frames.open import open_frames
from ..network.adapted import AnyNetwork
from ..network.checkpoint import load_model
from ..runtime import Runtime
from ..settings import PropagationSettings
from ..types import FrameSource
from .kept_answers import Answer, KeptAnswers, name_of
from .propagation import propagate

CLIP = Path(__file__).parents[1] / "assets" / "demo"
CLIP_FRAMES = (12, 18)
"""Frames of the bundled clip: the annotated one, and the one that is timed."""
SIDES = (32, 64, 120, 240, 480)
"""Internal sizes tried one after the other, short side in pixels."""
LEAST_SIDE = 120
"""Smaller pictures do not tell how fast a type is."""
GROWTH = 4
"""How many times as long the next size may take."""
BUDGET_SECONDS = 4.2
LEAST_GAIN = 1.1
"""How many times as fast as float32 another type must be."""
HOPELESS_GAIN = 0.5
"""A type that is slower than so on small pictures is not tried on larger ones another time."""
LEAST_IOU = 0.99
"""Least mean IoU of its label maps with those of float32."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Trial:
    """What a float type did at one size."""

    seconds: float
    """of the frame"""
    labels: Tensor
    """(H, W) its best channel at each pixel, on the CPU"""

    def better(self, other: Trial) -> Trial:
        """The faster of two of the same."""
        return self if self.seconds <= other.seconds else other


Attempt = Callable[[torch.dtype, int], Trial]
"""Segments the clip in a float type at an internal size."""


def choose_runtime(model: str | Path, device: str = "auto", dtype: str = "auto") -> Runtime:
    """The runtime for a model: as `Runtime.choose`, but "auto" is measured for this model.

    The answer holds for the processor or GPU, number of threads, model, version of torch and of
    this program, and is kept in the user's cache folder. A line says what was chosen and why. With
    the environment variable CI set nothing is measured, and "auto" is float32. Give the runtime
    of the first of several runs that belong together to all of them.

    Args:
        model: name of a bundled model or a model file.
        device: auto, cpu, cuda, cuda:N, mps.
        dtype: auto, float32, float16, bfloat16.

    Raises:
        InputError: the device is not there, or a name is unknown.
        FormatError: the model cannot be read.
    """
    runtime = Runtime.choose(device, dtype)
    candidates = _candidates(runtime.device)
    if dtype != "auto" or not candidates:
        return runtime
    if os.environ.get("CI"):
        _log.info("dtype float32: nothing is measured where CI is set")
        return Runtime(runtime.device, torch.float32)
    answer = _kept_or_measured(model, runtime.device, candidates)
    return runtime if answer is None else Runtime(runtime.device, answer.dtype)


def fastest_exact(
    attempt: Attempt,
    candidates: Sequence[torch.dtype],
    *,
    clock: Callable[[], float] = time.perf_counter,
    end: float = BUDGET_SECONDS,
) -> Answer:
    """Float32, or the fastest of the candidates that is faster and shows the same masks.

    Args:
        attempt: segments the clip in a type at a size.
        candidates: other types than float32.
        clock: seconds.
        end: time of the clock after which no trial is begun.
    """
    types, side, took = (torch.float32, *candidates), SIDES[0], 0.0
    trials = {dtype: attempt(dtype, side) for dtype in types}  # also makes what is made once
    for larger in SIDES:
        start = clock()
        if start + GROWTH * took > end:
            break
        side = larger
        trials = {dtype: attempt(dtype, side) for dtype in types}
        took = clock() - start
    if clock() + took <= end:  # once more, as other programs may have slowed one of them
        trials = {dtype: attempt(dtype, side).better(t) for dtype, t in trials.items()}
    return _decided(trials, candidates, side)


def mean_iou(labels: Tensor, others: Tensor) -> float:
    """IoU of two label maps (H, W), mean over the objects that one of them shows; 1 without any."""
    shown = {*labels.unique().tolist(), *others.unique().tolist()} - {0}
    values = []
    for label in shown:
        one, other = labels == label, others == label
        values.append(float((one & other).sum() / (one | other).sum()))
    return sum(values) / len(values) if values else 1.0


def _candidates(device: torch.device) -> tuple[torch.dtype, ...]:
    """Types that may be faster than float32 on a device and as exact."""
    if device.type == "cuda":
        return (
            (torch.bfloat16, torch.float16) if torch.cuda.is_bf16_supported() else (torch.float16,)
        )
    return (torch.bfloat16,) if device.type == "cpu" else ()


def _kept_or_measured(
    model: str | Path, device: torch.device, candidates: Sequence[torch.dtype]
) -> Answer | None:
    """The answer for a model; None where memory did not suffice to find one."""
    end = time.perf_counter() + BUDGET_SECONDS
    network = load_model(model, Runtime(device, torch.float32))
    kept = KeptAnswers.of(network.info.sha256, device)
    answer = kept.read()
    if answer is not None:
        _log.info("%s, measured earlier", answer)
        return answer
    networks = {torch.float32: network}
    try:
        for dtype in candidates:
            networks[dtype] = copy.deepcopy(network).to(dtype)
        answer = fastest_exact(ClipAttempt(networks), candidates, end=end)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        _log.warning("dtype auto was not measured: memory ran out")
        return None
    if answer.is_final:
        _log.info("%s, measured now and kept in %s", answer, kept.path)
        kept.write(answer)
    else:
        _log.info("%s; measured again next time", answer)
    return answer


def _decided(
    trials: dict[torch.dtype, Trial], candidates: Sequence[torch.dtype], side: int
) -> Answer:
    plain = trials[torch.float32]
    reasons, is_final = [], True
    for dtype in sorted(candidates, key=lambda one: trials[one].seconds):
        name, gain = name_of(dtype), plain.seconds / max(trials[dtype].seconds, 1e-9)
        iou = mean_iou(plain.labels, trials[dtype].labels)
        if gain < (LEAST_GAIN if side >= LEAST_SIDE else HOPELESS_GAIN):
            slower = f"{name} takes {1 / gain:.2f} times as long"
            reasons.append(slower if gain < 1 else f"{name} is only {gain:.2f} times as fast")
        elif side < LEAST_SIDE:
            reasons.append(f"there was no time to try {name} further than")
            is_final = False
        elif iou < LEAST_IOU:
            reasons.append(f"masks of {name} differ (IoU {iou:.3f})")
        else:
            reason = f"{gain:.2f} times as fast as float32 and the same masks (IoU {iou:.3f})"
            return Answer(dtype, f"{reason} at {side} pixels")
    return Answer(torch.float32, f"{' and '.join(reasons)} at {side} pixels", is_final)


class ClipAttempt:
    """Segments a frame of the bundled clip from another one, memorizing included.

    Args:
        networks: by float type.
    """

    def __init__(self, networks: dict[torch.dtype, AnyNetwork]) -> None:
        self._networks = networks
        film = open_frames(CLIP / "bigbuckbunny.mp4")
        chosen = (film.frame(index) for index in CLIP_FRAMES)
        self._source: FrameSource = open_frames(torch.stack(list(chosen)))
        given = load_annotations(CLIP, film).at(CLIP_FRAMES[0])
        assert given is not None
        self._annotations = AnnotationSet((replace(given, frame_index=0),))

    def __call__(self, dtype: torch.dtype, side: int) -> Trial:
        """The clip in a type at an internal size."""
        settings = PropagationSettings(direction="forward", internal_size=side, memorize_every=1)
        passed = iter(propagate(self._networks[dtype], self._source, self._annotations, settings))
        next(passed).probabilities.cpu()  # waits for a GPU
        start = time.perf_counter()
        labels = next(passed).probabilities.argmax(0).cpu()
        return Trial(time.perf_counter() - start, labels)
