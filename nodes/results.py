"""What the nodes ask of a track."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .convert import PICTURES

if TYPE_CHECKING:
    from torch import Tensor

    from ..xmempp_core import FrameSource, Track


def check_same_clip(track: Track, source: FrameSource) -> None:
    """Raises InputError when the frames are not those the track was made from.

    The pictures are compared where both came the same way, as IMAGE or as a file.
    """
    from ..xmempp_core import InputError

    remedy = "link the clip the track was made from"
    if len(track.shot) != len(source) or track.size != source.size:
        raise InputError(
            f"the track is of {len(track.shot)} frames of {track.size}, but frames has "
            f"{len(source)} of {source.size}; {remedy}"
        )
    made_of, given = track.shot.fingerprint, source.fingerprint
    if made_of != given and made_of.startswith(PICTURES) == given.startswith(PICTURES):
        raise InputError(
            f"the track was made from another clip of {len(source)} frames of {source.size}: "
            f"its pictures differ from those of frames; {remedy}"
        )


def frames_in_track(track: Track, first_frame: int, frame_count: int) -> range:
    """Frame indices from `first_frame` on; a count of 0 goes to the end.

    Raises:
        InputError: the track does not hold all of them.
    """
    from ..xmempp_core import InputError

    held = track.frame_indices
    known = set(held)
    stop = first_frame + frame_count if frame_count else held[-1] + 1
    wanted = range(first_frame, max(stop, first_frame + 1))
    missing = next((i for i in wanted if i not in known), None)
    if missing is not None:
        raise InputError(
            f"first_frame {first_frame} and frame_count {frame_count} ask for frame {missing}, "
            f"but the track holds {len(held)} frames, {held[0]} to {held[-1]}"
        )
    return range(first_frame, stop)


def mask_from_track(
    track: Track, frame_index: int, object_ids: tuple[int, ...], *, binary: bool
) -> Tensor:
    """(H, W) float32 0..1 of the objects together."""
    if binary:
        return torch.isin(track.label_map(frame_index), torch.tensor(object_ids)).float()
    channels = [1 + track.object_ids.index(i) for i in object_ids]
    return track.probabilities(frame_index)[channels].sum(0).clamp(0, 1)


def object_ids_of(text: str, track: Track) -> tuple[int, ...]:
    """The objects that a list such as "1, 3" names; all for an empty text.

    Raises:
        InputError: the track has no such object.
    """
    from ..xmempp_core import InputError, parse_numbers

    wanted = parse_numbers(text, "object_ids", least=1) or tuple(track.object_ids)
    unknown = [i for i in wanted if i not in track.object_ids]
    if unknown:
        known = ", ".join(map(str, track.object_ids))
        raise InputError(
            f"object_ids names object {unknown[0]}, but the track has {known}; "
            "leave it empty for all"
        )
    return wanted
