"""Which frames to annotate next: Algorithm 1 of XMem++, and what it is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import InputError, ShapeError
from ..propagation.encoding import ShotEncoder
from ..propagation.feature_cache import FeatureCache
from ..resize import pad, resize_masks
from ..runtime import full_float32
from ..track.track import Track
from ..types import STRIDE, FrameSource, Network, Padding, Size
from .dissimilarity import FrameRows, composite_key, presence_of_cells, rows_of
from .greedy import Choice, check_count, choose_frames
from .key_store import FrameKeys
from .uncertainty import frame_uncertainty

CandidateMethod = Literal["algorithm1", "uncertainty"]

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
    annotated: Iterable[int],
    k: int,
    alpha: float = 0.5,
    min_mask_pixels: int = 9,
    min_mask_fraction: float = 0.0,
) -> Candidates:
    """Up to `k` frames to annotate next, from features at hand (XMem++, Algorithm 1).

    Args:
        key: (N, CK, h, w).
        shrinkage: (N, 1, h, w), at least 1.
        selection: (N, CK, h, w), 0..1.
        presence: (N, C, H, W) float 0..1 of C objects, weighed as it is; label maps become
            one-hot first.
        annotated: frames annotated already, at least one; always compared against.
        k: number of frames to propose, 1..N.
        alpha: how much the objects count against the whole picture, 0..1.
        min_mask_pixels: pixels above 0.5 that a frame must have to be proposed.
        min_mask_fraction: the same as a fraction 0..1 of the H * W pixels; the larger one counts.

    Returns:
        Fewer than `k` where nothing different is left; a frame is never proposed twice.

    Raises:
        InputError: k, alpha, a minimum or an annotated frame is out of range, or the presence is
            of whole numbers.
        ShapeError: the tensors are not of the same frames.
    """
    _check_features(key, shrinkage, selection, presence)
    annotated = _check_request(key.shape[0], annotated, k, alpha)
    minimum = _minimum_pixels(presence[0, 0].numel(), min_mask_pixels, min_mask_fraction)
    strongest = [one.amax(0) for one in presence]
    proposable = [_has_object(one, minimum) for one in strongest]
    height, width = key.shape[-2:]

    def rows(j: int) -> FrameRows:
        cells = presence_of_cells(strongest[j], height, width).to(key.device)
        return rows_of(composite_key(key[j].float(), cells, alpha), shrinkage[j], selection[j])

    with full_float32(key.device):
        choice = choose_frames(rows, proposable, annotated, k)
    return _candidates(choice, range(key.shape[0]))


@torch.no_grad()
def select_candidates(
    model: Network,
    frames: FrameSource,
    track: Track,
    annotated: Iterable[int],
    k: int,
    alpha: float = 0.5,
    min_mask_pixels: int = 9,
    min_mask_fraction: float = 0.0,
    cache: FeatureCache | None = None,
    *,
    method: CandidateMethod = "algorithm1",
    key_bytes: int = KEY_BYTES,
    progress: Callable[[int, int], None] | None = None,
) -> Candidates:
    """Up to `k` frames of a shot to annotate next, from its latest track.

    Args:
        model: the network whose keys are compared.
        frames: the shot.
        track: what the annotations gave so far; its probabilities say where the objects are, and
            only frames that it holds are proposed.
        annotated: frames annotated already, at least one, each in the track.
        k: number of frames to propose.
        alpha: how much the objects count against the whole picture, 0..1.
        min_mask_pixels: pixels of an object that a frame must have to be proposed.
        min_mask_fraction: the same as a fraction 0..1 of the picture; the larger one counts.
        cache: features of the pass that made the track.
        method: "algorithm1" as in the paper, or "uncertainty": scores are multiplied by
            `frame_uncertainty`, which costs one more pass.
        key_bytes: host memory for keys; beyond it they lie in a file on disk.
        progress: called after each frame that was looked at, with frames done and frames in all.

    Returns:
        Fewer than `k` where nothing different is left. Above 4,000 frames every n-th frame is
        looked at, as `frame_step` says; annotated ones always are.

    Raises:
        InputError: the request is out of range, or the track is of another clip or has no object.
    """
    if method not in get_args(CandidateMethod):
        raise InputError(f"method {method!r} is unknown; use algorithm1 or uncertainty")
    _check_track(track, frames)
    annotated = _check_request(len(frames), annotated, k, alpha)
    _check_held(annotated, track)
    minimum = _minimum_pixels(math.prod(frames.size), min_mask_pixels, min_mask_fraction)
    step = -(-len(track) // MAX_FRAMES)
    looked_at = sorted({*track.frame_indices[::step], *annotated})
    weights = None
    if method == "uncertainty":
        uncertainty = frame_uncertainty(model, frames, track, cache)
        weights = [uncertainty[i] for i in looked_at]
    encoder = ShotEncoder(model, frames, track.settings, cache)
    cells = (-(-encoder.size.height // STRIDE), -(-encoder.size.width // STRIDE))
    with (
        full_float32(model.device),
        FrameKeys(len(looked_at), model.key_channels, cells, memory_bytes=key_bytes) as keys,
    ):
        proposable = []
        for position, index in enumerate(looked_at):
            features = encoder.encode(index).features
            strongest = track.probabilities(index)[1:].amax(0)
            proposable.append(_has_object(strongest, minimum))
            presence = _padded_presence(strongest, encoder.size, features.padding, cells)
            composite = composite_key(features.key.float().cpu(), presence, alpha)
            keys.put(position, composite, features.shrinkage, features.selection)
            if progress is not None:
                progress(position + 1, len(looked_at))

        def rows(position: int) -> FrameRows:
            return rows_of(*(part.to(model.device) for part in keys.get(position)))

        positions = [looked_at.index(i) for i in annotated]
        choice = choose_frames(rows, proposable, positions, k, weights)
    return _candidates(choice, looked_at, step)


def _candidates(choice: Choice, frame_indices: Sequence[int], frame_step: int = 1) -> Candidates:
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


def _padded_presence(
    strongest: Tensor, size: Size, padding: Padding, cells: tuple[int, int]
) -> Tensor:
    """(h, w) presence at the cells of the padded frame, from (H, W) at source resolution."""
    return presence_of_cells(pad(resize_masks(strongest[None], size)[0], padding), *cells)


def _minimum_pixels(picture_pixels: int, min_mask_pixels: int, min_mask_fraction: float) -> int:
    """Pixels of an object that a proposable frame has at least.

    Raises:
        InputError: a minimum is out of range.
    """
    if not 0 <= min_mask_fraction <= 1:
        raise InputError(
            f"min_mask_fraction is {min_mask_fraction}, allowed is 0 to 1; 0.0025 is 0.25 %"
        )
    if min_mask_pixels < 0:
        raise InputError(f"min_mask_pixels is {min_mask_pixels}, allowed is 0 and up")
    return max(min_mask_pixels, math.ceil(min_mask_fraction * picture_pixels - 1e-9))


def _check_request(
    frame_count: int, annotated: Iterable[int], k: int, alpha: float
) -> tuple[int, ...]:
    """The annotated frames, ascending, if the request can be met; raises InputError otherwise."""
    check_count(frame_count, k)
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}, allowed is 0 (whole picture) to 1 (objects alone)")
    indices = tuple(sorted(set(annotated)))
    if not indices:
        raise InputError("no frame is annotated; annotate one frame before asking for the next")
    if indices[0] < 0 or indices[-1] >= frame_count:
        wrong = indices[0] if indices[0] < 0 else indices[-1]
        raise InputError(
            f"annotated frame {wrong} is outside the clip; its frames are 0 to {frame_count - 1}"
        )
    return indices


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


def _check_track(track: Track, frames: FrameSource) -> None:
    if track.size != frames.size or len(track.frame_names) != len(frames):
        raise InputError(
            f"the track is of another clip: {len(track.frame_names)} frames of {track.size}, "
            f"while this clip has {len(frames)} of {frames.size}; give the track of this clip"
        )
    if track.shot.fingerprint != frames.fingerprint:
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
