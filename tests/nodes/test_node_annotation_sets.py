"""Sets of annotations read from a folder, without ComfyUI."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


def test_maps_with_capital_suffix_are_read_and_hidden_files_of_macos_are_not(pack_module, tmp_path):
    Image.fromarray(np.full((4, 6), 2, np.uint8)).save(tmp_path / "00012.PNG")
    (tmp_path / "._00012.png").write_bytes(b"no picture")
    annotations = pack_module("nodes.annotation_sets").annotations_in(tmp_path)
    assert annotations.frame_indices == (12,)
    assert annotations.object_ids == (2,)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_without_maps_is_named(pack_module, tmp_path, name):
    (tmp_path / "empty").mkdir()
    error = pack_module("xmempp_core").FormatError
    with pytest.raises(error, match=f"{name}: is no folder of label maps"):
        pack_module("nodes.annotation_sets").annotations_in(tmp_path / name)


def test_a_folder_whose_name_is_too_long_is_refused_in_a_sentence(pack_module, tmp_path):
    error = pack_module("xmempp_core").FormatError
    with pytest.raises(error, match="cannot be read"):
        pack_module("nodes.annotation_sets").annotations_in(tmp_path / ("n" * 300))
