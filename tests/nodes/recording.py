"""A recording stand-in for ComfyUI's node API, so that schemas can be read without ComfyUI.

It keeps what a schema declares and knows nothing else: no execution, no files, no types. The same
schemas are read from the real API in tests/comfyui, against the same snapshot.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any


class RecordedInput:
    """An input as declared."""

    def __init__(self, kind: str, input_id: str, **declared: Any) -> None:
        self.kind, self.id = kind, input_id
        self.optional = declared.pop("optional", False)
        self.declared = declared


class RecordedOutput:
    """An output as declared."""

    def __init__(self, kind: str, name: str, **declared: Any) -> None:
        self.kind, self.id = kind, name
        self.declared = declared


class RecordedType:
    """A socket type: makes inputs and outputs that know its name."""

    def __init__(self, name: str) -> None:
        self.io_type = name

    def Input(self, input_id: str, **declared: Any) -> RecordedInput:  # noqa: N802
        """As the API's."""
        return RecordedInput(self.io_type, input_id, **declared)

    def Output(self, name: str, **declared: Any) -> RecordedOutput:  # noqa: N802
        """As the API's."""
        return RecordedOutput(self.io_type, name, **declared)


def _multi_input(input_id: str, types: list[RecordedType], **declared: Any) -> RecordedInput:
    return RecordedInput(",".join(t.io_type for t in types), input_id, **declared)


@dataclass
class RecordedSchema:
    """A schema as declared."""

    node_id: str
    display_name: str
    category: str
    description: str
    search_aliases: list[str]
    inputs: list[RecordedInput] = field(default_factory=list)
    outputs: list[RecordedOutput] = field(default_factory=list)
    hidden: list[Any] = field(default_factory=list)
    is_output_node: bool = False
    has_intermediate_output: bool = False
    is_dev_only: bool = False


class RecordedNode:
    """Base of the nodes: offers what ComfyUI derives from a schema, as far as tests ask."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:  # noqa: N802
        """Inputs in the older form, required before optional ones."""
        groups: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
        for one in cls.define_schema().inputs:  # type: ignore[attr-defined]
            group = groups["optional" if one.optional else "required"]
            group[one.id] = (one.kind, one.declared)
        return groups


class Recorded(type):
    """Adds the outputs of a node class in the older form."""

    @property
    def RETURN_TYPES(cls) -> list[str]:  # noqa: N802
        return [one.kind for one in cls.define_schema().outputs]

    @property
    def RETURN_NAMES(cls) -> list[str]:  # noqa: N802
        return [one.id for one in cls.define_schema().outputs]

    @property
    def OUTPUT_NODE(cls) -> bool:  # noqa: N802
        return cls.define_schema().is_output_node


class ComfyNode(RecordedNode, metaclass=Recorded):
    """As the API's."""


def _api() -> ModuleType:
    names = {"Image": "IMAGE", "Mask": "MASK", "Video": "VIDEO", "Int": "INT", "Float": "FLOAT"}
    names |= {"String": "STRING", "Boolean": "BOOLEAN", "Combo": "COMBO"}
    api = ModuleType("comfy_api.latest")
    api.io = SimpleNamespace(  # type: ignore[attr-defined]
        **{python: RecordedType(name) for python, name in names.items()},
        Custom=RecordedType,
        MultiType=SimpleNamespace(Input=_multi_input),
        Hidden=SimpleNamespace(unique_id="UNIQUE_ID"),
        Schema=RecordedSchema,
        ComfyNode=ComfyNode,
        Input=RecordedInput,
        NodeOutput=object,
    )
    api.ComfyExtension = object  # type: ignore[attr-defined]
    return api


def _folder_paths() -> ModuleType:
    paths = ModuleType("folder_paths")
    paths.models_dir = "models"  # type: ignore[attr-defined]
    paths.get_filename_list = lambda _key: []  # type: ignore[attr-defined]
    return paths


def _comfyui_nodes() -> ModuleType:
    nodes = ModuleType("nodes")
    nodes.NODE_CLASS_MAPPINGS = {"SAM3_VideoTrack": object}  # type: ignore[attr-defined]
    return nodes


@contextmanager
def recording_comfyui() -> Iterator[None]:
    """Within the block, ComfyUI's modules are the stand-ins."""
    stand_ins = {
        "comfy_api": ModuleType("comfy_api"),
        "comfy_api.latest": _api(),
        "folder_paths": _folder_paths(),
        "nodes": _comfyui_nodes(),
    }
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
