"""XMem++: a mask for every frame of a shot from a few annotated ones.

The public names. Each is imported from its module when first asked for, so that importing the
package costs nothing and help on the command line does not wait for PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .augment import parse_augmentations
    from .candidates import Candidates, select_candidates
    from .delivery import Delivery, Interrupted, deliver
    from .errors import (
        CapacityError,
        FormatError,
        InputError,
        SettingsError,
        ShapeError,
        XMemError,
        is_out_of_memory,
    )
    from .features import FeatureCache
    from .formats.frames import open_frames
    from .formats.label_maps import PALETTE, read_label_map, write_label_map
    from .formats.masks import fit_masks, load_annotations, save_annotations
    from .formats.pictures import (
        OverlayVideo,
        burn_in,
        contact_sheet,
        display_color,
        draw_overlay,
        to_display,
        track_contact_sheet,
        write_matte,
        write_picture,
        write_probabilities,
    )
    from .formats.tracks import load_track, save_track
    from .network.checkpoint import convert, load_model
    from .propagation import Propagation, propagate
    from .results import label_map_of, probabilities_of
    from .runtime import Runtime
    from .settings import PropagationSettings
    from .track import Track
    from .types import (
        AbsenceRange,
        Annotation,
        AnnotationSet,
        Features,
        FrameSource,
        ModelInfo,
        Network,
        Segmentation,
        Size,
    )

__version__ = "0.1.0"

__all__ = [
    "PALETTE",
    "AbsenceRange",
    "Annotation",
    "AnnotationSet",
    "Candidates",
    "CapacityError",
    "Delivery",
    "FeatureCache",
    "Features",
    "FormatError",
    "FrameSource",
    "InputError",
    "Interrupted",
    "ModelInfo",
    "Network",
    "OverlayVideo",
    "Propagation",
    "PropagationSettings",
    "Runtime",
    "Segmentation",
    "SettingsError",
    "ShapeError",
    "Size",
    "Track",
    "XMemError",
    "__version__",
    "burn_in",
    "contact_sheet",
    "convert",
    "deliver",
    "display_color",
    "draw_overlay",
    "fit_masks",
    "is_out_of_memory",
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
    "write_matte",
    "write_picture",
    "write_probabilities",
]

_MODULES = {
    "augment": ("parse_augmentations",),
    "candidates": ("Candidates", "select_candidates"),
    "delivery": ("Delivery", "Interrupted", "deliver"),
    "errors": (
        "CapacityError",
        "FormatError",
        "InputError",
        "SettingsError",
        "ShapeError",
        "XMemError",
        "is_out_of_memory",
    ),
    "features": ("FeatureCache",),
    "formats.frames": ("open_frames",),
    "formats.label_maps": ("PALETTE", "read_label_map", "write_label_map"),
    "formats.masks": ("fit_masks", "load_annotations", "save_annotations"),
    "formats.pictures": (
        "OverlayVideo",
        "burn_in",
        "contact_sheet",
        "display_color",
        "draw_overlay",
        "to_display",
        "track_contact_sheet",
        "write_matte",
        "write_picture",
        "write_probabilities",
    ),
    "formats.tracks": ("load_track", "save_track"),
    "network.checkpoint": ("convert", "load_model"),
    "propagation": ("Propagation", "propagate"),
    "results": ("label_map_of", "probabilities_of"),
    "runtime": ("Runtime",),
    "settings": ("PropagationSettings",),
    "track": ("Track",),
    "types": (
        "AbsenceRange",
        "Annotation",
        "AnnotationSet",
        "Features",
        "FrameSource",
        "ModelInfo",
        "Network",
        "Segmentation",
        "Size",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """A public name, from its module."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
