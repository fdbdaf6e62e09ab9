"""What the nodes ask of a track, without ComfyUI."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


class Held(list[int]):
    """Frame indices that count how often they are gone through."""

    walks = 0

    def __iter__(self):
        Held.walks += 1
        return super().__iter__()


def test_a_frame_count_far_past_the_end_is_refused_at_once(pack_module):
    error = pack_module("xmempp_core").InputError
    track = SimpleNamespace(frame_indices=Held(range(1000)))
    with pytest.raises(error, match="ask for frame 1000, but the track holds 1000 frames, 0 to"):
        pack_module("nodes.results").frames_in_track(track, 0, 10_000_000)
    assert Held.walks == 1
