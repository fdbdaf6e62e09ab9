"""One shot into an output folder: masks, mattes, overlay, track; resumable between two frames."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..atomic import make_durable
from ..errors import Interrupted
from ..formats.annotations.label_maps import write_label_map
from ..formats.tracks import load_track, save_track
from ..mattes.alpha import soft_masks
from ..mattes.export import export_mattes
from ..mattes.plan import MatteJob, check_no_plate, planned
from ..mattes.presets import MatteSettings, load_preset
from ..mattes.steady import check_rounds
from ..pictures.films import OverlayVideo
from ..pictures.pictures import write_probabilities
from ..propagation.propagation import Propagation
from ..track.segmentation import label_map_of
from ..track.track import Track
from ..types import FrameSource
from .identity import Identity
from .output_folder import (
    MASKS,
    MATTES,
    OVERLAY,
    PROBABILITIES,
    REPORT,
    TRACK,
    OutputFolder,
    open_output,
)

CHECKPOINT_EVERY_FRAMES = 50

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    """Where the results of a shot go, and which."""

    output: Path
    mattes: MatteSettings | None = None
    """Also mattes, made so; None = none."""
    probabilities: bool = False
    """Also float16 probabilities for each frame."""
    steady_rounds: int = 0
    """Steady masks, overlay and mattes along the motion of the frames; the track stays as it is."""
    overwrite: bool = False
    """Replace files of the same name in a folder that holds files."""
    resume: bool = False
    """Go on with the unfinished pass that the folder holds."""

    def __post_init__(self) -> None:
        check_rounds(self.steady_rounds)


def deliver(
    pass_: Propagation,
    delivery: Delivery,
    *,
    preparing: Callable[[int, int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Track:
    """Runs a pass and writes its results; returns the track.

    Args:
        pass_: not yet iterated.
        delivery: where to and what.
        preparing: called after every annotated picture or augmentation that enters permanent
            memory, with pictures done and pictures in all.
        progress: called after every computed frame with frames done and frames to compute in all;
            "bidirectional" computes frames twice.
        should_stop: asked between two of either; true saves the state and raises Interrupted.

    Raises:
        Interrupted: `should_stop` said so.
        FormatError: the folder cannot be used.
        InputError: the pass in the folder was made from other things.
    """
    _check_mattes(pass_, delivery)
    identity = Identity.of(pass_, _choices(delivery))
    with open_output(
        delivery.output, overwrite=delivery.overwrite, resume=delivery.resume
    ) as folder:
        if delivery.resume:
            finished = _finished(folder, identity)
            if finished is not None:
                _log.info("%s is complete already; nothing to do", delivery.output)
                return finished
        else:
            folder.drop_unfinished()
        track, total = Track.of(pass_), pass_.step_count
        pass_.keep_backward_in(folder.backward_results)
        identity = _load_unfinished(pass_, track, folder, identity)
        folder.begin(identity.facts)
        for prepared in pass_.prepare():
            if preparing is not None:
                preparing(*prepared)
            if should_stop():
                raise Interrupted(pass_.steps_done, total, delivery.output)
        with closing(_checkpointed(pass_, track, folder, delivery)) as frames:
            for _ in frames:
                if progress is not None:
                    progress(pass_.steps_done, total)
                if should_stop() and pass_.steps_done < total:
                    raise Interrupted(pass_.steps_done, total, delivery.output)
        _finish(pass_.source, track, folder, identity.facts, delivery)
        return track


def _matte_job(delivery: Delivery, settings: MatteSettings) -> MatteJob:
    steady = max(delivery.steady_rounds, settings.steady)
    return MatteJob(
        delivery.output / MATTES, replace(settings, steady=steady), existing="overwrite"
    )


def _check_mattes(pass_: Propagation, delivery: Delivery) -> None:
    """Refuses mattes that could not be written before the pass is run for them."""
    if delivery.mattes is not None:
        job = replace(_matte_job(delivery, delivery.mattes), frames=tuple(pass_.frame_range))
        plan = planned(Track.of(pass_), job, job.version)
        check_no_plate(plan, job.output, pass_.source)


def _checkpointed(
    pass_: Propagation, track: Track, folder: OutputFolder, delivery: Delivery
) -> Generator[None, None, None]:
    """Every frame of the pass, kept and written; the state is saved now and then.

    Closing the iterator early saves the state too.
    """
    unsaved = _Unsaved()
    try:
        for segmentation in pass_.steps():
            if segmentation is not None:
                track.add(segmentation)
                unsaved.indices.append(segmentation.frame_index)
                unsaved.files.extend(_write_frame(segmentation.frame_index, track, delivery))
            if pass_.steps_done % CHECKPOINT_EVERY_FRAMES == 0:
                _save(pass_, track, folder, unsaved)
                unsaved = _Unsaved()
            yield
    except GeneratorExit:
        _save(pass_, track, folder, unsaved)
        raise


@dataclass(frozen=True)
class _Unsaved:
    """What was made since the state was saved."""

    indices: list[int] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def _save(pass_: Propagation, track: Track, folder: OutputFolder, unsaved: _Unsaved) -> None:
    """Saves the state once the files of all frames that it counts as done are safe."""
    make_durable(unsaved.files)
    folder.save_unfinished(pass_.state(), [track.record(index) for index in unsaved.indices])


def _write_frame(index: int, track: Track, delivery: Delivery) -> list[Path]:
    """Writes the files of one frame that need no other, from the track; returns them."""
    files = []
    if not delivery.steady_rounds:
        files.append(_write_mask(delivery.output, track, index, track.label_map(index)))
    if delivery.probabilities:
        files.append(delivery.output / PROBABILITIES / f"{track.shot.name(index)}.npz")
        write_probabilities(files[-1], track.probabilities(index), track.object_ids)
    return files


def _write_mask(root: Path, track: Track, index: int, labels: Tensor) -> Path:
    path = root / MASKS / f"{track.shot.name(index)}.png"
    write_label_map(path, labels, track.annotations.colors)
    return path


def _finish(
    source: FrameSource,
    track: Track,
    folder: OutputFolder,
    identity: dict[str, str],
    delivery: Delivery,
) -> None:
    """What is written once all frames are there."""
    rounds = delivery.steady_rounds
    colors = track.annotations.colors
    with OverlayVideo(folder.root / OVERLAY, track.frame_rate, colors=colors) as video:
        for index, labels in _final_labels(track, source, rounds):
            if rounds:
                _write_mask(folder.root, track, index, labels)
            video.add(source.frame(index), labels)
    if delivery.mattes is not None:
        _log.info("writing mattes")
        export_mattes(track, _matte_job(delivery, delivery.mattes), source=source)
    save_track(track, folder.root / TRACK)
    folder.write_json(REPORT, report_of(track, identity))
    folder.drop_unfinished()


def _final_labels(track: Track, source: FrameSource, rounds: int) -> Iterator[tuple[int, Tensor]]:
    """The label map of each frame: the track's own, or that of steadied masks."""
    if not rounds:
        yield from ((index, track.label_map(index)) for index in track.frame_indices)
        return
    for segmentation in soft_masks(track, track.frame_indices, source, rounds):
        yield segmentation.frame_index, label_map_of(segmentation)


def report_of(track: Track, identity: dict[str, str]) -> dict[str, Any]:
    """The content of track.json."""
    names = track.annotations.names
    model = {name: value for name, value in asdict(track.model).items() if name != "path"}
    return {
        "model": model,
        "settings": asdict(track.settings),
        "frames": len(track),
        "frame_rate": None if track.frame_rate is None else str(track.frame_rate),
        "size": list(track.size),
        "objects": {str(i): names.get(i, "") for i in track.object_ids},
        "annotated_frames": [track.shot.number(t) for t in track.annotations.frame_indices],
        "confidence": {track.shot.name(t): _confidence(track, t) for t in track.frame_indices},
        "identity": identity,
    }


def _confidence(track: Track, frame_index: int) -> dict[str, float | None]:
    """Confidence by object id; None where the frame is annotated for it."""
    pairs = zip(track.object_ids, track.confidence(frame_index), strict=True)
    return {str(i): None if value != value else round(value, 6) for i, value in pairs}


# ---- resume


def _choices(delivery: Delivery) -> dict[str, str]:
    """What is written beside masks and track, by name; in the words of older runs where they had
    the same choice."""
    mattes = "False" if delivery.mattes is None else str(delivery.mattes)
    if delivery.mattes == load_preset("png"):
        mattes = "True"
    steady = f", {delivery.steady_rounds} rounds of steadying" if delivery.steady_rounds else ""
    return {
        "choice of mattes": mattes + steady,
        "choice of probabilities": str(delivery.probabilities),
    }


def _finished(folder: OutputFolder, identity: Identity) -> Track | None:
    report = folder.report
    if report is None or folder.unfinished_identity() is not None:
        return None
    identity.check(report.get("identity", {}), folder.root)
    return load_track(folder.root / TRACK)


def _load_unfinished(
    pass_: Propagation, track: Track, folder: OutputFolder, identity: Identity
) -> Identity:
    """Sets the pass and the track to where the folder's unfinished pass stood, if there is one.

    Returns:
        The identity of the run as it goes on.
    """
    saved = folder.unfinished_identity()
    if saved is None:
        return identity
    identity.check(saved, folder.root)
    unfinished = folder.load_unfinished(track.size)
    if unfinished is None:
        return identity
    for record in unfinished.records:
        track.add_record(record)
    pass_.load_state(unfinished.state)
    _log.info("resuming after %d of %d frames", pass_.steps_done, pass_.step_count)
    return identity.continuing(saved, folder.root)
