"""`batch --engine ray` on a cluster of two machines that this one plays, one of which dies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from shot_on_disk import files_below
from show import SMALL, Show, make_show

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 600
NAMED = ("--device", "cpu", "--dtype", "float32", "--threads", "1")
LOST = r"its worker was lost \(.*\); another one does it again"
MACHINE = {
    "num_cpus": 1,
    "object_store_memory": 100 << 20,
    "node_ip_address": "127.0.0.1",
    "include_dashboard": False,
}

pytestmark = pytest.mark.ray


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and one other machine, each with room for one worker."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    one = Cluster(initialize_head=True, head_node_args=MACHINE)
    try:
        one.add_node(**MACHINE)
        yield one
    finally:
        one.shutdown()


def environment() -> dict[str, str]:
    """Of machines and drivers."""
    return {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CI": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on every system: nothing but the loopback
    }


def start(show: Show, *more: str) -> subprocess.Popen[str]:
    """A batch in a process of its own."""
    call = [sys.executable, "-m", "xmempp_core", "batch", str(show.manifest), *NAMED, *more]
    return subprocess.Popen(
        call,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, **environment()},
        start_new_session=True,
    )


def ended(batch: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and what it told."""
    with batch:
        try:
            told = batch.communicate(timeout=PATIENCE_SECONDS)[1]
        finally:
            batch.kill()
    return batch.returncode, told


def on_ray(cluster: Any) -> tuple[str, ...]:
    """The arguments that name a cluster."""
    return ("--engine", "ray", "--address", cluster.address)


def whole(show: Show) -> dict[str, bytes]:
    """The results of this machine alone, without Ray; moved aside."""
    assert ended(start(show))[0] == 0
    show.results.rename(show.root / "whole")
    return results(show.root / "whole")


def results(folder: Path) -> dict[str, bytes]:
    """All results below a folder, without notes and logs."""
    return {
        name: content
        for name, content in files_below(folder).items()
        if Path(name).parts[0] not in (".batch", "logs")
    }


def assert_same(made: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert made.keys() == expected.keys()
    assert [name for name in made if made[name] != expected[name]] == []


def until(found: Callable[[], Any], batch: subprocess.Popen[str]) -> Any:
    """What a function finds, once it finds something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (one := found()):
        if batch.poll() is not None or time.monotonic() > end:
            batch.kill()
            pytest.fail(f"not seen before the batch ended: {ended(batch)}")
        time.sleep(0.02)
    return one


def logged(show: Show, words: str) -> int:
    """How many lines of the shots' logs match."""
    texts = (path.read_text(encoding="utf-8") for path in (show.results / "logs").glob("*.log"))
    return sum(len(re.findall(words, text, re.MULTILINE)) for text in texts)


def at_work(node: Any, show: Show, kind: str) -> int | None:
    """The worker of a machine in the midst of a task, stopped there; None if it has none now."""
    for path in (show.results / "logs").glob("*.log"):
        text = path.read_text(encoding="utf-8")
        begun = re.findall(rf"INFO (.*{kind}.*): begun on .*, process (\d+)$", text, re.MULTILINE)
        for task, process in begun:
            if parent_of(int(process)) != raylet_of(node):
                continue
            os.kill(int(process), signal.SIGSTOP)
            over = rf"{re.escape(task)}: (done|finished before)$"
            if not re.search(over, path.read_text(encoding="utf-8"), re.MULTILINE):
                return int(process)
            os.kill(int(process), signal.SIGCONT)
    return None


def raylet_of(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def parent_of(process: int) -> int | None:
    with suppress(OSError):
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        return int(re.findall(r"^PPid:\s+(\d+)", status, re.MULTILINE)[0])
    return None


def second_machine_dies(
    cluster: Any, show: Show, batch: subprocess.Popen[str], kind: str, done: int
) -> None:
    """Kills the second machine in the midst of a task, once so many are done.

    Args:
        kind: of the task, as its name has it in the logs.
        done: tasks of the kind that are done before.
    """
    until(lambda: logged(show, rf"{kind}.*: done$") >= done, batch)
    first, (second,) = cluster.head_node, cluster.worker_nodes
    held: dict[Any, int] = {}

    def both() -> bool:
        # one waits for the other, so that neither does all of the work before the other has begun
        for node in (first, second):
            if node not in held and (process := at_work(node, show, kind)):
                held[node] = process
        return len(held) == 2

    until(both, batch)
    os.kill(raylet_of(second), signal.SIGKILL)
    os.kill(held[second], signal.SIGKILL)
    os.kill(held[first], signal.SIGCONT)


def test_twelve_shots_are_whole_though_a_machine_dies(cluster: Any, tmp_path: Path) -> None:
    show = make_show(tmp_path, tuple(f"sh{number:03d}" for number in range(10, 130, 10)))
    show.write(defaults='exports = ["nuke"]\n')
    expected = whole(show)
    status = show.root / "status.json"
    batch = start(show, *on_ray(cluster), "--status", str(status))
    second_machine_dies(cluster, show, batch, "sh", done=3)
    code, told = ended(batch)
    assert code == 0, told
    assert_same(results(show.results), expected)
    assert len(re.findall(LOST, told)) == 1, told
    assert logged(show, "its worker was lost: ") == 1
    assert "12 shots: 12 done" in told
    shots = json.loads(status.read_text(encoding="utf-8"))["shots"]
    assert [one["state"] for one in shots] == ["done"] * 12
    code, told = ended(start(show))
    assert code == 0
    assert "12 shots: 12 skipped" in told


@pytest.mark.parametrize("adapt", ["", 'adapt = "quick"\nadapt_steps = 2\n'])
def test_ranges_of_a_shot_are_whole_though_a_machine_dies(
    cluster: Any, tmp_path: Path, adapt: str
) -> None:
    show = make_show(tmp_path, ("sh010",), frames=60)
    show.write(
        settings=f'{SMALL}, direction = "independent"', defaults=f'exports = ["nuke"]\n{adapt}'
    )
    expected = whole(show)
    batch = start(show, *on_ray(cluster), "--split", "6")
    second_machine_dies(cluster, show, batch, "frames at", done=2)
    code, told = ended(batch)
    assert code == 0, told
    assert_same(results(show.results), expected)
    assert len(re.findall(LOST, told)) == 1, told
    assert logged(show, r"frames at .*: done$") == 10


def test_a_worker_that_dies_again_and_again_fails_its_shot_alone(
    cluster: Any, tmp_path: Path
) -> None:
    show = make_show(tmp_path, ("sh010", "sh020"))
    batch = start(show, *on_ray(cluster), "--jobs", "1")
    for number in range(3):
        begun = until(
            lambda n=number: processes if len(processes := begun_by(show, "sh010")) > n else None,
            batch,
        )
        os.kill(begun[-1], signal.SIGKILL)
    code, told = ended(batch)
    assert code == 1
    assert "2 shots: 1 done, 1 failed" in told
    assert "its worker was lost 3 times" in told


def begun_by(show: Show, name: str) -> list[int]:
    """Processes that began a shot, in order."""
    path = show.results / "logs" / f"{name}.log"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [int(one) for one in re.findall(r"begun on .*, process (\d+)$", text, re.MULTILINE)]


def test_a_bad_shot_does_not_stop_the_others(cluster: Any, tmp_path: Path) -> None:
    show = make_show(tmp_path)
    frame = show.shot("sh020").frames / "plate.1006.png"
    frame.write_bytes(frame.read_bytes()[:200])
    code, told = ended(start(show, *on_ray(cluster)))
    assert code == 1
    assert "3 shots: 2 done, 1 failed" in told
    assert "plate.1006.png" in (show.results / "logs" / "sh020.log").read_text(encoding="utf-8")


def test_an_interrupted_batch_goes_on_to_the_same_files(tmp_path: Path) -> None:
    show = make_show(tmp_path, tuple(f"sh{number:03d}" for number in range(10, 70, 10)))
    expected = whole(show)
    batch = start(show, "--engine", "ray")
    until(lambda: logged(show, r": done$") >= 2, batch)
    os.killpg(batch.pid, signal.SIGINT)  # as a terminal does: also to the machines
    code, told = ended(batch)
    assert code == 130, told
    assert "Traceback" not in told
    assert " waiting" in told
    code, told = ended(start(show, "--engine", "ray", "--resume"))
    assert code == 0, told
    assert_same(results(show.results), expected)


def test_workers_end_with_a_killed_driver_and_the_next_call_goes_on(
    cluster: Any, tmp_path: Path
) -> None:
    show = make_show(tmp_path, tuple(f"sh{number:03d}" for number in range(10, 70, 10)))
    expected = whole(show)
    batch = start(show, *on_ray(cluster))
    until(lambda: logged(show, r": done$") >= 2, batch)
    batch.kill()
    ended(batch)
    begun = {
        process
        for path in (show.results / "logs").glob("*.log")
        for process in begun_by(show, path.stem)
    }
    end = time.monotonic() + PATIENCE_SECONDS
    while any(parent_of(process) for process in begun):
        assert time.monotonic() < end
        time.sleep(0.1)
    code, told = ended(start(show, *on_ray(cluster), "--resume"))
    assert code == 0, told
    assert_same(results(show.results), expected)


def test_workers_find_the_drivers_folders_where_the_table_says(
    cluster: Any, tmp_path: Path
) -> None:
    here = make_show(tmp_path / "here", ("sh010",))
    expected = whole(here)
    there = make_show(tmp_path / "there", ("sh010",))
    rule = {"source_path": str(here.root), "destination_path": str(there.root)}
    table = tmp_path / "table.json"
    table.write_text(json.dumps({"path_mapping_rules": [rule]}), encoding="utf-8")
    code, told = ended(start(here, *on_ray(cluster), "--worker-path-map", str(table)))
    assert code == 0, told
    assert not here.results.exists()
    assert_same(results(there.results), expected)
    assert logged(there, ": done$") == 1


def test_without_an_address_this_machine_is_the_cluster(tmp_path: Path) -> None:
    show = make_show(tmp_path)
    expected = whole(show)
    code, told = ended(start(show, "--engine", "ray", "--jobs", "2"))
    assert code == 0, told
    assert_same(results(show.results), expected)


def test_what_a_cluster_has_no_room_for_is_refused(cluster: Any, tmp_path: Path) -> None:
    show = make_show(tmp_path, ("sh010",))
    code, told = ended(start(show, *on_ray(cluster), "--threads", "2"))
    assert code == 2
    assert "no machine of the Ray cluster has 2 processors for a worker" in told
    code, told = ended(start(show, *on_ray(cluster), "--device", "cuda"))
    assert code == 2
    assert "no machine of the Ray cluster has a GPU for a worker" in told


def test_a_cluster_that_is_not_there_is_said(tmp_path: Path) -> None:
    show = make_show(tmp_path, ("sh010",))
    code, told = ended(start(show, "--engine", "ray", "--address", "127.0.0.1:9"))
    assert code == 2
    assert "the Ray cluster 127.0.0.1:9 cannot be reached" in told
    assert "Traceback" not in told
