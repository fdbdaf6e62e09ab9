"""A shot of a manifest with everything that it names opened and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ..adaptation.settings import AdaptationMode, AdaptationSettings
from ..annotations import AnnotationSet
from ..delivery.deliver import Delivery
from ..delivery.output_folder import MATTES, check_apart
from ..errors import InputError, SettingsError, XMemError
from ..file_names import name_fault
from ..formats.annotations.chosen import chosen_annotations
from ..formats.annotations.folder import load_annotations
from ..formats.frames.numbering import parse_range
from ..formats.frames.open import open_frames
from ..mattes.choices import matte_job
from ..mattes.plan import MatteJob, MattePlan, check_no_plate, planned
from ..paths import path_kind
from ..propagation.annotated_shot import check_annotations
from ..propagation.augment import parse_augmentations
from ..settings import PropagationSettings
from ..track.track import Shot, Track
from ..types import FrameSource, ModelInfo
from .entries import ShotEntry

OnFault = Callable[[tuple[str, ...], XMemError], None]
"""Takes the keys that a fault is about, and what the core said."""


@dataclass(frozen=True, eq=False)
class OpenShot:
    """Everything that a shot is made from, but for the network."""

    entry: ShotEntry
    source: FrameSource
    annotations: AnnotationSet
    settings: PropagationSettings
    frame_range: range
    """Positions of the frames that are wanted."""
    augment: tuple[str, ...]
    adapting: AdaptationSettings | None
    """How the model is adapted before the pass; None = it is not."""
    exports: tuple[tuple[MatteJob, MattePlan], ...]

    @property
    def output(self) -> Path:
        """Folder of the results."""
        return Path(self.entry.output)

    def delivery(self, *, resume: bool) -> Delivery:
        """What is written beside the exports; what the folder holds is the batch's own."""
        return Delivery(
            self.output,
            probabilities=self.entry.probabilities,
            steady_rounds=self.entry.steady,
            overwrite=not resume,
            resume=resume,
        )


def open_shot(
    entry: ShotEntry, model: ModelInfo | None, on_fault: OnFault | None = None
) -> OpenShot | None:
    """Opens what a shot names.

    Args:
        entry: the shot.
        model: its model; None = it could not be loaded, so that exports are not checked.
        on_fault: takes each thing that is wrong, so that all of them can be told; None = the first
            is raised.

    Returns:
        The shot; None if something was wrong.
    """
    opener = _Opener(entry, on_fault)
    settings = opener.settings()
    adapting = opener.adapting()
    augment = opener.value(("augment",), lambda: parse_augmentations(entry.augment))
    opener.check_output()
    opener.check_steady()
    source = opener.value(("frames", "input_colorspace", "exr_window"), lambda: _frames_of(entry))
    if source is None:
        return None
    frame_range = opener.value(
        ("range",),
        lambda: parse_range(entry.range, source) if entry.range else range(len(source)),
    )
    annotations = opener.annotations(source)
    if settings is None or annotations is None or model is None:
        return None
    if frame_range is None or augment is None:
        return None
    shot = OpenShot(
        entry, source, annotations, settings, frame_range, augment, adapting, exports=()
    )
    exports = opener.exports(shot, model)
    return None if opener.has_faults else replace(shot, exports=exports)


def _frames_of(entry: ShotEntry) -> FrameSource:
    meant: Any = {"input_colorspace": entry.input_colorspace, "exr_window": entry.exr_window}
    return open_frames(entry.frames, **meant)


class _Opener:
    """Opens the parts of one shot and tells what is wrong with them."""

    def __init__(self, entry: ShotEntry, on_fault: OnFault | None) -> None:
        self._entry, self._on_fault = entry, on_fault
        self.has_faults = False

    @contextmanager
    def telling(self, *keys: str) -> Iterator[None]:
        """Tells what goes wrong within."""
        try:
            yield
        except XMemError as error:
            if self._on_fault is None:
                raise
            self.has_faults = True
            self._on_fault(keys, error)

    def value(self, keys: tuple[str, ...], make: Callable[[], Any]) -> Any:
        """What a function makes; None where it goes wrong."""
        with self.telling(*keys):
            return make()
        return None

    def settings(self) -> PropagationSettings | None:
        """The settings of the pass."""
        try:
            return PropagationSettings.from_dict(dict(self._entry.settings))
        except SettingsError as error:
            with self.telling(f"settings.{error.field}", "settings"):
                raise
        return None

    def adapting(self) -> AdaptationSettings | None:
        """How the model is adapted."""
        mode, steps = self._entry.adapt, self._entry.adapt_steps
        allowed = ("off", *get_args(AdaptationMode))
        with self.telling("adapt", "adapt_steps"):
            if mode not in allowed:
                raise SettingsError("adapt", mode, "one of " + ", ".join(allowed))
            if mode != "off":
                return AdaptationSettings.from_dict({"mode": mode, "steps": steps})
            if steps is not None:
                raise InputError('adapt_steps are given, but adapt is off; add adapt = "quick"')
        return None

    def check_output(self) -> None:
        """Refuses an output that would lie over the frames or annotations."""
        entry = self._entry
        with self.telling("output"):
            path_kind(Path(entry.output))  # a name that no file system takes
            inputs = {"frames": entry.frames, "annotations": entry.annotations}
            check_apart(entry.output, inputs, word="output")

    def check_steady(self) -> None:
        """Refuses rounds of steadying that there cannot be."""
        with self.telling("steady"):
            Delivery(Path(self._entry.output), steady_rounds=self._entry.steady)

    def annotations(self, source: FrameSource) -> AnnotationSet | None:
        """The annotations that are used, checked against the frames."""
        entry, words = self._entry, ("use", "absent")
        with self.telling("annotations", "use", "absent"):
            found = load_annotations(entry.annotations, source)
            chosen = chosen_annotations(
                found, source, use=entry.use, absent=entry.absent, words=words
            )
            check_annotations(source, chosen)
            return chosen
        return None

    def exports(self, shot: OpenShot, model: ModelInfo) -> tuple[tuple[MatteJob, MattePlan], ...]:
        """What every export writes."""
        track = Track(Shot.of(shot.source), shot.annotations, shot.settings, model)
        found = []
        for export in shot.entry.exports:
            with self.telling("exports"):
                if problem := name_fault(export.name):
                    raise InputError(f"the name {export.name!r} {problem}")
                job = matte_job(track, shot.output / MATTES / export.name, export.choice)
                found.append((job, _files_of(track, job, shot)))
        return tuple(found)


def _files_of(track: Track, job: MatteJob, shot: OpenShot) -> MattePlan:
    wanted = shot.frame_range
    frames = tuple(wanted) if job.frames is None else job.frames
    if outside := [index for index in frames if index not in wanted]:
        number = shot.source.number(outside[0])
        raise InputError(f"frame {number} is exported, but is not in the shot's range")
    plan = planned(track, replace(job, frames=frames), job.version)
    check_no_plate(plan, job.output, shot.source)
    return plan
