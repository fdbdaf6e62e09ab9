"""Nodes for tests: small clips and masks made on the spot, a fake SAM 3, and a sink that keeps
what it is given.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from comfy_api.latest import ComfyExtension, InputImpl, Types, io

SAM3_SIDE = 288
"""Side of SAM 3's mask maps."""
RECEIVED: dict[str, Any] = {}
"""What the sinks got, by label."""


class FakeSam3Track(io.ComfyNode):
    """Masks as a SAM 3 track without SAM 3's weights, packed by ComfyUI's own function."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TestFakeSam3Track",
            category="tests",
            inputs=[
                io.Mask.Input("masks", tooltip="One mask for each frame."),
                io.Int.Input("object_count", default=1, min=0, max=8),
            ],
            outputs=[io.Custom("SAM3_TRACK_DATA").Output("track_data")],
        )

    @classmethod
    def execute(cls, masks: torch.Tensor, object_count: int) -> io.NodeOutput:
        from comfy.ldm.sam3.tracker import pack_masks

        frame_count, height, width = masks.shape
        small = F.interpolate(masks[:, None].float(), (SAM3_SIDE, SAM3_SIDE), mode="area")
        objects = [small.roll(k * SAM3_SIDE // 4, dims=-1) for k in range(object_count)]
        packed = pack_masks(torch.cat(objects, 1) - 0.5) if objects else None
        return io.NodeOutput(
            {
                "packed_masks": packed,
                "n_frames": frame_count,
                "scores": [1.0] * object_count,
                "orig_size": (height, width),
            }
        )


class Clip(io.ComfyNode):
    """A bright square that moves over noise, as IMAGE, VIDEO and MASK."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TestClip",
            category="tests",
            inputs=[
                io.Int.Input("frame_count", default=8),
                io.Int.Input("height", default=64),
                io.Int.Input("width", default=96),
                io.Int.Input("seed", default=0),
            ],
            outputs=[io.Image.Output("images"), io.Video.Output("video"), io.Mask.Output("masks")],
        )

    @classmethod
    def execute(cls, frame_count: int, height: int, width: int, seed: int) -> io.NodeOutput:
        generator = torch.Generator().manual_seed(seed)
        images = (
            torch.rand(1, height, width, 3, generator=generator).repeat(frame_count, 1, 1, 1) / 2
        )
        masks = torch.zeros(frame_count, height, width)
        side = height // 3
        for t in range(frame_count):
            left = (width - side) * t // max(frame_count - 1, 1)
            images[t, side : 2 * side, left : left + side] = torch.tensor([0.9, 0.6, 0.1])
            masks[t, side : 2 * side, left : left + side] = 1
        images = (images * 255).round() / 255
        components = Types.VideoComponents(images=images, frame_rate=Fraction(25))
        return io.NodeOutput(images, InputImpl.VideoFromComponents(components), masks)


class FileVideo(io.ComfyNode):
    """A VIDEO of a file, as Load Video gives it, from any folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TestFileVideo",
            category="tests",
            inputs=[
                io.String.Input("path", default=""),
                io.Boolean.Input("in_memory", default=False),
            ],
            outputs=[io.Video.Output("video")],
        )

    @classmethod
    def execute(cls, path: str, in_memory: bool) -> io.NodeOutput:
        from io import BytesIO
        from pathlib import Path

        file = BytesIO(Path(path).read_bytes()) if in_memory else path
        return io.NodeOutput(InputImpl.VideoFromFile(file))


class MaskOfShape(io.ComfyNode):
    """A MASK in one of the shapes in use, a square in its middle or nothing."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TestMask",
            category="tests",
            inputs=[
                io.Int.Input("count", default=1),
                io.Int.Input("height", default=64),
                io.Int.Input("width", default=96),
                io.Boolean.Input("empty", default=False),
                io.Combo.Input("layout", options=["NHW", "HW", "N1HW", "NHW1"], default="NHW"),
            ],
            outputs=[io.Mask.Output("mask")],
        )

    @classmethod
    def execute(
        cls, count: int, height: int, width: int, empty: bool, layout: str
    ) -> io.NodeOutput:
        mask = torch.zeros(count, height, width)
        if not empty:
            mask[:, height // 4 : height // 2, width // 4 : width // 2] = 1
        shaped = {
            "NHW": mask,
            "HW": mask[0],
            "N1HW": mask[:, None],
            "NHW1": mask[..., None],
        }[layout]
        return io.NodeOutput(shaped)


class Sink(io.ComfyNode):
    """Keeps what it is given, for the test to look at."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TestSink",
            category="tests",
            inputs=[io.AnyType.Input("value"), io.String.Input("label", default="value")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, value: Any, label: str) -> io.NodeOutput:
        RECEIVED[label] = value
        return io.NodeOutput()


class TestExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [FakeSam3Track, Clip, FileVideo, MaskOfShape, Sink]


async def comfy_entrypoint() -> TestExtension:
    return TestExtension()
