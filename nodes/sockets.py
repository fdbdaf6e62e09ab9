"""The socket types of the pack and the inputs that several nodes share."""

from __future__ import annotations

from comfy_api.latest import io

CATEGORY = "XMem++"

Model = io.Custom("XMEMPP_MODEL")
Annotations = io.Custom("XMEMPP_ANNOTATIONS")
Track = io.Custom("XMEMPP_TRACK")
Sam3Track = io.Custom("SAM3_TRACK_DATA")
"""ComfyUI's own type for the result of its SAM 3 video tracker."""


def frames_input(tooltip: str) -> io.Input:
    """The input `frames`: pictures (IMAGE) or a video that is read piece by piece (VIDEO)."""
    return io.MultiType.Input("frames", [io.Image, io.Video], tooltip=tooltip)


def frame_index_input(tooltip: str) -> io.Input:
    """The input `frame_index`, counted from 0."""
    return io.Int.Input("frame_index", default=0, min=0, max=10_000_000, tooltip=tooltip)
