"""The node that writes the mattes of a track for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import convert, draw, files, host, shown, sockets
from .export_inputs import choice_inputs, edge_inputs, file_inputs, look_inputs
from .results import check_same_clip
from .storage import SAVED

if TYPE_CHECKING:
    from pathlib import Path

    from ..xmempp_core import FrameSource, MatteChoice, MatteFrame, Track


class ExportMattes(io.ComfyNode):
    """The mattes of a track as files for Nuke, After Effects, Resolve and others."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPExportMattes",
            display_name="Export Mattes",
            category=sockets.CATEGORY,
            description="Writes the mattes of a track under the output folder: OpenEXR for Nuke "
            "and Fusion, ProRes 4444 for After Effects and Resolve, PNG. All files, or none.",
            search_aliases=["save mattes", "exr alpha", "prores 4444", "nuke matte", "roto export"],
            inputs=[
                sockets.Track.Input("track", tooltip="From Propagate Masks or Load Track."),
                *file_inputs(),
                *look_inputs(),
                io.MultiType.Input(
                    "frames",
                    [io.Image, io.Video],
                    optional=True,
                    tooltip="The clip the track was made from: for steadying, refining, and the "
                    "plate as fill.",
                ),
                *choice_inputs(),
                *edge_inputs(),
            ],
            outputs=[
                io.String.Output("first_file", tooltip="The first matte."),
                io.String.Output("last_file", tooltip="The last matte."),
                io.String.Output("folder", tooltip=SAVED),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        track: Track,
        folder: str,
        preview_frame: int,
        frames: Any = None,
        **values: Any,
    ) -> io.NodeOutput:
        """The names of the first and last file and of the folder; shows a film of the mattes."""
        source = None if frames is None else convert.frames_of(frames)
        if source is not None:
            check_same_clip(track, source)
        choice = choice_of(**values)
        if preview_frame >= 0:
            picture = preview_of(track, choice, preview_frame, source)
            text = f"Frame {preview_frame}; nothing was written. Set preview_frame to -1 to write."
            ui = {**shown.pictures([picture]), "text": (text,)}
            return io.NodeOutput("", "", host.blocked(), ui=ui)
        path, name = files.output_file(folder)
        first, last, film = exported(track, path, choice, source)
        text = f"{first.name} to {last.name}, below {name}"
        ui = {**shown.video(film), "text": (text,)}
        return io.NodeOutput(str(first), str(last), name, ui=ui)


def choice_of(
    preset: str,
    shot: str,
    objects: str,
    version: int,
    existing: Any,
    steady: int,
    join: str = "",
    frame_range: str = "",
    handles: int = 0,
    fields: str = "",
    **edges: float,
) -> MatteChoice:
    """The widgets as an export in words."""
    from ..xmempp_core import MatteChoice, matte_values

    changed = {"steady": steady, **edges}
    return MatteChoice(
        preset,
        {**changed, **matte_values([text for text in fields.split(";") if text.strip()])},
        objects=objects,
        joined=join.split(";"),
        frame_range=frame_range,
        handles_frames=handles,
        shot=shot,
        version=version,
        existing=existing,
    )


def preview_of(
    track: Track, choice: MatteChoice, frame_index: int, source: FrameSource | None
) -> Any:
    """(H, W, 3) uint8: the mattes of one frame."""
    from pathlib import Path

    from ..xmempp_core import matte_job, preview_mattes, preview_picture

    job = matte_job(track, Path(), choice)
    _, frame = preview_mattes(track, job, frame_index=frame_index, source=source)
    plate = None if source is None else source.frame(frame_index)
    return preview_picture(frame.mattes, plate)


def exported(
    track: Track, path: Path, choice: MatteChoice, source: FrameSource | None
) -> tuple[Path, Path, Path]:
    """The first and last file, and a small film of the mattes in the temp folder."""
    from ..xmempp_core import OverlayVideo, export_mattes, matte_job, preview_picture

    job = matte_job(track, path, choice)
    progress = host.Progress(len(track))
    film_path = files.temporary_file(".mp4")
    with OverlayVideo(film_path, track.frame_rate) as film:

        def show(frame: MatteFrame) -> None:
            film.add_picture(draw.reduced(preview_picture(frame.mattes)))

        done = export_mattes(
            track,
            job,
            source=source,
            progress=lambda count, total: progress.step(count, total),
            seen=show,
        )
    return done.files[0], done.files[-1], film_path
