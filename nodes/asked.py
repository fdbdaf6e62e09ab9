"""What a route is asked and what it answers, without a word of the web server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

IMMUTABLE = "private, max-age=31536000, immutable"
NOT_KEPT = "no-store"


@dataclass(frozen=True)
class Asked:
    """A request."""

    parts: Mapping[str, str]
    """What stands in the places of the path."""
    query: Mapping[str, str]
    body: bytes = b""

    def whole_number(self, name: str, default: int = 0) -> int:
        """A number of the path or the query; raises InputError for anything else."""
        from ..xmempp_core import InputError

        text = self.parts.get(name, self.query.get(name))
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise InputError(f"{name} is {text[:40]!r}, allowed is a whole number from 0 up")
        return int(text)

    def json(self, required: str, optional: str = "") -> dict[str, Any]:
        """The body as a JSON object with these fields.

        Raises:
            InputError: it is none, lacks a field, or has another.
        """
        from ..xmempp_core import InputError, parse_json

        try:
            value = parse_json(self.body)
        except ValueError as error:
            raise InputError(f"the request is no JSON ({error})") from error
        wanted, known = required.split(), {*required.split(), *optional.split()}
        if not isinstance(value, dict):
            raise InputError("the request is no JSON object")
        missing = [name for name in wanted if name not in value]
        foreign = sorted(set(value) - known)
        if missing or foreign:
            what = f"lacks {missing[0]}" if missing else f"has the field {foreign[0][:40]!r}"
            raise InputError(f"the request {what}; its fields are {', '.join(sorted(known))}")
        return value


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    body: bytes
    content_type: str
    keeps: bool = False
    """Whether the browser may keep it for ever: its address holds what it is made of."""
    file_name: str = ""
    """Name under which a browser saves it; "" = it shows it."""

    @property
    def headers(self) -> dict[str, str]:
        """Cache-Control, and Content-Disposition for a file."""
        headers = {"Cache-Control": IMMUTABLE if self.keeps else NOT_KEPT}
        if self.file_name:
            headers["Content-Disposition"] = f'attachment; filename="{self.file_name}"'
        return headers


class NotThereError(Exception):
    """Something that is asked for does not exist (any more); the message is one sentence."""


def json_answer(value: Any, *, keeps: bool = False) -> Answer:
    """A JSON answer."""
    return Answer(json.dumps(value, allow_nan=False).encode(), "application/json", keeps)


@dataclass(frozen=True)
class Route:
    """A route: a plain function behind a path."""

    method: str
    path: str
    """With {places}."""
    work: Callable[[Asked], Answer]
    """Runs in a thread of its own; raises XMemError or NotThereError with a sentence."""
    most_bytes: int = 0
    """Bytes of the body at most; 0 = it has none."""
