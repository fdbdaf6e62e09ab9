"""What a run is made from: what must be the same to go on with it, and what only says how."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from .. import __version__
from ..annotations import AnnotationSet
from ..errors import InputError
from ..propagation.propagation import Propagation
from ..runtime import FLOAT_TYPES
from ..settings import PropagationSettings

_THEN = ", then "
_PRECISION = "device or precision"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """What a run is made from; runs with equal identities write equal files."""

    makings: dict[str, str]
    """Facts by name that decide what the files show."""
    circumstances: dict[str, str]
    """Facts by name that decide the order of sums, and so the last bits."""

    @classmethod
    def of(cls, pass_: Propagation, choices: Mapping[str, str]) -> Identity:
        """The identity of a pass whose results are written as chosen."""
        network, frames = pass_.network, pass_.frame_range
        makings = {
            "model": network.info.sha256,
            "settings": pass_.settings.to_json(),
            "augmentation": ",".join(pass_.augment),
            "annotations": annotations_digest(pass_.annotations),
            "frames": pass_.source.fingerprint,
            "range": f"{frames.start}-{frames.stop - 1}",
            **choices,
        }
        circumstances = {
            "program version": __version__,
            "torch version": torch.__version__,
            _PRECISION: f"{network.device.type} {network.dtype}",
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "threads": str(torch.get_num_threads()),
        }
        return cls(makings, circumstances)

    @property
    def facts(self) -> dict[str, str]:
        """All of it, for a file."""
        return {**self.circumstances, **self.makings}

    def check(self, saved: Mapping[str, str], output: Path) -> None:
        """Refuses to go on with a run in a folder that was made from something else.

        Raises:
            InputError: names what changed.
        """
        changed = [n for n, value in self.makings.items() if not _agrees(n, saved.get(n), value)]
        if changed:
            raise InputError(
                f"{output} cannot be resumed: the {' and the '.join(changed)} changed since; "
                "run with --overwrite instead of --resume to start anew"
            )

    def continuing(self, saved: Mapping[str, str], output: Path) -> Identity:
        """The identity of a run that goes on: circumstances that changed with what they were.

        A line says which; the files are then not promised to be those of an undisturbed run.
        """
        before = {name: saved.get(name, "not noted") for name in self.circumstances}
        changes = {
            name: before[name]
            for name, now in self.circumstances.items()
            if before[name].split(_THEN)[-1] != now
        }
        if changes:
            told = (f"{n} {was}, now {self.circumstances[n]}" for n, was in changes.items())
            _log.warning(
                "%s goes on under other circumstances (%s); its files may differ from those of an "
                "undisturbed run in the last bits",
                output,
                "; ".join(told),
            )
        history = {n: was + _THEN + self.circumstances[n] for n, was in changes.items()}
        return replace(self, circumstances={**before, **history})


def last_dtype(facts: Mapping[str, str], device: torch.device) -> str | None:
    """The dtype in which a run went last; None where it says none for this kind of device."""
    kind, _, dtype = str(facts.get(_PRECISION, "")).split(_THEN)[-1].partition(" torch.")
    return dtype if kind == device.type and dtype in FLOAT_TYPES else None


def _agrees(name: str, saved: str | None, now: str) -> bool:
    if name == "settings" and saved is not None:
        # A setting that is newer than the run stood at its default.
        try:
            return PropagationSettings.from_json(saved) == PropagationSettings.from_json(now)
        except InputError:
            return False
    return saved == now


def annotations_digest(annotations: AnnotationSet) -> str:
    """SHA-256 of all that annotations say."""
    digest = hashlib.sha256()
    for one in annotations:
        head = (one.frame_index, one.object_ids, one.exhaustive, tuple(one.masks.shape))
        digest.update(repr(head).encode())
        digest.update(one.masks.cpu().numpy().tobytes())
        if one.void is not None:
            digest.update(b"void" + one.void.cpu().numpy().tobytes())
    shown = (annotations.absences, dict(annotations.names), dict(annotations.colors))
    digest.update(repr(shown).encode())
    return digest.hexdigest()
