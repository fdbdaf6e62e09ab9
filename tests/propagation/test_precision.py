"""dtype "auto": never slower, never other masks, measured once, never longer than it may."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import tiny_network

from xmempp_core.delivery.identity import last_dtype
from xmempp_core.delivery.output_folder import OutputFolder
from xmempp_core.delivery.precision import runtime_of_run
from xmempp_core.propagation import kept_answers, precision
from xmempp_core.propagation.kept_answers import Answer, KeptAnswers
from xmempp_core.propagation.precision import (
    BUDGET_SECONDS,
    ClipAttempt,
    Trial,
    choose_runtime,
    fastest_exact,
    mean_iou,
)

CPU = torch.device("cpu")
BFLOAT16, FLOAT16, FLOAT32 = torch.bfloat16, torch.float16, torch.float32
SAME = torch.tensor([[0, 1], [1, 2]])


class Machine:
    """A machine on which a frame of 480 pixels takes so many seconds in each type."""

    def __init__(self, seconds: dict[torch.dtype, float], labels: torch.Tensor = SAME) -> None:
        self.seconds, self.labels = seconds, labels
        self.now, self.tried = 0.0, []

    def clock(self) -> float:
        return self.now

    def attempt(self, dtype: torch.dtype, side: int) -> Trial:
        seconds = self.seconds[dtype] * (side / 480) ** 2
        self.now += 2 * seconds
        self.tried.append((dtype, side))
        return Trial(seconds, SAME if dtype == FLOAT32 else self.labels)

    def answer(self, *candidates: torch.dtype) -> Answer:
        return fastest_exact(self.attempt, candidates or (BFLOAT16,), clock=self.clock)


def test_what_is_faster_and_as_exact_is_taken() -> None:
    answer = Machine({FLOAT32: 0.2, BFLOAT16: 0.1}).answer()
    assert answer.dtype == BFLOAT16
    assert "2.00 times as fast as float32" in answer.reason
    assert "at 480 pixels" in answer.reason


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(0.19, "is only 1.05 times as fast"), (0.25, "takes 1.25 times as long")],
)
def test_what_is_not_clearly_faster_is_not_taken(seconds: float, reason: str) -> None:
    answer = Machine({FLOAT32: 0.2, BFLOAT16: seconds}).answer()
    assert answer.dtype == FLOAT32
    assert f"bfloat16 {reason} at 480 pixels" in answer.reason
    assert answer.is_final


@pytest.mark.parametrize("seconds", [30.0, 39.0, 50.0])
def test_tiny_pictures_alone_rule_out_only_what_is_hopeless(seconds: float) -> None:
    assert not Machine({FLOAT32: 40.0, BFLOAT16: seconds}).answer().is_final
    hopeless = Machine({FLOAT32: 40.0, BFLOAT16: 100.0}).answer()
    assert hopeless.is_final
    assert "takes 2.50 times as long" in hopeless.reason


def test_what_shows_other_masks_is_not_taken() -> None:
    answer = Machine({FLOAT32: 0.2, BFLOAT16: 0.1}, torch.tensor([[0, 1], [0, 2]])).answer()
    assert answer.dtype == FLOAT32
    assert "masks of bfloat16 differ (IoU 0.750)" in answer.reason


def test_of_several_the_fastest_is_taken() -> None:
    machine = Machine({FLOAT32: 0.2, BFLOAT16: 0.1, FLOAT16: 0.05})
    assert machine.answer(BFLOAT16, FLOAT16).dtype == FLOAT16


def test_a_type_that_does_not_end_is_left_in_time() -> None:
    machine = Machine({FLOAT32: 0.2, BFLOAT16: 90.0})
    answer = machine.answer()
    assert answer.dtype == FLOAT32
    assert "bfloat16 takes 450.00 times as long" in answer.reason
    assert answer.is_final
    assert machine.now < 5


def test_a_network_too_slow_to_compare_keeps_float32_and_is_tried_again_next_time() -> None:
    machine = Machine({FLOAT32: 40.0, BFLOAT16: 20.0})
    answer = machine.answer()
    assert answer.dtype == FLOAT32
    assert "no time to try bfloat16 further" in answer.reason
    assert not answer.is_final
    assert machine.now < 5


@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.3, 1.0, 3.0, 9.0, 25.0])
def test_measuring_ends_in_time_whatever_a_frame_takes(seconds: float) -> None:
    machine = Machine({FLOAT32: seconds, BFLOAT16: seconds / 2})
    machine.answer()
    assert machine.now <= BUDGET_SECONDS + 1e-6


def test_the_iou_is_the_mean_over_objects_that_are_shown() -> None:
    assert mean_iou(SAME, SAME) == 1
    assert mean_iou(torch.zeros(2, 2), torch.zeros(2, 2)) == 1
    assert mean_iou(SAME, torch.tensor([[0, 1], [1, 0]])) == 0.5


def test_the_clip_is_segmented_in_each_type() -> None:
    network = tiny_network("xmemlite-1")
    attempt = ClipAttempt({FLOAT32: network, BFLOAT16: tiny_network("xmemlite-1").to(BFLOAT16)})
    for dtype in (FLOAT32, BFLOAT16):
        trial = attempt(dtype, 32)
        assert trial.labels.shape == (32, 56)
        assert trial.seconds > 0


# ---- kept


@pytest.fixture
def measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Callable[..., list[float]]:
    """Has measuring allowed, in an empty cache folder, and counted."""
    caplog.set_level(logging.INFO)
    monkeypatch.delenv("CI")
    monkeypatch.setattr(kept_answers.platformdirs, "user_cache_path", lambda _: tmp_path / "cache")
    calls: list[float] = []

    def measure(attempt: object, candidates: object, *, end: float) -> Answer:
        calls.append(end)
        return Answer(BFLOAT16, "for this test")

    monkeypatch.setattr(precision, "fastest_exact", measure)
    return lambda: calls


def test_it_is_measured_once_and_said(measured, caplog: pytest.LogCaptureFixture) -> None:
    assert choose_runtime("lite", "cpu").dtype == BFLOAT16
    assert "dtype bfloat16: for this test, measured now and kept in" in caplog.text
    assert choose_runtime("lite", "cpu").dtype == BFLOAT16
    assert "dtype bfloat16: for this test, measured earlier" in caplog.text
    assert len(measured()) == 1


def test_a_named_type_is_not_measured(measured) -> None:
    assert choose_runtime("lite", "cpu", "float16").dtype == FLOAT16
    assert not measured()


def test_under_ci_nothing_is_measured(
    measured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CI", "true")
    assert choose_runtime("lite", "cpu").dtype == FLOAT32
    assert "nothing is measured where CI is set" in caplog.text
    assert not measured()


def test_tests_run_as_under_ci() -> None:
    assert os.environ["CI"]


@pytest.mark.parametrize(
    "damaged",
    [b"", b"{", b"[]", b"\xff", b'{"format_version": 1}', b'{"format_version": 99}'],
    ids=["empty", "cut off", "no object", "no text", "no answer", "newer"],
)
def test_a_damaged_answer_is_measured_anew_with_a_line(
    measured, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    choose_runtime("lite", "cpu")
    (path,) = files_kept()
    path.write_bytes(damaged)
    assert choose_runtime("lite", "cpu").dtype == BFLOAT16
    assert "dtype auto is measured anew" in caplog.text
    assert len(measured()) == 2
    choose_runtime("lite", "cpu")
    assert len(measured()) == 2


def test_an_answer_of_another_machine_is_not_taken(measured) -> None:
    choose_runtime("lite", "cpu")
    (path,) = files_kept()
    content = json.loads(path.read_text(encoding="utf-8"))
    content["facts"]["processor"] = "another"
    path.write_text(json.dumps(content), encoding="utf-8")
    choose_runtime("lite", "cpu")
    assert len(measured()) == 2


def test_other_threads_models_and_versions_have_answers_of_their_own(
    measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = KeptAnswers.of("a", CPU)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    paths = {one.path, KeptAnswers.of("a", CPU).path, KeptAnswers.of("b", CPU).path}
    monkeypatch.setattr(torch, "__version__", "99")
    assert len({*paths, KeptAnswers.of("a", CPU).path}) == 4


def test_where_nothing_can_be_kept_a_line_says_so(
    measured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_bytes(b"a file")
    assert choose_runtime("lite", "cpu").dtype == BFLOAT16
    assert "dtype auto is measured again next time" in caplog.text


def test_an_answer_for_want_of_time_is_not_kept(
    measured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    undecided = Answer(FLOAT32, "there was no time", is_final=False)
    monkeypatch.setattr(precision, "fastest_exact", lambda *_, end: undecided)
    assert choose_runtime("lite", "cpu").dtype == FLOAT32
    assert "measured again next time" in caplog.text
    assert not files_kept()


def test_without_memory_for_measuring_the_default_is_taken(
    measured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, end: float) -> Answer:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(precision, "fastest_exact", fail)
    assert choose_runtime("lite", "cpu").dtype == FLOAT32
    assert "memory ran out" in caplog.text


def files_kept() -> list[Path]:
    return list(KeptAnswers.of("any", CPU).path.parent.glob("*.json"))


# ---- of a run


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        ("cpu torch.bfloat16", "bfloat16"),
        ("cpu torch.float32, then cpu torch.bfloat16", "bfloat16"),
        ("cuda torch.float16", None),
        ("not noted", None),
        ("cpu torch.int8", None),
        (None, None),
    ],
)
def test_the_dtype_of_a_run_is_read_off_its_identity(
    noted: str | None, expected: str | None
) -> None:
    facts = {} if noted is None else {"device or precision": noted}
    assert last_dtype(facts, CPU) == expected


def test_a_run_that_goes_on_keeps_its_dtype(tmp_path: Path) -> None:
    facts = {"device or precision": "cpu torch.bfloat16"}
    OutputFolder(tmp_path).begin(facts)
    assert runtime_of_run(tmp_path, "lite", "cpu", "auto", resume=True).dtype == BFLOAT16
    assert runtime_of_run(tmp_path, "lite", "cpu", "float32", resume=True).dtype == FLOAT32
    assert runtime_of_run(tmp_path, "lite", "cpu", "auto", resume=False).dtype == FLOAT32


def test_a_finished_run_keeps_its_dtype(tmp_path: Path) -> None:
    facts = {"device or precision": "cpu torch.bfloat16"}
    OutputFolder(tmp_path).write_json("track.json", {"identity": facts})
    assert runtime_of_run(tmp_path, "lite", "cpu", "auto", resume=True).dtype == BFLOAT16
    nothing = tmp_path / "nothing"
    assert runtime_of_run(nothing, "lite", "cpu", "auto", resume=True).dtype == FLOAT32
