"""The node that puts a shot of the graph into the manifest of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from . import files, sockets
from .export_inputs import PRESETS
from .import_mattes import split_pattern
from .storage import SAVED, WHERE

if TYPE_CHECKING:
    from pathlib import Path

    from ..xmempp_core import AnnotationSet

NO_MATTES = "none"


class ExportBatch(io.ComfyNode):
    """A shot for `xmempp batch`: a section of the manifest, and its annotations."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPExportBatch",
            display_name="Export Batch Manifest",
            category=sockets.CATEGORY,
            description="Puts a shot with its annotations into a manifest under the output folder, "
            "to be made with others by the command line, on this machine or on a farm.",
            search_aliases=["batch", "render farm", "many shots", "roto overnight", "manifest"],
            inputs=[
                sockets.Annotations.Input(
                    "annotations", tooltip="At least one annotated frame of the shot."
                ),
                io.String.Input(
                    "shot",
                    default="sh010",
                    tooltip="Name of the shot. One of the same name in the manifest is replaced.",
                ),
                io.String.Input(
                    "plates",
                    default="",
                    placeholder="sh010/plate.####.exr",
                    tooltip=f"The shot's film, folder of images or pattern. {WHERE}",
                ),
                io.String.Input(
                    "manifest",
                    default="xmempp/batch/show",
                    tooltip="The manifest under ComfyUI's output folder; .toml is added. Other "
                    "shots in it stay.",
                ),
                io.Combo.Input(
                    "preset",
                    options=[NO_MATTES, *PRESETS],
                    default="nuke",
                    tooltip="Mattes to export beside masks and track, as in Export Mattes.",
                ),
                io.Combo.Input(
                    "adapt",
                    options=["off", "quick", "auto"],
                    default="off",
                    tooltip="Fine-tunes the model on the annotated frames first, as Adapt Model "
                    "to Shot does.",
                ),
                io.Int.Input(
                    "first_frame",
                    default=0,
                    min=0,
                    max=10_000_000,
                    optional=True,
                    advanced=True,
                    tooltip="Position in the plates of the graph's frame 0, where the graph has "
                    "only a part of them.",
                ),
                io.String.Input(
                    "frame_range",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="Frames to make, by the plates' own numbers, for example 1009-1100. "
                    "Empty = all.",
                ),
                io.String.Input(
                    "settings",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="Settings of the pass that are to be others, for example "
                    "internal_size=720; separated by semicolons.",
                ),
                io.String.Input(
                    "model",
                    default="lite",
                    optional=True,
                    advanced=True,
                    tooltip="lite, or the path of a model file as the farm sees it.",
                ),
            ],
            outputs=[
                io.String.Output("manifest", tooltip=SAVED),
                io.String.Output("command", tooltip="The command that makes all its shots."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        annotations: AnnotationSet,
        shot: str,
        plates: str,
        manifest: str,
        preset: str,
        adapt: str,
        first_frame: int = 0,
        frame_range: str = "",
        settings: str = "",
        model: str = "lite",
    ) -> io.NodeOutput:
        """The name of the manifest, and the command that makes it."""
        from ..xmempp_core import ManifestShot, matte_values, put_shot

        path, name = files.output_file(manifest, ".toml")
        one = ManifestShot(
            shot.strip(),
            plates_at(plates),
            annotations.moved(first_frame),
            frame_range=frame_range.strip(),
            settings=matte_values([text for text in settings.split(";") if text.strip()]),
            model=model.strip() or "lite",
            adapt=adapt,
            exports=() if preset == NO_MATTES else (preset,),
        )
        put_shot(path, one)
        command = f'xmempp batch "{path}"'
        return io.NodeOutput(name, command, ui={"text": (f"{shot.strip()} in {name}\n{command}",)})


def plates_at(name: str) -> Path:
    """The plates of a name below ComfyUI's folders; the last part of it may be a pattern."""
    place, pattern = split_pattern(name)
    path = files.input_file(place)
    return path / pattern if pattern else path
