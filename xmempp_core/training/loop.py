"""The training loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from ..runtime import Runtime
from .clips import Clips, render
from .library import Index, PictureLibrary
from .log import TrainingLog
from .plans import BatchPlan, plan_batch
from .settings import TrainingSettings
from .sources import SourceSet
from .state import CHECKPOINT_NAME, TrainingState
from .unroll import Losses, unroll
from .validation import validate

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, dict[str, Any]], None]
"""Called after each step with the steps done, the steps in all and the step's figures."""


@dataclass(frozen=True, eq=False)
class Run:
    """What a run works with, and where it writes."""

    settings: TrainingSettings
    library: PictureLibrary
    held_out: tuple[SourceSet, ...]
    """Sequences for validation."""
    output: Path
    """Folder of checkpoint, log and model."""
    runtime: Runtime
    workers: int = 0
    """Processes that plan clips ahead; 0 plans in the loop."""


def train(run: Run, state: TrainingState, progress: Progress | None = None) -> None:
    """Trains until the last step; the state, the log and the checkpoint are up to date after it.

    Interrupting it (KeyboardInterrupt) saves a checkpoint first. The figures of step n are the
    same whether or not the run was stopped and resumed before it.
    """
    log = TrainingLog(run.output, first_step=state.step)
    settings = run.settings
    try:
        for plan in _plans(run, state.step):
            figures = train_step(state, plan, run.library, settings, run.runtime)
            try:
                if state.step % settings.validate_every == 0 or state.step == settings.steps:
                    figures |= validate(state.average, run.held_out)
            finally:  # the step is done, also where its validation is interrupted
                log.write(figures)
            if progress:
                progress(state.step, settings.steps, figures)
            if state.step % settings.save_every == 0:
                state.save(run.output / CHECKPOINT_NAME, settings)
    finally:
        log.close()
        if not state.is_changing:
            state.save(run.output / CHECKPOINT_NAME, settings)


def train_step(
    state: TrainingState,
    plan: BatchPlan,
    library: PictureLibrary,
    settings: TrainingSettings,
    runtime: Runtime,
) -> dict[str, Any]:
    """One optimizer step; its figures. The clock counts time on data and on the network apart."""
    started = time.perf_counter()
    clips = render(library, plan)
    _wait(runtime)
    rendered = time.perf_counter()
    losses = _backward(state, clips, plan, settings, runtime)
    rate = settings.learning_rate * settings.rate_at(state.step)
    norm = state.advance(rate, settings)
    figures = {"step": state.step, **losses, "gradient_norm": norm, "rate": rate}
    ended = time.perf_counter()
    return figures | {
        "size_pixels": plan.shape.size_pixels,
        "targets": plan.targets,
        "samples": clips.labels.shape[0] * clips.labels.shape[1],
        "seconds": ended - started,
        "data_seconds": rendered - started,
    }


def _backward(
    state: TrainingState,
    clips: Clips,
    plan: BatchPlan,
    settings: TrainingSettings,
    runtime: Runtime,
) -> dict[str, float]:
    keep = settings.keep_at(state.step)
    lowered = runtime.dtype != torch.float32
    with torch.autocast(runtime.device.type, runtime.dtype, enabled=lowered):
        losses: Losses = unroll(state.network, clips, plan, keep)
    losses.total.backward()
    return {name: float(value.detach()) for name, value in losses._asdict().items()}


class _Steps(Dataset[BatchPlan]):
    """Plans by step."""

    def __init__(self, index: Index, settings: TrainingSettings) -> None:
        self.index = index
        self.settings = settings

    def __getitem__(self, step: int) -> BatchPlan:
        return plan_batch(self.index, self.settings, step)


def _plans(run: Run, first_step: int) -> Iterator[BatchPlan]:
    loader = DataLoader(
        _Steps(run.library.index, run.settings),
        batch_size=None,
        sampler=range(first_step, run.settings.steps),
        num_workers=run.workers,
        # a generator of its own leaves torch's global random state alone
        generator=torch.Generator(),
    )
    yield from loader


def _wait(runtime: Runtime) -> None:
    if runtime.device.type == "cuda":
        torch.cuda.synchronize(runtime.device)
