"""One shot in ranges: the bytes of one machine, refused where frames need one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shot_on_disk import files_below
from show import SMALL, Show, make_show

from xmempp_core.batch.tasks import Schedule, Task
from xmempp_core.cli.main import main


def differing(show: Show, expected: dict[str, dict[str, bytes]]) -> list[str]:
    """Names of files that are not as expected, whichever way."""
    found = []
    for shot, files in expected.items():
        made = show.made(shot)
        found += [f"{shot}/{n}" for n in {*made, *files} if made.get(n) != files.get(n)]
    return sorted(found)


ALONE = f'{SMALL}, direction = "independent"'
NAMED = ("--dtype", "float32")


@pytest.fixture
def show(tmp_path: Path) -> Show:
    one = make_show(tmp_path, ("sh010", "sh020"))
    one.write(settings=ALONE, defaults='exports = ["nuke"]\nprobabilities = true\n')
    return one


def batch(show: Show, *more: str) -> int:
    return main(["batch", str(show.manifest), "--device", "cpu", "--quiet", *NAMED, *more])


def whole(show: Show) -> dict[str, dict[str, bytes]]:
    """The results of one machine, moved aside."""
    assert batch(show) == 0
    show.results.rename(show.root / "whole")
    return {name: files_below(show.root / "whole" / name) for name in ("sh010", "sh020")}


@pytest.mark.parametrize("adapt", ["", 'adapt = "quick"\nadapt_steps = 2\n'])
def test_ranges_join_to_the_bytes_of_one_machine(show: Show, adapt: str) -> None:
    show.write(settings=ALONE, defaults=f'exports = ["nuke"]\nsteady = 1\n{adapt}')
    expected = whole(show)
    assert batch(show, "--split", "5", "--jobs", "2") == 0
    assert not differing(show, expected)
    assert not list((show.results / ".batch").rglob("*.xmrecords"))
    assert batch(show, "--split", "5") == 0


def test_shards_count_ranges_and_a_range_waits_for_the_adapted_model(
    show: Show, capsys: pytest.CaptureFixture[str]
) -> None:
    show.write(settings=ALONE, defaults='adapt = "quick"\nadapt_steps = 2\n')
    expected = whole(show)
    assert batch(show, "--split", "5", "--shard", "1/4") == 1
    log = (show.results / "logs" / "sh010.log").read_text(encoding="utf-8")
    assert "run batch --adapt-only first" in log
    assert batch(show, "--split", "5", "--adapt-only") == 0
    for number in (4, 2, 1):
        assert batch(show, "--split", "5", "--shard", f"{number}/4") == 0
    assert batch(show, "--split", "5", "--join") == 1
    log = (show.results / "logs" / "sh010.log").read_text(encoding="utf-8")
    assert "frames are missing, from about frame 1011 on" in log
    assert not (show.results / "sh010" / "track.xmtrack").exists()
    assert batch(show, "--split", "5", "--shard", "3/4") == 0
    assert batch(show, "--split", "5", "--join") == 0
    assert not differing(show, expected)


def test_a_lost_range_is_done_again_and_no_other(show: Show, monkeypatch: Any) -> None:
    expected = whole(show)
    assert batch(show, "--split", "4", "--shard", "1/1") == 0
    lost = sorted((show.results / ".batch" / "sh020").rglob("whole.json"))[1]
    lost.unlink()
    from xmempp_core.batch import ranges

    right, done = ranges.save_records, []
    monkeypatch.setattr(ranges, "save_records", lambda *a: (done.append(a[1]), right(*a)))
    assert batch(show, "--split", "4") == 0
    assert [path.parent for path in done] == [lost.parent]
    assert not differing(show, expected)


@pytest.mark.parametrize(
    ("settings", "more", "said"),
    [
        (SMALL, ("--split", "5"), "in direction outward each frame needs its neighbors"),
        (ALONE, ("--split", "0"), "--split is 0, allowed is 1 and up"),
        (ALONE, ("--join",), "add --split"),
    ],
)
def test_what_cannot_be_split_is_refused(
    show: Show, capsys: pytest.CaptureFixture[str], settings: str, more: tuple[str, ...], said: str
) -> None:
    show.write(settings=settings)
    assert batch(show, *more) == 2
    assert said in capsys.readouterr().err
    assert not show.results.exists()


def test_later_stages_wait_and_lost_tasks_come_again() -> None:
    adapt, join = Task("a", "adapt"), Task("a", "join")
    ranges = (Task("a", "range", 0, 4), Task("a", "range", 5, 9))
    schedule = Schedule([((adapt,), ranges, (join,)), ((Task("b"),),)])
    assert [schedule.next(), schedule.next(), schedule.next()] == [adapt, Task("b"), None]
    schedule.done(adapt)
    assert [schedule.next(), schedule.next(), schedule.next()] == [*ranges, None]
    schedule.again(ranges[0])
    schedule.done(ranges[1])
    assert schedule.next() == ranges[0]
    assert schedule.next() is None
    schedule.done(ranges[0])
    schedule.failed(Task("b"))
    assert schedule.next() == join
    assert not schedule.is_over
    schedule.done(join)
    assert schedule.is_over
