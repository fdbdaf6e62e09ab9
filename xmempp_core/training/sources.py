"""Training data as it is read: sets of pictures with label maps or mattes.

`training/folders.py` says how they lie on disk. A mask is a label map (0 background, n object n) or
binary (0 and 255); that of a cut-out is a matte, and may be the picture's own alpha channel.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import cv2
import numpy as np

from ..errors import FormatError, SettingsError
from ..types import STRIDE
from .decoding import read_bgr, read_labels, read_matte, read_rgba, shrink_cutout, shrunk_size
from .folders import PICTURE_FOLDERS, Place, open_root, pairs_of, sets_below

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SourcePicture:
    """One picture with its label map, small enough to train on."""

    name: str
    """Path below the root, without suffix."""
    rgb: np.ndarray
    """(H, W, 3) uint8"""
    labels: np.ndarray
    """(H, W) uint8, 0 background; of a cut-out its alpha, 255 opaque"""
    has_matte: bool = False
    """Whether it is a cut-out, with alpha in place of labels."""

    @property
    def shows_object(self) -> bool:
        """Whether a pixel belongs to an object, of a cut-out more than half."""
        return bool((self.labels > (127 if self.has_matte else 0)).any())


@dataclass(frozen=True, eq=False)
class SourceSet:
    """The pictures of one sequence or of one set of stills, in order."""

    name: str
    """"video/bear", "still/fluent_emoji_3d"; the kind is one of `PICTURE_FOLDERS`."""
    license: str
    pictures: tuple[SourcePicture, ...]

    @property
    def kind(self) -> str:
        """ "video", "still", "cutout", "cutout_video" or "background"."""
        return self.name.split("/")[0]

    @property
    def is_video(self) -> bool:
        """Whether it is a filmed or rendered scene, frame by frame."""
        return self.kind == "video"


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
    for name, folder, license_name in sets_below(place):
        license_name = choice.license_of(name, license_name)
        if not choice.keeps(name, license_name):
            skipped.add(name, f"excluded (license {license_name})")
            continue
        pictures = tuple(_read_pictures(name, folder, short_side_pixels, skipped))
        is_background = name.startswith("background/")
        if pictures and (is_background or any(picture.shows_object for picture in pictures)):
            found.append(SourceSet(name, license_name, pictures))
        elif pictures:
            skipped.add(name, "every mask is empty")
    skipped.report()
    if not found:
        raise FormatError(root, _nothing_left(skipped))
    return found


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) or fnmatch(name, pattern.rstrip("/") + "/*")


def _read_pictures(
    set_name: str, folder: Place, short_side_pixels: int, skipped: Skipped
) -> Iterator[SourcePicture]:
    kind = set_name.split("/")[0]
    pairs = pairs_of(folder, kind)
    if problem := _problem_of(kind, pairs):
        skipped.add(set_name, problem)
        return
    for picture, mask in pairs:
        name = f"{set_name}/{Path(picture.name).stem}"
        try:
            if kind.startswith("cutout"):
                yield read_cutout(name, picture, mask, short_side_pixels)
            elif kind == "background":
                yield read_background(name, picture, short_side_pixels)
            elif mask is None:
                skipped.add(name, "no mask")
            else:
                yield read_picture(name, picture, mask, short_side_pixels)
        except FormatError as error:
            skipped.add(name, error.problem)


def _problem_of(kind: str, pairs: Sequence[tuple[Place, Place | None]]) -> str | None:
    """Why nothing of a set can be used, if so."""
    has_masks = any(mask for _, mask in pairs)
    if kind in ("video", "still") and not has_masks:
        return "no picture has a mask (expected a folder masks beside the pictures)"
    if kind == "background" and has_masks:
        return "a background shows no object to follow; move the set to still/, or the masks away"
    return None if pairs else f"no pictures (expected them in a folder {PICTURE_FOLDERS[kind]})"


def read_picture(name: str, picture: Place, mask: Place, short_side_pixels: int) -> SourcePicture:
    """A picture and its label map, shrunk to a short side.

    Raises:
        FormatError: a file cannot be decoded, the mask is a soft matte, or the two have different
            sizes or are too small.
    """
    bgr, labels = read_bgr(picture), read_labels(mask)
    if labels.shape != bgr.shape[:2]:
        got, want = labels.shape[::-1], bgr.shape[1::-1]
        raise FormatError(
            mask.name, f"the mask is {got[0]}x{got[1]}, the picture {want[0]}x{want[1]}"
        )
    size = shrunk_size(picture, labels.shape, short_side_pixels)
    rgb = cv2.cvtColor(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    return SourcePicture(name, rgb, cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST))


def read_background(name: str, picture: Place, short_side_pixels: int) -> SourcePicture:
    """A picture without an object, shrunk to a short side.

    Raises:
        FormatError: the file cannot be decoded or is too small.
    """
    bgr = read_bgr(picture)
    size = shrunk_size(picture, bgr.shape[:2], short_side_pixels)
    rgb = cv2.cvtColor(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    return SourcePicture(name, rgb, np.zeros(rgb.shape[:2], np.uint8))


def read_cutout(
    name: str, picture: Place, mask: Place | None, short_side_pixels: int
) -> SourcePicture:
    """An object alone with its alpha, shrunk; its color goes on beyond its edge.

    Args:
        mask: a matte that takes the place of the picture's own alpha channel.

    Raises:
        FormatError: a file cannot be decoded, there is neither a matte nor an alpha channel, both
            differ in size, the picture is too small or has no transparent pixel.
    """
    rgb, alpha = read_rgba(picture)
    alpha = alpha if mask is None else read_matte(mask)
    if alpha is None:
        raise FormatError(picture.name, "a cut-out needs an alpha channel, or a matte in masks/")
    if alpha.shape != rgb.shape[:2]:
        got, want = alpha.shape[::-1], rgb.shape[1::-1]
        raise FormatError(
            picture.name, f"the matte is {got[0]}x{got[1]}, the picture {want[0]}x{want[1]}"
        )
    if alpha.min() == 255:
        raise FormatError(picture.name, "a cut-out has transparent pixels around its object")
    size = shrunk_size(picture, alpha.shape, short_side_pixels)
    return SourcePicture(name, *shrink_cutout(rgb, alpha, size), has_matte=True)


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
