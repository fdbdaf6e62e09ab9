"""Select Annotation Candidates: the frames worth annotating next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import convert, draw, host, shown, sockets
from .results import check_same_clip
from .settings_inputs import settings_of
from .track import NOTHING_PAINTED, WHEN_MEMORY_ENDS, ask_to_paint, propagated

if TYPE_CHECKING:
    from ..xmempp_core import AnnotationSet, FrameSource, Track
    from .model import LoadedModel


NO_FURTHER_FRAME = (
    "No further frame is worth annotating: none with min_mask_pixels of the objects in it differs "
    "from the annotated ones."
)


class SelectCandidates(io.ComfyNode):
    """The frames that differ most from what is annotated."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPSelectCandidates",
            display_name="Select Annotation Candidates",
            category=sockets.CATEGORY,
            description="Proposes the frames to annotate next: those whose objects look least like "
            "the annotated ones. Annotate them and propagate again.",
            search_aliases=["next frame", "key frames", "which frame", "suggest frames"],
            inputs=[
                sockets.Model.Input("model", tooltip="From Load XMem++."),
                sockets.frames_input("The clip."),
                sockets.Annotations.Input("annotations", tooltip="What is annotated already."),
                sockets.Track.Input(
                    "track",
                    optional=True,
                    tooltip="From Propagate Masks. Without it the masks are propagated first.",
                ),
                io.Int.Input(
                    "k", default=3, min=1, max=1000, tooltip="Number of frames to propose."
                ),
                io.Float.Input(
                    "alpha",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="0 compares whole pictures, 1 the objects alone.",
                ),
                io.Int.Input(
                    "min_mask_pixels",
                    default=9,
                    min=0,
                    max=100_000_000,
                    tooltip="Frames whose objects have fewer pixels are not proposed.",
                ),
                io.Combo.Input(
                    "method",
                    options=["algorithm1", "uncertainty"],
                    default="algorithm1",
                    tooltip="algorithm1: frames unlike the annotated ones, as in the XMem++ paper. "
                    "uncertainty: also where the result is unsure; costs one more pass.",
                ),
            ],
            outputs=[
                io.Image.Output("candidates", tooltip="The proposed frames, best first."),
                io.Int.Output("indices", is_output_list=True, tooltip="Their frame numbers."),
                io.String.Output("text", tooltip="The same in words."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        model: LoadedModel,
        frames: Any,
        annotations: AnnotationSet,
        k: int,
        alpha: float,
        min_mask_pixels: int,
        method: str,
        track: Track | None = None,
    ) -> io.NodeOutput:
        """The proposed frames; shows them with their numbers."""
        from ..xmempp_core import CandidateRequest, select_candidates

        if not annotations.object_ids:
            return _none(NOTHING_PAINTED, ask_to_paint())
        source = convert.frames_of(frames)
        settings = settings_of({}) if track is None else track.settings
        if track is None:
            track = propagated(model, source, annotations, settings)
        check_same_clip(track, source)
        # frames may be the IMAGE of the file behind the track: the core would take them for others
        watched = convert.Watched(source, host.check_interrupted, track.shot.fingerprint)
        with host.working(WHEN_MEMORY_ENDS):
            chosen = select_candidates(
                model.network(settings),
                watched,
                track,
                CandidateRequest(
                    annotations.frame_indices,
                    k,
                    alpha=alpha,
                    min_mask_pixels=min_mask_pixels,
                    method=method,
                ),
                cache=model.shelf.cache_for(source, settings),
                progress=host.Progress(len(track)).step,
            )
        return _shown(list(chosen.indices), list(chosen.scores), track, source)


def _shown(
    indices: list[int], scores: list[float], track: Track, source: FrameSource
) -> io.NodeOutput:
    """The proposals as pictures, numbers and text."""
    if not indices:
        return _none(NO_FURTHER_FRAME, {"text": (NO_FURTHER_FRAME,)})
    text = "\n".join(
        f"frame {index} (score {score:.3f})" for index, score in zip(indices, scores, strict=True)
    )
    frames = convert.image_of([source.frame(i) for i in indices])
    tiles = [draw.numbered_overlay(i, track, source) for i in indices]
    return io.NodeOutput(frames, indices, text, ui=shown.pictures(tiles) | {"text": (text,)})


def _none(text: str, ui: dict[str, Any]) -> io.NodeOutput:
    """No proposal: only the text goes on, the branches of pictures and numbers end silently."""
    # an empty list of numbers would fail in the node behind it
    return io.NodeOutput(host.blocked(), [host.blocked()], text, ui=ui)
