"""What a batch will do, known and checked before any of it is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ..delivery.identity import annotations_digest
from ..delivery.output_folder import (
    ADAPTED,
    MASKS,
    MATTES,
    OVERLAY,
    PROBABILITIES,
    REPORT,
    TRACK,
    check_vacant,
)
from ..errors import XMemError
from ..runtime import Runtime
from ..types import ModelInfo
from .entries import ShotEntry
from .faults import Fault, ManifestError
from .manifest import Manifest
from .networks import Networks
from .notes import STATE_FOLDER, read_notes
from .opened import OpenShot, open_shot


@dataclass(frozen=True)
class ShotPlan:
    """One shot of a batch: what it takes to know what is to be done. Nothing is open."""

    entry: ShotEntry
    facts: Mapping[str, str]
    """What its results are made from, by name."""
    files: tuple[str, ...]
    """Results relative to its output."""
    frame_range: range
    """Positions of its frames."""
    first_number: int
    """The source's own number of the first of them."""
    object_count: int
    annotated_count: int
    state_folder: Path
    """Notes, lock and ranges."""
    log: Path
    redo: str = ""
    """Why results that are there are made again; "" where there are none, or none is."""
    is_finished: bool = False
    """Whether all results are there and made from the very same."""

    @property
    def name(self) -> str:
        """Name of the shot."""
        return self.entry.name

    @property
    def output(self) -> Path:
        """Folder of the results."""
        return Path(self.entry.output)


def plan_batch(
    manifest: Manifest,
    networks: Networks,
    runtime: Runtime,
    *,
    only: Iterable[str] = (),
    overwrite: bool = False,
) -> list[ShotPlan]:
    """Opens and checks every shot.

    Args:
        manifest: may have faults, which are told with the others.
        networks: take the models.
        runtime: where the models are loaded, and the precision of the batch.
        only: names of shots; empty = all.
        overwrite: replace files of the same name that no batch wrote.

    Raises:
        ManifestError: something is wrong, with a line for each fault.
    """
    faults = list(manifest.faults)
    wanted = {*only}
    unknown = wanted - {entry.name for entry in manifest.shots}
    for name in sorted(unknown):
        known = ", ".join(entry.name for entry in manifest.shots[:20]) or "none"
        faults.append(Fault(manifest.path, 1, f"there is no shot {name!r}; shots are {known}"))
    plans = []
    for entry in manifest.shots:
        if not wanted or entry.name in wanted:
            plan = _planned(entry, manifest, networks, runtime, faults, overwrite=overwrite)
            plans += [plan] if plan else []
    if faults:
        raise ManifestError(manifest.path, dict.fromkeys(faults))
    return plans


def _planned(
    entry: ShotEntry,
    manifest: Manifest,
    networks: Networks,
    runtime: Runtime,
    faults: list[Fault],
    *,
    overwrite: bool,
) -> ShotPlan | None:
    """The plan of a shot; None where something is wrong with it."""

    def tell(keys: tuple[str, ...], error: XMemError) -> None:
        where = f"shot {entry.name}: {keys[0].partition('.')[0]}"
        faults.append(Fault.of(manifest.path, entry.line_of(*keys), where, error))

    info = None
    try:
        info = networks.get(entry.model, runtime).info
    except XMemError as error:
        tell(("model",), error)
    shot = open_shot(entry, info, tell)
    if shot is None or info is None:
        return None
    state_folder = manifest.output / STATE_FOLDER / entry.name
    try:
        plan = _plan_of(shot, info, runtime, state_folder)
        if read_notes(state_folder) is None:
            check_vacant(shot.output, overwrite=overwrite, resume=False)
    except XMemError as error:
        tell(("output", "name"), error)
        return None
    return plan


def _plan_of(shot: OpenShot, model: ModelInfo, runtime: Runtime, state_folder: Path) -> ShotPlan:
    facts, files = facts_of(shot, model, runtime), files_of(shot)
    is_finished, redo = _standing(state_folder, facts, shot.output)
    return ShotPlan(
        shot.entry,
        facts,
        files,
        shot.frame_range,
        shot.source.number(shot.frame_range.start),
        len(shot.annotations.object_ids),
        len(shot.annotations.frame_indices),
        state_folder,
        state_folder.parents[1] / "logs" / f"{shot.entry.name}.log",
        redo,
        is_finished,
    )


def _standing(state_folder: Path, facts: Mapping[str, str], output: Path) -> tuple[bool, str]:
    """Whether a shot is finished; if not, why its results are made again."""
    notes = read_notes(state_folder)
    if notes is None:
        return False, ""
    if changed := notes.changed_from(facts):
        return False, f"{' and '.join(changed)} changed"
    if not notes.is_finished:
        return False, "unfinished"
    missing = notes.missing_file(output)
    return missing is None, "" if missing is None else f"{missing} is not as it was written"


def facts_of(shot: OpenShot, model: ModelInfo, runtime: Runtime) -> dict[str, str]:
    """What the results of a shot are made from, by name."""
    adapting = shot.adapting
    exports = [
        (job.output.name, asdict(job.settings), plan.shot, plan.version, plan.numbers, plan.objects)
        for job, plan in shot.exports
    ]
    return {
        "model": model.sha256,
        "adaptation": "off" if adapting is None else adapting.to_json(),
        "settings": shot.settings.to_json(),
        "augmentation": ",".join(shot.augment),
        "frames": shot.source.fingerprint,
        "annotations": annotations_digest(shot.annotations),
        "range": f"{shot.frame_range.start}-{shot.frame_range.stop - 1}",
        "steadying": str(shot.entry.steady),
        "probabilities": str(shot.entry.probabilities),
        "exports": repr(exports) if exports else "none",
        "precision": str(runtime.dtype).removeprefix("torch."),
    }


def files_of(shot: OpenShot) -> tuple[str, ...]:
    """All results of a shot, relative to its output."""
    names = [shot.source.name(index) for index in shot.frame_range]
    files = [f"{MASKS}/{name}.png" for name in names]
    if shot.entry.probabilities:
        files += [f"{PROBABILITIES}/{name}.npz" for name in names]
    for job, plan in shot.exports:
        files += [f"{MATTES}/{job.output.name}/{path}" for path in (*plan.files, plan.sidecar)]
    adapted = () if shot.adapting is None else (ADAPTED,)
    return (*files, OVERLAY, TRACK, REPORT, *adapted)
