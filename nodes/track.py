"""Nodes that make, convert and show tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from . import convert, draw, host, sockets
from .annotation_sets import fit_annotations
from .results import check_same_clip, frames_in_track, mask_from_track, object_ids_of
from .watch import WatchedPass

if TYPE_CHECKING:
    from ..xmempp_core import AnnotationSet, FrameSource, PropagationSettings, Track
    from .model import LoadedModel

NOTHING_PAINTED = (
    "Nothing is annotated yet: right-click Add Permanent Annotation > Open in Mask Editor, "
    "paint, save, run again."
)
WHEN_MEMORY_ENDS = (
    "Lower internal_size, or long_term_max_elements and working_memory_max_frames "
    "(advanced inputs), or choose precision float16 in Load XMem++."
)
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
            options=["outward", "bidirectional", "forward"],
            default="outward",
            tooltip="outward: from the first annotated frame to both ends. bidirectional: both "
            "ways, blended between annotations, twice the time. forward: first to last frame.",
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


class Propagate(io.ComfyNode):
    """A mask of every annotated object on every frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPPropagate",
            display_name="Propagate Masks",
            category=sockets.CATEGORY,
            description="Carries the annotated masks through the whole clip. Annotated frames come "
            "back exactly as annotated; run again after each new annotation.",
            search_aliases=["track masks", "video segmentation", "rotoscope", "xmem", "vos"],
            inputs=[
                sockets.Model.Input("model", tooltip="From Load XMem++."),
                sockets.frames_input("The clip: a video, or a batch of images."),
                sockets.Annotations.Input("annotations", tooltip="At least one annotated frame."),
                *settings_inputs(),
                *advanced_inputs(),
            ],
            outputs=[
                sockets.Track.Output(
                    "track", tooltip="All masks of the clip; Track to Mask makes MASK of them."
                )
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        model: LoadedModel,
        frames: Any,
        annotations: AnnotationSet,
        augment: str,
        **values: Any,
    ) -> io.NodeOutput:
        """The track; shows overlays of some frames."""
        if not annotations.object_ids:
            return io.NodeOutput(host.blocked(), ui=ask_to_paint(cls.hidden.unique_id))
        source = convert.frames_of(frames)
        track = propagated(model, source, annotations, settings_of(values), augment)
        picture = draw.overview(track, source)
        host.leave_preview(picture)
        return io.NodeOutput(track, ui=host.show_pictures([picture]))


def ask_to_paint(node_id: str | None) -> dict[str, Any]:
    """The ui part of a node that waits for the first annotation; also said on the node, in the log.

    A red error would be wrong: the first run is there to show the frame to paint on.
    """
    return host.tell(node_id, NOTHING_PAINTED)


def propagated(
    model: LoadedModel,
    source: FrameSource,
    annotations: AnnotationSet,
    settings: PropagationSettings,
    augment: str = "none",
) -> Track:
    """The track of a pass, with progress, preview and Cancel, and with the model's features."""
    from ..xmempp_core import Track, parse_augmentations, propagate

    fitted = fit_annotations(annotations, source)
    shelf, watched = model.shelf, WatchedPass(source, settings)
    with host.working(WHEN_MEMORY_ENDS), shelf.reported(source, settings) as cache:
        segmentations = propagate(
            model.network(settings),
            watched.frames,
            fitted,
            settings,
            augment=parse_augmentations(augment),
            cache=cache,
        )
        return Track.collect(
            watched.results(segmentations),
            source=source,
            annotations=fitted,
            settings=settings,
            model=model.info,
        )


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
            search_aliases=["get mask", "matte", "select object", "masks from track"],
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
            search_aliases=["show masks", "overlay video", "play track", "check matte"],
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
        progress = host.Progress(len(track))
        path = host.temporary_file(".mp4")
        draw.write_film(path, track, source, style, progress.step)
        return io.NodeOutput(ui=host.show_video(path))
