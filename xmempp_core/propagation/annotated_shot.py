"""AnnotatedShot: a shot with what its annotations say, in permanent memory and of each frame."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import torch
from torch import Tensor

from ..annotations import AnnotationSet
from ..errors import InputError, ShapeError
from ..memory.bank import MemoryBank
from ..runtime import full_float32
from ..settings import PropagationSettings
from ..track.segmentation import Segmentation
from ..types import FrameSource, Network
from .channels import ObjectChannels
from .encoding import ShotEncoder
from .feature_cache import FeatureCache
from .known_frame import GivenMasks, given_masks, known_of
from .permanent_memory import MemoryEntry, PermanentMemory

_log = logging.getLogger(__name__)


class AnnotatedShot:
    """What passes of every direction share.

    Args:
        network: from `load_model`.
        source: the frames.
        settings: of the pass.
        augment: kinds of augmentation stored beside each annotation.
        cache: features of earlier passes.
    """

    def __init__(
        self,
        network: Network,
        source: FrameSource,
        settings: PropagationSettings,
        *,
        augment: tuple[str, ...] = (),
        cache: FeatureCache | None = None,
    ) -> None:
        self.encoder = ShotEncoder(network, source, settings, cache)
        self.annotations = AnnotationSet()
        self._network, self._source, self._settings = network, source, settings
        self._permanent = PermanentMemory(network, source, self.encoder, settings, augment)
        self._missing: list[MemoryEntry] = []
        if settings.ignored:
            _log.info("direction %s: without effect are %s", settings.direction, settings.ignored)

    @property
    def bank(self) -> MemoryBank:
        """The memory; another one after `follow` when the objects changed."""
        return self._permanent.bank

    @property
    def channels(self) -> ObjectChannels:
        """The channels of the objects in memory."""
        return self._permanent.channels

    def follow(self, annotations: AnnotationSet) -> None:
        """Takes other annotations; `prepare` brings memory up to them.

        Raises:
            InputError: they do not fit the frames; nothing changed.
        """
        check_annotations(self._source, annotations)
        self._missing = self._permanent.prepare(annotations)
        self.annotations = annotations

    @torch.no_grad()
    def prepare(self) -> Iterator[tuple[int, int]]:
        """Computes the entries that permanent memory lacks, one picture at a time.

        Yields how many of how many are done. Stopped early, the next call goes on; it ends when
        other annotations are followed.
        """
        missing = self._missing
        done, total = 0, len(missing) * self._permanent.pictures_per_entry
        while missing and missing is self._missing:
            entry = missing[0]
            adding = self._permanent.add(entry)
            while missing is self._missing and self._is_there_more(adding):
                done += 1
                yield done, total
            if missing[:1] == [entry]:
                del missing[0]

    def given(self, frame_index: int, met_objects: int) -> GivenMasks | None:
        """What a pass that has met so many objects is given of a frame; None = nothing."""
        # Also a map without any object known yet: it is stored nowhere.
        in_permanent = self._settings.memory == "xmem++" or self._permanent.holds(frame_index)
        return given_masks(
            known_of(self.annotations, frame_index),
            self.channels,
            met_objects,
            self.encoder,
            in_permanent=in_permanent,
        )

    def segmentation(self, frame_index: int, probabilities: Tensor) -> Segmentation:
        """The result of a frame from (N + 1, H, W) probabilities ascending by object id."""
        known = known_of(self.annotations, frame_index)
        return Segmentation.of(
            frame_index,
            self.annotations.object_ids,
            probabilities,
            self._source.size,
            known.annotation,
            known.absent_ids,
        )

    def _is_there_more(self, adding: Iterator[None]) -> bool:
        """Encodes the next picture; false where there is none."""
        # Not around the yield: the caller's own work keeps its setting.
        with full_float32(self._network.device):
            return next(adding, "end") is None


def check_annotations(source: FrameSource, annotations: AnnotationSet) -> None:
    """Raises InputError where the annotations do not fit the frames."""
    if not annotations.object_ids:
        raise InputError("no frame is annotated with an object; annotate at least one frame")
    count = len(source)
    for annotation in annotations:
        if annotation.frame_index >= count:
            raise InputError(
                f"annotation of frame {annotation.frame_index}: the shot has {count} frames "
                f"(0 to {count - 1}); remove it or open the shot it belongs to"
            )
        if annotation.size != source.size:
            raise ShapeError(
                f"annotation of frame {annotation.frame_index}: masks",
                str(source.size),
                str(annotation.size),
                "draw them at the size of the frames",
            )
