"""JSON that cannot be used is a ValueError, whatever the parser would make of it."""

from __future__ import annotations

import pytest

from xmempp_core.strict_json import parse_json


def test_json_is_read_as_it_stands() -> None:
    text = '{"a": [1, 2.5, null, true, "caf\\u00e9"]}'
    assert parse_json(text) == {"a": [1, 2.5, None, True, "café"]}
    assert parse_json(text.encode()) == parse_json(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 5000, "4300"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("1e999", "too large"),
        ('"\\ud800"', "not valid Unicode"),
        ('{"\\udcff": 1}', "not valid Unicode"),
        ("{", "Expecting"),
        ("", "Expecting"),
        (b"\xff\xfe\x00", "utf"),
    ],
)
def test_json_that_cannot_be_used_is_refused(text: str | bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_json(text)
