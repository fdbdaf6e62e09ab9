"""What the annotator's widget holds and what a request of its view says; read strictly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

Action = Literal["open", "answer", "propagate", "adapt", "suggest"]
Way = Literal["keys", "uncertainty"]

MAX_ANSWERED_FRAMES = 1000
"""Frames that one request may ask answers of."""


@dataclass(frozen=True)
class ShownRevision:
    """The widget's value: what the node shows."""

    project_id: str
    revision: str
    is_adapted: bool = False
    """Whether the project's adapted model is used."""


@dataclass(frozen=True)
class Request:
    """What the view asks for."""

    action: Action
    project_id: str = ""
    """open: where linked annotations are put."""
    frames: tuple[int, ...] = ()
    """answer: frame indices."""
    frame_range: tuple[int, int] | None = None
    """propagate: first and last frame; None = as the revision says."""
    direction: str = "outward"
    """propagate: as in PropagationSettings."""
    mode: str = "quick"
    """adapt: as in AdaptationSettings."""
    count: int = 3
    """suggest: number of frames."""
    way: Way = "keys"
    """suggest: frames unlike the annotated ones, or where the present track is unsure."""
    is_adapted: bool = False
    """Whether the project's adapted model is used."""


def shown_revision(text: str) -> ShownRevision | None:
    """The widget's value; None for "", when nothing is painted yet.

    Raises:
        InputError: it is no such value.
    """
    from ..xmempp_core import InputError

    if not text.strip():
        return None
    value = _object(text, "project")
    if not {"project", "revision"} <= set(value) <= {"project", "revision", "adapted"}:
        raise InputError(f"the value {text[:60]!r} of project names no project and revision")
    one, revision = (_text(value[name], name) for name in ("project", "revision"))
    return ShownRevision(one, revision, _flag(value.get("adapted", False)))


def request_of(text: str) -> Request:
    """A request of the view.

    Raises:
        InputError: it is none, or has a field that it does not know.
    """
    from ..xmempp_core import InputError

    value = _object(text, "request")
    known = {"action", "project", "frames", "range", "direction", "mode", "count", "way"}
    if foreign := sorted(set(value) - {*known, "adapted"}):
        raise InputError(f"the request has the field {foreign[0][:40]!r}; reload the page")
    action = _choice(value.get("action"), "action", get_args(Action))
    frames = value.get("frames", [])
    if not isinstance(frames, list) or len(frames) > MAX_ANSWERED_FRAMES:
        raise InputError(f"frames is no list of at most {MAX_ANSWERED_FRAMES} frame indices")
    return Request(
        action,
        project_id=_text(value.get("project", ""), "project"),
        frames=tuple(_index(one, "frames") for one in frames),
        frame_range=_range(value.get("range")),
        direction=_text(value.get("direction", "outward"), "direction"),
        mode=_text(value.get("mode", "quick"), "mode"),
        count=_index(value.get("count", 3), "count"),
        way=_choice(value.get("way", "keys"), "way", get_args(Way)),
        is_adapted=_flag(value.get("adapted", False)),
    )


def _object(text: str, name: str) -> dict[str, Any]:
    from ..xmempp_core import InputError, parse_json

    try:
        value = parse_json(text)
    except ValueError as error:
        raise InputError(f"the value {text[:60]!r} of {name} is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise InputError(f"the value {text[:60]!r} of {name} is no JSON object")
    return value


def _range(value: Any) -> tuple[int, int] | None:
    from ..xmempp_core import InputError

    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise InputError(f"range is {str(value)[:40]}, allowed is null or [first, last]")
    first, last = (_index(one, "range") for one in value)
    if last < first:
        raise InputError(f"range runs backward from {first} to {last}; write the smaller first")
    return first, last


def _index(value: Any, name: str) -> int:
    from ..xmempp_core import InputError

    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(f"{name} holds {str(value)[:40]}, allowed is a whole number from 0 up")
    return value


def _text(value: Any, name: str) -> str:
    from ..xmempp_core import InputError

    if not isinstance(value, str):
        raise InputError(f"{name} is {str(value)[:40]}, allowed is a text")
    return value


def _flag(value: Any) -> bool:
    from ..xmempp_core import InputError

    if not isinstance(value, bool):
        raise InputError(f"adapted is {str(value)[:40]}, allowed is true or false")
    return value


def _choice(value: Any, name: str, allowed: tuple[str, ...]) -> Any:
    from ..xmempp_core import InputError

    if value not in allowed:
        raise InputError(f"{name} is {str(value)[:40]}, allowed is one of {', '.join(allowed)}")
    return value
