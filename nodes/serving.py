"""Routes on ComfyUI's web server: work off the event loop, errors as JSON with their sentence."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .asked import NOT_KEPT, Answer, Asked, NotThereError, Route

if TYPE_CHECKING:
    from aiohttp import web

Handler = Callable[["web.Request"], Awaitable["web.Response"]]

log = logging.getLogger(__name__)


def handler_of(route: Route) -> Handler:
    """The route as aiohttp calls it."""

    async def handle(request: web.Request) -> web.Response:
        body, refusal = await _body(request, route.most_bytes)
        if refusal is not None:
            return refusal
        asked = Asked(dict(request.match_info), dict(request.query), body)
        return await asyncio.to_thread(_answered, route, asked)

    return handle


async def _body(request: web.Request, most_bytes: int) -> tuple[bytes, web.Response | None]:
    """The body, or the answer to one that is too large."""
    from aiohttp import web

    try:
        if (request.content_length or 0) > most_bytes:
            return b"", _too_large(most_bytes)
        body = await request.read() if most_bytes else b""
    except web.HTTPRequestEntityTooLarge as error:  # more than ComfyUI itself takes
        return b"", _error(413, f"{error.text or 'the request is too large'}; send less at once")
    return (body, None) if len(body) <= most_bytes else (b"", _too_large(most_bytes))


def _answered(route: Route, asked: Asked) -> web.Response:
    from ..xmempp_core import CapacityError, XMemError

    try:
        return _response(route.work(asked))
    except NotThereError as error:
        return _error(404, str(error))
    except CapacityError as error:
        return _error(507, str(error))
    except XMemError as error:
        return _error(400, str(error))


def _response(answer: Answer) -> web.Response:
    from aiohttp import web

    return web.Response(body=answer.body, content_type=answer.content_type, headers=answer.headers)


def _too_large(most_bytes: int) -> web.Response:
    return _error(413, f"the request is too large, allowed are {most_bytes} bytes; send less")


def _error(status: int, sentence: str) -> Any:
    from aiohttp import web

    log.info("refused: %s", sentence)
    return web.Response(
        status=status,
        body=json.dumps({"error": sentence}).encode(),
        content_type="application/json",
        headers={"Cache-Control": NOT_KEPT},
    )
