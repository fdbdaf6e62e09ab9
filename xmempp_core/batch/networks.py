"""The networks of a batch: each model is loaded once for each device, whoever asks."""

from __future__ import annotations

from collections import defaultdict
from threading import Lock

from ..network.adapted import AnyNetwork
from ..network.checkpoint import load_model
from ..runtime import Runtime


class Networks:
    """Loaded networks by model and runtime; safe to be asked by several threads."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, Runtime], AnyNetwork] = {}
        self._locks: defaultdict[tuple[str, Runtime], Lock] = defaultdict(Lock)

    def get(self, model: str, runtime: Runtime) -> AnyNetwork:
        """The network of a model; loaded where it is not yet.

        Raises:
            FormatError: the model cannot be loaded.
        """
        key = (model, runtime)
        with self._locks[key]:
            if key not in self._loaded:
                self._loaded[key] = load_model(model, runtime)
            return self._loaded[key]

    def __len__(self) -> int:
        """How many are loaded."""
        return len(self._loaded)
