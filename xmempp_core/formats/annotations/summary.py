"""What was found in annotations, in one line for people."""

from __future__ import annotations

from collections.abc import Callable

from ...annotations import Annotation, AnnotationSet
from .matching import shortened


def found_objects(annotations: AnnotationSet, name: Callable[[int], str] = str) -> str:
    """Which objects are annotated on which frames, with their numbers of pixels.

    Args:
        annotations: the set.
        name: gives the name of a frame; by default its position.
    """
    names = annotations.names
    lines = [f"{name(one.frame_index)}: {_objects(one, names.get)}" for one in annotations]
    count = "1 annotated frame" if len(lines) == 1 else f"{len(lines)} annotated frames"
    return f"{count}{'; ' if lines else ''}{shortened(lines, '; ')}"


def _objects(annotation: Annotation, name_of: Callable[[int], str | None]) -> str:
    parts = []
    for object_id, mask in zip(annotation.object_ids, annotation.masks, strict=True):
        name = f" {name_of(object_id)}" if name_of(object_id) else ""
        area = int(mask.sum())
        parts.append(f"object {object_id}{name} " + (f"({area} pixels)" if area else "absent"))
    if annotation.void is not None:
        parts.append(f"void ({int(annotation.void.sum())} pixels)")
    return ", ".join(parts) or "no object"
