"""Files of version 0.1.0, kept as it wrote them, open and say the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from xmempp_core.annotations import AbsenceRange, AnnotationSet
from xmempp_core.errors import FormatError
from xmempp_core.formats.annotations.folder import load_annotations
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.formats.tracks import load_track
from xmempp_core.network.checkpoint import convert, load_model
from xmempp_core.network.weights_file import read_weights

OLD = Path(__file__).parents[1] / "data" / "v0.1.0"
FRAMES = 6


def assert_as_annotated(annotations: AnnotationSet) -> None:
    assert annotations.frame_indices == (0, 3, 5)
    assert annotations.names == {1: "fox", 3: "jörg"}
    assert annotations.absences == (AbsenceRange(3, 4, 4),)
    first, both, absent = annotations
    assert first.exhaustive
    assert (first.mask(1).sum(), first.mask(3).sum()) == (14 * 14, 14 * 16)
    assert not both.exhaustive
    assert both.mask(3).sum() == 20 * 30  # the mask file lies over the map
    assert both.mask(1).sum() == 20 * 30 - 10 * 10
    assert (absent.object_ids, absent.absent_ids) == ((3,), (3,))


def test_an_annotation_folder_of_0_1_0_opens() -> None:
    assert_as_annotated(load_annotations(OLD / "annotations", open_frames(OLD / "frames")))


def test_a_track_of_0_1_0_opens_with_the_same_masks_and_mattes() -> None:
    track = load_track(OLD / "shot.xmtrack")
    assert_as_annotated(track.annotations)
    assert track.frame_names == tuple(f"plate.{1001 + t}" for t in range(FRAMES))
    with np.load(OLD / "expected.npz") as expected:
        labels, soft = torch.from_numpy(expected["labels"]), torch.from_numpy(expected["soft"])
    for t in set(range(FRAMES)) - {3}:
        assert torch.equal(track.label_map(t), labels[t])
        torch.testing.assert_close(track.probabilities(t), soft[t].float(), atol=1e-3, rtol=0)
    # Where the annotated masks overlap, masks and mattes of 0.1.0 did not agree.
    assert torch.equal(track.label_map(3) != 0, labels[3] != 0)
    annotated = track.annotations.at(3)
    assert annotated is not None
    for channel, object_id in enumerate((1, 3), 1):
        assert torch.equal(track.label_map(3) == object_id, annotated.mask(object_id))
        assert torch.equal(track.probabilities(3)[channel] == 1, annotated.mask(object_id))


def test_a_track_of_a_newer_version_is_refused_with_its_version(tmp_path: Path) -> None:
    newer = tmp_path / "newer.xmtrack"
    with zipfile.ZipFile(OLD / "shot.xmtrack") as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "track.json":
                content = json.dumps({**json.loads(content), "version": 99}).encode()
            new.writestr(name, content)
    with pytest.raises(FormatError, match="version 99"):
        load_track(newer)


def test_notes_of_a_newer_version_are_refused_with_their_version(tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_text('{"version": 99}', encoding="utf-8")
    with pytest.raises(FormatError, match="version 99"):
        load_annotations(tmp_path, open_frames(OLD / "frames"))


def test_a_model_that_0_1_0_converted_opens_with_the_same_facts() -> None:
    info = load_model(OLD / "converted.safetensors").info
    assert (info.architecture, info.key_channels, info.value_channels) == ("xmem", 8, 16)
    assert (info.sensory_channels, info.parameter_count) == (4, 69394)
    assert info.license == "not stated in the file; see the XMem project"


def test_a_model_says_its_version_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    convert(OLD / "converted.safetensors", tmp_path / "new.safetensors")
    state, metadata = read_weights(tmp_path / "new.safetensors")
    assert metadata["xmempp_format_version"] == "1"
    newer = tmp_path / "newer.safetensors"
    save_file(state, newer, {**metadata, "xmempp_format_version": "2"})
    with pytest.raises(FormatError, match=r"newer\.safetensors: .*newer.*update the program"):
        load_model(newer)
