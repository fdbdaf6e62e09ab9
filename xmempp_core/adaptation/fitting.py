"""Fitting: a copy of a network trained on the pictures of one shot, step by step."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..network.adapted import AnyNetwork
from ..network.difference import WeightDifference
from ..runtime import Runtime
from ..training.loop import train_step
from ..training.settings import TrainingSettings
from ..training.state import Origin, TrainingState
from .plans import plan_step
from .settings import AdaptationSettings, training_settings
from .shot_pictures import ShotPictures


@dataclass(frozen=True, eq=False)
class Fitting:
    """One round of training; the network it starts from is untouched."""

    base: AnyNetwork
    shot: ShotPictures
    settings: AdaptationSettings
    steps: int

    def run(self) -> Iterator[dict[str, Any] | WeightDifference]:
        """The figures of each step, and in the end the difference of the averaged weights."""
        training = training_settings(self.settings, self.steps)
        runtime = _training_runtime(self.base)
        with torch.inference_mode(False):
            state = _state(self.base, training, runtime)
        while state.step < self.steps:
            plan = plan_step(self.shot, self.settings, state.step)
            # not around the yield: the caller's own work keeps its mode
            with torch.inference_mode(False), torch.enable_grad():
                figures = train_step(state, plan, self.shot.library, training, runtime)
            yield figures
        yield WeightDifference.between(self.base, state.average, self.base.info.sha256)


def _training_runtime(network: AnyNetwork) -> Runtime:
    """Where the network is; half precision stays on a GPU, and where it needs no scaled gradients.

    For a CPU bfloat16 is chosen by the speed of a pass, which says nothing about training.
    """
    lowered = network.dtype == torch.bfloat16 and network.device.type != "cpu"
    return Runtime(network.device, torch.bfloat16 if lowered else torch.float32)


def _state(base: AnyNetwork, training: TrainingSettings, runtime: Runtime) -> TrainingState:
    """The state before the first step: what is trained lies in float32."""
    network = copy.deepcopy(base)
    if runtime.dtype == torch.float32:
        network.float()
    else:
        for layer in _trained_layers(network, training):
            layer.float()
    return TrainingState.start(network, training, Origin(base.info.name, base.info.license))


def _trained_layers(network: AnyNetwork, training: TrainingSettings) -> list[nn.Module]:
    """The layers with weights of their own that are not frozen."""
    frozen = network.trunk_layers[: training.frozen_blocks + 1]
    kept = {id(p) for layer in frozen for p in layer.parameters()}
    own = [(m, [id(p) for p in m.parameters(recurse=False)]) for m in network.modules()]
    return [module for module, ids in own if ids and not kept.intersection(ids)]
