"""What a node shows: pictures, a film, a line."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import files

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)


def pictures(shown: list[Tensor]) -> dict[str, Any]:
    """The ui part of a node that shows pictures (H, W, 3) uint8, stored without loss."""
    from comfy_api.latest import ui
    from PIL import Image

    results = []
    for picture in shown:
        path = files.temporary_file(".png")
        Image.fromarray(picture.cpu().numpy()).save(path, compress_level=1)
        results.append(ui.SavedResult(path.name, "", io.FolderType.temp))
    return {"images": results, "animated": (False,)}


def video(path: Path) -> dict[str, Any]:
    """The ui part of a node that plays a video from ComfyUI's temp folder."""
    from comfy_api.latest import ui

    return ui.PreviewVideo([ui.SavedResult(path.name, "", io.FolderType.temp)]).as_dict()


def line(text: str) -> dict[str, Any]:
    """The ui part of a node that has something to say; web/js writes it on the node."""
    log.warning(text)
    return {"text": (text,)}
