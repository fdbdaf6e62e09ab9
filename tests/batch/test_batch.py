"""`batch`: the files of single runs, skipped where finished, redone where changed, never mixed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from shot_on_disk import files_below
from show import SMALL, Show, make_show

from xmempp_core.batch import shot_run
from xmempp_core.cli.main import main
from xmempp_core.delivery import deliver
from xmempp_core.errors import FormatError
from xmempp_core.runtime import Runtime


@pytest.fixture
def show(tmp_path: Path) -> Show:
    return make_show(tmp_path)


def batch(show: Show, *more: str) -> int:
    return main(["batch", str(show.manifest), "--device", "cpu", "--quiet", *more])


def states(show: Show, *more: str) -> tuple[int, dict[str, str]]:
    """Exit code and state of every shot."""
    path = show.root / "status.json"
    code = batch(show, "--status", str(path), *more)
    return code, {one["shot"]: one["state"] for one in status(path)["shots"]}


def status(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_batch_writes_what_single_commands_write(show: Show) -> None:
    show.write(
        defaults='exports = ["nuke", {preset = "png", name = "soft", objects = "3"}]\n'
        "probabilities = true\n"
    )
    assert batch(show, "--jobs", "2") == 0
    shot, single = show.shot("sh020"), show.root / "single"
    words = ["--frames", str(shot.frames), "--annotations", str(shot.annotations)]
    words += ["--model", str(show.root / "tiny.safetensors"), "--device", "cpu", "--quiet"]
    settings = [one for text in SMALL.split(", ") for one in ("--set", text.replace(" ", ""))]
    out = ["--output", str(single), "--save-probabilities"]
    assert main(["propagate", *words, *settings, *out]) == 0
    for name, more in (("nuke", ()), ("soft", ("--objects", "3"))):
        preset = "png" if name == "soft" else name
        export = ["--track", str(single / "track.xmtrack"), "--preset", preset, "--quiet", *more]
        folder = single / "mattes" / name
        frames = ["--frames", str(shot.frames), "--shot", "sh020"]
        assert main(["export", *export, *frames, "--output", str(folder)]) == 0
    assert show.made("sh020") == files_below(single)
    assert show.made("sh010").keys() == {
        name.replace("sh020", "sh010") for name in files_below(single)
    }


def test_finished_shots_are_skipped_and_changed_ones_redone(show: Show) -> None:
    assert states(show) == (0, {"sh010": "done", "sh020": "done", "sh030": "done"})
    shots = status(show.root / "status.json")["shots"]
    assert [one["computed"] for one in shots] == [12, 12, 12]
    before = show.made("sh010")
    assert states(show) == (0, {"sh010": "skipped", "sh020": "skipped", "sh030": "skipped"})
    label = next(show.shot("sh020").annotations.glob("*.png"))
    label.unlink()
    (show.results / "sh030" / "masks" / "plate.1001.png").write_bytes(b"cut off")
    code, found = states(show)
    assert (code, found) == (0, {"sh010": "skipped", "sh020": "done", "sh030": "done"})
    notes = {one["shot"]: one["note"] for one in status(show.root / "status.json")["shots"]}
    assert notes["sh020"] == "annotations changed"
    assert notes["sh030"] == "masks/plate.1001.png is not as it was written"
    assert show.made("sh010") == before
    show.write(settings=SMALL.replace("top_k = 10", "top_k = 11"))
    assert states(show)[1] == dict.fromkeys(("sh010", "sh020", "sh030"), "done")


def test_files_that_a_changed_shot_no_longer_has_are_removed(show: Show) -> None:
    show.write(defaults='exports = ["png"]\n')
    assert batch(show) == 0
    (show.results / "sh010" / "mine.txt").write_text("mine", encoding="utf-8")
    show.write(defaults='range = "1003-1006"\n')
    assert batch(show) == 0
    made = show.made("sh010")
    assert sorted(name for name in made if name.startswith("ma")) == [
        f"masks/plate.{number}.png" for number in range(1003, 1007)
    ]
    assert made["mine.txt"] == b"mine"


def test_a_bad_shot_does_not_stop_the_others(
    show: Show, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = shot_run.deliver

    def fails(pass_: Any, delivery: Any, **more: Any) -> Any:
        if delivery.output.name == "sh020":
            raise FormatError(delivery.output, "has no room")
        if delivery.output.name == "sh030":
            raise RuntimeError("out of memory")
        return right(pass_, delivery, **more)

    monkeypatch.setattr(shot_run, "deliver", fails)
    path = show.root / "status.json"
    command = ["batch", str(show.manifest), "--device", "cpu", "--status", str(path)]
    assert main(command) == 1
    said = {one["shot"]: (one["state"], one["note"]) for one in status(path)["shots"]}
    assert said["sh010"][0] == "done"
    assert said["sh020"] == ("failed", f"{show.results / 'sh020'}: has no room")
    assert said["sh030"][0] == "failed"
    assert "out of memory; lower internal_size" in said["sh030"][1]
    assert "3 shots: 1 done, 2 failed" in capsys.readouterr().err
    assert "has no room" in (show.results / "logs" / "sh020.log").read_text(encoding="utf-8")
    assert "has no room" not in (show.results / "logs" / "sh010.log").read_text(encoding="utf-8")
    monkeypatch.undo()
    assert states(show) == (0, {"sh010": "skipped", "sh020": "done", "sh030": "done"})


def test_everything_is_checked_before_anything_starts(
    show: Show, capsys: pytest.CaptureFixture[str]
) -> None:
    show.write(
        text=(
            '[[shot]]\nname = "a"\nframes = "shots/sh010/plates"\n'
            'annotations = "shots/sh010/annotations"\nrange = "1-3"\nsettings = {top_k = 0}\n'
            '[[shot]]\nname = "b"\nframes = "nowhere"\nannotations = "shots/sh010/annotations"\n'
            'model = "no.pth"\n'
            '[[shot]]\nname = "c"\nframes = "shots/sh010/plates"\n'
            'annotations = "shots/sh010/annotations"\nexports = ["nuke", "houdini"]\n'
            'adapt = "much"\nuse = "1005"\noutput = "../shots/sh010/plates"\n'
        )
    )
    assert batch(show) == 2
    said = capsys.readouterr().err.replace(str(show.manifest), "show.toml")
    for line in (
        "show.toml:10: shot a: range: there is no frame 1: the shot has frames 1001 to 1012",
        "show.toml:11: shot a: settings: setting top_k is 0",
        "show.toml:14: shot b: frames: ",
        "show.toml:16: shot b: model: ",
        "show.toml:22: shot c: adapt: setting adapt is 'much', allowed is one of off, quick, auto",
        "show.toml:20: shot c: annotations: use '1005': frame 1005 is not annotated",
        "show.toml:24: shot c: output: output",
    ):
        assert line in said, said
    assert not show.results.exists()


def test_a_shot_that_another_run_makes_is_left_to_it(show: Show) -> None:
    folder = show.results / ".batch" / "sh020"
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        code, found = states(show)
    assert (code, found["sh020"], found["sh030"]) == (1, "busy", "done")
    assert states(show) == (0, {"sh010": "skipped", "sh020": "done", "sh030": "skipped"})


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_stopped_batch_goes_on_to_the_same_files(
    show: Show, monkeypatch: pytest.MonkeyPatch, is_resumed: bool
) -> None:
    assert batch(show) == 0
    expected = {name: show.made(name) for name in ("sh010", "sh020", "sh030")}
    shutil.rmtree(show.results)
    monkeypatch.setattr(deliver, "CHECKPOINT_EVERY_FRAMES", 2)
    right, calls = deliver.write_frame, []

    def dies(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 12 + 7:
            raise KeyboardInterrupt
        return right(*arguments)

    monkeypatch.setattr(deliver, "write_frame", dies)
    assert batch(show) in (1, 130)
    monkeypatch.setattr(deliver, "write_frame", lambda *a: (calls.append(a), right(*a))[1])
    calls.clear()
    assert batch(show, *(("--resume",) if is_resumed else ())) == 0
    assert (len(calls) < 12) == is_resumed
    assert {name: show.made(name) for name in expected} == expected


def test_folders_of_others_are_refused_before_anything_starts(
    show: Show, capsys: pytest.CaptureFixture[str]
) -> None:
    (show.results / "sh030").mkdir(parents=True)
    (show.results / "sh030" / "mine.txt").write_text("mine", encoding="utf-8")
    assert batch(show) == 2
    assert "shot sh030: output: " in (said := capsys.readouterr().err)
    assert "holds files; give another --output, or --overwrite" in said
    assert sorted(path.name for path in show.results.iterdir()) == ["sh030"]
    assert batch(show, "--overwrite") == 0
    assert (show.results / "sh030" / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_shards_make_each_shot_once_and_need_a_named_precision(
    show: Show, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch(show, "--shard", "1/2") == 2
    assert "--dtype float32" in capsys.readouterr().err
    assert states(show, "--shard", "1/2", "--dtype", "float32")[1] == {
        "sh010": "done",
        "sh030": "done",
    }
    assert states(show, "--shard", "2/2", "--dtype", "float32")[1] == {"sh020": "done"}
    assert set(states(show)[1].values()) == {"skipped"}


def test_only_some_shots_are_made(show: Show, capsys: pytest.CaptureFixture[str]) -> None:
    assert states(show, "--only", "sh020,sh030")[1] == {"sh020": "done", "sh030": "done"}
    assert batch(show, "--only", "sh099") == 2
    assert "there is no shot 'sh099'; shots are sh010, sh020" in capsys.readouterr().err


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(
    show: Show, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch(show, "--only", "sh010") == 0
    before = sorted(show.results.rglob("*"))
    show.write(defaults='exports = ["png"]\nadapt = "quick"\nadapt_steps = 3\n')
    assert batch(show, "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert [one["action"] for one in plan["shots"]] == ["redo", "make", "make"]
    assert plan["shots"][0]["note"] == "adaptation and exports changed"
    assert all(one["seconds"] > 0 and one["disk_bytes"] > 0 for one in plan["shots"])
    assert sorted(show.results.rglob("*")) == before
    assert main(["batch", str(show.manifest), "--device", "cpu", "--dry-run"]) == 0
    assert "3 of 3 shots to make: about " in capsys.readouterr().out


def test_the_estimate_of_disk_is_near_what_is_written(
    show: Show, capsys: pytest.CaptureFixture[str]
) -> None:
    show.write(defaults='exports = ["png"]\n')
    assert batch(show, "--dry-run", "--json") == 0
    estimated = json.loads(capsys.readouterr().out)["shots"][0]["disk_bytes"]
    assert batch(show) == 0
    written = sum(map(len, show.made("sh010").values()))
    assert 0.5 < estimated / written < 2


def test_one_model_is_loaded_once_for_a_device(show: Show, monkeypatch: Any) -> None:
    from xmempp_core.batch import networks

    right, loaded = networks.load_model, []
    monkeypatch.setattr(networks, "load_model", lambda *a: (loaded.append(a), right(*a))[1])
    assert batch(show, "--jobs", "3") == 0
    assert len(loaded) == 1


def test_shots_are_adapted_as_single_commands_adapt_them(show: Show) -> None:
    show.write(defaults='adapt = "quick"\nadapt_steps = 2\n')
    assert batch(show, "--only", "sh010") == 0
    shot, single = show.shot("sh010"), show.root / "single"
    words = ["--frames", str(shot.frames), "--annotations", str(shot.annotations)]
    words += ["--model", str(show.root / "tiny.safetensors"), "--device", "cpu", "--quiet"]
    words += [one for text in SMALL.split(", ") for one in ("--set", text.replace(" ", ""))]
    adapt = ["--adapt", "quick", "--adapt-steps", "2", "--output", str(single)]
    assert main(["propagate", *words, *adapt]) == 0
    assert show.made("sh010") == files_below(single)


def test_the_precision_of_a_batch_is_chosen_once(show: Show, monkeypatch: Any) -> None:
    from xmempp_core.batch import precision

    asked = []

    def choose(model: str, device: str) -> Runtime:
        asked.append(Path(model).name)
        return Runtime(torch.device("cpu"), [torch.bfloat16, torch.float32][len(asked) - 1])

    monkeypatch.setattr(precision, "choose_runtime", choose)
    assert batch(show, "--only", "sh010") == 0
    report = status(show.results / "sh010" / "track.json")
    assert report["identity"]["device or precision"] == "cpu torch.bfloat16"
    assert states(show)[1] == {"sh010": "skipped", "sh020": "done", "sh030": "done"}
    assert asked == ["tiny.safetensors"]
    assert states(show, "--dtype", "float32")[1]["sh010"] == "done"
