"""The runtime of a run into a folder: its float type is chosen once and kept on resuming."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from ..propagation.precision import choose_runtime
from ..runtime import Runtime
from .identity import last_dtype
from .output_folder import OutputFolder

_log = logging.getLogger(__name__)


def runtime_of_run(
    output: Path, model: str | Path, device: str, dtype: str, *, resume: bool
) -> Runtime:
    """As `choose_runtime`, but a run that goes on keeps the dtype that its folder notes.

    It does where dtype is "auto" and the run goes on on the same kind of device.

    Args:
        output: folder of the run; need not be there.
        model: name of a bundled model or a model file.
        device: auto, cpu, cuda, cuda:N, mps.
        dtype: auto, float32, float16, bfloat16.
        resume: whether the run in the folder goes on.

    Raises:
        InputError: the device is not there, or a name is unknown.
        FormatError: the model cannot be read.
    """
    noted = _noted(output, Runtime.choose(device, dtype).device) if resume else None
    if noted is None or dtype != "auto":
        return choose_runtime(model, device, dtype)
    _log.info("dtype %s, as the run began", noted)
    return Runtime.choose(device, noted)


def _noted(output: Path, device: torch.device) -> str | None:
    folder = OutputFolder(output)
    facts = folder.unfinished_identity() or (folder.report or {}).get("identity")
    return last_dtype(facts, device) if isinstance(facts, dict) else None
