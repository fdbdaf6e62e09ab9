"""TrainingState: all that changes during a run, saved and restored exactly."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ..errors import FormatError
from ..format_version import VERSION, check_format_version
from ..network.building import build
from ..network.lite import XMemLite
from ..network.weights_file import write_weights
from ..network.xmem import XMem
from .settings import TrainingSettings

CHECKPOINT_NAME = "checkpoint.pt"
MODEL_NAME = "model.safetensors"
_FORMAT_VERSION = 1
_CONTENTS = {"network", "average", "optimizer", "step", "origin", "settings"}
NON_COMMERCIAL_MARKS = ("-NC", " NC", "non-commercial", "noncommercial")

TrainedNetwork = XMem | XMemLite


class Origin(NamedTuple):
    """The model that a run started from."""

    name: str
    license: str


@dataclass(eq=False)
class TrainingState:
    """The network, its moving average, the optimizer and the next step."""

    network: TrainedNetwork
    average: TrainedNetwork
    """Moving average of the weights; what is validated and exported."""
    optimizer: torch.optim.AdamW
    origin: Origin
    """Where the first weights came from."""
    step: int = 0
    """Steps done."""
    licenses: set[str] = field(default_factory=set)
    """Of all data the run has seen, also before it was resumed with other data."""
    is_changing: bool = False
    """Whether it was interrupted within a step's changes, and so is nothing to save."""

    @classmethod
    def start(
        cls, network: TrainedNetwork, settings: TrainingSettings, origin: Origin
    ) -> TrainingState:
        """The state before the first step."""
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # batch norms keep their statistics: a step sees too few clips for statistics of its own
        network.eval().requires_grad_(True)
        for layer in network.trunk_layers[: _frozen_layers(settings)]:
            layer.requires_grad_(False)
        average = copy.deepcopy(network).eval().requires_grad_(False)
        return cls(network, average, _optimizer(network, settings), origin)

    def trained(self) -> list[nn.Parameter]:
        """The parameters that the optimizer changes."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def advance(self, rate: float, settings: TrainingSettings) -> float:
        """Changes the weights along their gradients and counts the step; the gradient's norm.

        Where the norm is not finite the weights stay as they are.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.trained(), settings.gradient_limit)
        set_rate(self.optimizer, rate)
        self.is_changing = True
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        self.update_average(settings.average_decay)
        self.is_changing = False
        self.optimizer.zero_grad(set_to_none=True)
        return float(norm)

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Moves the average toward the network, faster in the first steps."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
        for averaged, current in pairs:
            averaged.lerp_(current, 1 - decay)

    def save(self, path: Path, settings: TrainingSettings) -> None:
        """Writes a checkpoint under a temporary name, then renames it: never half a file.

        Raises:
            FormatError: the file cannot be written.
        """
        content = {
            VERSION: _FORMAT_VERSION,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "origin": tuple(self.origin),
            "licenses": sorted(self.licenses),
            "settings": settings.to_dict(),
        }
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            torch.save(content, temporary)
            temporary.replace(path)
        except (OSError, RuntimeError) as error:
            raise FormatError(path, f"the checkpoint cannot be written ({error})") from error
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path, settings: TrainingSettings, device: torch.device) -> TrainingState:
        """The state of a checkpoint: the next step is the very step that would have followed.

        What the settings say about the optimizer stands above what it was saved with.

        Raises:
            FormatError: the file is damaged, no checkpoint, or trains other parameters.
        """
        content = _read(path)
        network = build(path, dict(content["network"]))
        if not isinstance(network, XMemLite):
            raise FormatError(path, "is no checkpoint of an XMemLite network")
        state = cls.start(network.to(device), settings, Origin(*content["origin"]))
        options = [
            {name: group[name] for name in ("share", "weight_decay")}
            for group in state.optimizer.param_groups
        ]
        try:
            state.average.load_state_dict(content["average"])
            state.optimizer.load_state_dict(content["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            problem = "does not fit these settings; leave frozen_blocks as the run began with it"
            raise FormatError(path, problem) from error
        for group, own in zip(state.optimizer.param_groups, options, strict=True):
            group.update(own)
        state.step = content["step"]
        state.licenses = set(content.get("licenses", ()))  # not in the first checkpoints
        return state

    @staticmethod
    def settings_of(path: Path) -> TrainingSettings:
        """The settings that a checkpoint was trained with.

        Raises:
            FormatError: the file is damaged or no checkpoint.
        """
        return TrainingSettings.from_dict(_read(path)["settings"])

    def export(self, path: Path, note: str, license_name: str) -> None:
        """Writes the averaged weights as a float16 model file.

        Args:
            path: .safetensors file, replaced if it exists.
            note: how it was trained.
            license_name: what the weights may be used for.
        """
        weights = {name: t.half() for name, t in self.average.state_dict().items()}
        metadata = {
            **describe(self.average), "training": note, "license": license_name,
            "steps": str(self.step),
        }  # fmt: skip
        write_weights(path, weights, metadata)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = error.strerror if isinstance(error, OSError) else "damaged, or no checkpoint"
        raise FormatError(path, f"the checkpoint cannot be read ({reason})") from error
    if not isinstance(content, dict) or not content.keys() >= _CONTENTS:
        raise FormatError(path, "is no training checkpoint")
    check_format_version(path, content.get(VERSION), _FORMAT_VERSION)
    return content


def describe(network: TrainedNetwork) -> dict[str, str]:
    """Metadata of a model file: architecture and dimensions."""
    return {
        "format": "pt",
        "architecture": network.architecture,
        "key_channels": str(network.key_channels),
        "value_channels": str(network.value_channels),
        "sensory_channels": str(network.sensory_channels),
        "backbone": "EfficientNet-lite0 to stride 16, batch norms folded",
    }


def license_of(licenses: Iterable[str], origin: Origin) -> str:
    """The license of weights: non-commercial if their origin or one of their sources is."""
    names = sorted({origin.license, *licenses})
    marked = [n for n in names if any(mark.lower() in n.lower() for mark in NON_COMMERCIAL_MARKS)]
    if marked:
        return f"non-commercial (made from {'; '.join(marked)})"
    return f"made from {'; '.join(names)}"


def _frozen_layers(settings: TrainingSettings) -> int:
    return settings.frozen_blocks + 1 if settings.frozen_blocks else 0


def _optimizer(network: TrainedNetwork, settings: TrainingSettings) -> torch.optim.AdamW:
    trunk = {id(p) for layer in network.trunk_layers for p in layer.parameters()}
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) in trunk], "share": settings.trunk_rate},
        {"params": [p for p in trained if id(p) not in trunk], "share": 1.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=settings.learning_rate,
        betas=(0.9, 0.98), weight_decay=settings.weight_decay, foreach=True,
    )  # fmt: skip


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives each group its share of the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
