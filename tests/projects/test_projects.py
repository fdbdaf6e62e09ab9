"""Projects on disk: immutable files, lists, sweeps, archives, and what they say on a clip."""

from __future__ import annotations

import io
import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xmempp_core.annotations import AbsenceRange, Annotation, AnnotationSet
from xmempp_core.errors import FormatError, InputError, ShapeError
from xmempp_core.projects.archive import archive_of, open_archive
from xmempp_core.projects.document import Document, FrameSaid, ProjectObject
from xmempp_core.projects.fitting import Clip, document_from, fitted_project
from xmempp_core.projects.masks import mask_from_png, mask_to_png
from xmempp_core.projects.store import Project, content_name
from xmempp_core.types import Size

ID = "0123456789abcdef"
SIZE = Size(24, 32)
CLIP = Clip("c" * 40, SIZE, 20)
ONE, TWO = ProjectObject(1, "cat", "#0072b2"), ProjectObject(2, "", "#e69f00")


def labels(*ids: int, size: Size = SIZE) -> np.ndarray:
    """A column for each id."""
    result = np.zeros(size, np.uint8)
    for place, object_id in enumerate(ids):
        result[4:20, 8 * place : 8 * place + 6] = object_id
    return result


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "xmempp", ID)


def document(project: Project, **more: object) -> Document:
    """Objects 1 and 2 on frame 3, object 1 alone on frame 9, object 2 not there on frame 12."""
    both, alone = project.put_labels(labels(1, 2)), project.put_labels(labels(1))
    frames = {
        9: FrameSaid(alone, (1,)),
        3: FrameSaid(both, (1, 2)),
        12: FrameSaid("", (), (2,)),
    }
    facts = {"source": CLIP.key, "objects": (ONE, TWO), "frames": frames, **more}
    return Document(**facts)  # type: ignore[arg-type]


def age(path: Path) -> None:
    os.utime(path, (1, 1))


# ---- files


def test_files_are_named_by_their_content_and_written_once(project: Project) -> None:
    name = project.put_labels(labels(1))
    path = project.mask_path(name)
    age(path)
    assert project.put_labels(labels(1)) == name
    assert path.stat().st_mtime == 1
    assert content_name(path.read_bytes()) == name
    assert (project.labels(name) == labels(1)).all()


def test_a_damaged_mask_is_told_and_mended_by_keeping_it_again(project: Project) -> None:
    name = project.put_labels(labels(1))
    project.mask_path(name).write_bytes(b"damaged")
    with pytest.raises(FormatError, match="is damaged; restore it"):
        project.mask_png(name)
    project.put_labels(labels(1))
    assert (project.labels(name) == labels(1)).all()


@pytest.mark.parametrize("name", ["", "..", "../../x", "a" * 39, "A" * 40, "a" * 40 + "\n"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, project: Project, name: str) -> None:
    for project_id in (name, name[:15], f"{name[:16]}\n"):
        with pytest.raises(InputError, match="no project id"):
            Project(tmp_path, project_id)
    for call in (project.mask_png, project.document, project.has_mask, project.model_path):
        with pytest.raises(InputError, match="is no name of a file in a project"):
            call(name)


def test_a_revision_that_is_saved_again_is_the_latest(project: Project) -> None:
    first = project.put_document(document(project))
    second = project.put_document(document(project, parent=first))
    age(project.revision_path(first))
    assert [one.revision for one in project.revisions()] == [second, first]
    project.put_document(document(project))
    assert [one.revision for one in project.revisions()] == [first, second]


def test_the_sizes_of_the_list_add_up_to_the_project(project: Project) -> None:
    first = project.put_document(document(project))
    project.put_document(document(project, parent=first))
    listed = project.revisions()
    assert sum(one.size_bytes for one in listed) == project.size_bytes
    assert [one.annotation_count for one in listed] == [3, 3]


def test_a_damaged_revision_is_left_out_of_the_list_and_said_when_asked_for(
    project: Project,
) -> None:
    name = project.put_document(document(project))
    project.revision_path(name).write_text("{}", encoding="utf-8")
    assert project.revisions() == []
    with pytest.raises(FormatError, match="go back to another revision"):
        project.document(name)


def test_a_sweep_removes_what_no_kept_revision_names(project: Project) -> None:
    kept = project.put_document(document(project))
    lonely = project.put_labels(labels(5))
    fresh = project.put_labels(labels(6))
    gone = project.put_document(document(project, frames={1: FrameSaid(lonely, (1,))}))
    for path in project.folder.rglob("*.png"):
        age(path)
    project.mask_path(fresh).touch()
    before = project.size_bytes
    swept = project.sweep([kept])
    assert swept.file_count == 2
    assert swept.size_bytes == before - project.size_bytes
    assert project.has_document(kept)
    assert not project.has_document(gone)
    assert not project.has_mask(lonely)
    assert project.has_mask(fresh), "its revision may be on the way"
    assert len(fitted_project(project, project.document(kept), CLIP).annotations) == 3


def test_a_sweep_that_names_nothing_or_something_unknown_removes_nothing(project: Project) -> None:
    project.put_document(document(project))
    before = project.size_bytes
    with pytest.raises(InputError, match="no revision is named"):
        project.sweep([])
    with pytest.raises(InputError, match="is not in project"):
        project.sweep(["0" * 40])
    assert project.size_bytes == before


# ---- masks


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_a_label_map_comes_back_from_its_png(seed: int, height: int, width: int) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    assert (mask_from_png(mask_to_png(values)) == values).all()


@given(st.binary(max_size=200), st.integers(0, 400))
def test_bytes_that_are_no_mask_are_refused_in_a_sentence(junk: bytes, cut: int) -> None:
    for data in (junk, mask_to_png(labels(1))[:cut] + junk):
        with suppress(InputError):  # any other error fails the test
            assert mask_from_png(data).dtype == np.uint8


# ---- on a clip


def test_what_is_said_is_said_and_the_rest_is_predicted(project: Project) -> None:
    fitted = fitted_project(project, document(project), CLIP)
    said = {one.frame_index: (one.object_ids, one.absent_ids) for one in fitted.annotations}
    assert said == {3: ((1, 2), ()), 9: ((1,), ()), 12: ((2,), (2,))}
    assert not any(one.exhaustive for one in fitted.annotations)
    assert dict(fitted.annotations.names) == {1: "cat"}
    assert fitted.annotations.colors[2] == (0xE6, 0x9F, 0)
    assert fitted.notices == ()


def test_an_object_without_a_pixel_is_not_said_to_be_absent(project: Project) -> None:
    frames = {3: FrameSaid(project.put_labels(labels(1)), (1, 2))}
    (one,) = fitted_project(project, document(project, frames=frames), CLIP).annotations
    assert one.object_ids == (1,)
    emptied = {3: FrameSaid(project.put_labels(labels()), (1,))}
    assert not len(fitted_project(project, document(project, frames=emptied), CLIP).annotations)


def test_pixels_of_objects_that_are_not_listed_say_nothing(project: Project) -> None:
    frames = {3: FrameSaid(project.put_labels(labels(1, 2, 255)), (1,))}
    (one,) = fitted_project(project, document(project, frames=frames), CLIP).annotations
    assert one.object_ids == (1,)
    assert one.void is not None
    assert int(one.void.sum()) == 16 * 6


def test_another_clip_keeps_what_fits_and_says_so(project: Project) -> None:
    absences = (AbsenceRange(2, 5, 15), AbsenceRange(1, 14, 15))
    whole = document(project, absences=absences)
    larger = Clip("d" * 40, Size(48, 64), 10)
    fitted = fitted_project(project, whole, larger)
    assert fitted.annotations.frame_indices == (3, 9)
    assert next(iter(fitted.annotations)).size == (48, 64)
    assert fitted.annotations.absences == (AbsenceRange(2, 5, 9),)
    assert [one.kind for one in fitted.notices] == ["clip", "size", "end"]
    other, scaled, past = (one.text for one in fitted.notices)
    assert "a new version of the plate, or another clip" in other
    assert "Masks of 32x24 are scaled to the frames' 64x48" in scaled
    assert "(12; it has 10 frames)" in past
    with pytest.raises(ShapeError, match="the mask of frame 3"):
        fitted_project(project, whole, Clip("d" * 40, Size(24, 24), 10))


def test_a_missing_mask_is_named_with_its_file(project: Project) -> None:
    whole = document(project)
    project.mask_path(whole.frames[9].mask).unlink()
    fitted = fitted_project(project, whole, CLIP)
    assert fitted.missing == (9,)
    assert fitted.annotations.frame_indices == (3, 12)
    (notice,) = fitted.notices
    assert notice.kind == "mask"
    assert f"masks/{whole.frames[9].mask}.png" in notice.text
    with pytest.raises(InputError, match="send the mask first"):
        project.put_document(whole)


def test_frames_of_which_the_next_revision_says_the_same_are_not_read_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = document(project)
    before = fitted_project(project, whole, CLIP)
    changed = {**whole.frames, 9: FrameSaid(project.put_labels(labels(2)), (1,))}
    later = document(project, frames=changed)
    read = []
    labels_of = Project.labels
    monkeypatch.setattr(
        Project, "labels", lambda self, name: read.append(name) or labels_of(self, name)
    )
    after = fitted_project(project, later, CLIP, before)
    assert read == [changed[9].mask]
    alone = fitted_project(project, later, CLIP)
    assert after.annotations.fingerprint == alone.annotations.fingerprint
    assert after.annotations.fingerprint != before.annotations.fingerprint
    larger = Clip("d" * 40, Size(48, 64), 10)
    scaled = fitted_project(project, whole, larger, before)
    assert {one.size for one in scaled.annotations} == {(48, 64)}
    project.mask_path(changed[3].mask).unlink()
    assert fitted_project(project, later, CLIP, after).missing == (3,)


def test_a_lost_mask_does_not_keep_other_frames_from_being_saved(project: Project) -> None:
    whole = document(project)
    first = project.put_document(whole)
    project.mask_path(whole.frames[9].mask).unlink()
    frames = {**whole.frames, 20: FrameSaid(project.put_labels(labels(7)), (1,))}
    second = project.put_document(document(project, frames=frames, parent=first))
    assert project.document(second).frames[9] == whole.frames[9]
    foreign = {**frames, 21: FrameSaid("e" * 40, (1,))}
    with pytest.raises(InputError, match=f"the mask {'e' * 40}, .*send the mask first"):
        project.put_document(document(project, frames=foreign, parent=second))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.data())
def test_annotations_become_a_project_and_come_back_the_same(
    tmp_path: Path, data: st.DataObject
) -> None:
    project = Project(tmp_path / "xmempp", ID)
    annotations = []
    for index in data.draw(st.sets(st.integers(0, 19), min_size=1, max_size=3)):
        seed = data.draw(st.integers(0, 999))
        values = torch.from_numpy(np.random.default_rng(seed).integers(0, 4, SIZE, np.uint8))
        void = values == 3
        if data.draw(st.booleans()):
            one = Annotation.from_label_map(index, values * ~void, void)
        else:
            masks = torch.stack([values == 1, torch.zeros_like(void)])
            one = Annotation(index, (1, 5), masks, void=void)
        annotations.append(one)
    absences = (AbsenceRange(2, 4, 6),) if data.draw(st.booleans()) else ()
    given_set = AnnotationSet(tuple(annotations), {1: "cat"}, {1: (1, 2, 3)}, absences)
    made = document_from(given_set, project, CLIP.key, CLIP.frame_count)
    back = fitted_project(project, project.document(project.put_document(made)), CLIP)
    ids = given_set.object_ids
    spelled = tuple(one.spelled_out(ids) for one in given_set)
    expected = AnnotationSet(spelled, absences=absences)
    assert back.annotations.fingerprint == expected.fingerprint
    assert back.annotations.colors[1] == (1, 2, 3)
    assert back.annotations.names[1] == "cat"
    assert back.notices == ()


def test_an_object_255_cannot_be_taken_over(project: Project) -> None:
    annotations = AnnotationSet((Annotation(0, (255,), torch.ones(1, *SIZE, dtype=torch.bool)),))
    with pytest.raises(InputError, match="give the object another id"):
        document_from(annotations, project, CLIP.key, 20)


# ---- archives


def test_an_archive_opens_on_another_machine_as_it_was(project: Project, tmp_path: Path) -> None:
    revision = project.put_document(document(project))
    data = archive_of(project, revision)
    assert archive_of(project, revision) == data
    opened, name = open_archive(data, tmp_path / "elsewhere")
    assert (opened.project_id, name) == (ID, revision)
    here, there = (
        fitted_project(one, one.document(revision), CLIP).annotations for one in (project, opened)
    )
    assert here.fingerprint == there.fingerprint


def changed(data: bytes, name: str, content: bytes | None) -> bytes:
    """An archive with one file replaced, added, or (None) left out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for one in old.namelist():
            if one != name:
                new.writestr(one, old.read(one))
        if content is not None:
            new.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("project.json", None, "project.json is not in it"),
        ("project.json", b"{", "is no JSON"),
        ("project.json", b"{}", "another version"),
        ("project.json", b'{"version": 1}', "names no project"),
        (
            "project.json",
            json.dumps({"version": 1, "project": "../../x", "revision": "a" * 40}).encode(),
            "no project id",
        ),
        (
            "project.json",
            json.dumps({"version": 1, "project": ID, "revision": "../x"}).encode(),
            "no name of a file",
        ),
        ("../../evil.py", b"print()", "which is no part of one"),
        ("masks/more.txt", b"x", "which is no part of one"),
    ],
)
def test_an_archive_that_was_tampered_with_is_refused(
    project: Project, tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    data = archive_of(project, project.put_document(document(project)))
    with pytest.raises(InputError, match=sentence):
        open_archive(changed(data, name, content), tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_a_mask_or_a_revision_that_is_another_one_is_refused(
    project: Project, tmp_path: Path
) -> None:
    whole = document(project)
    revision = project.put_document(whole)
    data = archive_of(project, revision)
    mask = f"masks/{whole.frames[3].mask}.png"
    for name, content in (
        (mask, mask_to_png(labels(4))),
        (mask, None),
        (f"revisions/{revision}.json", document(project, parent="a" * 40).to_json()),
    ):
        with pytest.raises(InputError, match="archive"):
            open_archive(changed(data, name, content), tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_damaged_archive_is_opened_whole_or_refused_in_a_sentence(
    project: Project, tmp_path: Path, data: st.DataObject
) -> None:
    whole = bytearray(archive_of(project, project.put_document(document(project))))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InputError):  # any other error fails the test
        opened, name = open_archive(bytes(whole), tmp_path / "elsewhere")
        assert opened.document(name)
