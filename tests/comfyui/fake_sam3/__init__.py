"""A node for tests that emits the dict of ComfyUI's SAM 3 tracker without its weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from comfy_api.latest import ComfyExtension, io

MODEL_SIDE = 288
"""Side of SAM 3's mask maps."""


class FakeSam3Track(io.ComfyNode):
    """Masks as a SAM 3 track, packed by ComfyUI's own function."""

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
        small = F.interpolate(masks[:, None].float(), (MODEL_SIDE, MODEL_SIDE), mode="area")
        objects = [small.roll(k * MODEL_SIDE // 4, dims=-1) for k in range(object_count)]
        packed = pack_masks(torch.cat(objects, 1) - 0.5) if objects else None
        return io.NodeOutput(
            {
                "packed_masks": packed,
                "n_frames": frame_count,
                "scores": [1.0] * object_count,
                "orig_size": (height, width),
            }
        )


class TestExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [FakeSam3Track]


async def comfy_entrypoint() -> TestExtension:
    return TestExtension()
