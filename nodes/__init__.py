"""The nodes of the pack; ComfyUI asks the extension for them."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import host, routes, serving
from .adapt import AdaptModel
from .annotate import AddAnnotation, AnnotationsFromMasks, RemoveAnnotation
from .annotator import AnnotateShot, AnnotatorRequest
from .demo import LoadDemoShot
from .export import ExportMattes
from .export_batch import ExportBatch
from .from_track import TrackPreview, TrackToMask
from .import_mattes import ImportMattes
from .model import LoadModel
from .storage import LoadAnnotations, LoadTrack, SaveAnnotations, SaveTrack
from .suggest import SelectCandidates
from .track import Propagate

NODES: list[type[io.ComfyNode]] = [
    LoadDemoShot,
    LoadModel,
    AddAnnotation,
    RemoveAnnotation,
    AnnotationsFromMasks,
    AnnotateShot,
    AnnotatorRequest,
    SaveAnnotations,
    LoadAnnotations,
    SelectCandidates,
    AdaptModel,
    Propagate,
    SaveTrack,
    LoadTrack,
    TrackToMask,
    TrackPreview,
    ExportMattes,
    ImportMattes,
    ExportBatch,
]


class XMemPPExtension(ComfyExtension):
    """XMem++ as an extension of ComfyUI."""

    async def on_load(self) -> None:
        """Makes the model folder and the routes known."""
        host.register_model_folder()
        for route in routes.ROUTES:
            host.add_route(route.method, route.path, serving.handler_of(route))

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes of the pack."""
        return list(NODES)
