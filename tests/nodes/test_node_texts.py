"""Help pages, translations and package data of the nodes are complete and fit the schemas."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SNAPSHOT = json.loads((ROOT / "tests/nodes/schemas.json").read_text())
OURS = {name: schema for name, schema in SNAPSHOT.items() if name.startswith("XMemPP")}


def definitions(language: str) -> dict[str, Any]:
    return json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", ["en", "zh", "ja"])
def test_every_node_input_and_output_is_translated(language):
    texts = definitions(language)
    assert set(texts) == set(OURS)
    for name, schema in OURS.items():
        one = texts[name]
        assert one["display_name"]
        assert one["description"]
        assert set(one.get("inputs", {})) == {i["id"] for i in schema["inputs"]}, name
        assert set(one.get("outputs", {})) == {str(k) for k in range(len(schema["outputs"]))}, name
        for part in ("inputs", "outputs"):
            assert all(x["name"] and x["tooltip"] for x in one.get(part, {}).values()), name


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_a_translation_is_in_its_language(language):
    letters = {"zh": r"[\u4e00-\u9fff]", "ja": r"[\u3040-\u30ff\u4e00-\u9fff]"}[language]
    for name, one in definitions(language).items():
        for text in (one["display_name"], one["description"]):
            assert re.search(letters, text), f"{name}: {text}"


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_help_page_has_a_picture_and_explains_every_input(name):
    page = (ROOT / "web/docs" / name / "en.md").read_text(encoding="utf-8")
    picture = re.search(r"!\[.*\]\((images/.*\.jpg)\)", page)
    assert picture is not None
    assert (ROOT / "web/docs" / picture[1]).is_file()
    for one in OURS[name]["inputs"]:
        assert f"`{one['id']}`" in page, one["id"]


def test_the_registry_finds_what_it_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    comfy = project["tool"]["comfy"]
    assert re.fullmatch(r"[A-Za-z_.-][\w.-]{0,99}", project["project"]["name"])
    assert "comfyui" not in project["project"]["name"].lower()
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["project"]["version"])
    assert project["project"]["urls"]["Repository"]
    assert comfy["PublisherId"]
    assert comfy["DisplayName"]
    assert comfy["requires-comfyui"] == ">=0.30.0"
    icon = ROOT / comfy["Icon"].rsplit("/main/", 1)[-1]
    from PIL import Image

    with Image.open(icon) as picture:
        assert max(picture.size) <= 400


def test_the_requirements_leave_the_users_torch_alone():
    names = re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert not {"torch", "torchvision", "torchaudio", "opencv-python"} & set(names)


def test_the_registrys_own_lint_finds_nothing():
    command = ["ruff", "check", "--isolated", "--select", "S102,S307,E702"]
    import sys

    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [str(ruff), *command[1:], "nodes", "xmempp_core", "__init__.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_workflow_has_a_title_and_words_to_be_found_by_in_the_order_of_their_names():
    listed = json.loads((ROOT / "web/js/templates.json").read_text(encoding="utf-8"))
    names = [one["name"] for one in listed]
    assert names == sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
    for one in listed:
        for language in ("en", "zh", "ja"):
            texts = one[language]
            words = " ".join([texts["title"], texts["description"], *one["tags"]]).lower()
            assert "xmem" in words, one["name"]
            assert "roto" in words, one["name"]
        assert len({one[language]["title"] for language in ("en", "zh", "ja")}) == 3
