"""One shot into an output folder: masks, mattes, overlay, track; resumable between two frames."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

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
from ..pipeline import ReadAhead, WriteBehind, queue_items
from ..propagation.encoding import Picture
from ..propagation.propagation import Propagation
from ..resize import internal_size
from ..track.segmentation import label_map_of
from ..track.track import Track
from ..types import FrameSource
from .frame_writer import FrameWriter
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
    identity = Identity.of(pass_, choices(delivery))
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
        track = Track.of(pass_)
        pass_.keep_backward_in(folder.backward_results)
        identity = _load_unfinished(pass_, track, folder, identity)
        folder.begin(identity.facts)
        watch = Watch(pass_, delivery.output, progress, should_stop)
        for prepared in pass_.prepare():  # reads frames in an order of its own
            if preparing is not None:
                preparing(*prepared)
            watch.check()
        write_files = partial(write_frame, delivery, track)
        if _shows_in_order(pass_) and not delivery.steady_rounds:
            with _film(track, folder) as film:
                _run(pass_, FrameWriter(track, folder, write_files, film), watch)
        else:
            _run(pass_, FrameWriter(track, folder, write_files), watch)
            write_film(pass_.source, track, delivery, folder, watch)
        write_rest(pass_.source, track, delivery, folder, watch)
        folder.write_json(REPORT, report_of(track, identity.facts))
        folder.drop_unfinished()
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


@dataclass(frozen=True)
class Watch:
    """Who is told how far a pass is, and may stop it."""

    pass_: Propagation
    output: Path
    progress: Callable[[int, int], None] | None
    should_stop: Callable[[], bool]

    def after_step(self, done_before: int) -> None:
        """Tells how far the pass is; raises Interrupted where it is to stop.

        A step through a frame that the pass only comes back to is none that counts.
        """
        done, total = self.pass_.steps_done, self.pass_.step_count
        if self.progress is not None and done > done_before:
            self.progress(done, total)
        if done < total:
            self.check()

    def check(self) -> None:
        """Raises Interrupted where the pass is to stop."""
        if self.should_stop():
            raise Interrupted(self.pass_.steps_done, self.pass_.step_count, self.output)


def _run(pass_: Propagation, writer: FrameWriter, watch: Watch) -> None:
    """Computes and writes all frames of a pass."""
    with closing(_written(pass_, writer)) as frames:
        done = pass_.steps_done
        for _ in frames:
            watch.after_step(done)
            done = pass_.steps_done


def _written(pass_: Propagation, writer: FrameWriter) -> Generator[None, None, None]:
    """Every frame of the pass, read ahead of it and written behind it; the state is saved at times.

    Closing the iterator early saves the state too, once the frames until then are written.
    """
    order = pass_.frames_ahead(kept=writer.needs_pixels)
    items = queue_items(_frame_bytes(pass_))
    of_batch: dict[int, Picture] = {}
    number = pass_.batch_number

    def take(frame_index: int) -> Picture:
        if frame_index not in of_batch:
            of_batch[frame_index] = ahead.take(frame_index)
        return of_batch[frame_index]

    with ReadAhead(pass_.read, order, items) as ahead, WriteBehind(items) as behind:
        pass_.read_with(take)
        try:
            for segmentation in pass_.steps():
                if segmentation is not None:
                    index = segmentation.frame_index
                    pixels = take(index).pixels if writer.needs_pixels else None
                    behind.call(writer.write, segmentation, pixels)
                if pass_.batch_number != number:
                    number = pass_.batch_number
                    of_batch.clear()
                if pass_.steps_done % CHECKPOINT_EVERY_FRAMES == 0:
                    behind.call(writer.saving(pass_))
                yield
            if pass_.steps_done % CHECKPOINT_EVERY_FRAMES:  # film and mattes may take their time
                behind.call(writer.saving(pass_))
        except GeneratorExit:
            behind.call(writer.saving(pass_))
            behind.wait()
            raise
        finally:
            pass_.read_with(pass_.read)


def _frame_bytes(pass_: Propagation) -> int:
    """Most that a frame in a queue takes: as float32 in both sizes, with its probabilities."""
    size = pass_.source.size
    internal = internal_size(size, pass_.settings.internal_size)
    planes = 3 + len(pass_.annotations.object_ids) + 1
    return 4 * (3 * size.height * size.width + planes * internal.height * internal.width)


def write_frame(delivery: Delivery, track: Track, index: int, labels: Tensor) -> list[Path]:
    """Writes the files of one frame that need no other; returns them."""
    files = []
    if not delivery.steady_rounds:
        files.append(_write_mask(delivery.output, track, index, labels))
    if delivery.probabilities:
        files.append(delivery.output / PROBABILITIES / f"{track.shot.name(index)}.npz")
        write_probabilities(files[-1], track.probabilities(index), track.object_ids)
    return files


def _write_mask(root: Path, track: Track, index: int, labels: Tensor) -> Path:
    path = root / MASKS / f"{track.shot.name(index)}.png"
    write_label_map(path, labels, track.annotations.colors)
    return path


# ---- what comes once all frames are there


def _shows_in_order(pass_: Propagation) -> bool:
    """Whether the film can be made while the pass runs: all of its frames are to come, in order."""
    order = pass_.result_order
    return not pass_.steps_done and order == sorted(order)


def _film(track: Track, folder: OutputFolder) -> OverlayVideo:
    colors = track.annotations.colors
    return OverlayVideo(folder.root / OVERLAY, track.frame_rate, colors=colors)


def write_film(
    source: FrameSource, track: Track, delivery: Delivery, folder: OutputFolder, watch: Watch
) -> None:
    """The film of a pass that is done, and the masks where they are steadied."""
    items = queue_items(12 * track.size.height * track.size.width)
    indices, rounds = track.frame_indices, delivery.steady_rounds
    with _film(track, folder) as film, ReadAhead(source.frame, indices, items) as ahead:
        for index, labels in _final_labels(track, source, rounds):
            watch.check()
            if rounds:
                _write_mask(folder.root, track, index, labels)
            film.add(ahead.take(index), labels)


def write_rest(
    source: FrameSource, track: Track, delivery: Delivery, folder: OutputFolder, watch: Watch
) -> None:
    """Mattes and track."""
    if delivery.mattes is not None:
        _log.info("writing mattes")
        job = _matte_job(delivery, delivery.mattes)
        export_mattes(track, job, source=source, progress=lambda done, total: watch.check())
    save_track(track, folder.root / TRACK)


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


def choices(delivery: Delivery) -> dict[str, str]:
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
