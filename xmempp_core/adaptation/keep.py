"""Adaptations kept by what they are made of: none is made twice, and a killed one goes on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .. import __version__
from ..atomic import write_bytes
from ..errors import FormatError
from ..format_version import VERSION, check_format_version
from ..network.adapted import AnyNetwork
from ..network.checkpoint import is_adapted, read_adapted, save_adapted
from .adaptation import Adaptation, AdaptationStep

_log = logging.getLogger(__name__)

_FORMAT_VERSION = 1
CONTENT = "content"
"""Key of the notes of a model that says what it was made of."""


def content_of(adaptation: Adaptation) -> str:
    """Hexadecimal hash of frames, annotations, settings, base model and precision."""
    network = adaptation.network
    facts = {
        "version": __version__,
        "base": network.info.sha256,
        "device": f"{network.device.type} {network.dtype}",
        "frames": adaptation.source.fingerprint,
        "annotations": adaptation.annotations.fingerprint,
        "settings": asdict(adaptation.settings),
        "propagation": asdict(adaptation.propagation_settings),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def kept_model(path: Path, adaptation: Adaptation) -> AnyNetwork | None:
    """The network in a model file, if it was made of the very same; else None."""
    with suppress(FormatError):
        network = read_adapted(path, adaptation.network)
        if network is None:
            return None
        notes = json.loads(network.info.adaptation or "{}")
        return network if notes.get(CONTENT) == content_of(adaptation) else None
    return None


def adapt_into(
    path: str | Path,
    adaptation: Adaptation,
    *,
    progress: Callable[[AdaptationStep], None] = lambda step: None,
    should_stop: Callable[[], bool] = lambda: False,
    overwrite: bool = False,
) -> AnyNetwork:
    """The adapted network, kept in a model file; made before of the same, it is only read.

    What is finished after each round lies beside the file until all is; an equal adaptation that
    was stopped or killed goes on from there.

    Args:
        path: .safetensors file; another adapted model in it is replaced.
        adaptation: not yet iterated.
        progress: called after every step.
        should_stop: asked after every step.
        overwrite: replace whatever the file holds.

    Raises:
        KeyboardInterrupt: `should_stop` said so; what is finished is kept.
        FormatError: the file holds something else, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite and not is_adapted(path):
        raise FormatError(path, "holds no adapted model and is not replaced; choose another name")
    kept = kept_model(path, adaptation)
    if kept is not None:
        _log.info("%s was adapted to the very same before; it is taken as it is", path)
        return kept
    unfinished = path.with_name(f".{path.name}.unfinished")
    content, known = content_of(adaptation), _load(unfinished)
    if known and known[0] == content:
        adaptation.load_state(known[1])
        _log.info("going on with the adaptation kept in %s", unfinished)
    finished = len(adaptation.state())
    for step in adaptation.steps():
        state = adaptation.state()
        if len(state) != finished:
            finished = len(state)
            _save(unfinished, content, state)
        progress(step)
        if should_stop():
            raise KeyboardInterrupt("interrupted; run again to go on after the last finished round")
    network = adaptation.result({CONTENT: content})
    save_adapted(network, path)
    unfinished.unlink(missing_ok=True)
    # as every later run will read it, so that the notes in its results are the same too
    return read_adapted(path, adaptation.network) or network


def _save(path: Path, content: str, state: dict[str, Tensor]) -> None:
    on_host = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
    write_bytes(path, save(on_host, {CONTENT: content, VERSION: str(_FORMAT_VERSION)}))


def _load(path: Path) -> tuple[str, dict[str, Tensor]] | None:
    """What it was made of, and the state; None where there is none that can be read."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        _log.warning("%s cannot be read; the adaptation starts anew", path)
        return None
    check_format_version(path, metadata.get(VERSION), _FORMAT_VERSION)
    return metadata.get(CONTENT, ""), state
