"""Experiments share their passes, go on after an interruption and compare equal numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from tiny import tiny_network

from xmempp_core.errors import FormatError, InputError
from xmempp_core.evaluation.datasets import Clip, open_dataset
from xmempp_core.evaluation.experiments import (
    EXPERIMENTS,
    XMEM,
    XMEMPP,
    Plan,
    run_experiments,
)
from xmempp_core.evaluation.metrics import mean_score, score_frames
from xmempp_core.evaluation.passes import ClipPasses
from xmempp_core.formats.annotations.label_maps import write_label_map
from xmempp_core.propagation.augment import AUGMENTATIONS
from xmempp_core.propagation.propagation import propagate
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.segmentation import label_map_of
from xmempp_core.types import ModelInfo

SETTINGS = PropagationSettings(internal_size=32, memorize_every=2, top_k=8)
PLAN = Plan(counts=(1, 3), selection_counts=(2, 3), seeds=2, oracle_clips=1, oracle_frames=4)


@pytest.fixture
def network():
    made = tiny_network("xmemlite-1", seed=2)
    made.info = ModelInfo("tiny", Path("tiny"), "xmemlite-1", 8, 18, 4, 1, "0" * 64, "test", "")
    return made


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    generator = np.random.default_rng(0)
    for name in ("ant", "boat"):
        frames, masks = (tmp_path / "set" / kind / name for kind in ("JPEGImages", "Annotations"))
        frames.mkdir(parents=True)
        masks.mkdir(parents=True)
        for t in range(5):
            picture = generator.integers(0, 255, (32, 48, 3), np.uint8)
            cv2.imwrite(str(frames / f"{t:05d}.png"), cv2.GaussianBlur(picture, (5, 5), 2))
            labels = torch.zeros(32, 48, dtype=torch.uint8)
            labels[8:24, 8 + 2 * t : 28 + 2 * t] = 1
            write_label_map(masks / f"{t:05d}.png", labels)
    return open_dataset(tmp_path / "set")


def test_a_pass_scores_what_the_measures_say_of_its_label_maps(network, clips, tmp_path) -> None:
    passes = ClipPasses(network, clips[0], SETTINGS, tmp_path / "a.json", {})

    got = passes.score(XMEMPP, [4, 0])

    passed = propagate(network, clips[0].source, clips[0].annotations([0, 4]), SETTINGS)
    predicted = {one.frame_index: label_map_of(one).numpy() for one in passed}
    truth = {t: clips[0].truth(t) for t in range(5)}
    expected = mean_score(score_frames(predicted, truth, [0, 4]))
    assert (got.j, got.f) == (expected.j, expected.f)
    assert 0 < got.jf < 1
    assert got.seconds > 0


@pytest.mark.parametrize("direction", ["bidirectional", "independent"])
def test_the_original_memory_goes_outward_where_it_cannot_go_as_asked(
    network, clips, tmp_path, direction
) -> None:
    asked = replace(SETTINGS, direction=direction)
    got = ClipPasses(network, clips[0], asked, tmp_path / "a.json", {}).score(XMEM, [0, 4])
    outward = replace(SETTINGS, direction="outward")
    plain = ClipPasses(network, clips[0], outward, tmp_path / "b.json", {}).score(XMEM, [0, 4])
    assert (got.j, got.f) == (plain.j, plain.f)


def test_all_experiments_write_tables_and_plots_and_share_their_passes(
    network, clips, tmp_path, monkeypatch
) -> None:
    told: list[tuple[int, int, str]] = []
    output = tmp_path / "out"

    tables = run_experiments(
        list(EXPERIMENTS),
        network,
        clips,
        SETTINGS,
        output,
        plan=PLAN,
        progress=lambda *a: told.append(a),
    )

    for name in EXPERIMENTS:
        assert pd.read_csv(output / f"{name}.csv").shape == tables[name].shape
        assert len(json.loads((output / f"{name}.json").read_text())) == len(tables[name])
        assert (output / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (output / f"{name}.svg").read_text()
    assert told[0] == (0, 8, "ant: counts")
    assert told[-1] == (8, 8, "done")
    assert set(tables["augmentation"]["method"]) == {*AUGMENTATIONS, "none", "best3", "all"}
    assert set(tables["counts"]["count"]) == {1, 3}
    _check_selection(tables["selection"])
    _check_effort(tables["effort"], tables["counts"])

    monkeypatch.setattr(ClipPasses, "_run", lambda *a: pytest.fail("computed a second time"))
    again = run_experiments(["counts", "effort"], network, clips, SETTINGS, output, plan=PLAN)
    pd.testing.assert_frame_equal(again["counts"], tables["counts"])


def _check_selection(table: pd.DataFrame) -> None:
    ant = table[(table["sequence"] == "ant") & (table["count"] == 2)].set_index("method")
    assert len(ant.loc["random"]) == 2
    assert ant.loc["greedy oracle", "jf"] >= ant["jf"].drop("greedy oracle").drop("uniform").max()
    assert "greedy oracle" not in set(table[table["sequence"] == "boat"]["method"])
    assert (table[table["method"] == "Algorithm 1"]["selection_seconds"] > 0).all()


def _check_effort(effort: pd.DataFrame, counts: pd.DataFrame) -> None:
    for row in effort[effort["method"] == "XMem++"].itertuples():
        own = counts[(counts["sequence"] == row.sequence) & (counts["method"] == "XMem++")]
        enough = own[own["jf"] >= row.threshold]["count"]
        assert row.count == enough.min() if len(enough) else pd.isna(row.count)


def test_an_interrupted_run_goes_on_where_it_stopped(network, clips, tmp_path, monkeypatch) -> None:
    output, done = tmp_path / "out", []
    run = ClipPasses._run

    def stops(self, method, annotations):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(method.key)
        return run(self, method, annotations)

    monkeypatch.setattr(ClipPasses, "_run", stops)
    with pytest.raises(KeyboardInterrupt):
        run_experiments(["counts"], network, clips, SETTINGS, output, plan=PLAN)
    monkeypatch.setattr(ClipPasses, "_run", lambda *a: (done.append(a[1].key), run(*a))[1])
    run_experiments(["counts"], network, clips, SETTINGS, output, plan=PLAN)

    assert len(done) == 2 * 2 * 8, "two clips, two counts, eight methods: none scored twice"


def test_as_many_frames_are_annotated_as_leave_one_that_shows_an_object(
    network, clips, tmp_path
) -> None:
    ant, boat = clips
    nothing = torch.zeros(32, 48, dtype=torch.uint8)
    for t in (1, 3, 4):
        write_label_map(ant.mask_files[t], nothing)
    for t in (1, 2, 3, 4):
        write_label_map(boat.mask_files[t], nothing)

    tables = run_experiments(
        ["counts", "selection", "effort"], network, clips, SETTINGS, tmp_path, plan=PLAN
    )

    counts = tables["counts"][["sequence", "count"]].drop_duplicates()
    assert counts.to_dict("records") == [{"sequence": "ant", "count": 1}]
    assert len(tables["selection"]) == 0
    assert set(tables["effort"]["sequence"]) == {"ant"}


def test_results_of_another_run_are_not_mixed_in(network, clips, tmp_path) -> None:
    run_experiments(["counts"], network, clips[:1], SETTINGS, tmp_path, plan=Plan(counts=(1,)))

    with pytest.raises(FormatError, match=r"ant\.json: is of another run \(step was 1, is 2\)"):
        run_experiments(["counts"], network, clips[:1], SETTINGS, tmp_path, step=2)
    with pytest.raises(InputError, match="experiment 'count' is unknown; use counts, selection"):
        run_experiments(["count"], network, clips, SETTINGS, tmp_path)
    with pytest.raises(InputError, match="allowed is one or more, each once"):
        run_experiments(["counts", "counts"], network, clips, SETTINGS, tmp_path)
    with pytest.raises(InputError, match="two sequences are named ant"):
        run_experiments(["counts"], network, clips[:1] * 2, SETTINGS, tmp_path)
    (tmp_path / "clips" / "ant.json").write_text("{")
    with pytest.raises(FormatError, match="is damaged; delete it"):
        run_experiments(["counts"], network, clips[:1], SETTINGS, tmp_path)
