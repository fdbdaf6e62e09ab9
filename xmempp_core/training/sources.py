"""Training data on disk: folders or one packed zip file of pictures with masks.

Layout below the root (a folder, or a .zip that `pack` made)::

    video/<sequence>/frames/*.jpg    video/<sequence>/masks/*.png
    still/<set>/images/*.jpg         still/<set>/masks/*.png

A mask is a label map (0 background, n object n) or binary (0 and 255). The license of a set is the
first line of the nearest LICENSE.txt in its folder or a folder above it, or what the caller says.
"""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..errors import FormatError, SettingsError
from ..types import STRIDE

logger = logging.getLogger(__name__)

UNKNOWN_LICENSE = "unknown"
LICENSE_FILE = "LICENSE.txt"
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
_KINDS = {"video": "frames", "still": "images"}
_UNREADABLE = (
    *(OSError, ValueError, SyntaxError, Image.DecompressionBombError, cv2.error),
    *(zipfile.BadZipFile, zlib.error),
)
"""What reading and decoding a broken file raises."""

_MOST_VALUES = 32
"""Values of a label map with white in it; beyond them its grays are soft edges, not objects."""

Place = Path | zipfile.Path


@dataclass(frozen=True, eq=False)
class SourcePicture:
    """One picture with its label map, small enough to train on."""

    name: str
    """Path below the root, without suffix."""
    rgb: np.ndarray
    """(H, W, 3) uint8"""
    labels: np.ndarray
    """(H, W) uint8, 0 background"""


@dataclass(frozen=True, eq=False)
class SourceSet:
    """The pictures of one sequence or of one set of stills, in order."""

    name: str
    """"video/bear", "still/fluent_emoji_3d"."""
    license: str
    pictures: tuple[SourcePicture, ...]

    @property
    def is_video(self) -> bool:
        """Whether the pictures follow each other in time."""
        return self.name.startswith("video/")


@dataclass(frozen=True)
class SourceFilter:
    """Which sets are read, by name and license; patterns as in file names (`*`, `?`)."""

    exclude_names: tuple[str, ...] = ()
    exclude_licenses: tuple[str, ...] = ()
    licenses: Mapping[str, str] = field(default_factory=dict)
    """License by name pattern, above what LICENSE.txt says."""

    def license_of(self, name: str, stated: str) -> str:
        """The license of a set."""
        return next((v for k, v in self.licenses.items() if _matches(name, k)), stated)

    def keeps(self, name: str, license_name: str) -> bool:
        """Whether a set may be used."""
        by_name = any(_matches(name, pattern) for pattern in self.exclude_names)
        return not by_name and not any(fnmatch(license_name, p) for p in self.exclude_licenses)


@dataclass(eq=False)
class Skipped:
    """What could not be used, for the report at the end of reading."""

    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, reason: str) -> None:
        """Notes a picture or set that is left out."""
        self.reasons[name] = reason

    def report(self) -> None:
        """Logs the count and the names."""
        if self.reasons:
            lines = [f"{name}: {reason}" for name, reason in self.reasons.items()]
            logger.warning("skipped %d items:\n  %s", len(lines), "\n  ".join(lines))


def read_sources(
    root: str | Path, choice: SourceFilter | None = None, *, short_side_pixels: int = 288
) -> list[SourceSet]:
    """All usable sets below a root, sorted by name; unusable items are skipped and logged.

    Args:
        root: a folder or a packed .zip.
        choice: which sets to leave out.
        short_side_pixels: larger pictures are shrunk to this.

    Raises:
        FormatError: the root is not there, or nothing usable is left.
        SettingsError: the short side is too small.
    """
    if short_side_pixels < STRIDE:
        raise SettingsError("short_side_pixels", short_side_pixels, f"{STRIDE} and up")
    choice = choice or SourceFilter()
    place = open_root(root)
    skipped = Skipped()
    found = []
    for name, folder, license_name in _sets(place):
        license_name = choice.license_of(name, license_name)
        if not choice.keeps(name, license_name):
            skipped.add(name, f"excluded (license {license_name})")
            continue
        pictures = tuple(_read_pictures(name, folder, short_side_pixels, skipped))
        if any(picture.labels.any() for picture in pictures):
            found.append(SourceSet(name, license_name, pictures))
        elif pictures:
            skipped.add(name, "every mask is empty")
    skipped.report()
    if not found:
        raise FormatError(root, _nothing_left(skipped))
    return found


def open_root(root: str | Path) -> Place:
    """A folder, or the inside of a .zip file, as a path."""
    path = Path(root)
    if path.is_dir():
        return path
    if not zipfile.is_zipfile(path):
        raise FormatError(path, "neither a folder nor a .zip file of training data")
    return zipfile.Path(path)


def pairs_of(folder: Place, images: str) -> list[tuple[Place, Place | None]]:
    """Each picture of `folder/images` with the mask of the same stem in `folder/masks`, if any."""
    masks = {Path(p.name).stem: p for p in _entries(folder / "masks")}
    pictures = [p for p in _entries(folder / images) if Path(p.name).suffix.lower() in _PICTURES]
    return [(p, masks.get(Path(p.name).stem)) for p in pictures]


def _entries(folder: Place) -> list[Place]:
    return sorted(folder.iterdir(), key=lambda p: p.name) if folder.is_dir() else []


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) or fnmatch(name, pattern.rstrip("/") + "/*")


def _sets(root: Place) -> Iterator[tuple[str, Place, str]]:
    top = _license_in(root, UNKNOWN_LICENSE)
    for kind in _KINDS:
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


def _read_pictures(
    set_name: str, folder: Place, short_side_pixels: int, skipped: Skipped
) -> Iterator[SourcePicture]:
    kind = set_name.split("/")[0]
    pairs = pairs_of(folder, _KINDS[kind])
    if kind == "video":  # plate.999 comes before plate.1000
        pairs.sort(key=lambda pair: (len(Path(pair[0].name).stem), pair[0].name))
    if not any(mask for _, mask in pairs):
        skipped.add(set_name, "no picture has a mask (expected a folder masks beside the pictures)")
        return
    for picture, mask in pairs:
        name = f"{set_name}/{Path(picture.name).stem}"
        if mask is None:
            skipped.add(name, "no mask")
            continue
        try:
            yield read_picture(name, picture, mask, short_side_pixels)
        except FormatError as error:
            skipped.add(name, error.problem)


def read_picture(name: str, picture: Place, mask: Place, short_side_pixels: int) -> SourcePicture:
    """A picture and its label map, shrunk to a short side.

    Raises:
        FormatError: a file cannot be decoded, the mask is a soft matte, or the two have different
            sizes or are too small.
    """
    bgr, labels = _read_bgr(picture), _read_labels(mask)
    if labels.shape != bgr.shape[:2]:
        got, want = labels.shape[::-1], bgr.shape[1::-1]
        raise FormatError(
            mask.name, f"the mask is {got[0]}x{got[1]}, the picture {want[0]}x{want[1]}"
        )
    if min(labels.shape) < STRIDE:
        raise FormatError(picture.name, f"the picture has a side of less than {STRIDE} pixels")
    scale = min(1.0, short_side_pixels / min(labels.shape))
    size = (round(labels.shape[1] * scale), round(labels.shape[0] * scale))
    rgb = cv2.cvtColor(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    return SourcePicture(name, rgb, cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST))


def _read_bgr(picture: Place) -> np.ndarray:
    try:
        encoded = np.frombuffer(picture.read_bytes(), np.uint8)
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except _UNREADABLE as error:
        raise FormatError(picture.name, _undecoded("picture", error)) from error
    if bgr is None:
        raise FormatError(picture.name, "the picture cannot be decoded")
    return bgr


def _read_labels(mask: Place) -> np.ndarray:
    try:
        with mask.open("rb") as file:
            image = Image.open(file)
            labels = np.array(image if image.mode in ("P", "L", "1") else image.convert("L"))
    except _UNREADABLE as error:
        raise FormatError(mask.name, _undecoded("mask", error)) from error
    labels = labels.astype(np.uint8)
    values = set(np.unique(labels).tolist())
    if 255 in values and len(values) > _MOST_VALUES:
        wanted = "expected a label map, or black and white without soft edges"
        raise FormatError(mask.name, f"the mask has {len(values)} levels of gray; {wanted}")
    return labels // 255 if values <= {0, 255} else labels


def _undecoded(what: str, error: Exception) -> str:
    return f"the {what} cannot be decoded ({' '.join(str(error).split())})"


def _nothing_left(skipped: Skipped) -> str:
    layout = "expected video/<sequence>/{frames,masks} or still/<set>/{images,masks}"
    if not skipped.reasons:
        return f"holds no training data; {layout}"
    name, reason = next(iter(skipped.reasons.items()))
    count = len(skipped.reasons)
    return f"no usable training data is left, {count} items skipped; the first is {name}: {reason}"


def split_held_out(
    sets: Sequence[SourceSet], held_out_every: int
) -> tuple[list[SourceSet], list[SourceSet]]:
    """(for training, for validation): every n-th sequence is held out, if that leaves any set."""
    videos = [s for s in sets if s.is_video]
    held = videos[held_out_every - 1 :: held_out_every] if held_out_every > 0 else []
    held = [] if len(held) == len(videos) == len(sets) else held
    return [s for s in sets if s not in held], held
