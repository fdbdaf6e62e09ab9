"""Candidates of a shot come from its track, frames and features, wherever these are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import ARCHITECTURES, tiny_network

from xmempp_core.annotations import AbsenceRange, Annotation, AnnotationSet
from xmempp_core.candidates import select as module
from xmempp_core.candidates.key_store import FrameKeys
from xmempp_core.candidates.request import CandidateRequest
from xmempp_core.candidates.select import select_candidates, select_from_features
from xmempp_core.candidates.uncertainty import frame_uncertainty
from xmempp_core.errors import InputError
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.propagation.encoding import ShotEncoder
from xmempp_core.propagation.feature_cache import FeatureCache
from xmempp_core.propagation.propagation import propagate
from xmempp_core.resize import to_planes
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.track import Track
from xmempp_core.types import FrameSource, ModelInfo

INFO = ModelInfo("tiny", Path("tiny"), "tiny", 8, 16, 4, 1, "0" * 64, "test", "")
SETTINGS = PropagationSettings(internal_size=None, memorize_every=2, top_k=8)


def make_shot(frame_count: int = 7, seed: int = 0, size=(32, 48)) -> FrameSource:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (frame_count, *size, 3), generator=generator, dtype=torch.uint8)
    return open_frames(frames)


def annotate(shot: FrameSource, *frame_indices: int) -> AnnotationSet:
    masks = torch.zeros(2, *shot.size, dtype=torch.bool)
    masks[0, 4:20, 6:25] = True
    masks[1, 18:30, 28:44] = True
    return AnnotationSet(tuple(Annotation(i, (1, 4), masks) for i in frame_indices))


def make_track(network, shot, annotations, settings=SETTINGS, **options) -> Track:
    return Track.collect(propagate(network, shot, annotations, settings, **options))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_shots_candidates_equal_those_from_its_features(architecture: str) -> None:
    network, shot = tiny_network(architecture), make_shot()
    track = make_track(network, shot, annotate(shot, 1, 5))

    result = select_candidates(network, shot, track, CandidateRequest([1, 5], 4, alpha=0.7))

    features = [network.encode(to_planes(frame, network.device)) for frame in shot]
    expected = select_from_features(
        torch.stack([f.key for f in features]),
        torch.stack([f.shrinkage for f in features]),
        torch.stack([f.selection for f in features]),
        torch.stack([track.probabilities(i)[1:] for i in range(7)]),
        CandidateRequest([1, 5], 4, alpha=0.7),
    )
    assert len(result.indices) > 1
    assert result.indices == expected.indices
    torch.testing.assert_close(result.dissimilarity, expected.dissimilarity)
    assert result.frame_indices == tuple(range(7))
    assert result.frame_step == 1


def test_keys_on_disk_and_features_from_the_cache_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, shot = tiny_network("xmemlite-1"), make_shot(size=(40, 50))
    cache = FeatureCache(1 << 24)
    track = make_track(network, shot, annotate(shot, 0), cache=cache)
    plain = select_candidates(network, shot, track, CandidateRequest([0], 3))
    hits = cache.statistics.hits

    with monkeypatch.context() as patch:
        patch.setattr(module, "KEY_BYTES", 100)
        spilled = select_candidates(network, shot, track, CandidateRequest([0], 3))
    cached = select_candidates(network, shot, track, CandidateRequest([0], 3), cache=cache)

    assert cache.statistics.hits == hits + 7
    for result in (spilled, cached):
        assert result.indices == plain.indices
        assert torch.equal(result.dissimilarity, plain.dissimilarity)


def test_keys_beyond_the_budget_lie_on_disk_until_they_are_no_longer_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    frames = [
        (torch.rand(3, 2, 2), torch.rand(1, 2, 2), torch.rand(3, 2, 2, dtype=torch.float64))
        for _ in range(3)
    ]

    with FrameKeys(3, memory_bytes=150) as keys:
        for place, maps in enumerate(frames):
            keys.put(place, *maps)
        assert keys.spilled_bytes == 2 * 7 * 4 * 4
        for place, maps in enumerate(frames):
            for got, put in zip(keys.get(place), maps, strict=True):
                assert torch.equal(got, put.float())

    assert not list(tmp_path.iterdir())


def test_keys_are_computed_and_compared_in_full_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    network, shot = tiny_network("xmemlite-1"), make_shot()
    track = make_track(network, shot, annotate(shot, 0))
    inside: list[str] = []
    seen: list[bool] = []

    @contextmanager
    def full_float32(device: torch.device) -> Iterator[None]:
        inside.append(device.type)
        yield
        inside.pop()

    def watched(function):
        return lambda *a: (seen.append(bool(inside)), function(*a))[1]

    monkeypatch.setattr(module, "full_float32", full_float32)
    encode = module.ShotEncoder.encode
    monkeypatch.setattr(module.ShotEncoder, "encode", watched(encode))
    monkeypatch.setattr(module, "choose_frames", watched(module.choose_frames))
    select_candidates(network, shot, track, CandidateRequest([0], 2))
    key = torch.rand(3, 8, 2, 3)
    select_from_features(
        key, torch.ones(3, 1, 2, 3), key, torch.ones(3, 1, 4, 6), CandidateRequest([0], 1)
    )

    assert seen == [True] * (7 + 1 + 1)


def test_padded_frames_weigh_their_objects_where_they_are() -> None:
    shot = make_shot(2, size=(40, 50))
    mask = torch.zeros(1, 40, 50, dtype=torch.bool)
    mask[0, :, 25:] = True
    network = tiny_network("xmem")
    encoded = ShotEncoder(network, shot, SETTINGS).encode(0)

    cells = module._padded_presence(mask[0].float(), encoded)

    # 50 columns, 7 of padding on each side: cells begin at columns -7, 9, 25, 41; 4 rows above
    assert encoded.features.padding == (7, 7, 4, 4)
    assert cells.tolist() == [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_of_a_long_shot_every_nth_frame_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    network, shot = tiny_network("xmemlite-1"), make_shot(9)
    track = make_track(network, shot, annotate(shot, 5))
    monkeypatch.setattr(module, "MAX_FRAMES", 4)

    told: list[tuple[int, int]] = []
    result = select_candidates(
        network,
        shot,
        track,
        CandidateRequest([5], 2),
        progress=lambda done, total: told.append((done, total)),
    )

    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert result.frame_step == 3
    assert result.frame_indices == (0, 3, 5, 6)
    assert set(result.indices) <= {0, 3, 6}
    assert result.dissimilarity.shape == (2, 4)


def test_only_frames_of_the_track_are_proposed() -> None:
    network, shot = tiny_network("xmemlite-1"), make_shot(9)
    track = make_track(network, shot, annotate(shot, 4), frame_range=range(3, 7))

    result = select_candidates(network, shot, track, CandidateRequest([4], 9))

    assert result.frame_indices == (3, 4, 5, 6)
    assert set(result.indices) <= {3, 5, 6}
    with pytest.raises(InputError, match="annotated frame 0 is not in the track"):
        select_candidates(network, shot, track, CandidateRequest([0], 2))


@pytest.mark.parametrize("annotated", [(0,), (3,), (2, 6)])
def test_uncertainty_weighs_the_scores(annotated: tuple[int, ...]) -> None:
    network, shot = tiny_network("xmemlite-1"), make_shot()
    annotations = annotate(shot, *annotated).with_absence(AbsenceRange(4, 5, 5))
    track = make_track(network, shot, annotations)

    uncertainty = frame_uncertainty(network, shot, track)
    plain = select_candidates(network, shot, track, CandidateRequest(annotated, 1))
    weighed = select_candidates(
        network, shot, track, CandidateRequest(annotated, 1, method="uncertainty")
    )

    assert sorted(uncertainty) == list(range(7))
    assert all(0 <= u <= 1 for u in uncertainty.values())
    assert all(uncertainty[i] == 0 for i in annotated)
    assert torch.equal(weighed.dissimilarity, plain.dissimilarity)
    scores = plain.dissimilarity[0] * torch.tensor([uncertainty[i] for i in range(7)])
    assert weighed.indices == (int(scores.argmax()),)
    assert weighed.scores[0] == pytest.approx(float(scores.max()))


def test_a_pass_that_agrees_and_is_sure_is_certain() -> None:
    network, shot = tiny_network("xmemlite-1"), make_shot()
    track = make_track(network, shot, annotate(shot, 0))
    sure = [replace(track.record(i), confidence=(1.0, 1.0)) for i in range(7)]
    unsure = [replace(track.record(i), confidence=(0.1, 0.1)) for i in range(7)]

    def uncertainty(records) -> dict[int, float]:
        for record in records:
            track.add_record(record)
        return frame_uncertainty(network, shot, track)

    high, low = uncertainty(unsure), uncertainty(sure)
    assert all(high[i] >= low[i] for i in range(7))
    assert sum(high.values()) > sum(low.values())


def test_a_request_that_does_not_fit_the_shot_is_refused() -> None:
    network, shot = tiny_network("xmemlite-1"), make_shot()
    track = make_track(network, shot, annotate(shot, 0))

    with pytest.raises(InputError, match="another clip: 7 frames of 48x32, while this clip has 6"):
        select_candidates(network, make_shot(6), track, CandidateRequest([0], 2))
    with pytest.raises(InputError, match="another clip of the same length and size"):
        select_candidates(network, make_shot(seed=1), track, CandidateRequest([0], 2))
    with pytest.raises(InputError, match="9 frames were asked for, allowed is 1 to the clip's 7"):
        select_candidates(network, shot, track, CandidateRequest([0], 9))
    empty = Track(track.shot, AnnotationSet(), SETTINGS, INFO)
    with pytest.raises(InputError, match="the track holds no object"):
        select_candidates(network, shot, empty, CandidateRequest([0], 2))


def test_before_there_is_a_track_whole_pictures_are_compared() -> None:
    network, shot = tiny_network("xmem"), make_shot()
    request = CandidateRequest([1, 5], 3)
    chosen = select_candidates(network, shot, None, request, settings=SETTINGS)
    features = [network.encode(to_planes(frame, network.device)) for frame in shot]
    everywhere = torch.ones(len(shot), 1, *shot.size)
    expected = select_from_features(
        torch.stack([f.key for f in features]),
        torch.stack([f.shrinkage for f in features]),
        torch.stack([f.selection for f in features]),
        everywhere,
        request,
    )
    assert chosen.indices == expected.indices
    assert chosen.scores == pytest.approx(expected.scores)
    unsure = replace(request, method="uncertainty")
    with pytest.raises(InputError, match="propagate first"):
        select_candidates(network, shot, None, unsure, settings=SETTINGS)
