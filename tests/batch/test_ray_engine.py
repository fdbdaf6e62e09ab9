"""Who does what on a cluster, and again: with workers that are played, and without Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xmempp_core.batch import ray_engine
from xmempp_core.batch.entries import ShotEntry
from xmempp_core.batch.local import Outcome, Tally
from xmempp_core.batch.plans import ShotPlan
from xmempp_core.batch.ray_engine import run_on_cluster
from xmempp_core.batch.tasks import Stages, Task
from xmempp_core.errors import InputError

DONE = Outcome("done", 1.0, 5)


class PlayedError(Exception):
    """Stands for RayError."""


class TaskError(PlayedError):
    """Stands for RayTaskError."""


@dataclass(eq=False)
class Promise:
    """A value or an error, there as soon as it is asked for."""

    value: Any


class Method:
    """A method of a worker as Ray calls it."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer

    def options(self, **_: Any) -> Method:
        return self

    def remote(self, *arguments: Any, **more: Any) -> Promise:
        return Promise(self._answer(*arguments, **more))


@dataclass
class PlayedCluster:
    """A cluster whose workers answer at once, as a test says."""

    starts: list[tuple[str, str]] = field(default_factory=list)
    """What each worker says of its start, fault and machine; the last one for all after it."""
    ends: dict[str, list[Any]] = field(default_factory=dict)
    """How a shot ends at each try, outcome or error; done where nothing is left."""
    dead: set[str] = field(default_factory=set)
    size: int = 1
    begun: list[tuple[Task, bool]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    started: int = 0
    choice: Any = field(default_factory=lambda: SimpleNamespace(jobs=None))

    def __post_init__(self) -> None:
        self.starts = self.starts or [("", "one")]
        errors = SimpleNamespace(RayError=PlayedError, RayTaskError=TaskError)
        self.ray = SimpleNamespace(
            exceptions=errors, get=self._get, wait=self._wait, kill=lambda actor: None
        )

    def room(self) -> int:
        return self.size

    def is_alive(self, node: str) -> bool:
        return node not in self.dead

    def start_worker(self) -> Any:
        start = self.starts[min(self.started, len(self.starts) - 1)]
        self.started += 1
        return SimpleNamespace(
            ready=Method(lambda: start),
            do=Method(self._do),
            frames=Method(lambda: (1, 2)),
            stop=Method(lambda: self.stopped.append(start[1])),
        )

    def _do(self, task: Task, plan: ShotPlan, *, is_again: bool) -> Any:
        self.begun.append((task, is_again))
        left = self.ends.get(task.shot, [])
        return left.pop(0) if left else DONE

    @staticmethod
    def _get(promise: Promise) -> Any:
        if isinstance(promise.value, Exception):
            raise promise.value
        return promise.value

    @staticmethod
    def _wait(promises: list[Promise], **_: Any) -> tuple[list[Promise], list[Promise]]:
        return promises, []


def plan(name: str, folder: Path) -> ShotPlan:
    entry = ShotEntry(1, name, output=str(folder / name))
    state_folder = folder / ".batch" / name
    log = folder / "logs" / f"{name}.log"
    return ShotPlan(entry, {}, (), range(5), 1, 1, 1, state_folder, log)


def run(cluster: Any, folder: Path, *names: str, **more: Any) -> dict[str, tuple[str, str]]:
    """State and note of every shot."""
    tally = Tally({name: plan(name, folder) for name in names})
    work: dict[str, Stages] = {name: ((Task(name),),) for name in names}
    run_on_cluster(work, tally, cluster, **more)
    return {one.shot: (one.state, one.note) for one in tally.statuses()}


def test_one_worker_does_all_shots_and_is_started_once(tmp_path: Path) -> None:
    cluster = PlayedCluster()
    counted: list[tuple[int, int]] = []
    found = run(cluster, tmp_path, "a", "b", progress=lambda *count: counted.append(count))
    assert found == {"a": ("done", ""), "b": ("done", "")}
    assert cluster.begun == [(Task("a"), False), (Task("b"), False)]
    assert cluster.started == 1
    assert counted[-1] == (10, 10)


def test_no_more_workers_are_asked_for_than_there_are_tasks(tmp_path: Path) -> None:
    cluster = PlayedCluster(size=8)
    run(cluster, tmp_path, "a", "b")
    assert cluster.started == 2


def test_stages_of_a_shot_wait_for_one_another(tmp_path: Path) -> None:
    adapt, join = Task("a", "adapt"), Task("a", "join")
    ranges = (Task("a", "range", 0, 2), Task("a", "range", 3, 4))
    cluster = PlayedCluster(size=3, ends={"a": [DONE, PlayedError("gone")]})
    tally = Tally({"a": plan("a", tmp_path)})
    run_on_cluster({"a": ((adapt,), ranges, (join,))}, tally, cluster)
    assert [task.kind for task, _ in cluster.begun] == ["adapt", *["range"] * 3, "join"]
    assert [is_again for _, is_again in cluster.begun].count(True) == 1
    assert tally.statuses()[0].state == "done"


def test_a_task_whose_machines_die_is_done_again_as_often_as_it_takes(tmp_path: Path) -> None:
    cluster = PlayedCluster(ends={"a": [PlayedError("the node died")] * 7}, dead={"one"})
    assert run(cluster, tmp_path, "a", "b") == {"a": ("done", ""), "b": ("done", "")}
    assert [is_again for task, is_again in cluster.begun if task.shot == "a"] == [
        False,
        *[True] * 7,
    ]
    assert "the node died" in (tmp_path / "logs" / "a.log").read_text(encoding="utf-8")


def test_a_task_that_ends_its_workers_fails_alone(tmp_path: Path) -> None:
    error = PlayedError("the node was running low on memory")
    cluster = PlayedCluster(ends={"a": [error] * 7})
    found = run(cluster, tmp_path, "a", "b")
    assert found["a"][0] == "failed"
    assert "its worker was lost 3 times (its machine was out of memory)" in found["a"][1]
    assert found["b"] == ("done", "")


def test_an_error_of_the_program_is_the_outcome_of_its_shot(tmp_path: Path) -> None:
    cluster = PlayedCluster(ends={"a": [TaskError("Traceback\n ...\nTypeError: no number")]})
    assert run(cluster, tmp_path, "a", "b") == {
        "a": ("failed", "TypeError: no number"),
        "b": ("done", ""),
    }


def test_where_no_worker_starts_the_call_is_refused(tmp_path: Path) -> None:
    cluster = PlayedCluster(starts=[("m1 has xmempp 0.0.1", "")])
    with pytest.raises(InputError, match=r"no worker .* could be started: m1 has xmempp 0\.0\.1"):
        run(cluster, tmp_path, "a")
    assert cluster.started == ray_engine.MAX_FAILED_STARTS


def test_shots_that_nobody_is_left_to_do_have_failed_and_the_others_stay_done(
    tmp_path: Path,
) -> None:
    cluster = PlayedCluster(
        starts=[("", "one"), ("no disk", "")], ends={"b": [PlayedError("gone")]}, dead={"one"}
    )
    found = run(cluster, tmp_path, "a", "b", "c")
    assert found["a"] == ("done", "")
    assert found["b"] == found["c"] == ("failed", "no worker was left to do it: no disk")


def test_a_batch_without_machines_waits_for_some_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, clock = PlayedCluster(size=0), [0.0]
    monkeypatch.setattr(ray_engine.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(
        ray_engine.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + 30)
    )
    with pytest.raises(InputError, match="no worker in 300 s"):
        run(cluster, tmp_path, "a")
    assert clock[0] >= 300
    clock[0] = 0.0
    monkeypatch.setattr(cluster, "room", lambda: int(clock[0] > 200))
    assert run(cluster, tmp_path, "a") == {"a": ("done", "")}


def test_a_stopped_batch_tells_its_workers_and_begins_nothing_more(tmp_path: Path) -> None:
    stop: list[bool] = []
    cluster = PlayedCluster()
    right = cluster.ray.wait

    def wait(promises: list[Promise], **more: Any) -> Any:
        if cluster.begun and not stop:
            stop.append(True)
            return [], promises  # still at it
        return right(promises, **more)

    cluster.ray.wait = wait
    cluster.ends = {"a": [PlayedError("gone")]}
    found = run(cluster, tmp_path, "a", "b", should_stop=lambda: bool(stop))
    assert cluster.stopped == ["one"]
    assert found == {"a": ("stopped", "go on with --resume"), "b": ("waiting", "")}
