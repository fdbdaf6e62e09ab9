"""ShotEncoder: what a frame looks like to the network, for propagation and candidates alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

from torch import Tensor

from ..resize import internal_size, resize_frame, resize_masks, to_planes
from ..settings import PropagationSettings
from ..transfer import uploaded
from ..types import Features, FrameSource, Network, Size
from .feature_cache import CacheOwner, FeatureCache, picture_hash

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
        """A frame of the shot."""
        picture = self.read_frame(frame_index)
        if self._cache is None or picture.key is None:
            features = self._network.encode(picture.prepare())
        else:
            features = self._cache.get(picture.key, lambda: self._network.encode(picture.prepare()))
        return EncodedFrame(features, self.size, picture.prepare)

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
