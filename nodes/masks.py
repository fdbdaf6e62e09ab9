"""MASK values of any node, and SAM 3 tracks, as masks of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from ..xmempp_core import FrameSource

LOAD_IMAGE_EMPTY = (64, 64)
"""Size of the empty mask that Load Image gives for a picture without alpha."""


def masks_of(mask: Tensor) -> Tensor:
    """(N, H, W) float32 of a MASK in any shape in use: [H,W], [N,H,W], [N,1,H,W], [N,H,W,1].

    Raises:
        InputError: the tensor has another shape.
    """
    from ..xmempp_core import InputError

    shape = tuple(mask.shape)
    if mask.ndim == 2:
        mask = mask[None]
    elif mask.ndim == 4 and shape[1] == 1:
        mask = mask[:, 0]
    elif mask.ndim == 4 and shape[3] == 1:
        mask = mask[..., 0]
    if mask.ndim != 3 or 0 in shape:
        raise InputError(f"mask is a tensor of shape {shape}; link a MASK of shape [N, H, W]")
    return mask.float().cpu()


def mask_for_frame(mask: Tensor, frame_index: int, source: FrameSource) -> Tensor:
    """(H, W) bool mask of one frame at the size of the frames.

    Args:
        mask: one mask, or one for each frame of the clip.
        frame_index: the frame.
        source: the clip.

    Raises:
        InputError: another number of masks, or the mask is empty.
        ShapeError: the mask has another aspect ratio than the frames.
    """
    from ..xmempp_core import InputError, fit_masks

    masks = masks_of(mask)
    if len(masks) not in (1, len(source)):
        raise InputError(
            f"mask holds {len(masks)} masks, but the clip has {len(source)} frames; "
            "link one mask, or one for each frame"
        )
    chosen = masks[frame_index if len(masks) == len(source) else 0] > 0.5
    refuse_empty(chosen, f"mask of frame {frame_index}")
    return fit_masks(chosen, source.size, f"mask of frame {frame_index}")


def masks_by_frame(mask: Tensor, frame_indices: tuple[int, ...]) -> dict[int, Tensor]:
    """Masks (1, H, W) bool of one object, by frame; an empty one among others says "absent".

    Args:
        mask: one mask for each index, or one for each frame of a clip, or a single one for all.
        frame_indices: the frames, ascending.

    Raises:
        InputError: the numbers do not fit, or all masks are empty.
    """
    from ..xmempp_core import InputError

    masks = masks_of(mask) > 0.5
    refuse_empty(masks, "masks")
    count = len(frame_indices)
    if len(masks) == count:
        return {i: masks[k : k + 1] for k, i in enumerate(frame_indices)}
    if len(masks) == 1:
        return dict.fromkeys(frame_indices, masks)
    if frame_indices[-1] >= len(masks):
        raise InputError(
            f"masks holds {len(masks)} masks and frame_indices {count} frames up to "
            f"{frame_indices[-1]}; link one mask for each of them, or one for each frame"
        )
    return {i: masks[i : i + 1] for i in frame_indices}


def refuse_empty(mask: Tensor, what: str) -> None:
    """Raises InputError when no pixel of a mask (..., H, W) is set."""
    from ..xmempp_core import InputError

    if mask.any():
        return
    height, width = mask.shape[-2:]
    if (height, width) == LOAD_IMAGE_EMPTY:
        raise InputError(
            f"{what}: it is empty and 64x64, which is what Load Image gives for a picture without "
            "transparency; use Load Image (as Mask) with channel red, or paint a mask"
        )
    raise InputError(
        f"{what}: no pixel of the {width}x{height} mask is set; link a mask with the object in it, "
        "or switch on absent in Add Permanent Annotation to say that the object is not there"
    )


def sam3_masks(track: Any, frame_indices: tuple[int, ...]) -> dict[int, Tensor]:
    """Masks (N_obj, H, W) bool of chosen frames of a ComfyUI SAM 3 track, by frame.

    Raises:
        InputError: it is no such track, it holds no object, or a frame is past its end.
    """
    from ..xmempp_core import InputError

    packed, frame_count = track.get("packed_masks"), track.get("n_frames", 0)
    if packed is None:
        raise InputError(
            "the SAM 3 track holds no object; try another text or a lower threshold in SAM 3"
        )
    past = [i for i in frame_indices if i >= len(packed)]
    if past:
        raise InputError(
            f"frame_indices names frame {past[0]}, but the SAM 3 track has {frame_count} frames; "
            f"choose 0 to {len(packed) - 1}"
        )
    height, width = track["orig_size"]
    return {i: _unpacked(packed[i], height, width) for i in frame_indices}


def _unpacked(packed: Tensor, height: int, width: int) -> Tensor:
    """Bits (N, h, w / 8), lowest first, as masks (N, height, width)."""
    bits = 2 ** torch.arange(8, device=packed.device)
    small = (packed.unsqueeze(-1).int() & bits.int()).bool().flatten(-2)
    resized = F.interpolate(
        small[None].float(), (height, width), mode="bilinear", align_corners=False
    )
    return resized[0].cpu() > 0.5
