"""Finished tracks, kept by what they were made of.

ComfyUI runs a node again when anything before it changes. What changes no mask, such as a look at
another frame or a new name of an object, must not cost a pass through the clip.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..xmempp_core import PropagationSettings, Track

KEPT_TRACKS = 4
"""A track is small (up to 64 MB of memory, then a file), and a graph may hold several passes."""


@dataclass(frozen=True)
class MadeOf:
    """All that a track depends on, beside the model."""

    clip: Hashable
    """Identity of the frames, see `LinkedFrames`."""
    annotations: str
    """Fingerprint of the set."""
    settings: PropagationSettings
    augment: str


class FinishedTracks:
    """The last tracks of one loaded model, the latest used last."""

    def __init__(self) -> None:
        self._tracks: OrderedDict[MadeOf, Track] = OrderedDict()

    def find(self, made_of: MadeOf) -> Track | None:
        """The track that was made of the very same; None where there is none."""
        if made_of in self._tracks:
            self._tracks.move_to_end(made_of)
        return self._tracks.get(made_of)

    def keep(self, made_of: MadeOf, track: Track) -> None:
        """Keeps a track; the one that was not used for longest goes."""
        self._tracks[made_of] = track
        if len(self._tracks) > KEPT_TRACKS:
            self._tracks.popitem(last=False)
