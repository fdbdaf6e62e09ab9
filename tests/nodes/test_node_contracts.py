"""What saved graphs depend on: ids, types, defaults and order, checked without ComfyUI."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from recording import recording_comfyui

ROOT = Path(__file__).parents[2]
SNAPSHOT = json.loads((ROOT / "tests/nodes/schemas.json").read_text())
OURS = {name: schema for name, schema in SNAPSHOT.items() if name.startswith("XMemPP")}
EDITOR = sorted((ROOT / "workflows").glob("*.json"))
NOTES = ("MarkdownNote", "Note")
sys.path.insert(0, str(ROOT / "tests" / "comfyui"))
sys.path.insert(0, str(ROOT / "tests" / "workflows"))

# The table of the product: ids, inputs and outputs in order. Changing it breaks saved graphs.
TABLE = {
    "XMemPPDemoShot": ("", "video VIDEO, annotations XMEMPP_ANNOTATIONS"),
    "XMemPPLoadModel": ("model precision", "model XMEMPP_MODEL"),
    "XMemPPAddAnnotation": (
        "frames frame_index mask object_id name image absent absent_frames annotations",
        "annotations XMEMPP_ANNOTATIONS, frame IMAGE",
    ),
    "XMemPPRemoveAnnotation": (
        "annotations frame_index object_id",
        "annotations XMEMPP_ANNOTATIONS",
    ),
    "XMemPPAnnotationsFromMasks": (
        "masks frame_indices object_id folder annotations",
        "annotations XMEMPP_ANNOTATIONS",
    ),
    "XMemPPAnnotator": (
        "model frames annotations track project",
        "annotations XMEMPP_ANNOTATIONS, track XMEMPP_TRACK",
    ),
    "XMemPPAnnotatorRequest": ("model frames annotations track project request", ""),
    "XMemPPSaveAnnotations": ("annotations folder", "folder STRING"),
    "XMemPPLoadAnnotations": ("folder", "annotations XMEMPP_ANNOTATIONS"),
    "XMemPPSelectCandidates": (
        "model frames annotations track k alpha min_mask_pixels method",
        "candidates IMAGE, indices INT, text STRING",
    ),
    "XMemPPAdaptModel": (
        "model frames annotations mode internal_size",
        "model XMEMPP_MODEL",
    ),
    "XMemPPPropagate": (
        "model frames annotations memory working_memory internal_size direction memorize_every "
        "augment",
        "track XMEMPP_TRACK",
    ),
    "XMemPPSaveTrack": ("track filename", "filename STRING"),
    "XMemPPLoadTrack": ("filename frames", "track XMEMPP_TRACK"),
    "XMemPPTrackToMask": ("track object_ids first_frame frame_count binary", "masks MASK"),
    "XMemPPTrackPreview": ("track frames style", ""),
    "XMemPPExportMattes": (
        "track preset folder shot objects version existing steady preview_frame frames",
        "first_file STRING, last_file STRING, folder STRING",
    ),
    "XMemPPExportBatch": (
        "annotations shot plates manifest preset adapt",
        "manifest STRING, command STRING",
    ),
    "XMemPPImportMattes": (
        "mattes frames every match offset",
        "annotations XMEMPP_ANNOTATIONS, track XMEMPP_TRACK",
    ),
}


@pytest.fixture(scope="module")
def nodes() -> Any:
    """The pack's node classes by id, their schemas recorded by the stand-in."""
    with recording_comfyui():
        package = ModuleType("recorded_pack")
        package.__path__ = [str(ROOT)]
        sys.modules["recorded_pack"] = package
        from importlib import import_module

        module = import_module("recorded_pack.nodes")
        yield {one.define_schema().node_id: one for one in module.NODES}


def test_schemas_agree_with_the_snapshot_of_the_real_comfyui(nodes):
    from schemas import snapshot_of

    assert snapshot_of(nodes, list(nodes)) == OURS


def test_the_snapshot_holds_the_inputs_and_outputs_of_the_product():
    assert set(OURS) == set(TABLE)
    for name, (inputs, outputs) in TABLE.items():
        # required inputs come first in a schema's older form, so only the sets can be compared
        given = [one["id"] for one in OURS[name]["inputs"] if not one.get("advanced")]
        assert sorted(given) == sorted(inputs.split()), name
        assert ", ".join(map(" ".join, OURS[name]["outputs"])) == outputs, name


def test_every_input_and_output_explains_itself(nodes):
    for name, node in nodes.items():
        schema = node.define_schema()
        assert schema.description.endswith("."), name
        assert schema.search_aliases, name
        assert schema.category == "XMem++"
        for one in (*schema.inputs, *schema.outputs):
            assert one.declared.get("tooltip"), f"{name}.{one.id} has no tooltip"


@pytest.mark.parametrize("word", ["roto", "mask video", "xmem"])
def test_the_nodes_to_begin_with_are_found_by_the_words_of_artists(nodes, word):
    for name in {"xmem": ("XMemPPLoadModel", "XMemPPPropagate")}.get(word, ("XMemPPPropagate",)):
        assert any(alias.startswith(word) for alias in nodes[name].define_schema().search_aliases)


def test_english_texts_and_help_pages_say_what_the_nodes_say(nodes):
    english = json.loads((ROOT / "locales/en/nodeDefs.json").read_text(encoding="utf-8"))
    for name, node in nodes.items():
        schema, texts = node.define_schema(), english[name]
        page = (ROOT / "web/docs" / name / "en.md").read_text(encoding="utf-8")
        assert texts["display_name"] == schema.display_name
        assert texts["description"] == schema.description
        assert page.startswith(f"# {schema.display_name}\n")
        pairs = [(one, texts["inputs"][one.id]) for one in schema.inputs]
        pairs += [(one, texts["outputs"][str(k)]) for k, one in enumerate(schema.outputs)]
        for one, text in pairs:
            assert text["tooltip"] == one.declared["tooltip"], f"{name}.{one.id}"
            assert f"| `{one.id}` | {text['tooltip']} |\n" in page, f"{name}.{one.id}"


def test_the_widgets_of_propagate_have_the_defaults_and_choices_of_the_settings():
    from xmempp_core.settings import AbsenceMode, Direction, MemoryMode, PropagationSettings

    widgets = {one["id"]: one for one in OURS["XMemPPPropagate"]["inputs"]}
    for one in fields(PropagationSettings):
        default = getattr(PropagationSettings(), one.name)
        assert widgets[one.name]["default"] == (0 if default is None else default), one.name
    choices = {"memory": MemoryMode, "direction": Direction, "absence": AbsenceMode}
    for name, kind in choices.items():
        assert set(widgets[name]["options"]) == set(get_args(kind)), name


def test_the_choices_of_candidates_and_augmentation_are_those_of_the_core():
    from xmempp_core.candidates.request import CandidateMethod
    from xmempp_core.propagation.augment import SETS

    methods = {one["id"]: one for one in OURS["XMemPPSelectCandidates"]["inputs"]}["method"]
    assert set(methods["options"]) == set(get_args(CandidateMethod))
    augment = {one["id"]: one for one in OURS["XMemPPPropagate"]["inputs"]}["augment"]
    assert augment["options"] == list(SETS)


def test_the_choices_of_the_matte_nodes_are_those_of_the_core():
    from xmempp_core.mattes.edges import EdgeSettings
    from xmempp_core.mattes.imported import Matching
    from xmempp_core.mattes.plan import Existing
    from xmempp_core.mattes.presets import preset_names
    from xmempp_core.mattes.steady import MAX_ROUNDS

    widgets = {one["id"]: one for one in OURS["XMemPPExportMattes"]["inputs"]}
    assert sorted(widgets["preset"]["options"]) == preset_names()
    assert widgets["existing"]["options"] == list(get_args(Existing))
    matching = {one["id"]: one for one in OURS["XMemPPImportMattes"]["inputs"]}["match"]
    assert matching["options"] == list(get_args(Matching))
    assert widgets["steady"]["max"] == MAX_ROUNDS
    for one in fields(EdgeSettings):
        assert widgets[one.name]["default"] == one.default, one.name


# ---- workflows


@pytest.mark.parametrize("path", EDITOR, ids=lambda p: p.stem)
def test_widgets_and_links_of_a_shipped_workflow_fit_the_schemas(path):
    graph = json.loads(path.read_text())
    nodes = {node["id"]: node for node in graph["nodes"]}
    for node in nodes.values():
        if node["type"] in NOTES:
            continue
        assert node["type"] in SNAPSHOT
        widgets = _widgets(node["type"])
        assert len(node["widgets_values"]) == len(widgets), node["type"]
        for declared, value in zip(widgets, node["widgets_values"], strict=True):
            _check_value(declared, value, f"{path.stem}: {node['type']}.{declared['id']}")
    for number, source, slot, target, place, kind in graph["links"]:
        output = SNAPSHOT[nodes[source]["type"]]["outputs"][slot]
        entry = nodes[target]["inputs"][place]
        declared = _declared(nodes[target]["type"], entry["name"])
        assert output[1] == kind
        assert kind in declared["type"].split(","), f"{path.stem}: link {number}"
        assert entry["link"] == number


@pytest.mark.parametrize("path", EDITOR, ids=lambda p: p.stem)
def test_the_api_twin_has_the_same_values_as_the_shipped_workflow(path):
    graph = json.loads(path.read_text())
    twin = json.loads((ROOT / "tests/workflows" / path.name).read_text())
    links = {link[0]: link for link in graph["links"]}
    real = [node for node in graph["nodes"] if node["type"] not in NOTES]
    assert {str(node["id"]): node["type"] for node in real} == {
        key: node["class_type"] for key, node in twin.items()
    }
    for node in real:
        names = [one["id"] for one in _widgets(node["type"])]
        expected = dict(zip(names, node["widgets_values"], strict=True))
        for entry in node["inputs"]:
            if entry["link"] is not None:
                _, source, slot, *_ = links[entry["link"]]
                expected[entry["name"]] = [str(source), slot]
        assert twin[str(node["id"])]["inputs"] == expected


@pytest.mark.parametrize("path", EDITOR, ids=lambda p: p.stem)
def test_every_required_input_of_a_shipped_workflow_is_linked(path):
    for node in json.loads(path.read_text())["nodes"]:
        if node["type"] in NOTES:
            continue
        linked = {one["name"] for one in node["inputs"] if one["link"] is not None}
        needed = {
            one["id"]
            for one in SNAPSHOT[node["type"]]["inputs"]
            if not one["optional"] and one not in _widgets(node["type"])
        }
        assert needed <= linked, node["type"]


def test_the_builder_of_the_workflows_gives_the_shipped_files(tmp_path, monkeypatch):
    import build

    monkeypatch.setattr(build, "HERE", tmp_path / "api")
    monkeypatch.setattr(build, "SHIPPED", tmp_path / "editor")
    build.main()
    for made, shipped in (
        (tmp_path / "api", "tests/workflows"),
        (tmp_path / "editor", "workflows"),
    ):
        for path in made.glob("*.json"):
            assert path.read_text() == (ROOT / shipped / path.name).read_text(), path.name


def test_every_workflow_has_a_thumbnail():
    from PIL import Image

    for path in EDITOR:
        with Image.open(path.with_suffix(".jpg")) as picture:
            assert picture.format == "JPEG"
            assert max(picture.size) <= 800


def _widgets(class_type: str) -> list[dict[str, Any]]:
    from build import WIDGETS

    return [one for one in SNAPSHOT[class_type]["inputs"] if one["type"] in WIDGETS]


def _declared(class_type: str, name: str) -> dict[str, Any]:
    return next(one for one in SNAPSHOT[class_type]["inputs"] if one["id"] == name)


def _check_value(declared: dict[str, Any], value: Any, where: str) -> None:
    kinds = {"INT": int, "FLOAT": int | float, "STRING": str, "BOOLEAN": bool, "COMBO": str}
    assert isinstance(value, kinds.get(declared["type"], object)), where
    if "options" in declared:
        assert value in declared["options"], where
    if declared["type"] in ("INT", "FLOAT") and "min" in declared:
        assert declared["min"] <= value <= declared.get("max", value), where


# ---- house rules


def test_no_module_of_the_core_imports_comfyui():
    foreign = {"comfy", "comfy_api", "comfy_execution", "folder_paths", "nodes", "server"}
    for path in (ROOT / "xmempp_core").rglob("*.py"):
        assert not _imported(path) & foreign, path


def test_only_host_touches_the_inside_of_comfyui():
    inside = {"comfy", "comfy_execution", "folder_paths", "server", "nodes", "execution"}
    for path in (ROOT / "nodes").glob("*.py"):
        if path.name != "host.py":
            assert not _imported(path) & inside, path


def test_the_nodes_ask_the_core_for_its_public_names_alone():
    import xmempp_core

    for path in (ROOT / "nodes").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("xmempp_core"):
                assert node.level == 2, f"{path.name}: relative imports only"
                assert node.module == "xmempp_core", f"{path.name} imports {node.module}"
                names = {alias.name for alias in node.names}
                assert names <= set(xmempp_core.__all__), f"{path.name}: {names}"


def _imported(path: Path) -> set[str]:
    """Top-level packages that a file imports absolutely, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found


LOAD = """
import json, sys
sys.path[:0] = [{tests!r}]
import torch
from types import ModuleType
from recording import recording_comfyui
package = ModuleType("loaded_pack")
package.__path__ = [{root!r}]
sys.modules["loaded_pack"] = package
with recording_comfyui():
    before = set(sys.modules)
    from loaded_pack.nodes import NODES
    for node in NODES:
        node.define_schema()
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_loading_the_pack_imports_its_own_modules_and_little_else():
    script = LOAD.format(tests=str(ROOT / "tests/nodes"), root=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd="/"
    )
    modules = json.loads(done.stdout)
    heavy = {"av", "cv2", "numpy", "torchvision", "PIL", "safetensors", "fileseq", "scipy"}
    assert not heavy & {name.split(".")[0] for name in modules}
    assert not [name for name in modules if name.startswith("loaded_pack.xmempp_core")]
    assert len([name for name in modules if not name.startswith("loaded_pack")]) < 40, modules
