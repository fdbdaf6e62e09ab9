"""Training clips: the pixels of a batch of plans, made on the training device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .library import PictureLibrary
from .plans import BLUR_SIZE, BatchPlan, ClipPlan, Layer


@dataclass(frozen=True, eq=False)
class Clips:
    """A batch of B clips of T frames of S x S pixels."""

    frames: Tensor
    """(B, T, 3, S, S) float32 RGB 0..1"""
    labels: Tensor
    """(B, T, S, S) int64, 0 background, n target n"""


@torch.no_grad()
def render(library: PictureLibrary, batch: BatchPlan) -> Clips:
    """The clips of a batch; targets that no given frame shows become background.

    Such a target is left without a pixel in memory, as an object declared absent is.
    """
    size = batch.shape.size_pixels
    frames, labels = _render_scenes(library, batch.clips, size)
    for slot in range(max(len(plan.pasted) for plan in batch.clips)):
        chosen = [i for i, plan in enumerate(batch.clips) if slot < len(plan.pasted)]
        layers = [batch.clips[i].pasted[slot] for i in chosen]
        _paste(library, frames, labels, chosen, layers)
    frames = _blur(_color(frames, batch.clips), batch.clips)
    labels = _only_given(labels, torch.tensor(batch.given), batch.targets)
    return Clips((frames / 255).clamp_(0, 1), labels)


def _render_scenes(
    library: PictureLibrary, plans: Sequence[ClipPlan], size: int
) -> tuple[Tensor, Tensor]:
    """Frames (B, T, 3, S, S) 0..255 and labels (B, T, S, S) of the scenes alone."""
    layers = [plan.scene for plan in plans]
    source = _reflected(_source_points(layers, size, library), layers, library)
    color, alpha = _sample(library, layers, source)
    target = _column([layer.target for layer in layers], color.device)
    return color, ((alpha > 0.5) & _in_part(layers, source)) * target


def _paste(
    library: PictureLibrary,
    frames: Tensor,
    labels: Tensor,
    chosen: list[int],
    layers: Sequence[Layer],
) -> None:
    """Draws one layer over each of the chosen clips of `frames` and `labels`."""
    source = _source_points(layers, frames.shape[-1], library)
    color, alpha = _sample(library, layers, source)
    visible = _stack([layer.visible for layer in layers], color.device)
    shrunk = _column([layer.shrunk_edge for layer in layers], color.device)
    alpha = torch.where(shrunk, 2 * alpha - 1, alpha).clamp(0, 1) * visible[..., None, None]
    tint = _stack([layer.tint for layer in layers], color.device)[:, None, :, None, None]
    frames[chosen] = torch.lerp(frames[chosen], color + tint, alpha[:, :, None])
    target = _column([layer.target for layer in layers], color.device)
    labels[chosen] = torch.where(alpha > 0.5, _in_part(layers, source) * target, labels[chosen])


def _source_points(layers: Sequence[Layer], size: int, library: PictureLibrary) -> Tensor:
    """(B, T, 2, S, S) x and y in source pixels of every output pixel."""
    device = library.pictures.device
    matrices = _stack([layer.to_source for layer in layers], device)  # (B, T, 2, 3)
    elastic = _stack([layer.elastic for layer in layers], device).flatten(0, 1)
    fields = F.interpolate(elastic, size=(size, size), mode="bicubic", align_corners=False)
    first, last = fields.unflatten(0, (-1, 2)).unsqueeze(1).unbind(2)  # (B, 1, 2, S, S)
    time = torch.linspace(0, 1, matrices.shape[1], device=device)[:, None, None, None]
    axis = torch.arange(size, device=device, dtype=torch.float32)
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"))
    points = points + first + (last - first) * time  # (B, T, 2, S, S)
    moved = matrices[..., :2] @ points.flatten(3) + matrices[..., 2:]
    return moved.unflatten(3, (size, size))


def _reflected(points: Tensor, layers: Sequence[Layer], library: PictureLibrary) -> Tensor:
    """Points outside of the picture mirrored into it, so that a scene has no edge."""
    sizes = [library.index.entries[int(layer.pictures[0])].size for layer in layers]
    last = torch.tensor([(size.width - 1, size.height - 1) for size in sizes], device=points.device)
    last = last[:, None, :, None, None]
    return last - ((points % (2 * last)) - last).abs()


def _sample(
    library: PictureLibrary, layers: Sequence[Layer], source: Tensor
) -> tuple[Tensor, Tensor]:
    """Color (B, T, 3, S, S) 0..255 and the object's coverage (B, T, S, S) 0..1 at points."""
    device = library.pictures.device
    positions = torch.from_numpy(np.stack([layer.pictures for layer in layers])).flatten()
    pictures = library.pictures[positions.to(device)].float()  # (B T, 4, H, W)
    count = source.shape[1]
    ids = torch.tensor([float(layer.object_id) for layer in layers], device=device)
    entries = [library.index.entries[int(layer.pictures[0])] for layer in layers]
    matte = torch.tensor([entry.has_matte for entry in entries], device=device)
    ids, matte = (x.repeat_interleave(count)[:, None, None] for x in (ids, matte))
    pictures[:, 3] = torch.where(matte, pictures[:, 3] / 255, pictures[:, 3] == ids)
    extent = torch.tensor([pictures.shape[-1], pictures.shape[-2]], device=device)
    grid = (2 * source.flatten(0, 1).permute(0, 2, 3, 1) + 1) / extent - 1
    sampled = F.grid_sample(pictures, grid, align_corners=False).unflatten(0, (-1, count))
    return sampled[:, :, :3], sampled[:, :, 3]


def _in_part(layers: Sequence[Layer], source: Tensor) -> Tensor:
    """(B, T, S, S) bool: on the side of the line that belongs to the target."""
    a, b, c = _stack([layer.part for layer in layers], source.device)[..., None, None, None].unbind(
        1
    )
    return a * source[:, :, 0] + b * source[:, :, 1] + c > 0


def _color(frames: Tensor, plans: Sequence[ClipPlan]) -> Tensor:
    color = _stack([plan.color for plan in plans], frames.device)[:, None]  # (B, 1, 3, 3)
    offset = _stack([plan.offset for plan in plans], frames.device)[..., None]  # (B, T, 3, 1)
    return (color @ frames.flatten(3) + offset).unflatten(3, frames.shape[-2:]).clamp_(0, 255)


def _blur(frames: Tensor, plans: Sequence[ClipPlan]) -> Tensor:
    """The frames, those with a kernel of more than one cell convolved with it."""
    kernels = _stack([plan.blur for plan in plans], frames.device)  # (B, T, 5, 5)
    clips, times = torch.nonzero(kernels[..., BLUR_SIZE // 2, BLUR_SIZE // 2] < 1, as_tuple=True)
    if not len(clips):
        return frames
    chosen = frames[clips, times].flatten(0, 1)[None]  # (1, M 3, S, S)
    weights = kernels[clips, times].repeat_interleave(3, 0)[:, None]
    padded = F.pad(chosen, [BLUR_SIZE // 2] * 4, mode="replicate")
    blurred = F.conv2d(padded, weights, groups=weights.shape[0])
    frames[clips, times] = blurred[0].unflatten(0, (-1, 3))
    return frames


def _only_given(labels: Tensor, given: Tensor, targets: int) -> Tensor:
    """Labels without the targets of which no given frame shows a pixel."""
    for target in range(1, targets + 1):
        shown = (labels[:, given.to(labels.device)] == target).flatten(1).any(1)
        labels = labels.masked_fill((labels == target) & ~shown[:, None, None, None], 0)
    return labels


def _stack(arrays: Sequence[np.ndarray], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack(arrays)).to(device)


def _column(values: Sequence[int | bool], device: torch.device) -> Tensor:
    """(B, 1, 1, 1) one value for each clip."""
    return torch.tensor(values, device=device)[:, None, None, None]
