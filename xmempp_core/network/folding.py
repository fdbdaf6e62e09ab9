"""Batch norms folded into the convolutions before them, for networks that are only run."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .winograd import KERNEL, Conv3x3


def fold_batch_norms(network: nn.Module) -> None:
    """Folds every batch norm of a network in evaluation mode into the convolution it follows.

    A norm follows the convolution that stands before it among its parent's children, as in
    torchvision's blocks; it leaves an identity in its place. Convolutions gain a bias, so that the
    weights no longer have the names of the file.
    """
    for parent in list(network.modules()):
        name_before, before = "", None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
                setattr(parent, name_before, _run_only(fuse_conv_bn_eval(before, child)))
                setattr(parent, name, nn.Identity())
            name_before, before = name, child


def _run_only(conv: nn.Conv2d) -> nn.Conv2d:
    """The same convolution, of the kind that is faster on a processor where it has 3x3 pixels."""
    plain = conv.kernel_size == (KERNEL, KERNEL) and conv.stride == (1, 1) and conv.groups == 1
    if not plain or conv.dilation != (1, 1):
        return conv
    made = Conv3x3(conv.in_channels, conv.out_channels)
    made.weight, made.bias = conv.weight, conv.bias
    return made
