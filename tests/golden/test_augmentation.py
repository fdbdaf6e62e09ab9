"""The eleven augmentations against the recorded pictures and masks of the reference program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from xmempp_core.propagation.augment import ELEVEN, augment_annotation

DATA = np.load(Path(__file__).parents[1] / "data" / "l_augment.npz")
KIND = {name: f"{name}_30" if name.startswith("rotate") else name for name in ELEVEN}


@pytest.mark.parametrize("name", ELEVEN)
def test_picture_and_masks_equal_the_recorded_ones(name: str) -> None:
    frame, masks = torch.from_numpy(DATA["frame"]), torch.from_numpy(DATA["mask"]).bool()

    (got,) = augment_annotation([KIND[name]], frame, masks)

    difference = np.abs(got.frame.numpy().astype(int) - DATA[f"img_{name}"]).max(-1)
    assert (difference <= 2).mean() >= 0.99
    expected = DATA[f"mask_{name}"] if f"mask_{name}" in DATA else DATA["mask"]
    assert (got.masks.numpy() == expected).mean() >= 0.99
