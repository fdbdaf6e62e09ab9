"""What saved graphs depend on in a node: ids, types, defaults and order, without the texts.

    schemas.py        writes tests/nodes/schemas.json from the running code, in the real ComfyUI

Works on the real classes of ComfyUI and on those of the recording stand-in alike.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).parents[1] / "nodes" / "schemas.json"
# Everything else an input carries is text, or how it looks.
KEPT = ("default", "min", "max", "step", "options", "advanced", "socketless", "multiline")
CORE_NODES = (
    "CLIPTextEncode",
    "CheckpointLoaderSimple",
    "CreateVideo",
    "EmptyImage",
    "EmptyLatentImage",
    "FeatherMask",
    "GetVideoComponents",
    "GrowMask",
    "ImageCompositeMasked",
    "ImageFromBatch",
    "MaskPreview",
    "MaskToImage",
    "PreviewImage",
    "SAM3_VideoTrack",
    "SaveLatent",
    "SaveVideo",
    "SetLatentNoiseMask",
    "Video Slice",
)
"""ComfyUI's own nodes in the shipped workflows."""
CHANGING_OPTIONS = ("CheckpointLoaderSimple",)
"""Nodes whose choices depend on the files of the installation."""


def schema_of(node: Any) -> dict[str, Any]:
    """Inputs in order and outputs of a node class."""
    types = node.INPUT_TYPES()
    inputs = [
        _input(name, declared, optional=group == "optional")
        for group in ("required", "optional")
        for name, declared in types.get(group, {}).items()
    ]
    names = getattr(node, "RETURN_NAMES", None) or node.RETURN_TYPES
    return {
        "inputs": inputs,
        "outputs": [list(pair) for pair in zip(names, map(_plain, node.RETURN_TYPES), strict=True)],
        "is_output": bool(getattr(node, "OUTPUT_NODE", False)),
    }


def _input(name: str, declared: tuple[Any, ...], *, optional: bool) -> dict[str, Any]:
    kind, options = declared[0], dict(declared[1]) if len(declared) > 1 else {}
    if isinstance(kind, list):
        kind, options = "COMBO", {"options": kind, **options}
    # what is False or None by default is left out by one API and written by the other
    kept = {key: options[key] for key in KEPT if options.get(key) not in (None, False)}
    if "default" in options:
        kept["default"] = options["default"]
    if kind == "COMFY_DYNAMICCOMBO_V3":
        kept["options"] = [one["key"] for one in options["options"]]
    return {"id": name, "type": _plain(kind), "optional": optional, **kept}


def _plain(kind: Any) -> str:
    return str(getattr(kind, "value", kind))


def snapshot_of(nodes: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Schemas by node id, as JSON holds them."""
    result = {name: schema_of(nodes[name]) for name in sorted(names)}
    for name in set(CHANGING_OPTIONS) & set(result):
        for one in result[name]["inputs"]:
            one.pop("options", None)
    return json.loads(json.dumps(result))


def main() -> None:
    from bed import PACK, Bed

    pack = Path(sys.argv[1]) if len(sys.argv) > 1 else PACK
    with tempfile.TemporaryDirectory() as base:
        bed = Bed(Path(base), [pack])
        known = bed.nodes.NODE_CLASS_MAPPINGS
        ours = [name for name in known if name.startswith("XMemPP")]
        content = json.dumps(snapshot_of(known, [*ours, *CORE_NODES]), indent=1)
    SNAPSHOT.write_text(content + "\n")
    print("written", SNAPSHOT)


if __name__ == "__main__":
    main()
