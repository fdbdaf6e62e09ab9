"""A shot whose frames were computed in parts: its files, as if one pass had made them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ..errors import InputError
from ..propagation.propagation import Propagation
from ..track.records import FrameRecord
from ..track.track import Track
from .deliver import Delivery, Watch, choices, report_of, write_film, write_frame, write_rest
from .identity import Identity
from .output_folder import REPORT, open_output


def deliver_joined(
    pass_: Propagation,
    records: Iterable[FrameRecord],
    delivery: Delivery,
    circumstances: Mapping[str, str],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Track:
    """Writes the results of a pass whose frames others computed; returns the track.

    Args:
        pass_: over the whole range; nothing of it is computed.
        records: the results of all its frames.
        delivery: where to and what.
        circumstances: under which they were computed, see `Identity`.
        progress: called after every frame with frames done and frames in all.
        should_stop: asked after every frame; true raises Interrupted.

    Raises:
        InputError: a frame has no result.
        Interrupted: `should_stop` said so.
        FormatError: the folder cannot be used.
    """
    identity = replace(Identity.of(pass_, choices(delivery)), circumstances=dict(circumstances))
    with open_output(delivery.output, overwrite=delivery.overwrite, resume=False) as folder:
        folder.drop_unfinished()
        track = Track.of(pass_)
        for record in records:
            track.add_record(record)
        if missing := sorted({*pass_.frame_range} - {*track.frame_indices}):
            raise InputError(f"frame {pass_.source.number(missing[0])} has no result to be joined")
        folder.begin(identity.facts)
        watch = Watch(pass_, delivery.output, None, should_stop)
        for done, index in enumerate(track.frame_indices, 1):
            write_frame(delivery, track, index, track.label_map(index))
            progress(done, len(track))
            watch.check()
        write_film(pass_.source, track, delivery, folder, watch)
        write_rest(pass_.source, track, delivery, folder, watch)
        folder.write_json(REPORT, report_of(track, identity.facts))
        folder.drop_unfinished()
        return track
