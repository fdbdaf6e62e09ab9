"""Broken inputs end in a sentence: no traceback, no hang. See fuzz_run."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_run import run_cases, summary


@pytest.mark.slow
def test_no_broken_input_ends_in_a_traceback_or_hangs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = list(run_cases(tmp_path))
    with capsys.disabled():
        print(f"\n{summary(outcomes)}")
    assert len(outcomes) >= 300
    bad = [
        f"{outcome.kind}: {outcome.case.name}: {outcome.detail.strip().splitlines()[-1:]}"
        for outcome in outcomes
        if outcome.kind in ("traceback", "hang")
    ]
    assert not bad, "\n".join(bad)
