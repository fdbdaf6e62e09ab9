"""The settings of a pass as widgets of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

if TYPE_CHECKING:
    from ..xmempp_core import PropagationSettings

# What 0 stands for in a widget that cannot be empty: the settings say None.
ZERO_IS_NONE = ("internal_size", "deep_update_every", "top_k")


def settings_inputs() -> list[io.Input]:
    """Widgets of PropagationSettings, the rarely used ones folded away."""
    return [
        io.Combo.Input(
            "memory",
            options=["xmem++", "xmem"],
            default="xmem++",
            tooltip="xmem++: every annotated frame stays in memory. "
            "xmem: only the first does, for comparison.",
        ),
        io.Boolean.Input(
            "working_memory",
            default=True,
            tooltip="Off: only annotated frames are remembered; steadier with many annotations.",
        ),
        io.Int.Input(
            "internal_size",
            default=480,
            min=0,
            max=8192,
            step=16,
            tooltip="Short side in pixels at which the network works; never enlarges. "
            "0 = size of the clip. Less is faster and takes less memory.",
        ),
        io.Combo.Input(
            "direction",
            options=["outward", "bidirectional", "forward", "independent"],
            default="outward",
            tooltip="outward: from the first annotated frame to both ends. bidirectional: both "
            "ways, blended between annotations, twice the time. forward: first to last frame. "
            "independent: each frame alone, from the annotated frames only; for three or more of "
            "them.",
        ),
        io.Int.Input(
            "memorize_every",
            default=10,
            min=1,
            max=100_000,
            tooltip="Frames between two memories of the network's own results.",
        ),
        io.Combo.Input(
            "augment",
            options=["none", "best3", "all"],
            default="none",
            tooltip="Stores each annotated frame in 3 or 11 further looks (blurred, zoomed, ...); "
            "helps with very few annotations, and takes memory and time.",
        ),
    ]


def advanced_inputs() -> list[io.Input]:
    """The rest of PropagationSettings, behind "show advanced"."""
    whole = {
        "deep_update_every": (0, 0, 100_000, "Frames between two refreshes of the short-term "
                              "memory; 0 = whenever a frame is memorized."),
        "top_k": (30, 0, 100_000, "Memories that each spot of the picture reads; 0 = all."),
        "working_memory_max_frames": (10, 1, 10_000, "Frames of working memory at which the older "
                                      "ones are condensed into long-term memory."),
        "working_memory_min_frames": (5, 0, 10_000, "Frames of working memory that stay."),
        "long_term_prototypes": (128, 1, 1_000_000, "Memories that one condensation makes."),
        "long_term_max_elements": (10_000, 1, 10_000_000, "Memories that long-term memory holds "
                                   "at most; less saves memory on long clips."),
    }  # fmt: skip
    return [
        io.Combo.Input(
            "absence",
            options=["memory", "presence"],
            default="memory",
            optional=True,
            advanced=True,
            tooltip="How a frame where an object is absent acts on other frames. memory: like any "
            "annotation. presence: it also lowers the object's evidence where they look alike; for "
            "networks that an empty mask does not impress.",
        ),
        io.Boolean.Input(
            "long_term_memory",
            default=True,
            optional=True,
            advanced=True,
            tooltip="Off: working memory is never condensed and grows with the clip.",
        ),
        io.Boolean.Input(
            "antialias",
            default=True,
            optional=True,
            advanced=True,
            tooltip="Whether frames are smoothed when they are shrunk to internal_size.",
        ),
        *(
            io.Int.Input(
                name,
                default=value,
                min=low,
                max=high,
                optional=True,
                advanced=True,
                tooltip=tooltip,
            )
            for name, (value, low, high, tooltip) in whole.items()
        ),
    ]


def settings_of(values: dict[str, Any]) -> PropagationSettings:
    """The settings of a node's widgets."""
    from ..xmempp_core import PropagationSettings

    optional = {n: v or None if n in ZERO_IS_NONE else v for n, v in values.items()}
    return PropagationSettings(**optional)
