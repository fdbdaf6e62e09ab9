"""Names that every file system takes, Windows' among them."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_BYTES = 200
"""UTF-8 bytes of a name; file systems end at 255, and a temporary name needs some."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
# Windows keeps these for devices, whatever the suffix and the case.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")


def name_fault(name: str) -> str | None:
    """Why a file or folder cannot have this name on every system, a clause; None if it can."""
    if not name or name in (".", ".."):
        return "is no name"
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if found := _FORBIDDEN.search(name):
        return f"contains {found.group()!r}, which Windows does not allow in names"
    if name[-1] in ". ":
        return "ends with a dot or a blank, which Windows takes off"
    if _RESERVED.fullmatch(name):
        return "is the name of a device on Windows"
    if size_bytes > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    return None


def legal_name(text: str) -> str:
    """A text as part of a file name: what is not allowed becomes an underscore; never empty."""
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text)).strip().rstrip(". ")
    name = name.encode(errors="replace")[: MAX_NAME_BYTES // 2].decode(errors="ignore")
    name = name.rstrip(". ") or "_"
    return f"{name}_" if _RESERVED.fullmatch(name) else name
