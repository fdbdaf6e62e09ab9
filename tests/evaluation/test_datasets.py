"""Data sets in the layout of DAVIS are read, and a folder that is none is told what it lacks."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.errors import FormatError, InputError
from xmempp_core.evaluation.baselines import flow_masks, nearest_masks
from xmempp_core.evaluation.datasets import open_dataset, open_datasets
from xmempp_core.formats.annotations.label_maps import write_label_map
from xmempp_core.formats.frames.open import open_frames


def write_sequence(frames: Path, masks: Path, *, count: int = 4, masked=(0, 1, 2, 3)) -> None:
    for folder in (frames, masks):
        folder.mkdir(parents=True)
    for t in range(count):
        cv2.imwrite(str(frames / f"{t:05d}.jpg"), np.full((20, 30, 3), 40 * t, np.uint8))
    for t in masked:
        labels = torch.zeros(20, 30, dtype=torch.uint8)
        labels[5:15, 5 + t : 15 + t] = 1
        labels[15:18, 2:12] = 7
        write_label_map(masks / f"{t:05d}.png", labels)


def write_dataset(root: Path, *, resolution: str = "", names=("boat", "ant")) -> Path:
    for name in names:
        parts = [root / kind / resolution / name for kind in ("JPEGImages", "Annotations")]
        write_sequence(*parts)
    return root


@pytest.mark.parametrize("resolution", ["", "480p"])
def test_sequences_with_their_masks_are_found(tmp_path: Path, resolution: str) -> None:
    clips = open_dataset(write_dataset(tmp_path, resolution=resolution))

    assert [clip.name for clip in clips] == ["ant", "boat"]
    assert len(clips[0]) == 4
    assert clips[0].source.size == (20, 30)
    assert list(clips[0].mask_files) == [0, 1, 2, 3]
    assert set(np.unique(clips[0].truth(2))) == {0, 1, 7}
    annotations = clips[0].annotations([3, 1])
    assert annotations.frame_indices == (1, 3)
    assert annotations.object_ids == (1, 7)
    assert int(annotations.at(3).mask(1).sum()) == 100


def test_sparse_masks_belong_to_the_frames_of_their_names(tmp_path: Path) -> None:
    write_sequence(
        tmp_path / "JPEGImages" / "lake", tmp_path / "Annotations" / "lake", masked=(1, 3)
    )

    (clip,) = open_dataset(tmp_path)

    assert list(clip.mask_files) == [1, 3]
    with pytest.raises(InputError, match=r"sequence lake: frame 0 has no label map; .* of 1, 3"):
        clip.annotations([0])


def test_every_second_frame_keeps_its_mask(tmp_path: Path) -> None:
    write_sequence(tmp_path / "JPEGImages", tmp_path / "Annotations", count=5, masked=(0, 2, 3))

    (clip,) = open_dataset(tmp_path)
    thin = clip.every(2)

    assert clip.name == tmp_path.name
    assert len(thin) == 3
    assert list(thin.mask_files) == [0, 1]
    assert thin.source.name(1) == "00002"
    assert torch.equal(thin.source.frame(1), clip.source.frame(2))
    assert np.array_equal(thin.truth(1), clip.truth(2))


@pytest.mark.parametrize(
    "line", ["boat", "/JPEGImages/480p/boat/00000.jpg /Annotations/480p/boat/0.png"]
)
def test_a_subset_names_its_sequences(tmp_path: Path, line: str) -> None:
    write_dataset(tmp_path)
    (tmp_path / "ImageSets" / "2016").mkdir(parents=True)
    (tmp_path / "ImageSets" / "2016" / "val.txt").write_text(f"{line}\n{line}\n")

    assert [clip.name for clip in open_dataset(tmp_path, subset="val")] == ["boat"]
    assert [clip.name for clip in open_dataset(tmp_path, sequences=["ant"])] == ["ant"]


def test_sequences_are_taken_from_the_data_set_that_holds_them(tmp_path: Path) -> None:
    one, other = (write_dataset(tmp_path / n, names=(n, f"{n}2")) for n in ("ant", "boat"))

    assert len(open_datasets([one, other])) == 4
    clips = open_datasets([one, other], sequences=["boat", "ant2"])
    assert [clip.name for clip in clips] == ["ant2", "boat"]
    assert [clip.name for clip in open_datasets([one, other], sequences=["boat"])] == ["boat"]
    with pytest.raises(InputError, match=r"lacks the sequence cat; .* are ant, ant2, boat, boat2"):
        open_datasets([one, other], sequences=["ant", "cat"])


def test_objects_that_meta_json_does_not_list_do_not_count(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    meta = {"videos": {"boat": {"objects": {"7": {"frame_range": {"start": 0}}}}}}
    (tmp_path / "meta.json").write_text(json.dumps(meta))

    ant, boat = open_dataset(tmp_path)

    assert set(np.unique(boat.truth(0))) == {0, 7}
    assert set(np.unique(ant.truth(0))) == {0, 1, 7}
    assert boat.annotations([0]).object_ids == (7,)


def test_a_folder_that_is_no_data_set_is_told_what_it_lacks(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "set")

    with pytest.raises(FormatError, match="lacks the folder JPEGImages"):
        open_dataset(tmp_path)
    with pytest.raises(
        FormatError, match="lacks the sequence cat; the sequences there are ant, boat"
    ):
        open_dataset(root, sequences=["cat"])
    with pytest.raises(FormatError, match=r"lacks the list ImageSets/val\.txt"):
        open_dataset(root, subset="val")
    (root / "meta.json").write_text("[]")
    with pytest.raises(FormatError, match=r"meta\.json: is not the usual"):
        open_dataset(root)
    (root / "meta.json").unlink()
    (root / "Annotations" / "ant" / "00009.png").write_bytes(
        (root / "Annotations" / "ant" / "00000.png").read_bytes()
    )
    with pytest.raises(FormatError, match=r"00009.png has no frame of that name"):
        open_dataset(root)
    for path in (root / "Annotations" / "ant").iterdir():
        path.unlink()
    with pytest.raises(FormatError, match="holds no label-map PNG"):
        open_dataset(root)
    (root / "Annotations" / "ant").rmdir()
    with pytest.raises(FormatError, match="is missing; sequence ant needs its label maps there"):
        open_dataset(root)


def moving_square(frames: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """A textured square that moves 3 pixels a frame over a textured ground, with its masks."""
    generator = np.random.default_rng(0)
    smooth = lambda shape: cv2.GaussianBlur(generator.uniform(0, 255, shape), (7, 7), 2)  # noqa: E731
    ground, square = smooth((80, 120, 3)), smooth((30, 30, 3))
    clip = np.stack([ground] * frames)
    masks = np.zeros((frames, 80, 120), np.uint8)
    for t in range(frames):
        clip[t, 25:55, 20 + 3 * t : 50 + 3 * t] = square[::-1]
        masks[t, 25:55, 20 + 3 * t : 50 + 3 * t] = 2
    stretched = (clip - clip.min()) / (clip.max() - clip.min()) * 255
    return torch.from_numpy(stretched.astype(np.uint8)), torch.from_numpy(masks)


def test_the_nearest_mask_is_copied_and_flow_carries_it_along() -> None:
    frames, masks = moving_square()
    annotations = AnnotationSet(tuple(Annotation.from_label_map(t, masks[t]) for t in (1, 4)))

    copied = dict(nearest_masks(annotations, 6))
    carried = dict(flow_masks(open_frames(frames), annotations))

    assert sorted(copied) == sorted(carried) == list(range(6))
    for t, anchor in enumerate([1, 1, 1, 4, 4, 4]):
        assert np.array_equal(copied[t], masks[anchor].numpy())
    for t in (0, 2, 3, 5):
        wrong_copied = (copied[t] != masks[t].numpy()).sum()
        assert (carried[t] != masks[t].numpy()).sum() < 0.5 * wrong_copied
    for t in (1, 4):
        assert np.array_equal(carried[t], masks[t].numpy())


def test_a_baseline_without_annotation_is_refused() -> None:
    with pytest.raises(InputError, match="a baseline needs one label map"):
        dict(nearest_masks(AnnotationSet(), 3))
