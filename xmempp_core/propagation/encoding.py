"""ShotEncoder: what a frame looks like to the network, for propagation and candidates alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial

import torch
from torch import Tensor

from ..resize import internal_size, resize_frame, resize_masks, to_planes
from ..settings import PropagationSettings
from ..transfer import uploaded
from ..types import Features, FrameSource, Network, Size
from .batches import in_batches
from .feature_cache import CacheOwner, FeatureCache, picture_hash

BATCH_FRAMES = {"cuda": 4}
"""Frames that a pass encodes at once, by device; one elsewhere, as a processor gains nothing."""
_THREADED_DEVICES = ("cpu", "cuda")  # elsewhere only one thread works on the device


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame as its file has it, with what is made of it before the network."""

    frame_index: int
    pixels: Tensor
    """(H, W, 3) uint8 or float32 display values"""
    key: str | None
    """its name in the feature cache; None without one"""
    prepare: Callable[[], Tensor]
    """gives it (3, H, W) float32 at internal size on the network's device, made once"""


class EncodedFrame:
    """A frame with its features; the picture itself is made when it is asked for.

    Args:
        features: from the network or a cache.
        size: internal size.
        prepare: makes the picture.
    """

    def __init__(self, features: Features, size: Size, prepare: Callable[[], Tensor]) -> None:
        self.features = features
        self.size = size
        self._prepare = prepare

    @cached_property
    def frame(self) -> Tensor:
        """(3, H, W) float32 0..1 at internal size."""
        return self._prepare()

    @property
    def cells(self) -> int:
        """Cells at stride 16."""
        return self.features.key.shape[1] * self.features.key.shape[2]


class ShotEncoder:
    """Decodes, converts, resizes and encodes the frames of a shot.

    Args:
        network: encodes.
        source: the frames.
        settings: say the internal size and how frames are shrunk to it.
        feature_cache: features of earlier passes; None = encode every frame.

    Raises:
        InputError: the cache belongs to another network, size, dtype or device.
    """

    def __init__(
        self,
        network: Network,
        source: FrameSource,
        settings: PropagationSettings,
        feature_cache: FeatureCache | None = None,
    ) -> None:
        self.size = internal_size(source.size, settings.internal_size)
        """Internal size."""
        self._network, self._source, self._cache = network, source, feature_cache
        self._antialias = settings.antialias
        self.batch_frames = BATCH_FRAMES.get(network.device.type, 1)
        """Frames that `encode_ahead` is to be given at once; lower once memory ran out."""
        self._ahead: dict[int, EncodedFrame] = {}
        self.read_frame: Callable[[int], Picture] = self.read
        """Gives a frame to be encoded; another function may have read it ahead with `read`."""
        if feature_cache is not None:
            feature_cache.bind(self._owner())

    def read(self, frame_index: int) -> Picture:
        """A frame of the shot, as far as it comes without the network; in any thread.

        It is hashed for the cache where there is one, else brought to internal size on the device.
        """
        pixels = self._source.frame(frame_index)
        prepare = cache(lambda: self.prepared(pixels))
        if self._cache is not None:  # whose hits need no picture
            return Picture(frame_index, pixels, picture_hash(pixels), prepare)
        if self._network.device.type in _THREADED_DEVICES:
            prepare()
        return Picture(frame_index, pixels, None, prepare)

    def encode(self, frame_index: int) -> EncodedFrame:
        """A frame of the shot; one that was encoded ahead is handed out, once."""
        ahead = self._ahead.pop(frame_index, None)
        if ahead is not None:
            return ahead
        picture = self.read_frame(frame_index)
        if self._cache is None or picture.key is None:
            features = self._network.encode(picture.prepare())
        else:
            features = self._cache.get(picture.key, lambda: self._network.encode(picture.prepare()))
        return EncodedFrame(features, self.size, picture.prepare)

    def encode_ahead(self, frame_indices: Sequence[int]) -> None:
        """Encodes frames in one batch, for `encode` to hand out; those of before are dropped.

        Features that the cache holds are not made again. When memory runs out they are encoded in
        smaller batches from now on, and a line says so.
        """
        self._ahead.clear()  # before others take its place
        pictures = [self.read_frame(index) for index in frame_indices]
        self._ahead = {
            picture.frame_index: EncodedFrame(features, self.size, picture.prepare)
            for picture, features in zip(pictures, self._features(pictures), strict=True)
        }

    def is_ahead(self, frame_index: int) -> bool:
        """Whether a frame is encoded already."""
        return frame_index in self._ahead

    def _features(self, pictures: Sequence[Picture]) -> list[Features]:
        """The features of pictures, from the cache or from the network in batches."""
        cache = self._cache
        if cache is None:
            return self._batched([picture.prepare() for picture in pictures])
        missing = {p.key: p for p in pictures if p.key and not cache.holds(p.key)}
        made = dict(
            zip(missing, self._batched([p.prepare() for p in missing.values()]), strict=True)
        )

        def features(picture: Picture) -> Features:
            found = made.get(picture.key or "")
            return self._network.encode(picture.prepare()) if found is None else found

        return [cache.get(p.key or "", partial(features, p)) for p in pictures]

    def _batched(self, frames: list[Tensor]) -> list[Features]:
        def encoded(part: list[Tensor]) -> list[Features]:
            if len(part) == 1:
                return [self._network.encode(part[0])]
            batch = self._network.encode(torch.stack(part))
            return [batch.of_frame(place) for place in range(len(part))]

        found, sufficed = in_batches(encoded, frames, max(len(frames), 1))
        if sufficed < len(frames):
            self.batch_frames = min(self.batch_frames, sufficed)
        return found

    def encode_picture(self, pixels: Tensor) -> EncodedFrame:
        """A picture (H, W, 3) that is no frame of the shot, such as an augmented one."""
        prepared = self.prepared(pixels)
        return EncodedFrame(self._network.encode(prepared), self.size, lambda: prepared)

    def prepared(self, pixels: Tensor) -> Tensor:
        """(3, H, W) float32 0..1 at internal size on the network's device, from (H, W, 3)."""
        planes = to_planes(pixels, self._network.device)
        return resize_frame(planes, self.size, self._antialias)

    def masks(self, masks: Tensor) -> Tensor:
        """(N, H, W) float32 masks at internal size on the network's device."""
        return resize_masks(uploaded(masks, self._network.device), self.size)

    def _owner(self) -> CacheOwner:
        network = self._network
        return CacheOwner(
            network.info.sha256,
            self.size,
            self._antialias,
            str(network.dtype).removeprefix("torch."),
            network.device.type,
        )
