"""XMem++: a mask for every frame of a shot from a few annotated ones.

The names below are the public interface. Each is loaded when it is first used, so that importing
the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .augment import parse_augmentations
    from .candidates import Candidates, select_candidates
    from .errors import (
        CapacityError,
        FormatError,
        InputError,
        SettingsError,
        ShapeError,
        XMemError,
    )
    from .features import FeatureCache
    from .formats.frames import open_frames
    from .formats.masks import (
        PALETTE,
        fit_masks,
        load_annotations,
        read_label_map,
        save_annotations,
        write_label_map,
    )
    from .formats.pictures import (
        OverlayVideo,
        burn_in,
        display_color,
        draw_overlay,
        to_display,
        track_contact_sheet,
    )
    from .formats.tracks import load_track, save_track
    from .network.checkpoint import ModelInfo, convert, load_model
    from .propagation import propagate
    from .runtime import Runtime
    from .settings import PropagationSettings
    from .track import Track, label_map_of, probabilities_of
    from .types import (
        AbsenceRange,
        Annotation,
        AnnotationSet,
        Features,
        FrameSource,
        Network,
        Segmentation,
        Size,
    )

__version__ = "0.1.0"

_MODULES = {
    "augment": ("parse_augmentations",),
    "candidates": ("Candidates", "select_candidates"),
    "errors": (
        *("CapacityError", "FormatError", "InputError", "SettingsError", "ShapeError"),
        "XMemError",
    ),
    "features": ("FeatureCache",),
    "formats.frames": ("open_frames",),
    "formats.masks": (
        *("PALETTE", "fit_masks", "load_annotations", "read_label_map", "save_annotations"),
        "write_label_map",
    ),
    "formats.pictures": (
        *("OverlayVideo", "burn_in", "display_color", "draw_overlay", "to_display"),
        "track_contact_sheet",
    ),
    "formats.tracks": ("load_track", "save_track"),
    "network.checkpoint": ("ModelInfo", "convert", "load_model"),
    "propagation": ("propagate",),
    "runtime": ("Runtime",),
    "settings": ("PropagationSettings",),
    "track": ("Track", "label_map_of", "probabilities_of"),
    "types": (
        *("AbsenceRange", "Annotation", "AnnotationSet", "Features", "FrameSource", "Network"),
        *("Segmentation", "Size"),
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "PALETTE",
    "AbsenceRange",
    "Annotation",
    "AnnotationSet",
    "Candidates",
    "CapacityError",
    "FeatureCache",
    "Features",
    "FormatError",
    "FrameSource",
    "InputError",
    "ModelInfo",
    "Network",
    "OverlayVideo",
    "PropagationSettings",
    "Runtime",
    "Segmentation",
    "SettingsError",
    "ShapeError",
    "Size",
    "Track",
    "XMemError",
    "burn_in",
    "convert",
    "display_color",
    "draw_overlay",
    "fit_masks",
    "label_map_of",
    "load_annotations",
    "load_model",
    "load_track",
    "open_frames",
    "parse_augmentations",
    "probabilities_of",
    "propagate",
    "read_label_map",
    "save_annotations",
    "save_track",
    "select_candidates",
    "to_display",
    "track_contact_sheet",
    "write_label_map",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
