"""Nodes that save and load annotations and tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import convert, files, sockets
from .annotation_sets import Positions, annotations_in
from .results import check_same_clip

if TYPE_CHECKING:
    from ..xmempp_core import AnnotationSet, Track

SAVED = 'Where it was saved, as the Load node takes it: "name [output]".'
WHERE = 'Under ComfyUI\'s input folder, or its output folder with " [output]" behind the name.'


class SaveAnnotations(io.ComfyNode):
    """A set of annotations as a folder of label maps."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPSaveAnnotations",
            display_name="Save Annotations",
            category=sockets.CATEGORY,
            description="Saves annotations as label-map PNGs (one for each frame) and a JSON file "
            "under the output folder. The command line reads the same folder.",
            search_aliases=["export annotations", "write label maps", "save masks"],
            inputs=[
                sockets.Annotations.Input("annotations", tooltip="The set to save."),
                io.String.Input(
                    "folder",
                    default="xmempp/annotations",
                    tooltip="Folder under ComfyUI's output folder. "
                    "Annotations saved there before are replaced.",
                ),
            ],
            outputs=[io.String.Output("folder", tooltip=SAVED)],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, annotations: AnnotationSet, folder: str) -> io.NodeOutput:
        """Where it was saved."""
        from ..xmempp_core import InputError, save_annotations

        if not len(annotations):
            raise InputError("there is no annotation to save; annotate a frame first")
        path, name = files.output_file(folder)
        last_frame = annotations.frame_indices[-1]
        size = next(iter(annotations)).size
        save_annotations(annotations, path, Positions(size, last_frame + 1))
        return io.NodeOutput(name, ui={"text": (name,)})


class LoadAnnotations(io.ComfyNode):
    """A folder of label maps as a set of annotations."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPLoadAnnotations",
            display_name="Load Annotations",
            category=sockets.CATEGORY,
            description="Loads annotations that Save Annotations or the command line wrote.",
            search_aliases=["import annotations", "read label maps", "open masks"],
            inputs=[
                io.String.Input(
                    "folder",
                    default="xmempp/annotations [output]",
                    tooltip=f"Folder of label maps named by frame number. {WHERE}",
                )
            ],
            outputs=[sockets.Annotations.Output("annotations", tooltip="The set.")],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str | None = None) -> str:
        """Changes when a file of the folder does."""
        return files.change_mark(folder)

    @classmethod
    def execute(cls, folder: str) -> io.NodeOutput:
        """The set; the node says what was found in it."""
        from ..xmempp_core import found_objects

        annotations = annotations_in(files.input_file(folder))
        return io.NodeOutput(annotations, ui={"text": (found_objects(annotations),)})


class SaveTrack(io.ComfyNode):
    """A track as a .xmtrack file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPSaveTrack",
            display_name="Save Track",
            category=sockets.CATEGORY,
            description="Saves a track with its annotations and settings as one .xmtrack file, "
            "the file that the command line writes and reads.",
            search_aliases=["export track", "write xmtrack", "save masks"],
            inputs=[
                sockets.Track.Input("track", tooltip="The track to save."),
                io.String.Input(
                    "filename",
                    default="xmempp/track",
                    tooltip="File under ComfyUI's output folder; .xmtrack is added. "
                    "A file of that name is replaced.",
                ),
            ],
            outputs=[io.String.Output("filename", tooltip=SAVED)],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, track: Track, filename: str) -> io.NodeOutput:
        """Where it was saved."""
        from ..xmempp_core import save_track

        path, name = files.output_file(filename, ".xmtrack")
        save_track(track, path)
        return io.NodeOutput(name, ui={"text": (name,)})


class LoadTrack(io.ComfyNode):
    """A .xmtrack file as a track of the linked clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPLoadTrack",
            display_name="Load Track",
            category=sockets.CATEGORY,
            description="Loads a track that Save Track or the command line wrote, "
            "and checks that it is of the linked clip.",
            search_aliases=["import track", "read xmtrack", "open masks"],
            inputs=[
                io.String.Input(
                    "filename",
                    default="xmempp/track.xmtrack [output]",
                    tooltip=f"The file. {WHERE}",
                ),
                sockets.frames_input("The clip the track was made from; another one is refused."),
            ],
            outputs=[sockets.Track.Output("track", tooltip="The track.")],
        )

    @classmethod
    def fingerprint_inputs(cls, filename: str | None = None, **_: Any) -> str:
        """Changes when the file does."""
        return files.change_mark(filename)

    @classmethod
    def execute(cls, filename: str, frames: Any) -> io.NodeOutput:
        """The track."""
        from ..xmempp_core import load_track

        track = load_track(files.input_file(filename))
        check_same_clip(track, convert.frames_of(frames))
        return io.NodeOutput(track)
