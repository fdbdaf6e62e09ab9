"""XMem++ as a ComfyUI node pack; the core in `xmempp_core` stands alone."""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> Any:
    """The extension ComfyUI loads; imported here so that plain Python can import this folder."""
    from .nodes import XMemPPExtension

    return XMemPPExtension()
