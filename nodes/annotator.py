"""Annotate Shot: a whole shot annotated, answered and propagated in one node.

The view in the browser asks by prompts of its own, which run the second node; see `requests`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import annotator_requests, host, sockets
from .annotator_job import Linked
from .annotator_value import request_of

if TYPE_CHECKING:
    from ..xmempp_core import AnnotationSet, Track
    from .model import LoadedModel

WIDGET = "XMEMPP_ANNOTATOR"

_requests = itertools.count()


def _inputs(*, needs_model: bool) -> list[io.Input]:
    """Inputs that both nodes have."""
    return [
        sockets.Model.Input("model", optional=not needs_model, tooltip="From Load XMem++."),
        sockets.frames_input("The clip: a video, or a batch of images."),
        sockets.Annotations.Input(
            "annotations",
            optional=True,
            tooltip="Annotations to start from, taken over while the node holds none of its own.",
        ),
        sockets.Track.Input(
            "track",
            optional=True,
            tooltip="A track to start from: its masks are shown and can be corrected.",
        ),
    ]


def _project_input() -> io.Input:
    return io.String.Input(
        "project",
        default="",
        optional=True,
        socketless=True,
        extra_dict={"widgetType": WIDGET},
        tooltip="Which project and revision the node shows. The view fills this in; the masks lie "
        "in ComfyUI's input folder under xmempp.",
    )


class AnnotateShot(io.ComfyNode):
    """A shot annotated and propagated in one node, with a view of its own."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPAnnotator",
            display_name="Annotate Shot",
            category=sockets.CATEGORY,
            description="Scrub, paint, see the answer, propagate and correct, all in this node. "
            "Open the clip, paint an object on a frame, and scrub on.",
            search_aliases=[
                "annotator",
                "roto",
                "rotoscope",
                "paint masks",
                "mask video editor",
                "xmem",
            ],
            inputs=[*_inputs(needs_model=True), _project_input()],
            outputs=[
                sockets.Annotations.Output("annotations", tooltip="What is painted."),
                sockets.Track.Output(
                    "track", tooltip="All masks of the clip; Track to Mask makes MASK of them."
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, project: str | None = None, **_: Any) -> str:
        """Changes when the view asked for another pass: what it shows is what is handed on."""
        return annotator_requests.mark_of(project or "")

    @classmethod
    def execute(
        cls,
        model: LoadedModel,
        frames: Any,
        annotations: AnnotationSet | None = None,
        track: Track | None = None,
        project: str = "",
    ) -> io.NodeOutput:
        """The annotations of the revision and the track of its pass."""
        linked = Linked.of(model, frames, annotations, track)
        delivered = annotator_requests.delivered(linked, project)
        if delivered.track is None:
            return io.NodeOutput(delivered.annotations, host.blocked(), ui=delivered.ui)
        return io.NodeOutput(delivered.annotations, delivered.track, ui=delivered.ui)


class AnnotatorRequest(io.ComfyNode):
    """What the view of Annotate Shot queues; no node for graphs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPAnnotatorRequest",
            display_name="Annotate Shot: Request",
            category=sockets.CATEGORY,
            description="What the view of Annotate Shot asks for. It is queued by the view and is "
            "not placed in graphs.",
            search_aliases=["annotator request"],
            inputs=[
                *_inputs(needs_model=False),
                _project_input(),
                io.String.Input(
                    "request",
                    default='{"action":"open"}',
                    optional=True,
                    tooltip="What is asked for, as JSON.",
                ),
            ],
            is_output_node=True,
            is_dev_only=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> int:
        """Never the same: what is held may be gone, and what is there costs nothing again."""
        return next(_requests)

    @classmethod
    def execute(
        cls,
        frames: Any,
        model: LoadedModel | None = None,
        annotations: AnnotationSet | None = None,
        track: Track | None = None,
        project: str = "",
        request: str = '{"action":"open"}',
    ) -> io.NodeOutput:
        """Does what is asked for; the answer is in the ui part."""
        linked = Linked.of(model, frames, annotations, track)
        return io.NodeOutput(ui=annotator_requests.done(linked, project, request_of(request)))
