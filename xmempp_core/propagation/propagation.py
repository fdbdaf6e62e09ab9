"""A pass over a shot: annotated frames in, a segmentation for every frame out.

One frame, five hops: source -> cache or encoder -> memory -> decoder -> (when due) memory.
The order of frames is a flat plan of steps, so that a pass can be saved and resumed between any
two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from ..annotations import Annotation, AnnotationSet
from ..errors import InputError, ShapeError
from ..memory.bank import EntryId, MemoryBank
from ..resize import cell_coverage, internal_size, pad, resize_frame, resize_masks, to_display
from ..runtime import full_float32
from ..settings import PropagationSettings
from ..track.segmentation import Segmentation
from ..types import FrameSource, Network
from .augment import augment_annotation
from .backward_results import ResultSpool, with_background
from .feature_cache import FeatureCache
from .frame_order import Step, forward_weight, plan_steps
from .frame_step import EncodedFrame, GivenMasks, Pass, add_permanent, advance


def propagate(
    network: Network,
    source: FrameSource,
    annotations: AnnotationSet,
    settings: PropagationSettings | None = None,
    *,
    frame_range: range | None = None,
    augment: tuple[str, ...] = (),
    cache: FeatureCache | None = None,
) -> Iterator[Segmentation]:
    """A generator of one segmentation for each frame, in the order they are computed.

    Args:
        network: from `load_model`.
        source: the frames, from `open_frames`.
        annotations: at least one annotated frame with an object; masks at the source's size.
        settings: None = the defaults.
        frame_range: frames to segment, step 1; annotations outside it still count. None = all.
        augment: kinds of augmentation stored beside each annotation (`parse_augmentations`).
        cache: features of an earlier pass over the same frames with the same network and size.

    Raises:
        InputError: the annotations or the range do not fit the frames.
    """
    return iter(
        Propagation(
            network,
            source,
            annotations,
            settings,
            frame_range=frame_range,
            augment=augment,
            cache=cache,
        )
    )


class Propagation:
    """A pass that can be saved between two frames and resumed; see `propagate`."""

    def __init__(
        self,
        network: Network,
        source: FrameSource,
        annotations: AnnotationSet,
        settings: PropagationSettings | None = None,
        *,
        frame_range: range | None = None,
        augment: tuple[str, ...] = (),
        cache: FeatureCache | None = None,
    ) -> None:
        self.settings = settings or PropagationSettings()
        self.network, self.source, self.annotations = network, source, annotations
        self.augment, self._cache = augment, cache
        frames = range(len(source)) if frame_range is None else frame_range
        _check_inputs(source, annotations, frames)
        self.frame_range = frames
        self._order = _channel_order(annotations)
        self._by_frame = {a.frame_index: a for a in annotations}
        self._steps = plan_steps(annotations.frame_indices, frames, self.settings.direction)
        self._counted = [0, *accumulate(int(step.action != "skip") for step in self._steps)]
        self._position = 0
        self._size = internal_size(source.size, self.settings.internal_size)
        bank = MemoryBank(len(self._order), self.settings)
        self._pass = Pass(network, self.settings, bank)
        self._is_permanent_memory_filled = False
        self._spool = ResultSpool(None)

    def keep_spool_in(self, directory: Path) -> None:
        """Puts the backward results of "bidirectional" where they outlive this pass."""
        self._spool = ResultSpool(directory)

    @property
    def frame_count(self) -> int:
        """Segmentations the whole pass yields."""
        return sum(step.action not in ("skip", "spool") for step in self._steps)

    @property
    def step_count(self) -> int:
        """Frames of the whole pass; "bidirectional" counts them in both directions."""
        return self._counted[-1]

    @property
    def steps_done(self) -> int:
        """How many of `step_count` are done."""
        return self._counted[self._position]

    def __iter__(self) -> Iterator[Segmentation]:
        return (one for one in self.steps() if one is not None)

    @torch.no_grad()
    def steps(self) -> Iterator[Segmentation | None]:
        """The pass one computed frame at a time; None where the result comes later or never.

        After each of them the pass can be stopped and its `state` saved.
        """
        if not self._is_permanent_memory_filled:
            with full_float32(self.network.device):
                self._fill_permanent_memory()
            self._is_permanent_memory_filled = True
        while self._position < len(self._steps):
            step = self._steps[self._position]
            # Not around the yield: the caller's own work keeps its setting.
            with full_float32(self.network.device):
                probabilities = self._run(step)
            if step.action == "spool":
                self._spool.put(step.frame_index, probabilities)
            self._position += 1
            if step.action in ("skip", "spool"):
                yield None
            else:
                yield self._segmentation(step.frame_index, probabilities)

    def _run(self, step: Step) -> Tensor:
        """(N + 1, H, W) probabilities of a step's frame, objects ascending by id."""
        if step.action == "unspool":
            return self._spool.get(step.frame_index).to(self.network.device)
        if step.starts_leg:
            self._pass.restart()
        encoded = self._encoded(step.frame_index)
        given = self._given(step.frame_index)
        result = advance(self._pass, encoded, given, is_last=step.ends_leg)
        ascending = self._by_object_id(result)
        return self._blended(step.frame_index, ascending) if step.action == "blend" else ascending

    # ---- permanent memory

    def _fill_permanent_memory(self) -> None:
        """All annotations and their augmentations, ascending by frame (XMem++, section 3.2)."""
        seen: set[int] = set()
        for annotation in self.annotations:
            ids = list(annotation.object_ids)
            if annotation.exhaustive:
                ids += [i for i in self._order if i in seen and i not in ids]
            if ids:
                self._add_permanent(annotation, ids)
                if self.settings.memory == "xmem":
                    return
            seen.update(annotation.object_ids)

    def _add_permanent(self, annotation: Annotation, object_ids: list[int]) -> None:
        index = annotation.frame_index
        masks = _masks_of(annotation, object_ids)
        given = self._given_masks(object_ids, masks)
        add_permanent(self._pass, EntryId(index), self._encoded(index), given)
        if not self.augment:
            return
        frame = self.source.frame(index)
        for number, one in enumerate(augment_annotation(self.augment, frame, masks), start=1):
            encoded = self._encode(one.frame)
            keep = None if one.coverage is None else self._covered_cells(one.coverage, encoded)
            augmented = self._given_masks(object_ids, one.masks)
            add_permanent(self._pass, EntryId(index, number), encoded, augmented, keep)

    def _covered_cells(self, coverage: Tensor, encoded: EncodedFrame) -> Tensor:
        """(h * w,) bool: cells at least half of which the augmented picture covers."""
        covered = resize_masks(coverage[None].to(self.network.device), self._size)
        return cell_coverage(pad(covered, encoded.features.padding))[0] >= 0.5

    # ---- what is known of a frame

    def _given(self, frame_index: int) -> GivenMasks | None:
        annotation = self._by_frame.get(frame_index)
        known = self._known_ids(annotation)
        absent = [i for i in self.annotations.absent_at(frame_index) if i in known]
        if annotation is None:
            if not absent:
                return None
            empty = torch.zeros(len(absent), *self._size)
            return self._given_masks(absent, empty, is_annotation=False)
        ids = list(annotation.object_ids)
        ids += [i for i in known if i not in ids and (annotation.exhaustive or i in absent)]
        if not ids:
            return None
        entries = self._pass.bank.permanent_entries
        # Also a map without any object known yet: it is stored nowhere.
        in_permanent = self.settings.memory == "xmem++" or EntryId(frame_index) in entries
        masks = _masks_of(annotation, ids)
        return self._given_masks(ids, masks, in_permanent=in_permanent)

    def _known_ids(self, annotation: Annotation | None) -> list[int]:
        """Objects met so far, in channel order, those of this annotation included."""
        known = self._order[: self._pass.known_objects]
        new = annotation.object_ids if annotation else ()
        return [i for i in self._order if i in known or i in new]

    def _given_masks(
        self,
        object_ids: list[int],
        masks: Tensor,
        *,
        is_annotation: bool = True,
        in_permanent: bool = True,
    ) -> GivenMasks:
        order = sorted(range(len(object_ids)), key=lambda c: self._order.index(object_ids[c]))
        channels = tuple(self._order.index(object_ids[c]) for c in order)
        resized = resize_masks(masks[order].to(self.network.device), self._size)
        return GivenMasks(channels, resized, is_annotation, in_permanent)

    # ---- frames

    def _encoded(self, frame_index: int) -> EncodedFrame:
        frame = self._prepared(self.source.frame(frame_index))
        if self._cache is None:
            return EncodedFrame(frame, self.network.encode(frame))
        features = self._cache.get(frame_index, lambda: self.network.encode(frame))
        return EncodedFrame(frame, features)

    def _encode(self, frame: Tensor) -> EncodedFrame:
        prepared = self._prepared(frame)
        return EncodedFrame(prepared, self.network.encode(prepared))

    def _prepared(self, frame: Tensor) -> Tensor:
        display = to_display(frame, self.network.device)
        return resize_frame(display, self._size, self.settings.antialias)

    # ---- results

    def _by_object_id(self, probabilities: Tensor) -> Tensor:
        """Channels ascending by object id; objects not met yet are 0."""
        result = probabilities.new_zeros(len(self._order) + 1, *probabilities.shape[1:])
        result[0] = probabilities[0]
        for place, object_id in enumerate(sorted(self._order), start=1):
            channel = self._order.index(object_id)
            if channel < probabilities.shape[0] - 1:
                result[place] = probabilities[channel + 1]
        return result

    def _blended(self, frame_index: int, forward: Tensor) -> Tensor:
        """Forward and backward results weighed by the distance to each object's annotations."""
        backward = self._spool.get(frame_index).to(forward.device)
        weights = [
            forward_weight(self.annotations, object_id, frame_index)
            for object_id in sorted(self._order)
        ]
        weight = forward.new_tensor(weights)[:, None, None]
        return with_background(weight * forward[1:] + (1 - weight) * backward[1:])

    def _segmentation(self, frame_index: int, probabilities: Tensor) -> Segmentation:
        annotation = self._by_frame.get(frame_index)
        object_ids = tuple(sorted(self._order))
        listed = annotation.object_ids if annotation else ()
        absent = {i for i in self.annotations.absent_at(frame_index) if i in object_ids}
        if annotation is not None and annotation.exhaustive:
            absent.update(object_ids)
        absent_ids = tuple(sorted(absent - set(listed)))
        return Segmentation(
            frame_index,
            object_ids,
            probabilities,
            self.source.size,
            _confidence(probabilities, object_ids, listed, absent_ids),
            annotation,
            absent_ids,
        )

    # ---- saving

    def state(self) -> dict[str, Tensor]:
        """The state between two frames, to be given to `load_state` of an equal pass."""
        one = self._pass
        state = {f"bank.{name}": tensor for name, tensor in one.bank.state().items()}
        clocks = (
            self._position,
            one.known_objects,
            one.clock,
            one.last_memorized,
            one.last_deep_update,
        )
        state["clocks"] = torch.tensor(clocks, dtype=torch.int64)
        if one.sensory is not None:
            state["sensory"] = one.sensory
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Goes on where the pass that returned `state` stood."""
        one, device = self._pass, self.network.device
        bank = {n.removeprefix("bank."): t for n, t in state.items() if n.startswith("bank.")}
        one.bank.load_state(bank, device)
        self._is_permanent_memory_filled = bool(one.bank.permanent_entries)
        clocks = (int(value) for value in state["clocks"])
        self._position, one.known_objects, one.clock, one.last_memorized, deep = clocks
        one.last_deep_update = deep
        one.sensory = state["sensory"].to(device) if "sensory" in state else None


def _check_inputs(source: FrameSource, annotations: AnnotationSet, frames: range) -> None:
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
    if not len(frames) or frames.step != 1 or frames.start < 0 or frames.stop > count:
        raise InputError(
            f"frame range {frames.start} to {frames.stop - 1} does not lie in the shot's "
            f"0 to {count - 1}"
        )


def _channel_order(annotations: AnnotationSet) -> list[int]:
    """Object ids in order of their first annotation, ascending within one."""
    return list(dict.fromkeys(i for a in annotations for i in a.object_ids))


def _masks_of(annotation: Annotation, object_ids: list[int]) -> Tensor:
    """(n, H, W) float32 masks, empty for objects the annotation does not list."""
    masks = torch.zeros(len(object_ids), *annotation.size)
    for place, object_id in enumerate(object_ids):
        if object_id in annotation.object_ids:
            masks[place] = annotation.mask(object_id).float()
    return masks


def _confidence(
    probabilities: Tensor,
    object_ids: tuple[int, ...],
    listed: tuple[int, ...],
    absent: tuple[int, ...],
) -> tuple[float, ...]:
    """For each object the mean of 2p - 1 over its pixels with p > 0.5."""
    objects = probabilities[1:]
    inside = objects > 0.5
    total = torch.where(inside, 2 * objects - 1, 0).flatten(1).sum(1)
    means = (total / inside.flatten(1).sum(1).clamp(min=1)).tolist()
    return tuple(
        float("nan") if i in listed else 0.0 if i in absent else mean
        for i, mean in zip(object_ids, means, strict=True)
    )
