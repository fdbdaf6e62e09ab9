"""Open Job Description: the template is valid, and its job makes the files of one machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from shot_on_disk import files_below
from show import SMALL, Show, make_show

from xmempp_core.cli.main import main

ROOT = Path(__file__).parents[2]
NAMES = ("sh010", "sh020")


@pytest.fixture
def show(tmp_path: Path) -> Show:
    one = make_show(tmp_path, NAMES)
    one.write(
        settings=f'{SMALL}, direction = "independent"',
        defaults='adapt = "quick"\nadapt_steps = 1\n',
    )
    return one


def template(show: Show, capsys: Any, *more: str) -> Path:
    """The template that `batch` writes, in a file."""
    words = ["batch", str(show.manifest), "--device", "cpu", "--dtype", "float32", "--threads", "1"]
    capsys.readouterr()
    assert main([*words, "--template", "openjd", *more]) == 0
    path = show.root / "job.json"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


def openjd(*words: str) -> str:
    """What the specification's own program says."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CI": "1"}
    call = [str(Path(sys.executable).with_name("openjd")), *words]
    done = subprocess.run(
        call, capture_output=True, text=True, encoding="utf-8", env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run(show: Show, job: Path, *steps: str) -> None:
    """Runs a job here, step by step."""
    for step in steps:
        parameters = (f"Manifest={show.manifest}", f"Python={sys.executable}")
        words = [word for one in parameters for word in ("--job-param", one)]
        openjd("run", str(job), "--step", step, *words)


def test_a_template_has_a_task_a_shot_and_is_valid(show: Show, capsys: Any) -> None:
    path = template(show, capsys)
    (step,) = json.loads(path.read_text(encoding="utf-8"))["steps"]
    (shots,) = step["parameterSpace"]["taskParameterDefinitions"]
    assert shots["range"] == list(NAMES)
    assert step["hostRequirements"]["amounts"][0]["min"] > 0
    openjd("check", str(path))
    assert not show.results.exists()


def test_steps_of_a_split_batch_wait_for_one_another(show: Show, capsys: Any) -> None:
    path = template(show, capsys, "--split", "5")
    steps = json.loads(path.read_text(encoding="utf-8"))["steps"]
    assert [step["name"] for step in steps] == ["adapt", "ranges", "join"]
    waits = [step.get("dependencies") for step in steps]
    assert waits == [None, [{"dependsOn": "adapt"}], [{"dependsOn": "ranges"}]]
    openjd("check", str(path))


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--split", "5")], ids=["shots", "ranges"])
def test_a_job_makes_the_files_of_one_machine(
    show: Show, capsys: Any, more: tuple[str, ...]
) -> None:
    job = template(show, capsys, *more)
    words = ("batch", str(show.manifest), "--device", "cpu", "--dtype", "float32")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CI": "1"}
    call = [sys.executable, "-m", "xmempp_core", *words, "--threads", "1", "--quiet"]
    subprocess.run(call, check=True, env=environment)
    show.results.rename(show.root / "whole")
    run(show, job, *(("adapt", "ranges", "join") if more else ("shots",)))
    for name in NAMES:
        expected = files_below(show.root / "whole" / name)
        made = files_below(show.results / name)
        assert made.keys() == expected.keys()
        assert [file for file in made if made[file] != expected[file]] == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--dtype", "auto"), "name one of"),
        (("--dtype", "float32", "--shard", "1/2"), "leave --shard and --dry-run out"),
        (("--dtype", "float32", "--dry-run"), "leave --shard and --dry-run out"),
        (("--dtype", "float32", "--only", "nobody"), "nobody"),
    ],
)
def test_a_template_that_cannot_be_is_refused(
    show: Show, capsys: Any, more: tuple[str, ...], said: str
) -> None:
    words = ["batch", str(show.manifest), "--device", "cpu", "--template", "openjd", *more]
    assert main(words) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert not shown.out
