"""IndependentPass: each frame alone, from permanent memory; any frame, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import torch

from ..annotations import AnnotationSet
from ..errors import InputError
from ..runtime import full_float32
from ..settings import PropagationSettings
from ..track.segmentation import Segmentation
from ..types import FrameSource, Network
from .annotated_shot import AnnotatedShot
from .batches import in_batches
from .feature_cache import FeatureCache
from .frame_step import PassState, Prediction, predict_batch, segment_frame


class IndependentPass:
    """Permanent memory that is filled once, kept between calls and edited with the annotations.

    A frame's result depends on the annotations alone, not on what was asked before: working
    memory is off and the sensory state is at its start. At equal processor, threads and dtype it
    has the same bytes in whatever order, range or process it is computed, and it is what
    `propagate` gives with direction "independent". Below three annotated frames, and where
    look-alikes cross, a pass that goes from frame to frame is better.

    Args:
        network: from `load_model`.
        source: the frames, from `open_frames`.
        annotations: at least one annotated frame with an object; masks at the source's size.
        settings: None = the defaults; their direction is taken for "independent".
        augment: kinds of augmentation stored beside each annotation (`parse_augmentations`).
        cache: features of earlier passes with the same network, internal size and dtype.

    Raises:
        InputError: the annotations do not fit the frames, or the cache belongs to something else.
        SettingsError: memory is "xmem".
    """

    def __init__(
        self,
        network: Network,
        source: FrameSource,
        annotations: AnnotationSet,
        settings: PropagationSettings | None = None,
        *,
        augment: tuple[str, ...] = (),
        cache: FeatureCache | None = None,
    ) -> None:
        self.network, self.source, self.augment = network, source, augment
        self.settings = replace(settings or PropagationSettings(), direction="independent")
        self._shot = AnnotatedShot(network, source, self.settings, augment=augment, cache=cache)
        self._shot.follow(annotations)

    @property
    def annotations(self) -> AnnotationSet:
        """What the results are made from; see `annotate`."""
        return self._shot.annotations

    def annotate(self, annotations: AnnotationSet) -> None:
        """Takes other annotations of the same shot.

        Exactly the entries of permanent memory whose content changes are computed anew, by the
        next `segment` or `prepare`.

        Raises:
            InputError: they do not fit the frames; the pass is as before.
        """
        self._shot.follow(annotations)

    def prepare(self) -> Iterator[tuple[int, int]]:
        """Brings permanent memory up to the annotations, one annotated picture at a time.

        Yields how many of how many are done. `segment` does it where it was not done before; call
        it first to show how far it is, or to stop within.
        """
        return self._shot.prepare()

    @torch.no_grad()
    def segment(
        self, frame_indices: Iterable[int], *, batch_frames: int = 1
    ) -> Iterator[Segmentation]:
        """The segmentations of some frames, in that order.

        Args:
            frame_indices: of the shot.
            batch_frames: frames that go through the network at once, for a GPU; fewer where memory
                does not suffice. In other batches the last bits of a result may differ.

        Raises:
            InputError: there is no such frame, or no frame in a batch.
        """
        if batch_frames < 1:
            raise InputError(f"batch_frames is {batch_frames}, allowed is 1 and up")
        indices = iter(frame_indices)
        while batch := list(islice(indices, batch_frames)):
            self._check(batch)
            for _ in self.prepare():
                pass
            # Not around the yield: the caller's own work keeps its setting.
            with full_float32(self.network.device):
                found, batch_frames = in_batches(self._segmented, batch, batch_frames)
            yield from found

    def _check(self, frame_indices: list[int]) -> None:
        for index in frame_indices:
            if not 0 <= index < len(self.source):
                count = len(self.source)
                raise InputError(
                    f"frame {index} is not in the shot; its frames are 0 to {count - 1}"
                )

    def _segmented(self, frame_indices: list[int]) -> list[Segmentation]:
        """The segmentations of frames, which go through the network at once."""
        if len(frame_indices) == 1:
            return [self._decided(frame_indices[0], None)]
        encoder = self._shot.encoder
        each_once = list(dict.fromkeys(frame_indices))
        encoder.encode_ahead(each_once)
        encoded = {index: encoder.encode(index) for index in each_once}
        predictions = predict_batch(self._state(), [encoded[index] for index in frame_indices])
        return [
            self._decided(index, prediction)
            for index, prediction in zip(frame_indices, predictions, strict=True)
        ]

    def _state(self) -> PassState:
        """The state before a frame, which is that before any other."""
        shot = self._shot
        known = len(shot.channels)
        return PassState(self.network, self.settings, shot.bank, known_objects=known)

    def _decided(self, frame_index: int, prediction: Prediction | None) -> Segmentation:
        shot, state = self._shot, self._state()
        given = shot.given(frame_index, state.known_objects)
        result = segment_frame(
            state, shot.encoder, frame_index, given, is_last=True, prediction=prediction
        )
        return shot.segmentation(frame_index, shot.channels.by_object_id(result))
