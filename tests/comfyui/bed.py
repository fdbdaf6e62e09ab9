"""A real ComfyUI in this process: loader, validation, executor, cache and progress are its own.

Only the server object is a stand-in, so nodes that need HTTP routes are out of reach. One process
holds one bed, as ComfyUI keeps its state in modules.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from get_comfyui import cache_folder

PACK = Path(__file__).parents[2]
TEST_PACK = Path(__file__).parent / "test_pack"
Graph = dict[str, Any]


def module_name(pack: Path) -> str:
    """The name under which ComfyUI imports a pack."""
    return str(pack).replace(".", "_x_")


@dataclass(frozen=True)
class Result:
    """What came of one run of a graph."""

    success: bool
    outputs: dict[str, Any]
    """The ui part of each node that has one, by node id."""
    cached: tuple[str, ...]
    """Nodes that did not run again."""
    error: str
    """Message of the node that failed, or of validation; "" if none did."""
    failed_node: str
    interrupted: bool
    events: list[tuple[Any, Any]]
    """All messages to the browser."""


class Routes:
    """Takes the route decorators of nodes and forgets them."""

    def __getattr__(self, _name: str) -> Callable[..., Callable[[Any], Any]]:
        return lambda *_args, **_kwargs: lambda function: function


class RecordingServer:
    """Stands in for PromptServer: records what the nodes send to the browser."""

    client_id, last_node_id, last_prompt_id = "bed", None, None
    routes = Routes()

    class node_replace_manager:  # noqa: N801, as ComfyUI names it
        """Takes node replacements."""

        register = staticmethod(lambda *_args: None)

    def __init__(self) -> None:
        self.events: list[tuple[Any, Any]] = []
        self.listeners: list[Callable[[Any, Any], None]] = []
        self.sockets_metadata: dict[str, Any] = {}

    def send_sync(self, event: Any, data: Any, sid: str | None = None) -> None:
        """Records a message."""
        self.events.append((event, data))
        for listener in self.listeners:
            listener(event, data)

    def send_progress_text(self, text: str, node_id: str, sid: str | None = None) -> None:
        """Records a text shown on a node."""
        self.send_sync("progress_text", {"node": node_id, "text": text})

    def queue_updated(self) -> None:
        """Nothing waits here."""


class Bed:
    """ComfyUI with the pack loaded by its own loader.

    Args:
        base: folder for models, input, output, temp and user.
        packs: folders of node packs.
    """

    def __init__(self, base: Path, packs: list[Path]) -> None:
        root = cache_folder()
        sys.path.insert(0, str(root))
        arguments = ["--disable-api-nodes", "--base-directory", str(base), "--cpu"]
        sys.argv = ["main.py", *arguments]
        from comfy import options

        options.enable_args_parsing()
        import execution
        import folder_paths
        import server

        import nodes

        assert Path(nodes.__file__).parent == root, f"nodes came from {nodes.__file__}"
        for folder in (folder_paths.get_temp_directory(), folder_paths.get_input_directory()):
            os.makedirs(folder, exist_ok=True)
        self.base = base
        self.nodes = nodes
        self.server = server.PromptServer.instance = RecordingServer()
        self._hook_progress()
        asyncio.run(self._load(packs))
        self._execution = execution
        self.reset_cache()

    def reset_cache(self) -> None:
        """Forgets all results, as a fresh start does."""
        self._executor = self._execution.PromptExecutor(
            self.server,
            cache_type=self._execution.CacheType.RAM_PRESSURE,
            cache_args={"lru": 0, "ram": 1.0, "ram_inactive": 1.0},
        )

    def run(self, graph: Graph | Path) -> Result:
        """Runs a graph in API format."""
        prompt = json.loads(graph.read_text()) if isinstance(graph, Path) else graph
        prompt_id = str(uuid.uuid4())
        valid, error, outputs, node_errors = asyncio.run(
            self._execution.validate_prompt(prompt_id, prompt, None)
        )
        if not valid or node_errors:
            details = json.dumps({"error": error, "nodes": node_errors}, default=str)
            return Result(False, {}, (), details, "", False, [])
        self.server.events = []
        self._executor.execute(prompt, prompt_id, {"client_id": "bed"}, outputs)
        return self._result()

    @property
    def received(self) -> dict[str, Any]:
        """What the sinks of the test pack got, by label."""
        return sys.modules[module_name(TEST_PACK)].RECEIVED

    def pack_module(self, path: str) -> Any:
        """A module of the pack as ComfyUI loaded it, by its dotted path."""
        return importlib.import_module(f"{module_name(PACK)}.{path}")

    def interrupt(self) -> None:
        """What the Cancel button does."""
        self.nodes.interrupt_processing()

    def _result(self) -> Result:
        messages = dict(self._executor.status_messages)
        failure = messages.get("execution_error", {})
        executor = self._executor
        return Result(
            executor.success,
            executor.history_result["outputs"] if executor.success else {},
            tuple(messages.get("execution_cached", {}).get("nodes", ())),
            failure.get("exception_message", "").strip(),
            failure.get("node_id", ""),
            "execution_interrupted" in messages,
            self.server.events,
        )

    def _hook_progress(self) -> None:
        """ComfyUI's main.py does this in a real server."""
        import comfy.utils
        from comfy.model_management import throw_exception_if_processing_interrupted
        from comfy_execution.progress import get_progress_state
        from comfy_execution.utils import get_executing_context

        def hook(
            value: float,
            total: float,
            preview: Any,
            prompt_id: str | None = None,
            node_id: str | None = None,
        ) -> None:
            throw_exception_if_processing_interrupted()
            node = node_id or get_executing_context().node_id
            get_progress_state().update_progress(node, value, total, preview)
            self.server.send_sync("bed_progress", (node, value, total, preview))

        comfy.utils.set_progress_bar_global_hook(hook)

    async def _load(self, packs: list[Path]) -> None:
        await self.nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False)
        for pack in packs:
            loaded = await self.nodes.load_custom_node(
                str(pack), set(), module_parent="custom_nodes"
            )
            if not loaded:
                raise RuntimeError(f"{pack} failed to load; the log says why")
