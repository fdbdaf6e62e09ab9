"""Propagate Masks: the pass through the clip."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import convert, draw, host, shown, sockets
from .annotation_sets import fit_annotations
from .finished import MadeOf
from .settings_inputs import advanced_inputs, settings_inputs, settings_of
from .watch import WatchedPass

if TYPE_CHECKING:
    from ..xmempp_core import AnnotationSet, Propagation, PropagationSettings, Track
    from .convert import LinkedFrames
    from .model import LoadedModel

log = logging.getLogger(__name__)

NOTHING_PAINTED = (
    "Nothing is annotated yet: right-click Add Permanent Annotation > Open in Mask Editor, "
    "paint, save, run again."
)
WHEN_MEMORY_ENDS = (
    "Lower internal_size, or long_term_max_elements and working_memory_max_frames "
    "(advanced inputs), or choose precision float16 in Load XMem++."
)


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
            search_aliases=[
                "mask video",
                "roto",
                "rotoscope",
                "track masks",
                "video segmentation",
                "xmem",
                "vos",
            ],
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
            return io.NodeOutput(host.blocked(), ui=ask_to_paint())
        source, settings = convert.frames_of(frames), settings_of(values)
        track = propagated(model, source, annotations, settings, augment)
        ui = shown.pictures([draw.overview(track, source)])
        if settings.ignored:
            said = f"Direction {settings.direction}: without effect are {settings.ignored}."
            ui |= shown.line(said)
        return io.NodeOutput(track, ui=ui)


def ask_to_paint() -> dict[str, Any]:
    """The ui part of a node that waits for the first annotation; also said on the node, in the log.

    A red error would be wrong: the first run is there to show the frame to paint on.
    """
    return shown.line(NOTHING_PAINTED)


def propagated(
    model: LoadedModel,
    source: LinkedFrames,
    annotations: AnnotationSet,
    settings: PropagationSettings,
    augment: str = "none",
) -> Track:
    """The track of a pass; one that was made of the very same is taken as it is."""
    fitted = fit_annotations(annotations, source)
    made_of = MadeOf(source.identity, fitted.fingerprint, settings, augment)
    track = model.finished.find(made_of)
    if track is None:
        track = _passed(model, source, fitted, settings, augment)
    else:
        log.info("nothing has changed that the masks depend on: the last track stands")
        track = track.renamed(fitted)
    model.finished.keep(made_of, track)
    return track


def _passed(
    model: LoadedModel,
    source: LinkedFrames,
    fitted: AnnotationSet,
    settings: PropagationSettings,
    augment: str,
) -> Track:
    """The track of a pass, with progress, preview and Cancel, and with the model's features."""
    from ..xmempp_core import parse_augmentations, propagate

    watched = WatchedPass(source, settings)
    with host.working(WHEN_MEMORY_ENDS), model.shelf.reported(source, settings) as cache:
        start = partial(
            propagate,
            model.network(settings),
            watched.frames,
            fitted,
            settings,
            augment=parse_augmentations(augment),
            cache=cache,
        )
        return _collected(start, watched)


def _collected(start: Callable[[], Propagation], watched: WatchedPass) -> Track:
    """The track of a pass, which lives in this call alone: where it fails, its memory goes."""
    from ..xmempp_core import Track

    pass_ = start()
    watched.prepare(pass_)
    track = Track.of(pass_)
    for segmentation in watched.results(iter(pass_)):
        track.add(segmentation)
    return track
