"""Small graphs for tests."""

from __future__ import annotations

from typing import Any

Inputs = dict[str, Any]


class Graph(dict[str, Any]):
    """A graph in API format, built node by node."""

    def add(self, class_type: str, **inputs: Any) -> str:
        """A node; its id is returned. A link is written (id, slot)."""
        node_id = str(len(self) + 1)
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in inputs.items()}
        self[node_id] = {"class_type": class_type, "inputs": values}
        return node_id

    def sink(self, link: tuple[str, int], label: str) -> str:
        """Keeps a value for the test."""
        return self.add("TestSink", value=link, label=label)


PROPAGATE = {
    "memory": "xmem++",
    "working_memory": True,
    "internal_size": 64,
    "direction": "outward",
    "memorize_every": 5,
    "augment": "none",
}
ANNOTATION = {
    "frame_index": 0,
    "object_id": 1,
    "name": "",
    "image": "",
    "absent": False,
    "absent_frames": "",
}


def clip(graph: Graph, **values: Any) -> str:
    """A small clip: images, video, masks."""
    return graph.add(
        "TestClip", **{"frame_count": 8, "height": 64, "width": 96, "seed": 0, **values}
    )


def annotation(graph: Graph, frames: tuple[str, int], **values: Any) -> str:
    """Add Permanent Annotation with defaults."""
    return graph.add("XMemPPAddAnnotation", frames=frames, **{**ANNOTATION, **values})


def propagation(
    graph: Graph, frames: tuple[str, int], annotations: tuple[str, int], **values: Any
) -> str:
    """Load XMem++ and Propagate Masks."""
    model = graph.add("XMemPPLoadModel", model="lite (bundled)", precision="auto")
    return graph.add(
        "XMemPPPropagate",
        model=(model, 0),
        frames=frames,
        annotations=annotations,
        **{**PROPAGATE, **values},
    )
