"""`batch --engine ray` without a cluster: what is refused, and what a worker does."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from show import Show, make_show

from xmempp_core.batch import ray_worker
from xmempp_core.batch.manifest import load_manifest
from xmempp_core.batch.networks import Networks
from xmempp_core.batch.path_maps import PathMap, PathRule
from xmempp_core.batch.plans import ShotPlan, plan_batch
from xmempp_core.batch.ray_worker import Worker, WorkerSettings, moved_plan
from xmempp_core.batch.tasks import Task
from xmempp_core.cli.main import main
from xmempp_core.runtime import Runtime

ALONE = WorkerSettings("cpu", "float32", 1)


@pytest.fixture
def show(tmp_path: Path) -> Show:
    return make_show(tmp_path, ("sh010",))


def plan_of(show: Show) -> ShotPlan:
    (plan,) = plan_batch(load_manifest(show.manifest), Networks(), Runtime.choose("cpu", "float32"))
    return plan


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--engine", "ray", "--address", "head:6379"), "name one of float32, float16, bfloat16"),
        (("--engine", "ray", "--address", "ray://head:10001"), "that of a Ray client"),
        (("--engine", "ray", "--dtype", "float32", "--dry-run"), "measures this machine alone"),
        (("--engine", "ray", "--dtype", "float32", "--template", "openjd"), "starts nothing"),
        (("--engine", "ray", "--device", "cuda:1"), "allowed are auto, cpu, cuda"),
        (("--address", "head:6379"), "--address belongs to --engine ray"),
        (("--worker-path-map", "there.json"), "--worker-path-map belongs to --engine ray"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    show: Show, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    assert main(["batch", str(show.manifest), *more]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert not show.results.exists()


def test_a_cluster_named_by_the_environment_needs_a_named_precision_too(
    show: Show, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert main(["batch", str(show.manifest), "--engine", "ray"]) == 2
    assert "name one of float32" in capsys.readouterr().err


def test_without_ray_a_sentence_names_the_extra(
    show: Show, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["batch", str(show.manifest), "--engine", "ray"]) == 2
    shown = capsys.readouterr().err
    assert 'pip install "xmempp[ray]"' in shown
    assert shown.count("\n") == 1
    assert not show.results.exists()


def test_a_worker_writes_what_one_machine_writes(show: Show) -> None:
    worker = Worker(ALONE)
    assert worker.fault() == ""
    assert worker.do(Task("sh010"), plan_of(show)).state == "done"
    assert worker.frames() == (12, 12)
    made = show.made("sh010")
    assert main(["batch", str(show.manifest), "--device", "cpu", "--dtype", "float32"]) == 0
    assert show.made("sh010") == made  # skipped: finished, by the notes that the worker wrote
    show.results.rename(show.root / "of worker")
    words = ["--device", "cpu", "--dtype", "float32", "--threads", "1"]
    assert main(["batch", str(show.manifest), *words]) == 0
    assert show.made("sh010") == made


def test_paths_of_the_driver_are_moved_to_those_of_the_worker(tmp_path: Path) -> None:
    here = make_show(tmp_path / "here", ("sh010",))
    here.write(defaults='exports = ["nuke"]\n')
    there = make_show(tmp_path / "there", ("sh010",))
    paths = PathMap((PathRule(str(here.root), str(there.root)),))
    plan = plan_of(here)
    moved = moved_plan(plan, paths)
    assert moved.entry.exports == plan.entry.exports
    assert str(here.root) not in repr(moved)
    outcome = Worker(replace(ALONE, paths=paths)).do(Task("sh010"), plan)
    assert outcome.state == "done"
    assert not here.results.exists()
    assert (there.results / "logs" / "sh010.log").is_file()
    assert "mattes" in {Path(name).parts[0] for name in there.made("sh010")}


def test_a_task_of_a_lost_worker_goes_on_and_waits_for_its_lock(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(show)
    plan.state_folder.mkdir(parents=True)
    lock = FileLock(plan.state_folder / ".lock")
    lock.acquire()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        lock.release()

    monkeypatch.setattr(ray_worker.time, "sleep", wait)
    assert Worker(ALONE).do(Task("sh010"), plan).state == "busy"
    assert waits == []
    assert Worker(ALONE).do(Task("sh010"), plan, is_again=True).state == "done"
    assert len(waits) == 1


def test_a_worker_that_is_stopped_ends_between_two_frames(show: Show) -> None:
    worker = Worker(ALONE)
    worker.stop()
    assert worker.do(Task("sh010"), plan_of(show)).state == "stopped"
    notes = json.loads((plan_of(show).state_folder / "notes.json").read_text(encoding="utf-8"))
    assert notes["state"] == "begun"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (replace(ALONE, version="0.0.1"), "the driver 0.0.1; install the same on all"),
        (replace(ALONE, device="gpu"), "device 'gpu' is unknown"),
    ],
)
def test_a_machine_that_cannot_make_the_same_says_why(settings: WorkerSettings, said: str) -> None:
    assert said in Worker(settings).fault()


def test_a_bad_shot_is_an_outcome_of_the_worker(show: Show) -> None:
    plan = plan_of(show)
    next(show.shot("sh010").annotations.glob("*.png")).unlink()
    outcome: Any = Worker(ALONE).do(Task("sh010"), plan)
    assert outcome.state == "failed"
    assert "annotations changed since the batch was checked" in outcome.note
