"""ComfyUI as the nodes see it: the only module that touches comfy, folder_paths and the server.

ComfyUI and the core are imported inside the functions, so that loading the pack costs nothing.
"""

from __future__ import annotations

import importlib
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from . import heap

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..xmempp_core import Runtime

log = logging.getLogger(__name__)

MODEL_FOLDER = "xmem"
MODEL_SUFFIXES = {".pth", ".pt", ".safetensors"}
PREVIEW_EVERY_SECONDS = 2.0
PREVIEW_MAX_SIDE = 512


def register_model_folder() -> None:
    """Makes models/xmem known to ComfyUI, beside what extra_model_paths.yaml adds to it."""
    import folder_paths

    folder_paths.add_model_folder_path(MODEL_FOLDER, str(models_folder()))
    folder_paths.folder_names_and_paths[MODEL_FOLDER][1].update(MODEL_SUFFIXES)


def models_folder() -> Path:
    """ComfyUI's models/xmem, where downloads go."""
    import folder_paths

    return Path(folder_paths.models_dir) / MODEL_FOLDER


def model_files() -> list[str]:
    """Names of the model files in models/xmem; unfinished downloads are left out."""
    import folder_paths

    names = folder_paths.get_filename_list(MODEL_FOLDER)
    return [name for name in names if not Path(name).name.startswith(".")]


def model_path(name: str) -> Path:
    """The file of a listed model; a name that came through a link may be any text.

    Raises:
        InputError: it is not listed.
    """
    import folder_paths

    from ..xmempp_core import InputError

    listed = model_files()
    if name not in listed:
        known = ", ".join(listed) or "none yet"
        raise InputError(
            f"model {name!r} is no file of models/{MODEL_FOLDER}; put it there, or choose one of "
            f"those there: {known}"
        )
    return Path(folder_paths.get_full_path_or_raise(MODEL_FOLDER, name))


def runtime(model: str | Path, precision: str) -> Runtime:
    """ComfyUI's device with the wanted precision; "auto" is what is fastest here with equal masks.

    Args:
        model: name of the bundled model or a model file.
        precision: auto, float32, float16 or bfloat16.
    """
    import comfy.model_management as mm

    from ..xmempp_core import Runtime, choose_runtime

    device = mm.get_torch_device()
    # other accelerators that ComfyUI knows work in float32 unless told otherwise, as the CPU does
    if device.type not in ("cpu", "cuda", "mps"):
        return Runtime(device, Runtime.choose("cpu", precision).dtype)
    return Runtime(device, choose_runtime(model, str(device), precision).dtype)


class Managed(torch.nn.Module):
    """A network in a shell that ComfyUI's model management may hang its own attributes on."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network


def managed(network: Any, device: Any) -> Any:
    """The network as a ModelPatcher, so that ComfyUI may move it out for others and free it."""
    from comfy.model_patcher import ModelPatcher

    return ModelPatcher(Managed(network), load_device=device, offload_device=offload_device())


def offload_device() -> Any:
    """Where a model waits while it is not in use."""
    import comfy.model_management as mm

    return mm.unet_offload_device()


def bring_in(patcher: Any, working_bytes: int) -> None:
    """Moves a managed network to its device and makes room for what it will need beside."""
    import comfy.model_management as mm

    mm.load_models_gpu([patcher], memory_required=working_bytes)


def to_output(tensor: Tensor) -> Tensor:
    """A tensor where ComfyUI keeps what nodes hand to each other."""
    import comfy.model_management as mm

    return tensor.to(mm.intermediate_device())


def check_interrupted() -> None:
    """Stops the node when the user pressed Cancel."""
    import comfy.model_management as mm

    mm.throw_exception_if_processing_interrupted()


class Progress:
    """The node's progress bar with a small picture, and the place where Cancel is heard.

    Args:
        total: number of steps.
    """

    def __init__(self, total: int) -> None:
        from comfy.utils import ProgressBar

        self._bar = ProgressBar(total)
        self._next_picture = 0.0

    def step(
        self, done: int, total: int | None = None, *, picture: Callable[[], Image] | None = None
    ) -> None:
        """Shows that `done` steps are finished.

        Args:
            done: finished steps.
            total: number of steps from now on; None = as before.
            picture: asked for one every PREVIEW_EVERY_SECONDS.
        """
        check_interrupted()
        preview = None
        if picture is not None and time.monotonic() >= self._next_picture:
            preview = ("JPEG", picture(), PREVIEW_MAX_SIDE)
            self._next_picture = time.monotonic() + PREVIEW_EVERY_SECONDS
        self._bar.update_absolute(done, total, preview)


@contextmanager
def working(advice: str) -> Iterator[None]:
    """Heavy work: outside inference mode, and out-of-memory becomes a sentence with advice.

    What outlives the node (features beside the model) must be ordinary tensors.

    Args:
        advice: what to lower when memory runs out, a clause.
    """
    import comfy.model_management as mm

    from ..xmempp_core import CapacityError, is_out_of_memory

    ran_out = False
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    except Exception as error:
        if not (mm.is_oom(error) or is_out_of_memory(error)):
            raise
        ran_out = True
        log.warning("out of memory: %s", error)
        _let_go(error)
    finally:
        mm.soft_empty_cache()
        heap.give_back()
    if ran_out:
        mm.unload_all_models()
        mm.soft_empty_cache()
        raise CapacityError(f"The device ran out of memory; what was taken is free again. {advice}")


def _let_go(error: BaseException | None) -> None:
    """Empties the ended calls behind an error, whose variables keep the tensors of the pass."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def folders() -> tuple[Path, Path]:
    """ComfyUI's input and output folder."""
    import folder_paths

    return Path(folder_paths.get_input_directory()), Path(folder_paths.get_output_directory())


def named_folder(name: str) -> tuple[str, Path | None]:
    """A name without the " [input]", " [output]" or " [temp]" behind it, and the folder of that."""
    import folder_paths

    plain, folder = folder_paths.annotated_filepath(name.strip())
    return plain.strip(), Path(folder) if folder else None


def temporary_folder() -> Path:
    """ComfyUI's temp folder, which is emptied at start."""
    import folder_paths

    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def blocked() -> Any:
    """An output value that quietly keeps the nodes behind it from running."""
    from comfy_execution.graph_utils import ExecutionBlocker

    return ExecutionBlocker(None)


def stream_of_video(video: Any) -> Any:
    """Path or bytes behind a VIDEO; None where it was made in the graph from pictures."""
    from comfy_api.latest import InputImpl

    if not isinstance(video, InputImpl.VideoFromFile):
        return None
    return video.get_stream_source()


def video_from_file(path: Path) -> Any:
    """A VIDEO value of a file."""
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(str(path))


def has_node(class_type: str) -> bool:
    """Whether the running ComfyUI knows a node."""
    # by name, as the pack's own folder is called nodes, too
    return class_type in importlib.import_module("nodes").NODE_CLASS_MAPPINGS


def add_route(method: str, path: str, handler: Any) -> None:
    """Puts a handler on ComfyUI's web server; before it starts."""
    from server import PromptServer

    PromptServer.instance.routes.route(method, path)(handler)


def send(event: str, data: dict[str, Any]) -> None:
    """Sends an event to the browser that queued the running prompt."""
    from server import PromptServer

    instance = PromptServer.instance
    instance.send_sync(event, data, instance.client_id)
