"""Nodes that make something of a track: masks for other nodes, a film to look at."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from comfy_api.latest import io

from . import convert, draw, files, host, shown, sockets
from .results import check_same_clip, frames_in_track, mask_from_track, object_ids_of

if TYPE_CHECKING:
    from ..xmempp_core import Track


_FILMS: WeakKeyDictionary[Track, dict[tuple[Hashable, str], Path]] = WeakKeyDictionary()
"""The films in the temp folder of each track that is still in use: by clip and style."""


class TrackToMask(io.ComfyNode):
    """The masks of chosen objects on chosen frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPTrackToMask",
            display_name="Track to Mask",
            category=sockets.CATEGORY,
            description="Makes a MASK batch of a track, for any node that takes masks. "
            "Linking it later does not propagate again.",
            search_aliases=["get mask", "mask video", "matte", "roto matte", "select object"],
            inputs=[
                sockets.Track.Input("track", tooltip="From Propagate Masks or Load Track."),
                io.String.Input(
                    "object_ids",
                    default="",
                    placeholder="all",
                    tooltip="Objects to put into the mask together, for example 1, 3. "
                    "Empty = all objects.",
                ),
                io.Int.Input(
                    "first_frame", default=0, min=0, max=10_000_000, tooltip="Counted from 0."
                ),
                io.Int.Input(
                    "frame_count",
                    default=0,
                    min=0,
                    max=10_000_000,
                    tooltip="Number of frames; 0 = to the end. "
                    "A 1080p frame of MASK takes 8 MB, so take only what is needed.",
                ),
                io.Boolean.Input(
                    "binary",
                    default=True,
                    label_on="hard edges",
                    label_off="soft edges",
                    tooltip="Hard: 0 or 1. Soft: the network's confidence in between.",
                ),
            ],
            outputs=[io.Mask.Output("masks", tooltip="One mask for each frame.")],
        )

    @classmethod
    def execute(
        cls, track: Track, object_ids: str, first_frame: int, frame_count: int, binary: bool
    ) -> io.NodeOutput:
        """The masks."""
        ids = object_ids_of(object_ids, track)
        indices = frames_in_track(track, first_frame, frame_count)
        masks = torch.empty(len(indices), *track.size)
        progress = host.Progress(len(indices))
        for place, frame_index in enumerate(indices):
            masks[place] = mask_from_track(track, frame_index, ids, binary=binary)
            progress.step(place + 1)
        return io.NodeOutput(host.to_output(masks))


class TrackPreview(io.ComfyNode):
    """A film of the clip with the masks, in the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPTrackPreview",
            display_name="Preview Track",
            category=sockets.CATEGORY,
            description="Plays the clip with the masks drawn over it. Nothing is kept.",
            search_aliases=[
                "show masks",
                "mask video",
                "overlay video",
                "play track",
                "check matte",
            ],
            inputs=[
                sockets.Track.Input("track", tooltip="From Propagate Masks or Load Track."),
                sockets.frames_input("The clip the track was made from."),
                io.Combo.Input(
                    "style",
                    options=list(draw.STYLES),
                    default="overlay",
                    tooltip="overlay: colored masks. outline: edges only. matte: white on black. "
                    "cut-out: the objects on a plain color.",
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, track: Track, frames: Any, style: str) -> io.NodeOutput:
        """A film in the temp folder."""
        source = convert.frames_of(frames)
        check_same_clip(track, source)
        films = _FILMS.setdefault(track, {})
        path = films.get((source.identity, style))
        if path is None or not path.is_file():
            path = files.temporary_file(".mp4")
            draw.write_film(path, track, source, style, host.Progress(len(track)).step)
            films[source.identity, style] = path
        return io.NodeOutput(ui=shown.video(path))
