"""XMem++: a mask for every frame of a shot from a few annotated ones.

The public names. Each is imported from its module when first asked for, so that importing the
package costs nothing and help on the command line does not wait for PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adaptation.adaptation import Adaptation, adapt
    from .adaptation.keep import adapt_into, content_of
    from .adaptation.settings import AdaptationSettings
    from .adaptation.sheet import comparison_sheet
    from .annotations import AbsenceRange, Annotation, AnnotationSet
    from .batch.writing import ManifestShot, put_shot
    from .candidates.request import CandidateRequest
    from .candidates.select import Candidates, select_candidates
    from .delivery.deliver import Delivery, deliver
    from .errors import (
        CapacityError,
        FormatError,
        InputError,
        Interrupted,
        SettingsError,
        ShapeError,
        XMemError,
        is_out_of_memory,
    )
    from .formats.annotations.folder import fit_masks, load_annotations, save_annotations
    from .formats.annotations.label_maps import PALETTE, read_label_map, write_label_map
    from .formats.annotations.summary import found_objects
    from .formats.frames.number_lists import parse_numbers, runs_of
    from .formats.frames.open import open_frames
    from .formats.mattes.png import write_matte
    from .formats.tracks import load_track, save_track
    from .mattes.alpha import MatteObject
    from .mattes.choices import MatteChoice, matte_job, matte_values
    from .mattes.export import MatteFrame, export_mattes, preview_mattes
    from .mattes.imported import (
        ImportedMattes,
        every_nth_matte,
        mattes_as_annotations,
        mattes_as_track,
        open_mattes,
    )
    from .mattes.plan import MatteJob
    from .mattes.presets import MatteSettings, load_preset
    from .mattes.preview import preview_picture
    from .network.checkpoint import convert, load_model, read_adapted, save_adapted
    from .pictures.films import OverlayVideo
    from .pictures.overlays import display_color, draw_overlay, to_uint8
    from .pictures.pictures import write_picture, write_probabilities
    from .pictures.proxies import PROXY_WIDTHS, FrameProxies
    from .pictures.sheets import burn_in, contact_sheet, track_contact_sheet
    from .projects.archive import archive_of, open_archive
    from .projects.document import Document
    from .projects.fitting import (
        Clip,
        FittedProject,
        ProjectNotice,
        document_from,
        fitted_project,
    )
    from .projects.masks import mask_to_png
    from .projects.parsing import document_of, parse_document
    from .projects.store import Project, content_name
    from .propagation.augment import parse_augmentations
    from .propagation.feature_cache import FeatureCache
    from .propagation.independent import IndependentPass
    from .propagation.precision import choose_runtime
    from .propagation.propagation import Propagation, propagate
    from .runtime import Runtime
    from .settings import PropagationSettings
    from .smart_select import SelectStroke, smart_select
    from .strict_json import parse_json
    from .track.segmentation import Segmentation, label_map_of, probabilities_of
    from .track.track import Shot, Track
    from .types import Features, FrameSource, ModelInfo, Network, Size

__version__ = "0.1.0"

__all__ = [
    "PALETTE",
    "PROXY_WIDTHS",
    "AbsenceRange",
    "Adaptation",
    "AdaptationSettings",
    "Annotation",
    "AnnotationSet",
    "CandidateRequest",
    "Candidates",
    "CapacityError",
    "Clip",
    "Delivery",
    "Document",
    "FeatureCache",
    "Features",
    "FittedProject",
    "FormatError",
    "FrameProxies",
    "FrameSource",
    "ImportedMattes",
    "IndependentPass",
    "InputError",
    "Interrupted",
    "ManifestShot",
    "MatteChoice",
    "MatteFrame",
    "MatteJob",
    "MatteObject",
    "MatteSettings",
    "ModelInfo",
    "Network",
    "OverlayVideo",
    "Project",
    "ProjectNotice",
    "Propagation",
    "PropagationSettings",
    "Runtime",
    "Segmentation",
    "SelectStroke",
    "SettingsError",
    "ShapeError",
    "Shot",
    "Size",
    "Track",
    "XMemError",
    "__version__",
    "adapt",
    "adapt_into",
    "archive_of",
    "burn_in",
    "choose_runtime",
    "comparison_sheet",
    "contact_sheet",
    "content_name",
    "content_of",
    "convert",
    "deliver",
    "display_color",
    "document_from",
    "document_of",
    "draw_overlay",
    "every_nth_matte",
    "export_mattes",
    "fit_masks",
    "fitted_project",
    "found_objects",
    "is_out_of_memory",
    "label_map_of",
    "load_annotations",
    "load_model",
    "load_preset",
    "load_track",
    "mask_to_png",
    "matte_job",
    "matte_values",
    "mattes_as_annotations",
    "mattes_as_track",
    "open_archive",
    "open_frames",
    "open_mattes",
    "parse_augmentations",
    "parse_document",
    "parse_json",
    "parse_numbers",
    "preview_mattes",
    "preview_picture",
    "probabilities_of",
    "propagate",
    "put_shot",
    "read_adapted",
    "read_label_map",
    "runs_of",
    "save_adapted",
    "save_annotations",
    "save_track",
    "select_candidates",
    "smart_select",
    "to_uint8",
    "track_contact_sheet",
    "write_label_map",
    "write_matte",
    "write_picture",
    "write_probabilities",
]

_MODULES = {
    "adaptation.adaptation": (
        "Adaptation",
        "adapt",
    ),
    "adaptation.keep": (
        "adapt_into",
        "content_of",
    ),
    "adaptation.settings": ("AdaptationSettings",),
    "adaptation.sheet": ("comparison_sheet",),
    "annotations": (
        "AbsenceRange",
        "Annotation",
        "AnnotationSet",
    ),
    "batch.writing": (
        "ManifestShot",
        "put_shot",
    ),
    "candidates.request": ("CandidateRequest",),
    "candidates.select": (
        "Candidates",
        "select_candidates",
    ),
    "delivery.deliver": (
        "Delivery",
        "deliver",
    ),
    "errors": (
        "CapacityError",
        "FormatError",
        "InputError",
        "Interrupted",
        "SettingsError",
        "ShapeError",
        "XMemError",
        "is_out_of_memory",
    ),
    "formats.annotations.folder": (
        "fit_masks",
        "load_annotations",
        "save_annotations",
    ),
    "formats.annotations.label_maps": (
        "PALETTE",
        "read_label_map",
        "write_label_map",
    ),
    "formats.annotations.summary": ("found_objects",),
    "formats.frames.number_lists": (
        "parse_numbers",
        "runs_of",
    ),
    "formats.frames.open": ("open_frames",),
    "formats.mattes.png": ("write_matte",),
    "formats.tracks": (
        "load_track",
        "save_track",
    ),
    "mattes.alpha": ("MatteObject",),
    "mattes.choices": (
        "MatteChoice",
        "matte_job",
        "matte_values",
    ),
    "mattes.export": (
        "MatteFrame",
        "export_mattes",
        "preview_mattes",
    ),
    "mattes.imported": (
        "ImportedMattes",
        "every_nth_matte",
        "mattes_as_annotations",
        "mattes_as_track",
        "open_mattes",
    ),
    "mattes.plan": ("MatteJob",),
    "mattes.presets": (
        "MatteSettings",
        "load_preset",
    ),
    "mattes.preview": ("preview_picture",),
    "network.checkpoint": (
        "convert",
        "load_model",
        "read_adapted",
        "save_adapted",
    ),
    "pictures.films": ("OverlayVideo",),
    "pictures.overlays": (
        "display_color",
        "draw_overlay",
        "to_uint8",
    ),
    "pictures.pictures": (
        "write_picture",
        "write_probabilities",
    ),
    "pictures.proxies": (
        "PROXY_WIDTHS",
        "FrameProxies",
    ),
    "pictures.sheets": (
        "burn_in",
        "contact_sheet",
        "track_contact_sheet",
    ),
    "projects.archive": (
        "archive_of",
        "open_archive",
    ),
    "projects.document": ("Document",),
    "projects.fitting": (
        "Clip",
        "FittedProject",
        "ProjectNotice",
        "document_from",
        "fitted_project",
    ),
    "projects.masks": ("mask_to_png",),
    "projects.parsing": (
        "document_of",
        "parse_document",
    ),
    "projects.store": (
        "Project",
        "content_name",
    ),
    "propagation.augment": ("parse_augmentations",),
    "propagation.feature_cache": ("FeatureCache",),
    "propagation.independent": ("IndependentPass",),
    "propagation.precision": ("choose_runtime",),
    "propagation.propagation": (
        "Propagation",
        "propagate",
    ),
    "runtime": ("Runtime",),
    "settings": ("PropagationSettings",),
    "smart_select": (
        "SelectStroke",
        "smart_select",
    ),
    "strict_json": ("parse_json",),
    "track.segmentation": (
        "Segmentation",
        "label_map_of",
        "probabilities_of",
    ),
    "track.track": (
        "Shot",
        "Track",
    ),
    "types": (
        "Features",
        "FrameSource",
        "ModelInfo",
        "Network",
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
