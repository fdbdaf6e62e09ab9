"""What an artist said: the annotations of a shot, absences among them, and their algebra."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import torch
from torch import Tensor

from .errors import InputError, ShapeError
from .types import Size

MAX_OBJECT_ID = 255

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Annotation:
    """What the artist says about one frame.

    An object listed with an empty mask is explicitly absent. In an exhaustive annotation (a label
    map) the objects of the set that are not listed are implied absent; otherwise nothing is said
    about them and they are predicted there as on any frame.
    """

    frame_index: int
    """0-based position of the frame in the shot."""
    object_ids: tuple[int, ...]
    """Lasting ids 1..255 of the objects it speaks about, ascending."""
    masks: Tensor
    """(N, H, W) bool at source resolution, one for each object id, none over another."""
    exhaustive: bool = False
    """True for a label map: unlisted objects are absent."""
    void: Tensor | None = None
    """(H, W) bool: pixels of which nothing is said, outside all masks. What is predicted stands
    there, of the objects that are on the frame. None where there are none."""

    def __post_init__(self) -> None:
        _check_frame_index(self.frame_index)
        for object_id in self.object_ids:
            check_object_id(object_id)
        n = len(self.object_ids)
        if self.masks.ndim != 3 or self.masks.shape[0] != n:
            what = f"annotation of frame {self.frame_index}: masks"
            raise ShapeError(what, f"({n}, H, W)", tuple(self.masks.shape))
        if len(set(self.object_ids)) != n:
            raise InputError(
                f"annotation of frame {self.frame_index}: object ids {self.object_ids} repeat; "
                "list each object once"
            )
        masks = self.masks if self.masks.dtype == torch.bool else self.masks > 0.5
        masks = _cut(masks, self.object_ids, self.frame_index)
        order = sorted(range(n), key=lambda i: self.object_ids[i])
        object.__setattr__(self, "object_ids", tuple(self.object_ids[i] for i in order))
        object.__setattr__(self, "masks", masks[order])
        object.__setattr__(self, "void", self._void_left(self.void))

    def _void_left(self, void: Tensor | None) -> Tensor | None:
        """Void pixels that no mask covers; None without any."""
        if void is None:
            return None
        if void.shape != self.masks.shape[1:]:
            what = f"annotation of frame {self.frame_index}: void"
            raise ShapeError(what, tuple(self.masks.shape[1:]), tuple(void.shape))
        left = void.bool() & ~self.masks.any(0)
        return left if left.any() else None

    @classmethod
    def from_label_map(
        cls, frame_index: int, labels: Tensor, void: Tensor | None = None
    ) -> Annotation:
        """An exhaustive annotation from a label map (H, W) of object ids, 0 = background.

        `void` (H, W) marks pixels of which nothing is said.
        """
        ids = tuple(int(i) for i in labels.unique() if i != 0)
        masks = (
            torch.stack([labels == i for i in ids]) if ids else labels.new_zeros(0, *labels.shape)
        )
        return cls(frame_index, ids, masks.bool(), exhaustive=True, void=void)

    @property
    def size(self) -> Size:
        """Size of the masks."""
        return Size(self.masks.shape[-2], self.masks.shape[-1])

    @property
    def present_ids(self) -> tuple[int, ...]:
        """The listed objects that have at least one pixel."""
        return tuple(i for i, mask in zip(self.object_ids, self.masks, strict=True) if mask.any())

    @property
    def absent_ids(self) -> tuple[int, ...]:
        """The objects explicitly declared absent."""
        present = self.present_ids
        return tuple(i for i in self.object_ids if i not in present)

    def mask(self, object_id: int) -> Tensor:
        """(H, W) bool mask of a listed object."""
        return self.masks[self.object_ids.index(object_id)]

    def label_map(self) -> Tensor:
        """(H, W) uint8 of object ids, 0 = background."""
        labels = torch.zeros(self.size, dtype=torch.uint8, device=self.masks.device)
        for object_id, mask in zip(self.object_ids, self.masks, strict=True):
            labels[mask] = object_id
        return labels

    def merged(self, newer: Annotation) -> Annotation:
        """This annotation with the objects that `newer` lists taken from `newer`, on top.

        An exhaustive `newer` replaces all.
        """
        if newer.exhaustive:
            return newer
        if newer.size != self.size:
            what = f"annotation of frame {self.frame_index}: masks of the same frame"
            raise ShapeError(what, str(self.size), str(newer.size))
        kept = [i for i in self.object_ids if i not in newer.object_ids]
        ids = (*kept, *newer.object_ids)
        own = self.masks[[self.object_ids.index(i) for i in kept]]
        masks = torch.cat([own, newer.masks])
        voids = [one for one in (self.void, newer.void) if one is not None]
        void = torch.stack(voids).any(0) if voids else None
        return replace(self, object_ids=ids, masks=masks, void=void)

    def spelled_out(self, object_ids: Iterable[int]) -> Annotation:
        """The same as a list: what an exhaustive one implies of these objects is said of each."""
        if not self.exhaustive:
            return self
        implied = sorted(set(object_ids) - set(self.object_ids))
        masks = torch.cat([self.masks, self.masks.new_zeros(len(implied), *self.size)])
        ids = (*self.object_ids, *implied)
        return replace(self, object_ids=ids, masks=masks, exhaustive=False)

    def without_objects(self, object_ids: Iterable[int]) -> Annotation:
        """This annotation with nothing said about the given objects.

        An exhaustive one no longer implies anything; see `spelled_out`.
        """
        dropped = set(object_ids)
        keep = [c for c, i in enumerate(self.object_ids) if i not in dropped]
        ids = tuple(self.object_ids[c] for c in keep)
        return replace(self, object_ids=ids, masks=self.masks[keep], exhaustive=False)


@dataclass(frozen=True, order=True)
class AbsenceRange:
    """Frames on which an object is declared absent, both ends included."""

    object_id: int
    first_frame: int
    last_frame: int

    def __post_init__(self) -> None:
        check_object_id(self.object_id)
        _check_frame_index(self.first_frame)
        if self.last_frame < self.first_frame:
            raise InputError(
                f"absence of object {self.object_id}: frames {self.first_frame}-{self.last_frame} "
                "run backward; write the smaller number first"
            )

    def __contains__(self, frame_index: int) -> bool:
        return self.first_frame <= frame_index <= self.last_frame


@dataclass(frozen=True, eq=False)
class AnnotationSet:
    """All annotations of a shot, one for each annotated frame, ascending by frame."""

    annotations: tuple[Annotation, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    """Object names by id."""
    colors: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
    """Display colors by id, RGB 0..255."""
    absences: tuple[AbsenceRange, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.annotations, key=lambda a: a.frame_index))
        for one, next_one in itertools.pairwise(ordered):
            if one.frame_index == next_one.frame_index:
                raise InputError(
                    f"frame {one.frame_index} is annotated twice; "
                    "merge the second with with_annotation"
                )
            if one.size != next_one.size:
                what = f"annotation of frame {next_one.frame_index}: masks"
                raise ShapeError(what, str(one.size), str(next_one.size))
        for object_id, name in self.names.items():
            check_object_name(object_id, name)
        object.__setattr__(self, "annotations", ordered)
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))
        object.__setattr__(self, "colors", MappingProxyType(dict(self.colors)))
        object.__setattr__(self, "absences", tuple(sorted(set(self.absences))))

    def __len__(self) -> int:
        return len(self.annotations)

    def __iter__(self) -> Iterator[Annotation]:
        return iter(self.annotations)

    @property
    def frame_indices(self) -> tuple[int, ...]:
        """Annotated frames, ascending."""
        return tuple(a.frame_index for a in self.annotations)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of all objects that any annotation lists, ascending."""
        return tuple(sorted({i for a in self.annotations for i in a.object_ids}))

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal hash of all that a pass depends on: names and colors are left out."""
        digest = hashlib.blake2b(repr(self.absences).encode(), digest_size=16)
        for one in self.annotations:
            facts = (one.frame_index, one.object_ids, one.exhaustive, one.size)
            digest.update(repr(facts).encode())
            digest.update(one.masks.contiguous().cpu().numpy().data)
            if one.void is not None:
                digest.update(b"void" + one.void.cpu().numpy().tobytes())
        return digest.hexdigest()

    def at(self, frame_index: int) -> Annotation | None:
        """The annotation of a frame, or None."""
        return next((a for a in self.annotations if a.frame_index == frame_index), None)

    def absent_at(self, frame_index: int) -> tuple[int, ...]:
        """Objects that an absence range declares absent on a frame, ascending."""
        return tuple(sorted({r.object_id for r in self.absences if frame_index in r}))

    def with_annotation(self, annotation: Annotation) -> AnnotationSet:
        """The set with one more annotation; on a known frame only its objects change."""
        return self.with_annotations([annotation])

    def with_annotations(self, annotations: Iterable[Annotation]) -> AnnotationSet:
        """The set with more annotations, one after the other, in time linear in their number."""
        by_frame = {a.frame_index: a for a in self.annotations}
        for one in annotations:
            old = by_frame.get(one.frame_index)
            by_frame[one.frame_index] = one if old is None else old.merged(one)
        return replace(self, annotations=tuple(by_frame.values()))

    def without(self, frame_index: int, object_ids: Iterable[int] | None = None) -> AnnotationSet:
        """The set without the annotation of a frame, or without some objects of it.

        Other objects of the set that a label map implied absent are declared absent instead.
        """
        old = self.at(frame_index)
        if old is None:
            known = ", ".join(map(str, self.frame_indices)) or "none"
            raise InputError(f"frame {frame_index} is not annotated; annotated frames are {known}")
        kept = [a for a in self.annotations if a.frame_index != frame_index]
        if object_ids is not None:
            rest = old.spelled_out(self.object_ids).without_objects(object_ids)
            kept += [rest] if rest.object_ids else []
        return replace(self, annotations=tuple(kept))

    def only(self, frame_indices: Iterable[int]) -> AnnotationSet:
        """The set with only the annotations of the given frames."""
        wanted = set(frame_indices)
        return replace(
            self, annotations=tuple(a for a in self.annotations if a.frame_index in wanted)
        )

    def moved(self, frames: int) -> AnnotationSet:
        """The set with every frame so many frames later, as of a clip that is a part of another.

        Raises:
            InputError: a frame would come before the first one.
        """
        absences = (
            replace(a, first_frame=a.first_frame + frames, last_frame=a.last_frame + frames)
            for a in self.absences
        )
        moved = (replace(a, frame_index=a.frame_index + frames) for a in self.annotations)
        return replace(self, annotations=tuple(moved), absences=tuple(absences))

    def with_absence(self, absence: AbsenceRange) -> AnnotationSet:
        """The set with one more absence range."""
        return replace(self, absences=(*self.absences, absence))

    def named(self, object_id: int, name: str) -> AnnotationSet:
        """The set with an object named."""
        return replace(self, names={**self.names, check_object_id(object_id): name})


def _cut(masks: Tensor, object_ids: tuple[int, ...], frame_index: int) -> Tensor:
    """The masks (N, H, W) bool without the pixels that a later one has too."""
    if not (masks.sum(0, dtype=torch.int32) > 1).any():
        return masks
    taken = torch.zeros_like(masks[0])
    pieces: list[Tensor] = []
    for object_id, mask in reversed(list(zip(object_ids, masks, strict=True))):
        if lost := int((mask & taken).sum()):
            _log.info(
                "annotation of frame %d: %d of %d pixels of object %d are given to objects that "
                "were drawn later",
                *(frame_index, lost, int(mask.sum()), object_id),
            )
        pieces.append(mask & ~taken)
        taken = taken | mask
    return torch.stack(pieces[::-1])


def check_object_id(object_id: int) -> int:
    """The id itself if it is an integer 1..255; raises InputError otherwise."""
    if not isinstance(object_id, int) or not 1 <= object_id <= MAX_OBJECT_ID:
        raise InputError(f"object id {object_id!r} is not an integer from 1 to {MAX_OBJECT_ID}")
    return object_id


def check_object_name(object_id: int, name: str) -> None:
    """Raises InputError for a name that no file could keep."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        problem = f"object {object_id} has the name {name!a}, which is not valid Unicode"
        raise InputError(f"{problem}; rename it") from error


def _check_frame_index(frame_index: int) -> None:
    if not isinstance(frame_index, int) or frame_index < 0:
        raise InputError(f"frame index {frame_index!r} is not an integer from 0 up")
