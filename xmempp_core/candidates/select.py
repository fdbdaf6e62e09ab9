"""Which frames to annotate next: Algorithm 1 of XMem++, and what it is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError, ShapeError
from ..propagation.encoding import EncodedFrame, ShotEncoder
from ..propagation.feature_cache import FeatureCache
from ..resize import pad, resize_masks
from ..runtime import full_float32
from ..settings import PropagationSettings
from ..track.track import Track
from ..types import FrameSource, Network
from .dissimilarity import FrameRows, composite_key, presence_of_cells, rows_of
from .greedy import GreedyChoice, choose_frames
from .key_store import FrameKeys
from .request import CandidateRequest
from .uncertainty import frame_uncertainty

FOREGROUND = 0.5
"""Presence above which a pixel belongs to an object."""
MAX_FRAMES = 4000
"""Frames looked at at most; of a longer shot every n-th."""
KEY_BYTES = 2**30
"""Host memory for the keys of all frames; beyond it they lie in a file on disk."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Frames worth annotating next, best first, and the curve behind the choice."""

    indices: tuple[int, ...]
    """Proposed frames, positions in the shot, in order of choice."""
    scores: tuple[float, ...]
    """Score of each proposed frame when it was chosen."""
    dissimilarity: Tensor
    """(rounds, N) float64, a row for each choice and for the round that found none, if one did;
    round 1 is the curve for a timeline"""
    is_exact: Tensor
    """(rounds, N) bool; where False the dissimilarity is an upper bound. Round 1 is all True."""
    frame_indices: tuple[int, ...]
    """The N frames that were looked at, ascending positions in the shot."""
    frame_step: int = 1
    """Every how many frames the shot was looked at."""


def select_from_features(
    key: Tensor,
    shrinkage: Tensor,
    selection: Tensor,
    presence: Tensor,
    request: CandidateRequest,
) -> Candidates:
    """Frames to annotate next, from features at hand (XMem++, Algorithm 1).

    Args:
        key: (N, CK, h, w).
        shrinkage: (N, 1, h, w), at least 1.
        selection: (N, CK, h, w), 0..1.
        presence: (N, C, H, W) float 0..1 of C objects, weighed as it is; label maps become
            one-hot first.
        request: what is asked for.

    Returns:
        Fewer than asked for where nothing different is left; a frame is never proposed twice.

    Raises:
        InputError: the request does not fit the frames, or the presence is of whole numbers.
        ShapeError: the tensors are not of the same frames.
    """
    _check_features(key, shrinkage, selection, presence)
    request.check(key.shape[0])
    minimum = request.minimum_pixels(presence[0, 0].numel())
    strongest = [one.amax(0) for one in presence]
    proposable = [_has_object(one, minimum) for one in strongest]
    height, width = key.shape[-2:]

    def rows(j: int) -> FrameRows:
        cells = presence_of_cells(strongest[j], height, width).to(key.device)
        composite = composite_key(key[j].float(), cells, request.alpha)
        return rows_of(composite, shrinkage[j], selection[j])

    with full_float32(key.device):
        choice = choose_frames(rows, proposable, request.annotated, request.count)
    return _candidates(choice, range(key.shape[0]))


@torch.no_grad()
def select_candidates(
    network: Network,
    source: FrameSource,
    track: Track | None,
    request: CandidateRequest,
    *,
    settings: PropagationSettings | None = None,
    cache: FeatureCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Candidates:
    """Frames of a shot to annotate next, from its latest track, or before there is one.

    Args:
        network: its keys are compared.
        source: the shot.
        track: what the annotations gave so far; its probabilities say where the objects are, and
            only frames that it holds are proposed. None = whole pictures are compared, and any
            frame is proposed.
        request: what is asked for; its annotated frames are in the track.
        settings: say the internal size where there is no track; None = the defaults.
        cache: features of the pass that made the track.
        progress: called after each frame that was looked at, with frames done and frames in all.

    Returns:
        Fewer than asked for where nothing different is left. Above 4,000 frames every n-th frame
        is looked at, as `frame_step` says; annotated ones always are.

    Raises:
        InputError: the request does not fit the shot, or the track is of another clip or has no
            object, or the cache belongs to something else; uncertainty is asked for without track.
    """
    if track is not None:
        _check_track(track, source)
    request.check(len(source))
    if track is not None:
        _check_held(request.annotated, track)
        settings = track.settings
    minimum = request.minimum_pixels(math.prod(source.size))
    held = range(len(source)) if track is None else track.frame_indices
    step = -(-len(held) // MAX_FRAMES)
    looked_at = sorted({*held[::step], *request.annotated})
    weights = None
    if request.method == "uncertainty":
        if track is None:
            raise InputError("there is no track whose uncertainty could be told; propagate first")
        uncertainty = frame_uncertainty(network, source, track, cache)
        weights = [uncertainty[i] for i in looked_at]
    with (
        full_float32(network.device),
        FrameKeys(network.key_channels, memory_bytes=KEY_BYTES) as keys,
    ):
        proposable = []
        encoder = ShotEncoder(network, source, settings or PropagationSettings(), cache)
        for place, index in enumerate(looked_at):
            strongest = None if track is None else track.probabilities(index)[1:].amax(0)
            proposable.append(strongest is None or _has_object(strongest, minimum))
            keys.put(place, *_weighed_keys(encoder.encode(index), strongest, request.alpha))
            if progress is not None:
                progress(place + 1, len(looked_at))

        def rows(place: int) -> FrameRows:
            return rows_of(*(part.to(network.device) for part in keys.get(place)))

        places = [looked_at.index(i) for i in request.annotated]
        choice = choose_frames(rows, proposable, places, request.count, weights)
    return _candidates(choice, looked_at, step)


def _candidates(
    choice: GreedyChoice, frame_indices: Sequence[int], frame_step: int = 1
) -> Candidates:
    """A choice among the frames that were looked at, in positions of the shot."""
    return Candidates(
        tuple(frame_indices[j] for j in choice.indices),
        choice.scores,
        choice.dissimilarity,
        choice.is_exact,
        tuple(frame_indices),
        frame_step,
    )


def _has_object(strongest: Tensor, minimum: int) -> bool:
    """Whether enough pixels of (H, W) belong to an object."""
    return int((strongest > FOREGROUND).sum()) >= minimum


def _weighed_keys(
    encoded: EncodedFrame, strongest: Tensor | None, alpha: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Composite key, shrinkage and selection of a frame whose presence is (H, W), None = all."""
    features = encoded.features
    if strongest is None:
        return features.key.float().cpu(), features.shrinkage, features.selection
    presence = _padded_presence(strongest, encoded)
    composite = composite_key(features.key.float().cpu(), presence, alpha)
    return composite, features.shrinkage, features.selection


def _padded_presence(strongest: Tensor, encoded: EncodedFrame) -> Tensor:
    """(h, w) presence at the cells of the padded frame, from (H, W) at source resolution."""
    features = encoded.features
    padded = pad(resize_masks(strongest[None], encoded.size)[0], features.padding)
    return presence_of_cells(padded, *features.key.shape[1:])


def _check_features(key: Tensor, shrinkage: Tensor, selection: Tensor, presence: Tensor) -> None:
    if key.ndim != 4:
        raise ShapeError("key", "(N, CK, h, w)", tuple(key.shape))
    if selection.shape != key.shape:
        raise ShapeError("selection", tuple(key.shape), tuple(selection.shape), "as the key has")
    n, _, h, w = key.shape
    if shrinkage.shape != (n, 1, h, w):
        raise ShapeError("shrinkage", (n, 1, h, w), tuple(shrinkage.shape))
    if presence.ndim != 4 or presence.shape[0] != n:
        raise ShapeError(
            "masks", f"({n}, C, H, W)", tuple(presence.shape), "give masks for every frame"
        )
    if presence.shape[1] == 0:
        raise InputError("the masks hold no object; annotate at least one object first")
    if not (presence.is_floating_point() or presence.dtype == torch.bool):
        raise InputError(
            f"the masks are {presence.dtype}, allowed is float 0..1; make label maps one-hot first"
        )


def _check_track(track: Track, source: FrameSource) -> None:
    if track.size != source.size or len(track.frame_names) != len(source):
        raise InputError(
            f"the track is of another clip: {len(track.frame_names)} frames of {track.size}, "
            f"while this clip has {len(source)} of {source.size}; give the track of this clip"
        )
    if track.shot.fingerprint != source.fingerprint:
        raise InputError(
            "the track is of another clip of the same length and size; give the track of this clip"
        )
    if not track.object_ids:
        raise InputError("the track holds no object; annotate one and propagate first")


def _check_held(annotated: Sequence[int], track: Track) -> None:
    missing = sorted(set(annotated) - set(track.frame_indices))
    if missing:
        raise InputError(
            f"annotated frame {missing[0]} is not in the track, which holds {len(track)} frames; "
            "propagate over a range that contains it"
        )
