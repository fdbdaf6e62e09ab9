"""The clips of the open annotators, by key: what the browser asks frames of."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import convert, host

if TYPE_CHECKING:
    from ..xmempp_core import Clip, FrameProxies, Shot
    from .convert import LinkedFrames

KEPT_CLIPS = 4
KEPT_PICTURE_BYTES = 4 * 2**30
"""Most memory of clips that came as IMAGE and that nothing else may hold; the newest stays."""


@dataclass(frozen=True, eq=False)
class OpenClip:
    """A clip that a node opened."""

    key: str
    """Name of its content, 40 hexadecimal digits."""
    frames: LinkedFrames
    """For passes and answers; the proxies read through objects of their own."""
    proxies: FrameProxies = field(repr=False)
    link: Hashable = None
    """See `convert.file_link`."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the browser is told of it."""
        from ..xmempp_core import PROXY_WIDTHS

        frames = self.frames
        rate = frames.frame_rate
        return {
            "key": self.key,
            "count": len(frames),
            "width": frames.size.width,
            "height": frames.size.height,
            "rate": None if rate is None else float(rate),
            "first_number": frames.number(0),
            "digits": len(frames.name(0)),
            "name": frames.title,
            "widths": list(PROXY_WIDTHS),
        }

    @property
    def clip(self) -> Clip:
        """What a project must know of it."""
        from ..xmempp_core import Clip

        return Clip(self.key, self.frames.size, len(self.frames))

    @cached_property
    def shot(self) -> Shot:
        """What a track keeps of it."""
        from ..xmempp_core import Shot

        return Shot.of(self.frames)

    @property
    def picture_bytes(self) -> int:
        """Memory of its pictures, if they came as IMAGE."""
        height, width = self.frames.size
        is_film = not self.frames.fingerprint.startswith(convert.PICTURES)
        return 0 if is_film else len(self.frames) * height * width * 3 * 4


class OpenClips:
    """The clips that were opened last; safe to use from several threads."""

    def __init__(self) -> None:
        self._clips: OrderedDict[str, OpenClip] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: str) -> OpenClip | None:
        """The clip of a key; None where it is not open."""
        with self._lock:
            if key in self._clips:
                self._clips.move_to_end(key)
            return self._clips.get(key)

    def opened(self, frames: Any) -> OpenClip:
        """The clip of an IMAGE or VIDEO; one that is open already is found without reading it,
        and one of a file without opening that.

        Raises:
            InputError, FormatError: as `convert.frames_of`.
        """
        from ..xmempp_core import content_name

        link = convert.file_link(frames)
        if link is not None and (open_one := self._linked(link)) is not None:
            return open_one
        linked = convert.frames_of(frames)
        with self._lock:
            known = next((c for c in self._clips.values() if _is_same(c.frames, linked)), None)
        key = content_name(linked.fingerprint.encode()) if known is None else known.key
        found = self.find(key)
        if found is not None and _is_same(found.frames, linked):
            return found
        clip = OpenClip(key, linked, _proxies(key, frames), link)
        clip.proxies.start()
        self._keep(clip)
        return clip

    def _linked(self, link: Hashable) -> OpenClip | None:
        with self._lock:
            keys = [key for key, clip in self._clips.items() if clip.link == link]
        return self.find(keys[0]) if keys else None

    def _keep(self, clip: OpenClip) -> None:
        gone = []
        with self._lock:
            replaced = self._clips.pop(clip.key, None)
            gone += [] if replaced is None else [replaced]
            self._clips[clip.key] = clip
            while len(self._clips) > 1 and self._is_full():
                gone.append(self._clips.popitem(last=False)[1])
        for one in gone:
            one.proxies.stop()

    def _is_full(self) -> bool:
        held = sum(one.picture_bytes for one in self._clips.values())
        return len(self._clips) > KEPT_CLIPS or held > KEPT_PICTURE_BYTES


CLIPS = OpenClips()
"""Those of this ComfyUI."""


def _is_same(one: LinkedFrames, other: LinkedFrames) -> bool:
    return bool(one.identity == other.identity)


def _proxies(key: str, frames: Any) -> FrameProxies:
    from ..xmempp_core import FrameProxies

    folder = host.temporary_folder() / "xmempp_proxies" / key
    return FrameProxies(convert.frames_of(frames), convert.frames_of(frames), folder)
