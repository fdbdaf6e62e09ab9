"""A batch as a job of Open Job Description, for the farms that read it.

https://github.com/OpenJobDescription/openjd-specifications/wiki/2023-09-Template-Schemas
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..errors import InputError
from ..runtime import FLOAT_TYPES
from .plans import ShotPlan
from .ranges import stages_of

MAX_SHOTS = 1024
"""Values that a task parameter may have."""
WORKER_MEMORY_MIB = 4096
NOTICE_SECONDS = 60
"""Time to save what is done, when a task is canceled."""
_SHOT = "{{Task.Param.Shot}}"


@dataclass(frozen=True)
class JobChoice:
    """How the tasks of a job run."""

    name: str
    """Name of the job."""
    dtype: str
    """Precision on every machine; not auto."""
    device: str
    """As `--device` says it."""
    threads: int
    """Processor threads of a task, equal on every machine."""
    split_frames: int | None = None
    """Frames of a range; None = a task is a whole shot."""


def job_template(plans: Sequence[ShotPlan], choice: JobChoice) -> dict[str, Any]:
    """The job template; written as JSON it is what `openjd` and farms read.

    Without ranges it has one step with a task a shot. With ranges: shots that adapt are adapted,
    ranges of all shots are computed, every shot is joined; each step waits for the one before.

    Args:
        plans: every shot of the batch, finished ones too, in the order of the manifest.
        choice: how the tasks run.

    Raises:
        InputError: the precision is not named, there are too many shots, or a shot cannot be split
            or named in a template.
    """
    if choice.dtype not in FLOAT_TYPES:
        raise InputError(
            f"--template is for several machines, which could choose different precisions; name "
            f"one of {', '.join(FLOAT_TYPES)} with --dtype"
        )
    names = _names(plans)
    if choice.split_frames is None:
        steps = [_step("shots", names, ("--only", _SHOT, "--resume"), choice)]
    else:
        steps = _split_steps(plans, choice.split_frames, choice)
    template = {
        "specificationVersion": "jobtemplate-2023-09",
        "name": choice.name,
        "parameterDefinitions": _parameters(choice),
        "steps": steps,
    }
    _check(template)
    return template


def _names(plans: Sequence[ShotPlan]) -> list[str]:
    names = [plan.name for plan in plans]
    if not names:
        raise InputError("there is no shot for the template; see --only")
    if len(names) > MAX_SHOTS:
        raise InputError(
            f"there are {len(names)} shots, a job may have {MAX_SHOTS}; make several with --only"
        )
    if strange := next((name for name in names if "{{" in name), None):
        raise InputError(
            f"shot {strange} has braces, which templates read as a variable; rename it"
        )
    return names


def _split_steps(plans: Sequence[ShotPlan], frames: int, choice: JobChoice) -> list[dict[str, Any]]:
    split = ("--split", str(frames))
    ranges = sum(
        task.kind == "range" for plan in plans for s in stages_of(plan, frames) for task in s
    )
    adapting = [plan.name for plan in plans if plan.entry.adapt != "off"]
    part = ("--shard", "{{Task.Param.Part}}/" + str(ranges))
    steps = []
    if adapting:
        more = (*split, "--adapt-only", "--only", _SHOT)
        steps.append(_step("adapt", adapting, more, choice))
    steps.append(_step("ranges", ranges, (*split, *part), choice))
    steps.append(_step("join", _names(plans), (*split, "--join", "--only", _SHOT), choice))
    for before, after in pairwise(steps):
        after["dependencies"] = [{"dependsOn": before["name"]}]
    return steps


def _step(
    name: str, work: Sequence[str] | int, more: Sequence[str], choice: JobChoice
) -> dict[str, Any]:
    """A step with a task for each shot, or for each of so many parts."""
    if isinstance(work, int):
        tasks: dict[str, Any] = {"name": "Part", "type": "INT", "range": f"1-{work}"}
    else:
        tasks = {"name": "Shot", "type": "STRING", "range": list(work)}
    amounts = [{"name": "amount.worker.memory", "min": WORKER_MEMORY_MIB}]
    if choice.device.startswith("cuda"):
        amounts.append({"name": "amount.worker.gpu", "min": 1})
    return {
        "name": name,
        "parameterSpace": {"taskParameterDefinitions": [tasks]},
        "hostRequirements": {"amounts": amounts},
        "script": {
            "actions": {
                "onRun": {
                    "command": "{{Param.Python}}",
                    "args": [*_common_words(), *more],
                    "cancelation": {
                        "mode": "NOTIFY_THEN_TERMINATE",
                        "notifyPeriodInSeconds": NOTICE_SECONDS,
                    },
                }
            }
        },
    }


def _common_words() -> list[str]:
    words = ["-m", "xmempp_core", "batch", "{{Param.Manifest}}"]
    words += ["--path-map", "{{Session.PathMappingRulesFile}}", "--device", "{{Param.Device}}"]
    return [*words, "--dtype", "{{Param.Dtype}}", "--threads", "{{Param.Threads}}"]


def _parameters(choice: JobChoice) -> list[dict[str, Any]]:
    return [
        {
            "name": "Manifest",
            "type": "PATH",
            "objectType": "FILE",
            "dataFlow": "IN",
            "description": "The manifest of the batch, on storage that every worker reads.",
        },
        {
            "name": "Python",
            "type": "STRING",
            "default": "python",
            "description": "An interpreter that has xmempp.",
        },
        {"name": "Device", "type": "STRING", "default": choice.device},
        {
            "name": "Dtype",
            "type": "STRING",
            "default": choice.dtype,
            "allowedValues": list(FLOAT_TYPES),
        },
        {"name": "Threads", "type": "INT", "default": choice.threads, "minValue": 1},
    ]


def _check(template: dict[str, Any]) -> None:
    """Has the template read by the specification's own library, where that is installed."""
    if importlib.util.find_spec("openjd") is None:
        return
    from openjd.model import DecodeValidationError, decode_job_template

    try:
        decode_job_template(template=template)
    except DecodeValidationError as error:
        raise InputError(f"the job cannot be written as a template: {error}") from error
