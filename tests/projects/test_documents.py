"""Revisions as JSON: read back as written, and refused in a sentence where they cannot be."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmempp_core.annotations import AbsenceRange
from xmempp_core.errors import InputError
from xmempp_core.projects.document import Document, FrameSaid, ProjectObject
from xmempp_core.projects.parsing import document_of, parse_document

NAMES = st.text("0123456789abcdef", min_size=40, max_size=40)
COLORS = st.integers(0, 2**24 - 1).map("#{:06x}".format)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    ids = draw(st.lists(st.integers(1, 254), min_size=1, max_size=5, unique=True))
    objects = tuple(
        ProjectObject(
            i, draw(st.text(max_size=9)), draw(COLORS), *draw(st.tuples(*[st.booleans()] * 2))
        )
        for i in ids
    )
    frames = {}
    for index in draw(st.sets(st.integers(0, 10_000_000), max_size=4)):
        said = draw(st.sets(st.sampled_from(ids), min_size=1))
        absent = draw(st.sets(st.sampled_from(sorted(said))))
        shown = tuple(sorted(said - absent))
        mask = draw(NAMES) if shown else ""
        frames[index] = FrameSaid(mask, shown, tuple(sorted(absent)))
    first, length = draw(st.integers(0, 1000)), draw(st.integers(0, 50))
    absences = (AbsenceRange(ids[0], first, first + length),) if draw(st.booleans()) else ()
    frame_range = draw(st.none() | st.just((first, first + length)))
    source, parent = draw(NAMES | st.just("")), draw(NAMES | st.just(""))
    return Document(source, objects, frames, absences, frame_range, parent)


@given(documents())
def test_a_document_reads_back_as_it_was_written(document: Document) -> None:
    data = document.to_json()
    again = parse_document(data)
    assert again.to_dict() == document.to_dict()
    assert again.to_json() == data
    assert again.mask_names == document.mask_names


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(JSON, st.data())
def test_any_value_in_any_place_is_read_or_refused_in_a_sentence(value: Any, data: Any) -> None:
    whole = plain()
    places = list(_places(whole))
    path = data.draw(st.sampled_from(places))
    holder: Any = whole
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with suppress(InputError):  # any other error fails the test
        assert parse_document(document_of(whole).to_json())


def plain() -> dict[str, Any]:
    return {
        "version": 1,
        "source": "a" * 40,
        "parent": "",
        "objects": [
            {"id": 1, "name": "one", "color": "#0072b2", "locked": False, "visible": True},
            {"id": 7, "name": "", "color": "#e69f00", "locked": True, "visible": False},
        ],
        "annotations": {
            "12": {"mask": "b" * 40, "objects": [1], "absent": [7]},
            "3": {"mask": "", "objects": [], "absent": [1]},
        },
        "absent_ranges": [{"object": 7, "first": 20, "last": 31}],
        "range": [0, 40],
    }


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*path, key))


def test_what_the_document_says_is_what_its_json_says() -> None:
    document = document_of(plain())
    assert document.object_ids == (1, 7)
    assert list(document.frames) == [3, 12]
    assert document.frames[12] == FrameSaid("b" * 40, (1,), (7,))
    assert document.absences == (AbsenceRange(7, 20, 31),)
    assert document.frame_range == (0, 40)
    assert document.objects[1].rgb == (0xE6, 0x9F, 0)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("version",), 2, "update the program"),
        (("version",), True, "version True"),
        (("more",), 1, "has the field 'more'"),
        (("objects", 0, "id"), 255, "is 255, allowed is 1 to 254"),
        (("objects", 0, "id"), 7, "lists the id 7 twice"),
        (("objects", 0, "color"), "red", "'red', allowed is #rrggbb"),
        (("objects", 0, "name"), "x" * 201, "200 characters"),
        (("objects", 0, "locked"), 1, "true or false"),
        (("annotations", "12", "mask"), "../x", "allowed is 40 digits"),
        (("annotations", "12", "mask"), "", "allowed is 40 digits"),
        (("annotations", "12", "objects"), [1, 1], "each object once"),
        (("annotations", "12", "objects"), [1, 2], "names object 2"),
        (("annotations", "12", "objects"), [7], "under objects and absent"),
        (("annotations", "3", "absent"), [], "says nothing"),
        (("annotations", "03"), {}, "has the key '03'"),
        (("annotations", "-1"), {}, "has the key '-1'"),
        (("absent_ranges", 0, "last"), 3, "runs backward"),
        (("range",), [5, 4], "runs backward"),
        (("range",), [1.0, 2], "frame index"),
    ],
)
def test_what_cannot_be_is_named(path: tuple[Any, ...], value: Any, sentence: str) -> None:
    whole = copy.deepcopy(plain())
    holder: Any = whole
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(InputError, match=sentence.replace("[", r"\[")):
        document_of(whole)


def test_a_missing_field_and_a_huge_text_are_named() -> None:
    whole = plain()
    del whole["range"]
    with pytest.raises(InputError, match="lacks the field range"):
        parse_document(json.dumps(whole))
    with pytest.raises(InputError, match="bytes, allowed is at most"):
        parse_document(b" " * (8 * 2**20 + 1))
