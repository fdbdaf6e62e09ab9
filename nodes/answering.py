"""The permanent memory that answers single frames, kept beside a loaded model between prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import convert, host

if TYPE_CHECKING:
    from ..xmempp_core import AnnotationSet, IndependentPass, PropagationSettings
    from .annotator_sources import OpenClip
    from .model import LoadedModel


class Answering:
    """The one independent pass of a loaded model: of the clip and settings that were used last."""

    def __init__(self) -> None:
        self._key: tuple[str, PropagationSettings] | None = None
        self._pass: IndependentPass | None = None

    def pass_of(
        self,
        model: LoadedModel,
        clip: OpenClip,
        annotations: AnnotationSet,
        settings: PropagationSettings,
    ) -> IndependentPass:
        """The pass with these annotations; of those it had, only what changed is computed anew.

        Raises:
            InputError: the annotations do not fit the frames.
        """
        from ..xmempp_core import IndependentPass

        network, key = model.network(settings), (clip.key, settings)
        if self._pass is None or self._key != key:
            watched = convert.Watched(clip.frames, host.check_interrupted)
            cache = model.shelf.cache_for(clip.frames, settings)
            self._pass = IndependentPass(network, watched, annotations, settings, cache=cache)
            self._key = key
        else:
            self._pass.annotate(annotations)
        return self._pass

    def forget(self) -> None:
        """Lets go of the memory."""
        self._pass = self._key = None
