"""JSON from files that may be damaged or hostile: whatever cannot be used is a ValueError."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: no JSON; nested too deeply; NaN or Infinity, which JSON does not have; a number
            of thousands of digits; text that UTF-8 cannot write, so that it would be lost later.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeError as error:
        raise ValueError(f"it holds text that is not valid Unicode ({error})") from error
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number in JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value
