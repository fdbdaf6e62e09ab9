"""Load Demo Shot: the bundled clip with its annotations."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io

from . import host, sockets

CLIP = Path(__file__).parents[1] / "xmempp_core" / "assets" / "demo" / "bigbuckbunny.mp4"


class LoadDemoShot(io.ComfyNode):
    """The bundled clip, so that every shipped workflow runs on a fresh install."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPDemoShot",
            display_name="Load Demo Shot",
            category=sockets.CATEGORY,
            description="A short clip that comes with the pack (Big Buck Bunny, 132 frames) and "
            "three annotated frames of it: object 1 is the bunny, object 2 the boulder.",
            search_aliases=["example", "sample clip", "xmem demo", "test video"],
            outputs=[
                io.Video.Output("video", tooltip="The clip: 1280x720, 132 frames, 25 per second."),
                sockets.Annotations.Output(
                    "annotations", tooltip="Masks of frames 12, 60 and 122 for both objects."
                ),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        """The clip and its annotations."""
        from ..xmempp_core import load_annotations, open_frames

        annotations = load_annotations(CLIP.parent, open_frames(CLIP))
        return io.NodeOutput(host.video_from_file(CLIP), annotations)
