"""Load XMem++: the network, managed by ComfyUI, with the feature cache beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import download, heap, host, sockets
from .answering import Answering
from .finished import FinishedTracks

if TYPE_CHECKING:
    from ..xmempp_core import FeatureCache, FrameSource, Network, PropagationSettings, Runtime

log = logging.getLogger(__name__)

DEFAULT = "lite (bundled)"
BUNDLED = {DEFAULT: "lite", "lite-free (bundled, any use)": "lite-free"}
"""Names of the bundled models by what the list shows."""
DOWNLOAD = "download: "
WORKING_BYTES_PER_PIXEL = 4000
"""Activations and memory bank per pixel of the internal size, generous for a few objects."""


class CacheShelf:
    """The one feature cache of a loaded model: for the clip and size that were used last."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._key: object = None
        self._cache: FeatureCache | None = None

    def cache_for(self, source: FrameSource, settings: PropagationSettings) -> FeatureCache:
        """The cache of a clip at an internal size; another clip or size starts an empty one."""
        from ..xmempp_core import FeatureCache

        key = (source.fingerprint, settings.internal_size, settings.antialias)
        if self._cache is None or key != self._key:
            self._key, self._cache = key, FeatureCache(self.max_bytes)
        return self._cache

    @contextmanager
    def reported(
        self, source: FrameSource, settings: PropagationSettings
    ) -> Iterator[FeatureCache]:
        """The cache for a pass; afterwards the log says what it spared, and how full it is."""
        cache = self.cache_for(source, settings)
        before = cache.statistics
        yield cache
        now = cache.statistics
        log.info(
            "features: %d frames reused, %d encoded; %.0f of at most %.0f MB held",
            *(now.hits - before.hits, now.misses - before.misses),
            *(now.held_bytes / 2**20, self.max_bytes / 2**20),
        )


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """The value of an XMEMPP_MODEL socket."""

    patcher: Any
    """ComfyUI's ModelPatcher around the network"""
    runtime: Runtime
    shelf: CacheShelf = field(repr=False)
    finished: FinishedTracks = field(default_factory=FinishedTracks, repr=False)
    answering: Answering = field(default_factory=Answering, repr=False)
    adapted: dict[str, LoadedModel] = field(default_factory=dict, repr=False)
    """Models that annotator projects adapted from it, by project."""

    def __del__(self) -> None:
        # ComfyUI lets go of the model, by "Free memory" or because another one takes its place
        for name in ("patcher", "shelf", "finished", "answering", "adapted"):
            self.__dict__.pop(name, None)
        heap.give_back()

    @property
    def info(self) -> Any:
        """The ModelInfo of the file."""
        return self.patcher.model.network.info

    def network(self, settings: PropagationSettings) -> Network:
        """The network on its device, with room for the work beside it."""
        side = settings.internal_size or 1080
        host.bring_in(self.patcher, WORKING_BYTES_PER_PIXEL * side * side * 2)
        return self.patcher.model.network


class LoadModel(io.ComfyNode):
    """A network from the bundled file, from models/xmem, or downloaded on request."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPLoadModel",
            display_name="Load XMem++",
            category=sockets.CATEGORY,
            description="Loads the network that carries masks through a clip. The small bundled "
            "one works at once; larger ones come from models/xmem or are downloaded on request.",
            search_aliases=[
                "xmem",
                "xmem++",
                "roto model",
                "mask video model",
                "video object segmentation",
                "mask tracking model",
            ],
            inputs=[
                io.Combo.Input(
                    "model",
                    options=model_options(),
                    default=DEFAULT,
                    tooltip="A small bundled model (lite: non-commercial use only; lite-free: any "
                    "use), a file of models/xmem, or a file of the XMem v1.0 release that is "
                    "downloaded into models/xmem on the first run.",
                ),
                io.Combo.Input(
                    "precision",
                    options=["auto", "float32", "float16", "bfloat16"],
                    default="auto",
                    tooltip="auto: the fastest here that shows the same masks, measured once for a "
                    "model. Choose float32 to rule out rounding.",
                ),
                io.Int.Input(
                    "feature_cache_mb",
                    default=1024,
                    min=0,
                    max=1_000_000,
                    optional=True,
                    advanced=True,
                    tooltip="Main memory in MB for what the network saw in each frame, so that a "
                    "second run with one more annotation is faster. 0 = keep nothing.",
                ),
            ],
            outputs=[sockets.Model.Output("model", tooltip="For Propagate Masks and others.")],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str, **_: Any) -> str:
        """Changes when the file does."""
        path = _listed_file(model)
        if path is None or not path.is_file():
            return ""
        return f"{path.stat().st_mtime_ns}:{path.stat().st_size}"

    @classmethod
    def execute(cls, model: str, precision: str, feature_cache_mb: int = 1024) -> io.NodeOutput:
        """The network, not yet on the GPU; a model on request is fetched first."""
        from ..xmempp_core import Runtime, load_model

        with host.working("Choose precision float16, or free memory and run again."):
            source = _model_source(model)
            runtime = host.runtime(source, precision)
            network = load_model(source, Runtime(host.offload_device(), runtime.dtype))
        info = network.info
        log.info("%s: %s, %s", info.name, info.architecture, info.license)
        shelf = CacheShelf(feature_cache_mb * 1024**2)
        return io.NodeOutput(LoadedModel(host.managed(network, runtime.device), runtime, shelf))


def model_options() -> list[str]:
    """The choices of Load XMem++: bundled, files, downloads."""
    return [*BUNDLED, *host.model_files(), *(DOWNLOAD + m.name for m in download.MODELS)]


def _listed_file(model: str) -> Path | None:
    if model in BUNDLED:
        return None
    if model in (DOWNLOAD + m.name for m in download.MODELS):
        return host.models_folder() / model.removeprefix(DOWNLOAD)
    return host.model_path(model)


def _model_source(model: str) -> str | Path:
    """The bundled model's name, or the file, which is downloaded first where asked for."""
    path = _listed_file(model)
    if path is None:
        return BUNDLED[model]
    if model.startswith(DOWNLOAD) and not path.is_file():
        return _download(next(m for m in download.MODELS if m.name == path.name))
    download.verify(path)
    return path


def _download(model: download.RemoteModel) -> Path:
    from ..xmempp_core import Runtime, load_model

    log.info("downloading %s into %s", model.url, host.models_folder())
    progress = host.Progress(100)

    def show(done_bytes: int, expected_bytes: int) -> None:
        progress.step(done_bytes * 100 // expected_bytes if expected_bytes else 0)

    def check(path: Path) -> None:
        load_model(path, Runtime.choose("cpu", "float32"))

    return download.download(model, host.models_folder(), check, show)
