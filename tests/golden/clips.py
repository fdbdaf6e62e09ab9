"""Reading the golden clip cases: what was fed to the reference and what it answered.

The .npz files are exact expected results. Never regenerate or loosen them to make a test pass.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.propagation.propagation import Propagation
from xmempp_core.settings import PropagationSettings

DATA = Path(__file__).parent.parent / "data"

_NAMES = {
    "mem_every": "memorize_every",
    "max_mid_term_frames": "working_memory_max_frames",
    "min_mid_term_frames": "working_memory_min_frames",
    "num_prototypes": "long_term_prototypes",
    "max_long_term_elements": "long_term_max_elements",
    "top_k": "top_k",
    "enable_long_term": "long_term_memory",
}


@dataclass(frozen=True)
class GoldenCase:
    """One .npz file."""

    name: str
    arrays: dict[str, np.ndarray]
    raw: dict[str, Any]

    @property
    def settings(self) -> PropagationSettings:
        """The reference's settings under our names."""
        raw = self.raw
        values = {ours: raw[theirs] for theirs, ours in _NAMES.items()}
        values["deep_update_every"] = (
            None if raw["deep_update_every"] < 0 else raw["deep_update_every"]
        )
        values["internal_size"] = None if raw["size"] < 0 else raw["size"]
        values["antialias"] = "antialias" in self.name
        values["working_memory"] = not raw.get("manually_curated_masks", False)
        values["memory"] = raw.get("mode", "xmem++")
        return PropagationSettings(direction="forward", absence="memory", **values)

    @property
    def annotations(self) -> AnnotationSet:
        """The annotated frames as exhaustive label maps."""
        pairs = zip(self.arrays["ann_frames"], self.arrays["ann_masks"], strict=True)
        maps = (Annotation.from_label_map(int(t), torch.from_numpy(m)) for t, m in pairs)
        return AnnotationSet(tuple(maps))

    @property
    def network_fixture(self) -> str:
        """Name of the fixture with this case's weights."""
        return self.raw["weights"] + "_network"

    def probabilities(self) -> torch.Tensor:
        """(T, K, h, w) float32 object probabilities, channels as in channel_labels."""
        return torch.from_numpy(self.arrays["prob_u16"].astype(np.float32) / 65535)


def load_case(name: str) -> GoldenCase:
    """A golden case by file name without suffix."""
    with np.load(DATA / f"{name}.npz") as archive:
        arrays = {k: archive[k] for k in archive.files if k != "settings"}
        return GoldenCase(name, arrays, json.loads(str(archive["settings"])))


def memory_row(run: Propagation) -> list[int]:
    """Tokens in working, permanent and long-term memory: the reference's order."""
    counts = run.view.counts
    return [counts.working, counts.permanent, counts.long_term]
