"""Scores of many passes over one clip, each computed once and kept in a file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..annotations import AnnotationSet
from ..atomic import write_bytes
from ..candidates.request import CandidateMethod, CandidateRequest
from ..candidates.select import select_candidates
from ..errors import FormatError
from ..formats.frames.open import open_frames
from ..network.lite import XMemLite
from ..network.xmem import XMem
from ..paths import path_kind, read_text
from ..propagation.feature_cache import FeatureCache
from ..propagation.propagation import propagate
from ..settings import PropagationSettings
from ..strict_json import parse_json
from ..track.segmentation import label_map_of
from ..track.track import Track
from ..types import FrameSource
from .baselines import flow_masks, nearest_masks
from .datasets import Clip
from .metrics import Labels, Mask, mean_score, score_frames, temporal_error

_CACHE_BYTES = 2**31
"""Host memory for the features of one clip, shared by all its passes."""


@dataclass(frozen=True)
class Method:
    """One way from annotated frames to masks."""

    name: str
    changes: Mapping[str, Any]
    """Settings that differ from those of the run."""
    augment: tuple[str, ...] = ()
    baseline: str = ""
    """ "copy" or "flow" where no network is asked."""

    @property
    def key(self) -> str:
        """Text that is equal for equal passes."""
        changes = ",".join(f"{name}={value}" for name, value in sorted(self.changes.items()))
        return "|".join((self.baseline, changes, "+".join(self.augment)))


@dataclass(frozen=True)
class PassScore:
    """What one pass reached on the frames that were not annotated."""

    j: float
    f: float
    seconds: float
    """Time of the pass, scoring left out."""
    dtssd: float | None = None
    """dtSSD, see `temporal_error`; None where no two neighbors have true masks."""

    @property
    def jf(self) -> float:
        """The mean of J and F."""
        return (self.j + self.f) / 2


@dataclass(frozen=True)
class ProposedFrames:
    """Frames that a selection proposed, and what it took."""

    frames: tuple[int, ...]
    seconds: float


class ClipPasses:
    """Passes over one clip with one network; results are shared and survive an interruption.

    Args:
        network: from `load_model`.
        clip: frames and true masks.
        settings: of every pass, but for what a method changes.
        path: JSON file that keeps the results; one of an earlier run is gone on with.
        run: facts that must agree with the earlier run.

    Raises:
        FormatError: the file is of another run.
    """

    def __init__(
        self,
        network: XMem | XMemLite,
        clip: Clip,
        settings: PropagationSettings,
        path: Path,
        run: Mapping[str, Any],
    ) -> None:
        self.clip = clip
        self._network, self._settings, self._path = network, settings, path
        self._content = _read(path, {**run, "frames": len(clip)})
        self._cache = FeatureCache(_CACHE_BYTES)
        self._frames: FrameSource | None = None

    def score(self, method: Method, annotated: Iterable[int]) -> PassScore:
        """J and F of a pass with the true masks of the annotated frames given."""
        frames = tuple(sorted(annotated))
        key = f"{method.key}|{' '.join(map(str, frames))}"
        known = self._content["passes"].get(key)
        if known is None:
            known = asdict(self._run(method, self.clip.annotations(frames)))
            self._keep("passes", key, known)
        return PassScore(**known)

    def choice(self, method: CandidateMethod, annotated: int, k: int) -> ProposedFrames:
        """Up to `k` frames that a selection proposes after one annotated frame."""
        key = f"{method}|{annotated}|{k}"
        known = self._content["choices"].get(key)
        if known is None:
            track = self._track(self.clip.annotations([annotated]))
            start = time.perf_counter()
            request = CandidateRequest([annotated], k, method=method)
            result = select_candidates(
                self._network, self._source, track, request, cache=self._cache
            )
            seconds = time.perf_counter() - start
            known = {"frames": self._annotatable(result.indices, annotated), "seconds": seconds}
            self._keep("choices", key, known)
        return ProposedFrames(tuple(known["frames"]), known["seconds"])

    @cached_property
    def truth(self) -> dict[int, Labels]:
        """The true label maps by frame index."""
        return {t: self.clip.truth(t) for t in self.clip.mask_files}

    @cached_property
    def void(self) -> dict[int, Mask]:
        """Pixels that belong to nobody, of the frames that have such."""
        found = {t: self.clip.void(t) for t in self.clip.mask_files}
        return {t: one for t, one in found.items() if one is not None}

    @property
    def _source(self) -> FrameSource:
        """The clip's frames, decoded once."""
        if self._frames is None:
            self._frames = open_frames(torch.stack(list(self.clip.source)))
        return self._frames

    def _annotatable(self, indices: Iterable[int], *taken: int) -> list[int]:
        """The frames themselves, or the nearest free ones that have a true mask."""
        free = sorted(set(self.clip.mask_files) - set(taken))
        result: list[int] = []
        for index in indices:
            if free:
                nearest = min(free, key=lambda t: (abs(t - index), t))
                free.remove(nearest)
                result.append(nearest)
        return result

    def _run(self, method: Method, annotations: AnnotationSet) -> PassScore:
        start = time.perf_counter()
        predicted = self._predicted(method, annotations)
        seconds = time.perf_counter() - start
        annotated = annotations.frame_indices
        score = mean_score(score_frames(predicted, self.truth, annotated, self.void))
        unsteady = temporal_error(predicted, self.truth, annotated, self.void)
        return PassScore(score.j, score.f, seconds, unsteady)

    def _predicted(self, method: Method, annotations: AnnotationSet) -> dict[int, Labels]:
        if method.baseline == "copy":
            return dict(nearest_masks(annotations, len(self.clip)))
        if method.baseline == "flow":
            return dict(flow_masks(self._source, annotations))
        settings = _changed(self._settings, method)
        passed = propagate(
            self._network,
            self._source,
            annotations,
            settings,
            augment=method.augment,
            cache=self._cache,
        )
        return {one.frame_index: label_map_of(one).numpy() for one in passed}

    def _track(self, annotations: AnnotationSet) -> Track:
        return Track.collect(
            propagate(self._network, self._source, annotations, self._settings, cache=self._cache)
        )

    def _keep(self, kind: str, key: str, value: dict[str, Any]) -> None:
        self._content[kind][key] = value
        write_bytes(self._path, json.dumps(self._content, indent=1).encode())


def _changed(settings: PropagationSettings, method: Method) -> PropagationSettings:
    """The settings of a method; the original memory goes "outward" where it cannot go as asked."""
    changes = dict(method.changes)
    if changes.get("memory") == "xmem" and settings.direction not in ("forward", "outward"):
        changes["direction"] = "outward"
    return replace(settings, **changes)


def _read(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    if path_kind(path) == "nothing":
        return {"run": run, "passes": {}, "choices": {}}
    try:
        content = parse_json(read_text(path))
        differing = [name for name in run if content["run"].get(name) != run[name]]
        content["passes"], content["choices"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(path, "is damaged; delete it to score the clip again") from error
    if differing:
        raise FormatError(
            path,
            f"is of another run ({differing[0]} was {content['run'].get(differing[0])}, "
            f"is {run[differing[0]]}); give another output folder",
        )
    return dict(content)
