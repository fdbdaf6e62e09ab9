"""The inputs of Export Mattes, by what they are about."""

from __future__ import annotations

from comfy_api.latest import io

PRESETS = ("nuke", "aftereffects", "resolve", "fusion", "cryptomatte", "png")
EXISTING = ("refuse", "version-up", "overwrite")
EDGES = {
    "black_point": (0.0, 0.0, 1.0, "Values up to it become 0."),
    "white_point": (1.0, 0.0, 1.0, "Values from it on become 1; equal to black_point it is a "
                    "threshold."),
    "grow_pixels": (0.0, -1000.0, 1000.0, "Moves the edge outward by parts of a pixel; "
                    "below 0 inward."),
    "feather_pixels": (0.0, 0.0, 1000.0, "Width over which the edge is blurred."),
    "fill_holes_pixels": (0.0, 0.0, 1e6, "Holes of at most so many pixels are filled."),
    "remove_specks_pixels": (0.0, 0.0, 1e6, "Islands of at most so many pixels are removed."),
    "refine_pixels": (0.0, 0.0, 1000.0, "Radius of the windows in which the matte follows the "
                      "colors of frames; 0 = off."),
}  # fmt: skip


def edge_inputs() -> list[io.Input]:
    """The controls of the edge, folded away."""
    return [
        io.Float.Input(
            name,
            default=value,
            min=low,
            max=high,
            step=0.01 if name.endswith("point") else 0.25,
            optional=True,
            advanced=True,
            tooltip=tooltip,
        )
        for name, (value, low, high, tooltip) in EDGES.items()
    ]


def file_inputs() -> list[io.Input]:
    """What is written, where, and under which names."""
    return [
        io.Combo.Input(
            "preset",
            options=list(PRESETS),
            default="nuke",
            tooltip="nuke: EXR for each object. aftereffects, resolve: ProRes 4444. "
            "fusion: one EXR with layers. cryptomatte: ids of all objects. "
            "png: 16-bit gray.",
        ),
        io.String.Input(
            "folder",
            default="xmempp/mattes",
            tooltip="Folder under ComfyUI's output folder.",
        ),
        io.String.Input(
            "shot",
            default="",
            placeholder="shot",
            tooltip="Name of the shot in file names. Empty = the plate's name.",
        ),
        io.String.Input(
            "objects",
            default="",
            placeholder="all",
            tooltip="Objects by number or name, for example 1, hat. Empty = all.",
        ),
        io.Int.Input("version", default=1, min=0, max=9999, tooltip="Version in file names."),
        io.Combo.Input(
            "existing",
            options=list(EXISTING),
            default="refuse",
            tooltip="What becomes of files that are there: refuse writes nothing, "
            "version-up writes the next version, overwrite replaces them.",
        ),
    ]


def look_inputs() -> list[io.Input]:
    """Steadying, and one frame to look at."""
    return [
        io.Int.Input(
            "steady",
            default=0,
            min=0,
            max=10,
            tooltip="Rounds of steadying along the motion of frames; 2 calms boiling "
            "edges, 0 = off. Needs frames.",
        ),
        io.Int.Input(
            "preview_frame",
            default=-1,
            min=-1,
            max=10_000_000,
            tooltip="Shows the mattes of this frame, counted from 0, and writes nothing. "
            "-1 = writes.",
        ),
    ]


def choice_inputs() -> list[io.Input]:
    """Which objects, frames and fields, folded away."""
    return [
        io.String.Input(
            "join",
            default="",
            optional=True,
            advanced=True,
            tooltip="Mattes of several objects together, for example people=1,2; "
            "separated by semicolons.",
        ),
        io.String.Input(
            "frame_range",
            default="",
            optional=True,
            advanced=True,
            tooltip="Frames of the clip, for example 10-90. Empty = all.",
        ),
        io.Int.Input(
            "handles",
            default=0,
            min=0,
            max=10_000,
            optional=True,
            advanced=True,
            tooltip="Frames more before and after frame_range.",
        ),
        io.String.Input(
            "fields",
            default="",
            optional=True,
            advanced=True,
            tooltip="Fields of the preset that are to be others, for example bits=32; "
            "first_frame=1; separated by semicolons.",
        ),
    ]
