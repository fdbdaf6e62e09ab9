"""Adapt Model to Shot: the network fine-tuned on the clip's own annotated frames."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import convert, host, shown, sockets
from .annotation_sets import fit_annotations
from .model import CacheShelf, LoadedModel
from .track import ask_to_paint

if TYPE_CHECKING:
    from pathlib import Path

    from ..xmempp_core import (
        Adaptation,
        AdaptationSettings,
        AnnotationSet,
        Network,
        PropagationSettings,
    )
    from .convert import LinkedFrames

log = logging.getLogger(__name__)

WHEN_MEMORY_ENDS = "Lower internal_size, or choose precision bfloat16 in Load XMem++."


class AdaptModel(io.ComfyNode):
    """The model, adapted to a clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Id, inputs and outputs."""
        return io.Schema(
            node_id="XMemPPAdaptModel",
            display_name="Adapt Model to Shot",
            category=sockets.CATEGORY,
            description="Fine-tunes the model on the clip's own annotated frames, in seconds to "
            "minutes, before Propagate Masks. Bypass it to compare.",
            search_aliases=["fine-tune", "roto model", "train on shot", "copycat", "few-shot"],
            inputs=[
                sockets.Model.Input("model", tooltip="From Load XMem++."),
                sockets.frames_input("The clip, the same as for Propagate Masks."),
                sockets.Annotations.Input(
                    "annotations", tooltip="At least one annotated frame; three or more are better."
                ),
                io.Combo.Input(
                    "mode",
                    options=["quick", "auto"],
                    default="quick",
                    tooltip="quick: one round on the annotated frames. auto: from three of them on "
                    "also a second round on the clip's own results, taken where it is clearly "
                    "steadier; several times as long.",
                ),
                io.Int.Input(
                    "internal_size",
                    default=480,
                    min=0,
                    max=8192,
                    step=16,
                    tooltip="As in Propagate Masks. 0 = size of the clip.",
                ),
                io.Int.Input(
                    "steps",
                    default=0,
                    min=0,
                    max=100_000,
                    optional=True,
                    advanced=True,
                    tooltip="Training steps of the first round; 0 = 40 with one annotated frame, "
                    "else 100.",
                ),
                io.Int.Input(
                    "seed",
                    default=1,
                    min=0,
                    max=2**31,
                    optional=True,
                    advanced=True,
                    tooltip="The same seed gives the same model on the same machine.",
                ),
                io.String.Input(
                    "save_as",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="Name under which the adapted model is kept in models/xmem, for Load "
                    "XMem++ and the command line. Empty = until ComfyUI ends.",
                ),
            ],
            outputs=[sockets.Model.Output("model", tooltip="The adapted model.")],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        model: LoadedModel,
        frames: Any,
        annotations: AnnotationSet,
        mode: str,
        internal_size: int,
        steps: int = 0,
        seed: int = 1,
        save_as: str = "",
    ) -> io.NodeOutput:
        """The adapted model; shows what the rounds made of the frames where they differ most."""
        from ..xmempp_core import AdaptationSettings, PropagationSettings

        if not annotations.object_ids:
            return io.NodeOutput(host.blocked(), ui=ask_to_paint())
        settings = AdaptationSettings.from_dict(
            {"mode": mode, "steps": steps or None, "seed": seed}
        )
        source = convert.frames_of(frames)
        name, passes = save_as.strip(), PropagationSettings(internal_size=internal_size or None)
        path = _saved_path(name) if name else None
        adaptation, network = adapted(model, source, annotations, settings, passes, path)
        ui = _shown(adaptation, network)
        return io.NodeOutput(loaded(network, model), ui=ui)


def adapted(
    model: LoadedModel,
    source: LinkedFrames,
    annotations: AnnotationSet,
    settings: AdaptationSettings,
    passes: PropagationSettings,
    path: Path | None,
) -> tuple[Adaptation, Network]:
    """An adaptation run to its end, or one that was kept, and the network that came of it.

    Args:
        model: the base.
        source: the clip.
        annotations: at least one annotated frame with an object.
        settings: of the adaptation.
        passes: settings of the passes that the network is for.
        path: where it is kept; None = in the temp folder.
    """
    from ..xmempp_core import Adaptation, adapt_into

    fitted = fit_annotations(annotations, source)
    watched = convert.Watched(source, host.check_interrupted)
    with host.working(WHEN_MEMORY_ENDS):
        adaptation = Adaptation(model.network(passes), watched, fitted, settings, passes)
        bar = host.Progress(adaptation.step_count)
        network = adapt_into(
            path or _temporary_path(adaptation),
            adaptation,
            progress=lambda step: bar.step(step.done, step.total),
        )
    return adaptation, network


def _saved_path(name: str) -> Path:
    """The file in models/xmem."""
    from ..xmempp_core import InputError

    folder = host.models_folder()
    path = folder / f"{name.removesuffix('.safetensors')}.safetensors"
    if path.parent != folder or path.name.startswith("."):
        raise InputError(f"save_as {name!r} is no name for a file in models/xmem; write shot_010")
    return path


def _temporary_path(adaptation: Adaptation) -> Path:
    """A file in the temp folder, named by what the adaptation is made of."""
    from ..xmempp_core import content_of

    return host.temporary_folder() / f"xmempp_adapted_{content_of(adaptation)}.safetensors"


def loaded(network: Network, base: LoadedModel) -> LoadedModel:
    """The network as a model of its own, with a feature cache of its own."""
    network.to(host.offload_device())
    patcher = host.managed(network, base.runtime.device)
    return LoadedModel(patcher, base.runtime, CacheShelf(base.shelf.max_bytes))


def verdict_of(network: Network) -> str:
    """Which round was taken, in words."""
    notes = json.loads(network.info.adaptation)
    unsteady = "; ".join(
        f"{name} {max(values):.2f}" for name, values in notes["unsteadiness"].items()
    )
    return f"taken: {notes['network']}" + (f" (unsteadiness: {unsteady})" if unsteady else "")


def _shown(adaptation: Adaptation, network: Network) -> dict[str, Any]:
    """The verdict in words, and the rounds side by side where this run made them."""
    from ..xmempp_core import InputError, comparison_sheet

    text = verdict_of(network)
    log.info(text)
    try:
        sheet = comparison_sheet(adaptation)
    except InputError:  # kept from an earlier run, there is nothing to compare
        return {"text": (text,)}
    return shown.pictures([sheet]) | {"text": (text,)}
