"""Names of matte files: whatever a template, a shot or an object is called, they are legal."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmempp_core.errors import InputError
from xmempp_core.file_names import legal_name, name_fault
from xmempp_core.formats.mattes.names import (
    FIELDS,
    distinct_names,
    file_names,
    layer_names,
    numbered_text,
)

DEFAULT = "{shot}/{object}_v{version:03d}.{frame}.exr"


@given(st.text(max_size=300))
def test_any_text_becomes_a_legal_name(text: str) -> None:
    assert name_fault(legal_name(text)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a/b:c", "a_b_c"), ("con", "con_"), ("NUL.x", "NUL.x_"), (" ..", "_"), ("e\u0301", "é")],
)
def test_what_windows_does_not_take_is_replaced(text: str, expected: str) -> None:
    assert legal_name(text) == expected


@given(
    shot=st.text(max_size=80),
    name=st.text(max_size=80),
    number=st.integers(-99999, 10**7),
    version=st.integers(0, 99999),
    padding=st.integers(1, 10),
)
def test_every_path_is_legal_and_its_number_can_be_read_back(
    shot: str, name: str, number: int, version: int, padding: int
) -> None:
    names = file_names(DEFAULT, ".exr", numbered=True)
    text = numbered_text(number, padding)
    path = names.path(shot=shot, object=name, id=1, version=version, frame=text, name="p")
    assert isinstance(path, PurePosixPath)
    assert len(path.parts) == 2
    assert all(name_fault(part) is None for part in path.parts)
    match = re.fullmatch(r".*_v(\d{3,})\.(-?\d+)\.exr", path.name)
    assert match
    assert (int(match[1]), int(match[2])) == (version, number)
    assert len(match[2].lstrip("-")) >= padding


@given(st.text(alphabet="{}:!.[]#/\\abshotframevision03d%", max_size=60))
def test_any_template_is_taken_or_refused_in_a_sentence(template: str) -> None:
    try:
        fields = file_names(template, ".exr", numbered=True).fields
    except InputError as error:
        fields, said = frozenset(), str(error)
        if not said or "\n" in said:
            pytest.fail(f"no sentence: {said!r}")
    assert fields <= set(FIELDS)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{frame}", r"must end with .exr"),
        ("{object}.{frame}_x.exr", "frame number last before the suffix"),
        ("{shot.__class__}.{frame}.exr", r"\{shot.__class__\} is no field"),
        ("{shot!r}.{frame}.exr", "is no field"),
        ("{}.{frame}.exr", "is no field"),
        ("{shot:>9}.{frame}.exr", "cannot be written so"),
        ("{version:0d3}.{frame}.exr", "cannot be written so"),
        ("{shot.{frame}.exr", "cannot be read|is no field"),
        ("/tmp/{object}.{frame}.exr", "must be a path below the output folder"),
        ("a\\{object}.{frame}.exr", "must be a path below the output folder"),
        ("../{object}.{frame}.exr", r"gives the name '\.\.'"),
        ("a:b.{frame}.exr", "contains ':'"),
        ("x./{frame}.exr", "ends with a dot"),
        ("com1.{frame}.exr", "is the name of a device"),
        (f"{'n' * 250}.{{frame}}.exr", "is longer than 200 bytes"),
    ],
)
def test_templates_that_cannot_be_used_are_refused(template: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        file_names(template, ".exr", numbered=True)


def test_films_have_no_frame_number() -> None:
    assert file_names("{object}.mov", ".mov", numbered=False).tells_objects_apart
    with pytest.raises(InputError, match="a film is one file for all frames"):
        file_names("{object}.{frame}.mov", ".mov", numbered=False)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=12))
def test_names_of_objects_and_layers_are_distinct_and_legal(names: list[str]) -> None:
    by_id = dict(enumerate(names, 1))
    for made in (distinct_names(by_id), layer_names(by_id)):
        assert list(made) == list(by_id)
        assert len({name.lower() for name in made.values()}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", n) for n in layer_names(by_id).values())
    assert all(name_fault(name) is None for name in distinct_names(by_id).values())
