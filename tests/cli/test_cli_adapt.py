"""`adapt` and `propagate --adapt`: files, the same masks by both ways, refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from shot_on_disk import SMALL_SETTINGS, ShotOnDisk, files_below, make_shot

from xmempp_core.cli.main import main
from xmempp_core.formats.tracks import load_track

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> ShotOnDisk:
    return make_shot(tmp_path_factory.mktemp("shot"))


def words(command: str, shot: ShotOnDisk, output: Path, *more: str, model: Path | None = None):
    """A command line of the toy shot."""
    inputs = ("--frames", str(shot.frames), "--annotations", str(shot.annotations))
    where = ("--output", str(output), "--model", str(model or shot.model()), "--device", "cpu")
    settings = [text for one in SMALL_SETTINGS for text in ("--set", one)]
    return [command, *inputs, *where, *settings, "--quiet", *more]


def masks_of(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in files_below(folder).items() if name.startswith("masks/")}


def test_a_pass_with_the_adapted_file_is_the_pass_that_adapts_first(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shot.root / "adapted.safetensors"  # beside its base model
    steps = ("--adapt-steps", "2")
    assert main(words("adapt", shot, model, "--mode", "quick", *steps, "--json")) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["annotated_frames"] == [1004, 1009]
    assert summary["network"] in ("first round", "given network")
    assert main(words("propagate", shot, tmp_path / "file", model=model)) == 0
    one_go = tmp_path / "one go"
    assert main(words("propagate", shot, one_go, "--adapt", "quick", *steps)) == 0
    assert masks_of(one_go) == masks_of(tmp_path / "file")
    track = load_track(one_go / "track.xmtrack")
    assert json.loads(track.model.adaptation)["annotated_frames"] == [1004, 1009]
    report = json.loads((one_go / "track.json").read_text(encoding="utf-8"))
    assert report["model"]["sha256"] == track.model.sha256


def test_a_finished_run_is_resumed_without_adapting_again(
    shot: ShotOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, steps = tmp_path / "out", ("--adapt", "quick", "--adapt-steps", "1")
    assert main(words("propagate", shot, output, *steps)) == 0
    before = files_below(output)

    def never(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("xmempp_core.adaptation.fitting.train_step", never)
    assert main(words("propagate", shot, output, *steps, "--resume")) == 0
    assert files_below(output) == before


def test_a_folder_that_cannot_take_the_results_is_refused_before_anything_is_trained(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert main(words("propagate", shot, tmp_path, "--adapt", "quick")) == 2
    assert "holds files; give another --output" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("more", "name", "said"),
    [
        (("--adapt-steps", "0"), "a.safetensors", "setting adapt-steps is 0, allowed is an int"),
        ((), "a.pth", "models are written as .safetensors"),
        ((), "taken.safetensors", "holds another model; give another --output, or --overwrite"),
    ],
)  # fmt: skip
def test_what_adapt_cannot_do_is_one_sentence(
    shot: ShotOnDisk,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    name: str,
    said: str,
) -> None:
    taken = tmp_path / "taken.safetensors"
    taken.write_bytes(shot.model().read_bytes())
    before = taken.read_bytes()
    assert main(words("adapt", shot, tmp_path / name, *more)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert taken.read_bytes() == before


def test_waiting_threads_sleep_from_the_first_import_of_torch_on() -> None:
    program = (
        "import os, sys; from xmempp_core.cli.main import main; main(['info', 'lite']);"
        "assert 'torch' in sys.modules; print(os.environ['OMP_WAIT_POLICY'])"
    )
    check = "import sys; from xmempp_core.cli import main; assert 'torch' not in sys.modules;"
    done = subprocess.run(
        [sys.executable, "-c", check + program],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "PASSIVE"
