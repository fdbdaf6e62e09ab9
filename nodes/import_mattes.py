"""The node that reads mattes of other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import convert, files, sockets
from .storage import WHERE

if TYPE_CHECKING:
    from ..xmempp_core import FrameSource, ImportedMattes

MATCHING = ("auto", "number", "order")


class ImportMattes(io.ComfyNode):
    """Mattes of other programs as annotations, and as a track to be corrected."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPImportMattes",
            display_name="Import Mattes",
            category=sockets.CATEGORY,
            description="Reads mattes of other programs (OpenEXR, PNG, TIFF, films with alpha, "
            "label maps) as annotations, and as a track to be corrected.",
            search_aliases=["load mattes", "read exr alpha", "open mattes", "roto import"],
            inputs=[
                io.String.Input(
                    "mattes",
                    default="mattes",
                    tooltip="File, folder, pattern such as hat.####.exr, or the JSON of an export. "
                    f"{WHERE}",
                ),
                sockets.frames_input("The clip that the mattes belong to."),
                io.Int.Input(
                    "every",
                    default=10,
                    min=1,
                    max=1_000_000,
                    tooltip="Every so many mattes become annotations, the first among them; "
                    "1 = all.",
                ),
                io.Combo.Input(
                    "match",
                    options=list(MATCHING),
                    default="auto",
                    tooltip="number: a matte is that of the frame of its number. order: the first "
                    "is that of the first frame. auto: by number where all numbers are the clip's.",
                ),
                io.Int.Input(
                    "offset",
                    default=0,
                    min=-10_000_000,
                    max=10_000_000,
                    tooltip="Added to the mattes' numbers, or to their order; frames of a clip "
                    "count from 0.",
                ),
                io.String.Input(
                    "channel",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="Layer or channel to read, as hat, hat.A or R; objects of a "
                    "Cryptomatte by name, as hat, coat. Empty = alpha, or brightness where there "
                    "is none.",
                ),
            ],
            outputs=[
                sockets.Annotations.Output(
                    "annotations", tooltip="Every so many mattes, to propagate from."
                ),
                sockets.Track.Output("track", tooltip="All mattes, to preview, correct, export."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, mattes: str | None = None, **_: Any) -> str:
        """Changes when a file does."""
        return "" if mattes is None else files.change_mark(split_pattern(mattes)[0])

    @classmethod
    def execute(
        cls, mattes: str, frames: Any, every: int, match: Any, offset: int, channel: str = ""
    ) -> io.NodeOutput:
        """The annotations and the track; says how frames were matched."""
        from ..xmempp_core import every_nth_matte, mattes_as_annotations, mattes_as_track

        source = convert.frames_of(frames)
        found = found_mattes(mattes, source, match, offset, channel)
        chosen = every_nth_matte(found, every)
        annotations = mattes_as_annotations(found, source, chosen)
        track = mattes_as_track(found, source, chosen)
        text = f"{len(track)} mattes of {len(found.clips)} objects, {found.how}"
        return io.NodeOutput(annotations, track, ui={"text": (text,)})


def found_mattes(
    name: str, source: FrameSource, matching: Any, offset: int, channel: str
) -> ImportedMattes:
    """The mattes of a name below ComfyUI's folders; the last part of it may be a pattern."""
    from ..xmempp_core import open_mattes

    place, pattern = split_pattern(name)
    path = files.input_file(place)
    path = path / pattern if pattern else path
    return open_mattes(
        path, source, channel=channel.strip() or None, matching=matching, offset=offset
    )


def split_pattern(name: str) -> tuple[str, str]:
    """Folder and pattern of a name such as "a/b.####.exr [output]": "a [output]", "b.####.exr".

    A name without a pattern is given back with "".
    """
    folder, slash, last = name.strip().rpartition("/")
    if "#" not in last or not slash:
        return name, ""
    where = next((part for part in (" [output]", " [input]") if last.endswith(part)), "")
    return folder + where, last.removesuffix(where)
