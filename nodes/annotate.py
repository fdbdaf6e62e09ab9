"""Nodes that make and change sets of annotations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from . import convert, draw, files, host, shown, sockets
from .annotation_sets import annotations_in, fit_annotations, with_all, with_fitted
from .masks import mask_for_frame, masks_by_frame, sam3_masks
from .paint import Canvas, Drawn, painted_mask
from .painted_on import write_mark

if TYPE_CHECKING:
    from torch import Tensor

    from ..xmempp_core import AnnotationSet

OBJECT_ID = "Number of the object, 1 to 255. The same number on other frames is the same object."
CHAIN = "Annotations made before; this node adds to them. Nothing linked: a new set."


class AddAnnotation(io.ComfyNode):
    """One object on one frame: painted, linked as a mask, or declared absent."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPAddAnnotation",
            display_name="Add Permanent Annotation",
            category=sockets.CATEGORY,
            description="Says where an object is on one frame. Press the node's play button to see "
            "the frame, right-click the node > Open in Mask Editor, paint the object, save, run. "
            "Chain one node for each object and frame.",
            search_aliases=[
                "paint mask",
                "annotate frame",
                "key mask",
                "roto",
                "roto keyframe",
                "scribble",
            ],
            inputs=[
                sockets.frames_input("The clip: a video, or a batch of images."),
                sockets.frame_index_input(
                    "The frame to annotate, counted from 0. After a change press the play button "
                    "above the node: it shows the frame without running the rest."
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="A ready mask of the object: one mask, or one for each frame of the "
                    "clip. What is painted in the mask editor stands above it.",
                ),
                io.Int.Input("object_id", default=1, min=1, max=255, tooltip=OBJECT_ID),
                io.String.Input("name", default="", tooltip="Name of the object, for reading."),
                io.String.Input(
                    "image",
                    default="",
                    socketless=True,
                    tooltip="The painted picture. The mask editor fills this in; "
                    "empty it to drop the paint.",
                ),
                io.Boolean.Input(
                    "absent",
                    default=False,
                    label_on="not here",
                    label_off="here",
                    tooltip="Says that the object is not on this frame: nothing needs painting.",
                ),
                io.String.Input(
                    "absent_frames",
                    default="",
                    placeholder="100-140",
                    tooltip="Frames on which the object is not to be seen, for example "
                    "100-140, 150. The result is empty there.",
                ),
                sockets.Annotations.Input("annotations", optional=True, tooltip=CHAIN),
            ],
            outputs=[
                sockets.Annotations.Output("annotations", tooltip="The set with this annotation."),
                io.Image.Output("frame", tooltip="The frame itself, for other segmentation nodes."),
            ],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, image: str | None = None, **_: Any) -> str:
        """Changes when the painted file does."""
        return files.change_mark(image)

    @classmethod
    def execute(
        cls,
        frames: Any,
        frame_index: int,
        object_id: int,
        name: str,
        image: str,
        absent: bool,
        absent_frames: str,
        mask: Tensor | None = None,
        annotations: AnnotationSet | None = None,
    ) -> io.NodeOutput:
        """The set with the annotation; shows the frame with all its objects drawn."""
        source = convert.frames_of(frames)
        convert.check_frame_index(frame_index, source)
        given = fit_annotations(_or_empty(annotations), source)
        drawn = Drawn((*given.object_ids, object_id), given.colors)
        canvas = Canvas(source, frame_index, object_id, drawn)
        chosen, notice = None, ""
        if absent:
            chosen = torch.zeros(source.size, dtype=torch.bool)
        elif image.strip():
            painted = painted_mask(files.input_file(image), canvas)
            chosen, notice = painted.mask, painted.notice
        elif mask is not None:
            chosen = mask_for_frame(mask, frame_index, source)
        result = _with_mask(given, frame_index, object_id, chosen)
        result = _with_absences(result, object_id, absent_frames)
        result = result.named(object_id, name.strip()) if name.strip() else result
        frame = source.frame(frame_index)
        ui = shown.pictures([_to_paint_on(frame, canvas, result)])
        if notice:
            ui |= shown.line(notice)
        return io.NodeOutput(result, convert.image_of([frame]), ui=ui)


def _to_paint_on(frame: Tensor, canvas: Canvas, annotations: AnnotationSet) -> Tensor:
    """The frame with its objects drawn and its place written in, (H, W, 3) uint8.

    One picture alone: of several, the mask editor of the newer canvas opens none.
    """
    from ..xmempp_core import to_uint8

    given = annotations.at(canvas.frame_index)
    picture = draw.with_objects(to_uint8(frame), given, annotations.colors)
    return write_mark(picture, canvas.mark)


def _or_empty(annotations: AnnotationSet | None) -> AnnotationSet:
    """The linked set; one that holds only absences or names is empty, but must not be lost."""
    from ..xmempp_core import AnnotationSet

    return AnnotationSet() if annotations is None else annotations


def _with_mask(
    annotations: AnnotationSet, frame_index: int, object_id: int, mask: Tensor | None
) -> AnnotationSet:
    from ..xmempp_core import Annotation

    if mask is None:
        return annotations
    return annotations.with_annotation(Annotation(frame_index, (object_id,), mask[None]))


def _with_absences(annotations: AnnotationSet, object_id: int, text: str) -> AnnotationSet:
    from ..xmempp_core import AbsenceRange, parse_numbers, runs_of

    runs = runs_of(parse_numbers(text, "absent_frames", least=0))
    absences = (AbsenceRange(object_id, run[0], run[-1]) for run in runs)
    return replace(annotations, absences=(*annotations.absences, *absences))


class RemoveAnnotation(io.ComfyNode):
    """A set of annotations without one frame, or without one object of it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPRemoveAnnotation",
            display_name="Remove Permanent Annotation",
            category=sockets.CATEGORY,
            description="Takes the annotation of one frame out of a set.",
            search_aliases=["delete annotation", "undo key mask", "drop keyframe"],
            inputs=[
                sockets.Annotations.Input("annotations", tooltip="The set to take it out of."),
                sockets.frame_index_input("The annotated frame, counted from 0."),
                io.Int.Input(
                    "object_id",
                    default=0,
                    min=0,
                    max=255,
                    tooltip="The object to take out on this frame; 0 = all objects.",
                ),
            ],
            outputs=[sockets.Annotations.Output("annotations", tooltip="The set without it.")],
        )

    @classmethod
    def execute(cls, annotations: AnnotationSet, frame_index: int, object_id: int) -> io.NodeOutput:
        """The set without the annotation."""
        objects = (object_id,) if object_id else None
        return io.NodeOutput(annotations.without(frame_index, objects))


class AnnotationsFromMasks(io.ComfyNode):
    """Masks of other nodes, a folder of label maps or a SAM 3 track as annotations."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPAnnotationsFromMasks",
            display_name="Annotations from Masks",
            category=sockets.CATEGORY,
            description="Turns masks from any node, a SAM 3 track, or a folder of label maps into "
            "permanent annotations.",
            search_aliases=["import masks", "sam to xmem", "sam2", "sam3", "label map", "matting"],
            inputs=[
                io.MultiType.Input(
                    "masks",
                    [io.Mask, sockets.Sam3Track],
                    optional=True,
                    tooltip="Masks of one object (MASK): one for each number in frame_indices, or "
                    "one for each frame of the clip. Or a SAM 3 track: its objects get object_id "
                    "and the numbers after it." + _sam3_note(),
                ),
                io.String.Input(
                    "frame_indices",
                    default="0",
                    tooltip="The frames that the masks belong to, for example 0, 24, 48-50.",
                ),
                io.Int.Input("object_id", default=1, min=1, max=255, tooltip=OBJECT_ID),
                io.String.Input(
                    "folder",
                    default="",
                    tooltip="Folder of label maps (PNG named by frame number) in ComfyUI's input "
                    "or output folder. Empty: none.",
                ),
                sockets.Annotations.Input("annotations", optional=True, tooltip=CHAIN),
            ],
            outputs=[sockets.Annotations.Output("annotations", tooltip="The set with the masks.")],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str | None = None, **_: Any) -> str:
        """Changes when a file of the folder does."""
        return files.change_mark(folder)

    @classmethod
    def execute(
        cls,
        frame_indices: str,
        object_id: int,
        folder: str,
        masks: Any = None,
        annotations: AnnotationSet | None = None,
    ) -> io.NodeOutput:
        """The set with the masks added."""
        from ..xmempp_core import InputError, parse_numbers

        if masks is None and not folder.strip():
            raise InputError(
                f"neither masks nor folder is given; link masks or name a folder.{_sam3_note()}"
            )
        result = _or_empty(annotations)
        if folder.strip():
            result = with_all(result, annotations_in(files.input_file(folder)))
        if masks is not None:
            indices = parse_numbers(frame_indices, "frame_indices", least=0)
            result = _with_masks(result, masks, indices, object_id)
        return io.NodeOutput(result)


def _sam3_note() -> str:
    return "" if host.has_node("SAM3_VideoTrack") else " This ComfyUI has no SAM 3 nodes."


def _with_masks(
    result: AnnotationSet, masks: Any, indices: tuple[int, ...], object_id: int
) -> AnnotationSet:
    from ..xmempp_core import Annotation, InputError

    if not indices:
        raise InputError("frame_indices is empty; write the frames of the masks, such as 0, 24")
    if isinstance(masks, dict):
        by_frame = sam3_masks(masks, indices)
    else:
        by_frame = masks_by_frame(masks, indices)
    return with_fitted(
        result,
        (
            Annotation(frame_index, tuple(range(object_id, object_id + len(objects))), objects)
            for frame_index, objects in by_frame.items()
        ),
    )
