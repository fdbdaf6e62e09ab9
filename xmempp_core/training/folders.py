"""Folders of training data, or the inside of one packed zip file.

Layout below the root (a folder, or a .zip that `pack` made)::

    video/<sequence>/frames/*.jpg          video/<sequence>/masks/*.png
    still/<set>/images/*.jpg               still/<set>/masks/*.png
    cutout/<set>/images/*.png              objects alone, with alpha (or masks/*.png with mattes)
    cutout_video/<sequence>/frames/*.png   one such object in motion
    background/<set>/images/*.jpg          scenes without an object to follow, no masks

The license of a set is the first line of the nearest LICENSE.txt in its folder or a folder above.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import FormatError
from ..paths import path_kind

UNKNOWN_LICENSE = "unknown"
LICENSE_FILE = "LICENSE.txt"
PICTURE_FOLDERS = {
    "video": "frames",
    "still": "images",
    "cutout": "images",
    "cutout_video": "frames",
    "background": "images",
}
"""By kind of set, the folder that its pictures lie in; "frames" follow each other in time."""

_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}

Place = Path | zipfile.Path


def open_root(root: str | Path) -> Place:
    """A folder, or the inside of a .zip file, as a path."""
    path = Path(root)
    kind = path_kind(path)
    if kind == "folder":
        return path
    if kind == "nothing":
        raise FormatError(path, "neither a folder nor a .zip file of training data")
    try:
        return zipfile.Path(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        problem = f"neither a folder nor a .zip file of training data ({error})"
        raise FormatError(path, problem) from error


def pairs_of(folder: Place, kind: str) -> list[tuple[Place, Place | None]]:
    """Each picture of a set with the mask of the same stem in `folder/masks`, if any; in order."""
    masks = {Path(p.name).stem: p for p in _entries(folder / "masks")}
    entries = _entries(folder / PICTURE_FOLDERS[kind])
    pictures = [p for p in entries if Path(p.name).suffix.lower() in _PICTURES]
    if PICTURE_FOLDERS[kind] == "frames":  # plate.999 comes before plate.1000
        pictures.sort(key=lambda p: (len(Path(p.name).stem), p.name))
    return [(p, masks.get(Path(p.name).stem)) for p in pictures]


def _entries(folder: Place) -> list[Place]:
    return sorted(folder.iterdir(), key=lambda p: p.name) if folder.is_dir() else []


def sets_below(root: Place) -> Iterator[tuple[str, Place, str]]:
    """(name such as "video/bear", folder, license) of every set, kind by kind, sorted by name."""
    top = _license_in(root, UNKNOWN_LICENSE)
    for kind in PICTURE_FOLDERS:
        of_kind = _license_in(root / kind, top)
        for folder in _entries(root / kind):
            if folder.is_dir():
                yield f"{kind}/{folder.name}", folder, _license_in(folder, of_kind)


def _license_in(folder: Place, otherwise: str) -> str:
    file = folder / LICENSE_FILE
    if not file.is_file():
        return otherwise
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[0].strip() if lines else otherwise
