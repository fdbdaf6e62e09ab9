"""Workflows that 0.1.0 shipped, kept as it wrote them, still mean the same to today's nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
OLD = TESTS / "data" / "v0.1.0"
SCHEMAS: dict[str, Any] = json.loads((TESTS / "nodes" / "schemas.json").read_text(encoding="utf-8"))
NAMES = [path.stem for path in sorted((OLD / "workflows").glob("*.json"))]
NOTES = ("MarkdownNote", "Note")
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3")


def read(folder: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((OLD / folder / f"{name}.json").read_text("utf-8"))
    return content


def inputs_of(kind: str) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in SCHEMAS[kind]["inputs"]}


def test_the_seven_workflows_are_there() -> None:
    assert len(NAMES) == 7
    assert sorted(p.stem for p in (OLD / "workflows_api").glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_older_prompt_names_only_nodes_and_inputs_of_today(name: str) -> None:
    prompt = read("workflows_api", name)
    for node in prompt.values():
        declared = inputs_of(node["class_type"])
        given = node["inputs"]
        assert given.keys() <= declared.keys()
        assert {one for one in declared if not declared[one]["optional"]} <= given.keys()
        for one, value in given.items():
            if isinstance(value, list):
                source, slot = value
                kind = SCHEMAS[prompt[source]["class_type"]]["outputs"][slot][1]
                assert kind in declared[one]["type"].split(",")
            else:
                assert_allowed(declared[one], value)


def assert_allowed(declared: dict[str, Any], value: Any) -> None:
    if "options" in declared:
        assert value in declared["options"]
    if declared["type"] in ("INT", "FLOAT"):
        assert declared.get("min", 0) <= value <= declared.get("max", value)


@pytest.mark.parametrize("name", NAMES)
def test_widgets_of_an_older_graph_stand_where_they_stood(name: str) -> None:
    """The editor saves values by position alone."""
    prompt = read("workflows_api", name)
    for node in read("workflows", name)["nodes"]:
        if node["type"] in NOTES:
            continue
        declared = [one for one in SCHEMAS[node["type"]]["inputs"] if one["type"] in WIDGETS]
        saved = node["widgets_values"]
        assert len(saved) <= len(declared)
        by_position = {one["id"]: value for one, value in zip(declared, saved, strict=False)}
        given = prompt[str(node["id"])]["inputs"]
        linked = {one for one, value in given.items() if isinstance(value, list)}
        assert {one: given[one] for one in given.keys() - linked} == {
            one: by_position[one] for one in by_position.keys() - linked
        }


@pytest.mark.parametrize("name", NAMES)
def test_links_of_an_older_graph_find_their_ends(name: str) -> None:
    graph = read("workflows", name)
    nodes = {node["id"]: node for node in graph["nodes"]}
    for _, source, slot, target, place, kind in graph["links"]:
        assert SCHEMAS[nodes[source]["type"]]["outputs"][slot][1] == kind
        entry = nodes[target]["inputs"][place]["name"]
        assert kind in inputs_of(nodes[target]["type"])[entry]["type"].split(",")
