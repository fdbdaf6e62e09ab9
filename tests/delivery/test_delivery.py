"""Delivery: a stopped pass that is resumed writes the bytes of one that was not stopped."""

from __future__ import annotations

import errno
import json
import os
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from shot_on_disk import (
    ANNOTATED,
    FIRST_NUMBER,
    FRAMES,
    FileContent,
    ShotOnDisk,
    files_below,
    make_shot,
)
from tiny import ARCHITECTURES
from toy import toy_frames

from xmempp_core.annotations import AbsenceRange, AnnotationSet
from xmempp_core.delivery import deliver as delivery_module
from xmempp_core.delivery.deliver import Delivery, deliver
from xmempp_core.delivery.output_folder import open_output
from xmempp_core.errors import CapacityError, FormatError, InputError, Interrupted
from xmempp_core.formats.annotations.folder import load_annotations
from xmempp_core.formats.annotations.label_maps import write_label_map
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.formats.tracks import load_track
from xmempp_core.mattes.presets import load_preset
from xmempp_core.network.checkpoint import load_model
from xmempp_core.pictures.films import OverlayVideo
from xmempp_core.pictures.pictures import write_picture
from xmempp_core.propagation.propagation import Propagation
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.track import Track
from xmempp_core.types import FrameSource

DIRECTIONS = ("forward", "outward", "bidirectional", "independent")
SMALL = PropagationSettings(
    memorize_every=2,
    working_memory_max_frames=3,
    working_memory_min_frames=1,
    long_term_prototypes=8,
    long_term_max_elements=20,
    internal_size=None,
    top_k=10,
)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> ShotOnDisk:
    return make_shot(tmp_path_factory.mktemp("shot"))


PNG = load_preset("png")


class Job:
    """A pass over the toy shot, made anew for every delivery."""

    def __init__(self, shot: ShotOnDisk, architecture: str = "xmemlite-1", **changes: Any) -> None:
        self.network = load_model(shot.model(architecture), Runtime.choose("cpu", "float32"))
        self.source: FrameSource = open_frames(shot.frames)
        self.annotations: AnnotationSet = load_annotations(shot.annotations, self.source)
        self.settings = replace(SMALL, **changes)
        self.augment: tuple[str, ...] = ()
        self.frame_range: range | None = None

    def pass_(self) -> Propagation:
        return Propagation(
            self.network,
            self.source,
            self.annotations,
            self.settings,
            augment=self.augment,
            frame_range=self.frame_range,
        )

    def deliver(self, output: Path, *, stop_after: int | None = None, **options: Any) -> Track:
        one = self.pass_()
        return deliver(
            one,
            Delivery(output, **options),
            should_stop=lambda: one.steps_done == stop_after,
        )

    def first_consolidation(self) -> int:
        """Steps after which long-term memory grew for the first time."""
        one = self.pass_()
        for _ in one.steps():
            if one.state()["bank.counts"][0] > 0:
                return one.steps_done
        raise AssertionError("nothing was consolidated")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_pass_stopped_anywhere_and_resumed_writes_the_same_bytes(
    shot: ShotOnDisk, direction: str, architecture: str, tmp_path: Path
) -> None:
    job = Job(shot, architecture, direction=direction)
    job.deliver(tmp_path / "whole", mattes=PNG, probabilities=True)
    whole = files_below(tmp_path / "whole")
    assert len([name for name in whole if name.startswith("masks/")]) == FRAMES
    # Alone, a frame has no memory that could be consolidated.
    middle = 6 if direction == "independent" else job.first_consolidation()
    for stop in (1, middle, job.pass_().step_count - 1):
        output = tmp_path / f"stopped-{stop}"
        with pytest.raises(Interrupted):
            job.deliver(output, stop_after=stop, mattes=PNG, probabilities=True)
        assert not (output / "track.json").exists()
        job.deliver(output, resume=True, mattes=PNG, probabilities=True)
        assert files_below(output) == whole


def test_a_pass_stopped_at_every_frame_writes_the_same_bytes(
    shot: ShotOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "CHECKPOINT_EVERY_FRAMES", 3)
    job = Job(shot)
    job.deliver(tmp_path / "whole")
    for stop in range(1, job.pass_().step_count):
        with pytest.raises(Interrupted, match=f"after {stop} of 12 frames"):
            job.deliver(tmp_path / "out", stop_after=stop, resume=stop > 1)
    job.deliver(tmp_path / "out", resume=True)
    assert files_below(tmp_path / "out") == files_below(tmp_path / "whole")


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_progress_is_told_once_for_each_computed_frame(
    shot: ShotOnDisk, direction: str, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    one = Job(shot, direction=direction).pass_()
    deliver(one, Delivery(tmp_path), progress=lambda *told: seen.append(told))
    count = one.step_count
    assert seen == [(done, count) for done in range(1, count + 1)]


def test_a_run_that_died_is_resumed_from_its_last_checkpoint(
    shot: ShotOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "CHECKPOINT_EVERY_FRAMES", 4)
    job = Job(shot)
    job.deliver(tmp_path / "whole")
    for at in (2, 4, 7):
        output = tmp_path / f"died-{at}"
        with pytest.raises(RuntimeError, match="power cut"):
            job_dying_at(job, at).deliver(output)
        resumed = job.pass_()
        seen: list[int] = []
        deliver(
            resumed,
            Delivery(output, resume=True),
            progress=lambda done, total, seen=seen: seen.append(done),
        )
        assert seen[0] == at // 4 * 4 + 1
        assert files_below(output) == files_below(tmp_path / "whole")


def job_dying_at(job: Job, step: int) -> Job:
    """The same job with frames that fail at the given step."""
    dying = Job.__new__(Job)
    dying.__dict__.update(job.__dict__)
    reads = 0

    class Frames:
        def __getattr__(self, name: str) -> Any:
            return getattr(job.source, name)

        def __len__(self) -> int:
            return len(job.source)

        def frame(self, index: int) -> torch.Tensor:
            nonlocal reads
            reads += 1
            if reads > len(ANNOTATED) + step:
                raise RuntimeError("power cut")
            return job.source.frame(index)

    dying.source = Frames()  # type: ignore[assignment]
    return dying


def test_a_run_is_stopped_while_permanent_memory_fills(shot: ShotOnDisk, tmp_path: Path) -> None:
    job = Job(shot)
    job.augment = ("blur",)
    told: list[tuple[int, int]] = []
    with pytest.raises(Interrupted, match="after 0 of 12 frames"):
        deliver(
            job.pass_(),
            Delivery(tmp_path / "out"),
            preparing=lambda *done: told.append(done),
            should_stop=lambda: len(told) == 3,
        )
    assert told == [(1, 4), (2, 4), (3, 4)]
    assert not (tmp_path / "out").exists()
    assert len(job.deliver(tmp_path / "out", resume=True)) == FRAMES


class InCaller:
    """An executor that makes each call at once."""

    def __init__(self, *options: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        result: Future[Any] = Future()
        try:
            result.set_result(call(*arguments))
        except Exception as error:
            result.set_exception(error)
        return result

    def shutdown(self, **options: object) -> None:
        pass


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_threads_change_no_byte(
    shot: ShotOnDisk, direction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(shot, direction=direction)
    job.deliver(tmp_path / "with", mattes=PNG, probabilities=True)
    monkeypatch.setattr("xmempp_core.pipeline.ThreadPoolExecutor", InCaller)
    job.deliver(tmp_path / "without", mattes=PNG, probabilities=True)
    assert files_below(tmp_path / "with") == files_below(tmp_path / "without")


@pytest.mark.parametrize("stop", [None, 3, 20], ids=str)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_film_of_a_resumed_run_is_that_of_an_undisturbed_one(
    shot: ShotOnDisk, direction: str, stop: int | None, tmp_path: Path
) -> None:
    job = Job(shot, direction=direction)
    output = tmp_path / "out"
    if stop is not None and stop < job.pass_().step_count:
        with pytest.raises(Interrupted):
            job.deliver(output, stop_after=stop)
        assert not (output / "overlay.mp4").exists()
    track = job.deliver(output, resume=True)
    colors = track.annotations.colors
    with OverlayVideo(tmp_path / "expected.mp4", job.source.frame_rate, colors=colors) as film:
        for index in range(FRAMES):
            film.add(job.source.frame(index), track.label_map(index))
    expected = FileContent.of(tmp_path / "expected.mp4")
    assert FileContent.of(output / "overlay.mp4") == expected


def test_a_frame_that_cannot_be_read_leaves_the_files_of_those_before(
    shot: ShotOnDisk, tmp_path: Path
) -> None:
    threads = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="power cut"):
        job_dying_at(Job(shot, direction="forward"), 5).deliver(tmp_path)
    masks = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert masks == [f"{name}.png" for name in shot.names()[:5]]
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_full_disk_is_a_sentence_and_no_frame_counts_whose_files_are_missing(
    shot: ShotOnDisk, direction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "CHECKPOINT_EVERY_FRAMES", 2)
    job = Job(shot, direction=direction)
    threads = set(threading.enumerate())
    written, replace_file = [], os.replace

    def full(source: Path, target: Path) -> None:
        written.extend([target] if Path(target).parent.name == "masks" else [])
        if len(written) >= 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_file(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(FormatError, match=r"plate\.\d+\.png: cannot be written: No space left"):
            job.deliver(tmp_path / "out")
    assert set(threading.enumerate()) <= threads
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 5
    assert not [p for p in (tmp_path / "out").iterdir() if p.is_file() and p.name != ".lock"]
    job.deliver(tmp_path / "out", resume=True)
    job.deliver(tmp_path / "whole")
    assert files_below(tmp_path / "out") == files_below(tmp_path / "whole")


def test_a_run_is_stopped_while_its_film_is_made(shot: ShotOnDisk, tmp_path: Path) -> None:
    job = Job(shot, direction="outward")
    one, asked = job.pass_(), 0

    def third_frame_of_the_film() -> bool:
        nonlocal asked
        asked += one.steps_done == one.step_count
        return asked == 3

    with pytest.raises(Interrupted, match="after 12 of 12 frames"):
        deliver(one, Delivery(tmp_path / "out"), should_stop=third_frame_of_the_film)
    assert not (tmp_path / "out" / "overlay.mp4").exists()
    again = job.pass_()
    seen: list[int] = []
    options = Delivery(tmp_path / "out", resume=True)
    deliver(again, options, progress=lambda done, total: seen.append(done))
    assert seen == []
    job.deliver(tmp_path / "whole")
    assert files_below(tmp_path / "out") == files_below(tmp_path / "whole")


def test_a_finished_folder_is_left_alone_by_resume(shot: ShotOnDisk, tmp_path: Path) -> None:
    job = Job(shot)
    first = job.deliver(tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.name != ".lock"}
    again = job.deliver(tmp_path / "out", resume=True)
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.name != ".lock"}
    assert before == after
    assert all(torch.equal(first.label_map(t), again.label_map(t)) for t in range(FRAMES))


def other_model(job: Job, shot: ShotOnDisk, folder: Path) -> None:
    job.network = load_model(shot.model("xmem"), Runtime.choose("cpu", "float32"))


def other_settings(job: Job, shot: ShotOnDisk, folder: Path) -> None:
    job.settings = replace(job.settings, top_k=9)


def other_augmentation(job: Job, shot: ShotOnDisk, folder: Path) -> None:
    job.augment = ("bright",)


def other_mask(job: Job, shot: ShotOnDisk, folder: Path) -> None:
    labels = job.annotations.annotations[0].label_map()
    labels[0, 0] = 3
    write_label_map(folder / "plate.1004.png", labels)
    job.annotations = load_annotations(folder, job.source)


def other_absence(job: Job, shot: ShotOnDisk, folder: Path) -> None:
    job.annotations = job.annotations.with_absence(AbsenceRange(3, 5, 6))


def other_frame(job: Job, shot: ShotOnDisk, folder: Path) -> None:
    frames, _ = toy_frames(FRAMES)
    frames[5, 0, 0] = 255
    for t, frame in enumerate(frames):
        write_picture(folder / f"plate.{FIRST_NUMBER + t}.png", frame)
    job.source = open_frames(folder)


def other_range(job: Job, shot: ShotOnDisk, folder: Path) -> None:
    job.frame_range = range(2, 9)


CHANGES = {
    other_model: "the model changed",
    other_settings: "the settings changed",
    other_augmentation: "the augmentation changed",
    other_mask: "the annotations changed",
    other_absence: "the annotations changed",
    other_frame: "the frames changed",
    other_range: "the range changed",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("finished", [False, True], ids=["stopped", "finished"])
def test_resume_refuses_what_changed_and_names_it(
    shot: ShotOnDisk,
    change: Callable[[Job, ShotOnDisk, Path], None],
    finished: bool,
    tmp_path: Path,
) -> None:
    output, job = tmp_path / "out", Job(shot)
    if finished:
        job.frame_range = range(3, 6)
        job.deliver(output)
    else:
        with pytest.raises(Interrupted):
            job.deliver(output, stop_after=2)
    before = files_below(output)
    change(job, shot, tmp_path / "changed")
    with pytest.raises(InputError, match=CHANGES[change]):
        job.deliver(output, resume=True)
    assert files_below(output) == before


def test_resume_refuses_another_choice_of_outputs(shot: ShotOnDisk, tmp_path: Path) -> None:
    job = Job(shot)
    with pytest.raises(Interrupted):
        job.deliver(tmp_path, stop_after=2)
    with pytest.raises(InputError, match="the choice of mattes changed"):
        job.deliver(tmp_path, resume=True, mattes=PNG)


def identity_in(folder: Path) -> dict[str, str]:
    return json.loads((folder / ".resume" / "identity.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_run_goes_on_under_other_circumstances_and_says_so(
    shot: ShotOnDisk,
    dtype: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = Job(shot)
    with pytest.raises(Interrupted):
        job.deliver(tmp_path, stop_after=job.first_consolidation())
    before = identity_in(tmp_path)
    job.network = load_model(shot.model(), Runtime.choose("cpu", dtype))
    monkeypatch.setattr(torch, "__version__", "9.9.0")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    with pytest.raises(Interrupted):
        job.deliver(tmp_path, resume=True, stop_after=FRAMES - 2)
    told = caplog.messages[-1]
    assert f"threads {before['threads']}, now 77" in told
    assert f"torch version {before['torch version']}, now 9.9.0" in told
    assert ("precision" in told) == (dtype != "float32")
    assert identity_in(tmp_path)["threads"] == f"{before['threads']}, then 77"
    caplog.clear()
    assert len(job.deliver(tmp_path, resume=True)) == FRAMES
    assert not [text for text in caplog.messages if "circumstances" in text]
    report = json.loads((tmp_path / "track.json").read_text(encoding="utf-8"))
    assert report["identity"]["torch version"] == f"{before['torch version']}, then 9.9.0"


def test_a_run_of_a_program_without_a_newer_setting_goes_on(
    shot: ShotOnDisk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job(shot)
    with pytest.raises(Interrupted):
        job.deliver(tmp_path, stop_after=4)
    identity = identity_in(tmp_path)
    settings = json.loads(identity["settings"])
    del settings["deep_update_every"], identity["torch version"]
    identity["settings"] = json.dumps(settings)
    (tmp_path / ".resume" / "identity.json").write_text(json.dumps(identity), encoding="utf-8")
    assert len(job.deliver(tmp_path, resume=True)) == FRAMES
    assert "torch version not noted, now" in caplog.text


def test_a_state_with_permanent_memory_in_it_is_read(shot: ShotOnDisk, tmp_path: Path) -> None:
    """As version 0.1.0 wrote them, with backward results in another folder and unchecked."""
    job = Job(shot, direction="bidirectional")
    job.deliver(tmp_path / "whole")
    for stop in (4, job.pass_().step_count - 2):
        output = tmp_path / str(stop)
        with pytest.raises(Interrupted):
            job.deliver(output, stop_after=stop)
        state_file = output / ".resume" / "state.safetensors"
        state = load_file(state_file)
        one = job.pass_()
        list(one.prepare())
        tokens = []
        for name in [n for n in state if n.startswith("bank.") and n != "bank.counts"]:
            axis = 1 if name in ("bank.valid", "bank.coverage", "bank.values") else 0
            permanent = one.view.tokens(name.removeprefix("bank."), "permanent")
            state[name] = torch.cat([permanent, state[name]], axis)
            tokens.append(permanent.shape[axis])
        state["bank.entries"] = torch.tensor(one.view.permanent_entries)
        state["bank.entry_tokens"] = torch.tensor([tokens[0] // 2] * 2)
        save_file(state, state_file)
        spool = output / ".resume" / "spool"
        spool.mkdir()
        for path in (output / ".resume" / "backward").glob("*.bin"):
            (spool / path.name).write_bytes(path.read_bytes()[12:])
            path.unlink()
        job.deliver(output, resume=True)
        assert files_below(output) == files_below(tmp_path / "whole")


def test_a_checkpoint_costs_what_changed(
    shot: ShotOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "CHECKPOINT_EVERY_FRAMES", 3)
    job = Job(shot)
    with pytest.raises(Interrupted):
        job.deliver(tmp_path, stop_after=10)
    parts = sorted((tmp_path / ".resume").glob("part-*"))
    contents = [zipfile.ZipFile(part).namelist() for part in parts]
    frames = [name for names in contents for name in names if name.startswith("labels/")]
    assert len(contents) == 4
    assert sorted(frames) == sorted({*frames})
    assert len(frames) == 10
    assert not [name for names in contents for name in names if name.startswith("annotations/")]


def test_what_killed_runs_left_half_written_goes(shot: ShotOnDisk, tmp_path: Path) -> None:
    job = Job(shot)
    with pytest.raises(Interrupted):
        job.deliver(tmp_path / "out", stop_after=3, mattes=PNG)
    other = tmp_path / "out" / "mine"
    left = [".xmempp.0a1b2c3d.tmp", "masks/.plate.1001.png.0a1b2c3d.tmp"]
    left += ["mattes/3/.xmempp.00000000.tmp", ".resume/.state.safetensors.12345678.tmp"]
    kept = ["mine/.xmempp.0a1b2c3d.tmp", "masks/.hidden.tmp", ".xmempp.0a1b2c3d.tmp.txt"]
    other.mkdir()
    (tmp_path / "out" / "mattes" / "3").mkdir(parents=True)
    for name in (*left, *kept):
        (tmp_path / "out" / name).write_text("half")
    job.deliver(tmp_path / "out", resume=True, mattes=PNG)
    files = files_below(tmp_path / "out")
    assert not set(left) & set(files)
    assert set(kept) <= set(files)


@pytest.mark.parametrize("resume", [True, False], ids=["resumed", "anew"])
@pytest.mark.parametrize(
    "left",
    [".resume/.xmempp.0a1b2c3d.tmp", ".xmempp.0a1b2c3d.tmp", ".resume/state.safetensors"],
    ids=["before the note", "before the adapted model", "of a finished run"],
)
def test_a_run_killed_before_it_had_begun_is_begun_by_the_next(
    shot: ShotOnDisk, tmp_path: Path, left: str, resume: bool
) -> None:
    path = tmp_path / "out" / left
    path.parent.mkdir(parents=True)
    path.write_text("half")
    assert len(Job(shot).deliver(tmp_path / "out", resume=resume)) == FRAMES
    Job(shot).deliver(tmp_path / "whole")
    assert files_below(tmp_path / "out") == files_below(tmp_path / "whole")


def test_a_state_counts_only_on_files_that_are_on_the_disk(
    shot: ShotOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    sync, replace_file = os.fsync, os.replace
    states = []

    def note(descriptor: int) -> None:
        sync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    def check(source: Path, target: Path) -> None:
        if Path(target).name == "state.safetensors":
            made = [p for p in tmp_path.rglob("*") if p.suffix in (".png", ".xmrecords", ".bin")]
            assert {path.stat().st_ino for path in (Path(source), *made)} <= synced
            states.append(len(made))
        if Path(target).name == "track.xmtrack":
            assert Path(source).stat().st_ino in synced
        replace_file(source, target)

    monkeypatch.setattr(delivery_module, "CHECKPOINT_EVERY_FRAMES", 4)
    monkeypatch.setattr("xmempp_core.pipeline.ThreadPoolExecutor", InCaller)
    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "replace", check)
    Job(shot, direction="bidirectional").deliver(tmp_path, mattes=PNG)
    assert len(states) > 3
    assert states == sorted(states)


def test_resume_of_an_empty_folder_starts_at_the_beginning(
    shot: ShotOnDisk, tmp_path: Path
) -> None:
    assert len(Job(shot).deliver(tmp_path / "new", resume=True)) == FRAMES


def test_overwrite_forgets_the_unfinished_run(shot: ShotOnDisk, tmp_path: Path) -> None:
    job = Job(shot)
    with pytest.raises(Interrupted):
        job.deliver(tmp_path / "out", stop_after=5)
    job.settings = replace(job.settings, top_k=9)
    job.deliver(tmp_path / "out", overwrite=True)
    job.deliver(tmp_path / "whole")
    assert files_below(tmp_path / "out") == files_below(tmp_path / "whole")


def test_overwriting_a_finished_run_and_dying_leaves_nothing_that_looks_finished(
    shot: ShotOnDisk, tmp_path: Path
) -> None:
    job = Job(shot)
    job.deliver(tmp_path)
    other = Job(shot, top_k=9)
    with pytest.raises(RuntimeError, match="power cut"):
        job_dying_at(other, 2).deliver(tmp_path, overwrite=True)
    with pytest.raises(InputError, match="the settings changed"):
        job.deliver(tmp_path, resume=True)


def test_a_pass_that_fails_before_its_first_frame_leaves_nothing(
    shot: ShotOnDisk, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        job_dying_at(Job(shot), 0).deliver(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_a_folder_with_other_files_is_refused_and_kept(shot: ShotOnDisk, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    job = Job(shot)
    with pytest.raises(FormatError, match="holds files; give another"):
        job.deliver(tmp_path)
    with pytest.raises(FormatError, match="no run to go on with"):
        job.deliver(tmp_path, resume=True)
    assert files_below(tmp_path) == {"notes.txt": b"mine"}
    job.deliver(tmp_path, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_lock_keeps_two_writers_apart(shot: ShotOnDisk, tmp_path: Path) -> None:
    job = Job(shot)
    with (
        open_output(tmp_path / "out", overwrite=False, resume=False),
        pytest.raises(FormatError, match="is being written to by another run"),
    ):
        job.deliver(tmp_path / "out", overwrite=True)
    assert len(job.deliver(tmp_path / "out")) == FRAMES


def test_a_damaged_state_is_refused(shot: ShotOnDisk, tmp_path: Path) -> None:
    job = Job(shot)
    with pytest.raises(Interrupted):
        job.deliver(tmp_path, stop_after=2)
    state = tmp_path / ".resume" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(FormatError, match="start anew with --overwrite"):
        job.deliver(tmp_path, resume=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_space_for_the_backward_results_is_a_matter_of_capacity(
    shot: ShotOnDisk, tmp_path: Path
) -> None:
    (tmp_path / f"{ANNOTATED[-1]}.bin").symlink_to("/dev/full")
    one = Job(shot, direction="bidirectional").pass_()
    one.keep_backward_in(tmp_path)
    with pytest.raises(CapacityError, match="No space left on device"):
        list(one)


def test_the_folder_says_what_was_done(shot: ShotOnDisk, tmp_path: Path) -> None:
    job = Job(shot)
    job.annotations = job.annotations.named(3, "fox").with_absence(AbsenceRange(7, 10, 11))
    track = job.deliver(tmp_path)
    report = json.loads((tmp_path / "track.json").read_text())
    assert report["objects"] == {"3": "fox", "7": ""}
    assert report["annotated_frames"] == [FIRST_NUMBER + t for t in ANNOTATED]
    assert report["settings"]["top_k"] == 10
    assert report["model"]["sha256"] == job.network.info.sha256
    assert list(report["confidence"]) == shot.names()
    assert report["confidence"]["plate.1004"] == {"3": None, "7": None}
    assert report["confidence"]["plate.1012"]["7"] == 0
    saved = load_track(tmp_path / "track.xmtrack")
    for t in range(FRAMES):
        assert torch.equal(saved.label_map(t), track.label_map(t))
        expected = report["confidence"][shot.names()[t]]["3"]
        if expected is not None:
            assert saved.confidence(t)[0] == pytest.approx(expected, abs=1e-6)
