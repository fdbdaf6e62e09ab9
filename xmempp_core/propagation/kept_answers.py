"""Answers to dtype "auto", kept from run to run in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import torch

from .. import __version__
from ..atomic import write_bytes
from ..errors import FormatError
from ..format_version import check_format_version
from ..paths import path_kind, read_text
from ..runtime import FLOAT_TYPES
from ..strict_json import parse_json

_FORMAT_VERSION = 1
_KEY = "format_version"
_CPUINFO = Path("/proc/cpuinfo")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """The float type that "auto" stands for."""

    dtype: torch.dtype
    reason: str
    """A clause that follows its name."""
    is_final: bool = True
    """False where there was no time to find out; it is not kept."""

    def __str__(self) -> str:
        return f"dtype {name_of(self.dtype)}: {self.reason}"


@dataclass(frozen=True)
class KeptAnswers:
    """The place of an answer: a file of its own for all that it depends on."""

    facts: dict[str, str]
    """What the answer depends on, by name."""

    @classmethod
    def of(cls, model_sha256: str, device: torch.device) -> KeptAnswers:
        """The place of the answer for a model on a device of this machine."""
        name, instructions = _processor()
        graphics = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        return cls(
            {
                "model": model_sha256,
                "device": f"{device.type} {graphics}".strip(),
                "processor": name,
                "instructions": instructions,
                "threads": str(torch.get_num_threads()),
                "torch version": torch.__version__,
                "program version": __version__,
            }
        )

    @property
    def path(self) -> Path:
        """The file."""
        digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()
        return platformdirs.user_cache_path("xmempp") / "precision" / f"{digest[:32]}.json"

    def read(self) -> Answer | None:
        """The kept answer; None where there is none, or, with a line, none that can be read."""
        path = self.path
        try:
            return self._parsed(read_text(path)) if path_kind(path) != "nothing" else None
        except (FormatError, ValueError) as error:
            _log.warning("%s; dtype auto is measured anew", _told(path, error))
            return None

    def write(self, answer: Answer) -> None:
        """Keeps an answer; where that cannot be, a line says so."""
        content = {
            _KEY: _FORMAT_VERSION,
            "dtype": name_of(answer.dtype),
            "reason": answer.reason,
            "facts": self.facts,
        }
        try:
            write_bytes(self.path, (json.dumps(content, indent=1) + "\n").encode())
        except FormatError as error:
            _log.warning("%s; dtype auto is measured again next time", error)

    def _parsed(self, text: str) -> Answer:
        content = parse_json(text)
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
        check_format_version(self.path, content.get(_KEY), _FORMAT_VERSION)
        dtype, reason = content.get("dtype"), content.get("reason")
        if (
            dtype not in FLOAT_TYPES
            or not isinstance(reason, str)
            or content.get("facts") != self.facts
        ):
            raise ValueError("it holds no answer for this machine")
        return Answer(FLOAT_TYPES[dtype], reason)


def name_of(dtype: torch.dtype) -> str:
    """A float type as the options name it."""
    return str(dtype).removeprefix("torch.")


def _told(path: Path, error: Exception) -> str:
    return str(error) if isinstance(error, FormatError) else f"{path}: cannot be used ({error})"


def _processor() -> tuple[str, str]:
    """Name of the processor, and what tells its instructions apart."""
    name = platform.processor() or platform.machine()
    capability = torch.backends.cpu.get_cpu_capability()
    if not _CPUINFO.is_file():
        return name, capability
    lines = [line.partition(":") for line in _CPUINFO.read_text(encoding="utf-8").splitlines()]
    said = {key.strip(): value.strip() for key, _, value in reversed(lines)}
    flags = said.get("flags", said.get("Features", ""))
    digest = hashlib.sha256(" ".join(sorted(flags.split())).encode()).hexdigest()
    return said.get("model name", name), f"{capability} {digest[:16]}"
