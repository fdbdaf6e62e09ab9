"""The annotator's routes over HTTP: what they give, and what they refuse with a sentence."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

PROJECT = "0123456789abcdef"
PREFIX = "/xmempp/annotator"
OBJECT = {"id": 1, "name": "thing", "color": "#0072b2", "locked": False, "visible": True}


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def sentence(self) -> str:
        """Of an error; it is JSON, and no browser keeps it."""
        assert self.status >= 400
        assert self.headers["Cache-Control"] == "no-store"
        (text,) = self.json.values()
        return text


Ask = Callable[..., Reply]


@pytest.fixture
def pack(pack_module, tmp_path, monkeypatch) -> ModuleType:
    """The routes' module, with ComfyUI's folders in a temporary one."""
    host = pack_module("nodes.host")
    monkeypatch.setattr(host, "folders", lambda: (tmp_path / "input", tmp_path / "output"))
    monkeypatch.setattr(host, "temporary_folder", lambda: tmp_path / "temp")
    monkeypatch.setattr(host, "named_folder", lambda name: (name.strip(), None))
    return pack_module("nodes.routes")


@pytest.fixture
def ask(pack, pack_module) -> Ask:
    """Asks a route, as the browser does."""
    serving = pack_module("nodes.serving")

    def app() -> web.Application:
        made = web.Application(client_max_size=2**18)
        for route in pack.ROUTES:
            made.router.add_route(route.method, route.path, serving.handler_of(route))
        return made

    async def send(method: str, path: str, body: Any) -> Reply:
        async with (
            TestClient(TestServer(app())) as client,
            client.request(method, PREFIX + path, data=body) as reply,
        ):
            return Reply(reply.status, await reply.read(), dict(reply.headers))

    def asked(method: str, path: str, body: Any = None) -> Reply:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return asyncio.run(send(method, path, data))

    return asked


@pytest.fixture
def clip(pack_module, pack) -> Iterator[Any]:
    """An open clip of 4 frames of 200x100: blue, with a red disk."""
    frames = torch.zeros(4, 100, 200, 3)
    frames[..., 2] = 0.7
    rows, columns = torch.meshgrid(torch.arange(100), torch.arange(200), indexing="ij")
    frames[:, (rows - 50) ** 2 + (columns - 100) ** 2 < 30**2] = torch.tensor([0.8, 0.1, 0.1])
    sources = pack_module("nodes.annotator_sources")
    opened = sources.CLIPS.opened(frames)
    yield opened
    opened.proxies.stop()
    sources.CLIPS._clips.clear()


def png(labels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(labels).save(buffer, "PNG")
    return buffer.getvalue()


def square(object_id: int = 1) -> np.ndarray:
    labels = np.zeros((100, 200), np.uint8)
    labels[30:60, 80:120] = object_id
    return labels


def document(mask: str = "", source: str = "", **more: Any) -> dict[str, Any]:
    said = {"mask": mask, "objects": [1], "absent": []}
    return {
        "version": 1,
        "source": source,
        "parent": "",
        "objects": [OBJECT],
        "annotations": {"2": said} if mask else {},
        "absent_ranges": [],
        "range": None,
        **more,
    }


def saved(ask: Ask, source: str = "") -> tuple[str, str]:
    """Names of a mask and of a revision with it."""
    mask = ask("POST", f"/projects/{PROJECT}/masks", png(square())).json["mask"]
    reply = ask("POST", f"/projects/{PROJECT}/revisions", document(mask, source))
    return mask, reply.json["revision"]


# ---- clips


def test_a_clip_says_what_it_is_and_gives_its_frames(ask, clip):
    facts = ask("GET", f"/sources/{clip.key}").json
    assert facts == {
        "key": clip.key,
        "count": 4,
        "width": 200,
        "height": 100,
        "rate": None,
        "first_number": 0,
        "digits": 5,
        "name": "",
        "widths": [160, 960],
    }
    for width, shown in ((0, 200), (160, 160), (960, 200)):
        reply = ask("GET", f"/sources/{clip.key}/frames/2?width={width}")
        assert Image.open(io.BytesIO(reply.body)).size == (shown, shown // 2)
        assert "immutable" in reply.headers["Cache-Control"]


def test_a_clip_that_is_not_open_and_a_frame_that_is_not_there_are_said(ask, clip):
    lost = ask("GET", f"/sources/{'0' * 40}")
    assert (lost.status, "open it again" in lost.sentence) == (404, True)
    path = f"/sources/{clip.key}/frames"
    assert "its frames are 0 to 3" in ask("GET", f"{path}/4").sentence
    assert "allowed is one of 0, 160, 960" in ask("GET", f"{path}/0?width=5000").sentence
    assert "whole number" in ask("GET", f"{path}/-1").sentence
    assert "whole number" in ask("GET", f"{path}/1?width=1e9").sentence


# ---- masks and revisions


def test_masks_and_revisions_come_back_as_they_went(ask):
    mask, revision = saved(ask)
    reply = ask("GET", f"/projects/{PROJECT}/masks/{mask}")
    assert "immutable" in reply.headers["Cache-Control"]
    assert (np.array(Image.open(io.BytesIO(reply.body))) == square()).all()
    assert ask("GET", f"/projects/{PROJECT}/revisions/{revision}").json == document(mask)
    listed = ask("GET", f"/projects/{PROJECT}/revisions").json
    assert listed["latest"] == revision
    assert [one["annotations"] for one in listed["revisions"]] == [1]
    assert listed["bytes"] == listed["revisions"][0]["bytes"] > 0


def test_a_canvas_picture_and_a_gray_one_of_the_same_pixels_are_one_mask(ask):
    gray = square()
    canvas = np.dstack([gray, gray, gray, np.full_like(gray, 255)])
    names = [
        ask("POST", f"/projects/{PROJECT}/masks", png(pixels)).json["mask"]
        for pixels in (gray, canvas)
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "is no PNG"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 40, "allowed|pixels|no PNG"),
        (b"x" * 2000, "is no PNG"),
        (png(np.dstack([square(), square(2), square()])), "is colored"),
        (png(square().astype(np.uint16) * 300), "16 bits"),
    ],
)
def test_what_is_no_mask_is_refused(ask, body, sentence, tmp_path):
    import re

    reply = ask("POST", f"/projects/{PROJECT}/masks", body)
    assert reply.status == 400
    assert re.search(sentence, reply.sentence)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize(
    "path",
    [
        "/projects/..%2F..%2Fetc/masks/" + "0" * 40,
        f"/projects/{PROJECT}/masks/..%2F..%2Fsecret",
        f"/projects/{PROJECT}/masks/{'A' * 40}",
        f"/projects/{PROJECT}x/revisions",
        f"/projects/{PROJECT}/revisions/%2e%2e",
        f"/projects/{PROJECT}/export?revision=../../x",
    ],
)
def test_no_path_leads_out_of_a_project(ask, path):
    reply = ask("GET", path)
    assert reply.status in (400, 404)
    if reply.headers["Content-Type"].startswith("application/json"):
        assert "no project id" in reply.sentence or "no name of a file" in reply.sentence


def test_a_revision_with_a_missing_mask_or_a_foreign_field_is_refused(ask):
    where = f"/projects/{PROJECT}/revisions"
    assert "send the mask first" in ask("POST", where, document("0" * 40)).sentence
    assert "has the field 'more'" in ask("POST", where, document(more=1)).sentence
    assert "is no JSON" in ask("POST", where, b"{").sentence


def test_what_is_not_there_is_a_404_with_a_sentence(ask):
    for path in ("masks", "revisions"):
        reply = ask("GET", f"/projects/{PROJECT}/{path}/{'0' * 40}")
        assert reply.status == 404
        assert "is not in" in reply.sentence
    empty = ask("GET", f"/projects/{PROJECT}/revisions").json
    assert empty == {"latest": "", "revisions": [], "bytes": 0}


def test_a_body_that_is_too_large_is_refused_before_it_is_read(ask):
    reply = ask("POST", f"/projects/{PROJECT}/masks", b"0" * (2**18 + 1))
    assert reply.status == 413
    assert "send less" in reply.sentence


def test_a_sweep_keeps_what_is_named(ask):
    mask, revision = saved(ask)
    other = ask("POST", f"/projects/{PROJECT}/revisions", document()).json["revision"]
    where = f"/projects/{PROJECT}/sweep"
    assert "no revision is named" in ask("POST", where, {"keep": []}).sentence
    assert "no list" in ask("POST", where, {"keep": "all"}).sentence
    assert ask("POST", where, {"keep": [revision]}).json["removed"] == 1
    assert ask("GET", f"/projects/{PROJECT}/revisions/{other}").status == 404
    assert ask("GET", f"/projects/{PROJECT}/masks/{mask}").status == 200


def test_a_project_goes_through_one_file(ask, tmp_path):
    mask, revision = saved(ask)
    reply = ask("GET", f"/projects/{PROJECT}/export?revision={revision}")
    assert "attachment" in reply.headers["Content-Disposition"]
    (tmp_path / "input").rename(tmp_path / "elsewhere")
    opened = ask("POST", "/projects/import", reply.body).json
    assert opened == {"project": PROJECT, "revision": revision}
    assert ask("GET", f"/projects/{PROJECT}/masks/{mask}").status == 200
    assert "no project archive" in ask("POST", "/projects/import", b"PK").sentence
    assert zipfile.ZipFile(io.BytesIO(reply.body)).testzip() is None


def test_save_writes_the_folder_that_load_annotations_reads(ask, clip, tmp_path):
    from xmempp_core import load_annotations

    _, revision = saved(ask, clip.key)
    given = {"name": "shot/ten", "revision": revision, "source": clip.key}
    answer = ask("POST", f"/projects/{PROJECT}/save", given).json
    assert answer == {"folder": "shot/ten [output]", "notices": []}
    folder = tmp_path / "output" / "shot" / "ten"
    loaded = load_annotations(folder, clip.frames)
    assert loaded.at(2).object_ids == (1,)
    outside = {**given, "name": "../../x"}
    assert "does not lead" in ask("POST", f"/projects/{PROJECT}/save", outside).sentence


# ---- proposals and results


def test_smart_select_proposes_the_disk_that_was_stroked(ask, clip):
    stroke = {"source": clip.key, "frame": 1, "inside": [[90, 50], [110, 52]], "radius": 3}
    ring = [[60, 10], [140, 10], [140, 90], [60, 90]]
    reply = ask("POST", "/select", {**stroke, "ring": ring})
    mask = np.array(Image.open(io.BytesIO(reply.body)))
    rows, columns = np.mgrid[:100, :200]
    disk = (rows - 50) ** 2 + (columns - 100) ** 2 < 30**2
    assert set(np.unique(mask)) == {0, 255}
    assert (disk & (mask > 0)).sum() / (disk | (mask > 0)).sum() > 0.95


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frame": 9}, "frame 9 is not in the clip"),
        ({"frame": "1"}, "is not in the clip"),
        ({"inside": []}, "nothing is drawn"),
        ({"inside": [[1]]}, "no list of points"),
        ({"inside": [[True, 1]]}, "no list of points"),
        ({"ring": [[0, 0], [1, 1]]}, "less than 3"),
        ({"inside": [[-50, -50]]}, "lies outside the frame"),
        ({"radius": "big"}, "no number"),
        ({"radius": 0}, "radius_pixels is 0"),
        ({"extra": 1}, "has the field 'extra'"),
    ],
)
def test_a_stroke_that_cannot_be_used_is_refused(ask, clip, change, sentence):
    stroke = {"source": clip.key, "frame": 1, "inside": [[90, 50]]} | change
    assert sentence in ask("POST", "/select", stroke).sentence


def test_results_are_given_frame_by_frame(ask, pack_module, clip):
    from xmempp_core import Annotation, AnnotationSet, PropagationSettings, Segmentation, Track
    from xmempp_core.types import ModelInfo

    masks = torch.from_numpy(square() > 0)[None]
    annotations = AnnotationSet((Annotation(0, (1,), masks),))
    info = ModelInfo("toy", Path("toy"), "xmem", 1, 1, 1, 1, "0" * 64, "", "")
    settings = PropagationSettings(direction="independent")
    track = Track(clip.shot, annotations, settings, info)
    results = pack_module("nodes.annotator_results")
    key = results.ResultKey(clip.key, annotations.fingerprint, "toy", settings, (0, 3))
    result = results.RESULTS.keep(results.ShotResult("1" * 40, track, (0, 3), key))
    soft = torch.zeros(2, 50, 100)
    soft[1, 10:20, 30:50] = 0.75
    soft[0] = 1 - soft[1]
    result.add(Segmentation.of(3, (1,), soft, clip.frames.size, None, ()))

    summary = ask("GET", f"/results/{'1' * 40}").json
    assert (summary["kind"], summary["frames"]) == ("answers", [3])
    assert summary["confidence"] == {"1": [None, None, None, 0.5]}
    labels = np.array(Image.open(io.BytesIO(ask("GET", f"/results/{'1' * 40}/3").body)))
    assert labels.shape == (100, 200)
    assert labels[30, 80] == 1
    matte = np.array(Image.open(io.BytesIO(ask("GET", f"/results/{'1' * 40}/3/matte/1").body)))
    assert matte[30, 80] == 191
    for path in ("0" * 40, f"{'1' * 40}/2", f"{'1' * 40}/3/matte/7", f"{'1' * 40}/2/matte/1"):
        reply = ask("GET", f"/results/{path}")
        assert reply.status == 404
        assert reply.sentence


# ---- house rules


def test_what_changes_files_is_a_post_and_nothing_else_is(pack):
    changing = {"masks", "revisions", "sweep", "save", "import", "select"}
    for route in pack.ROUTES:
        last = route.path.rsplit("/", 1)[1]
        assert route.path.startswith(PREFIX)
        assert (route.method == "POST") == (route.most_bytes > 0)
        if route.method == "POST":
            assert last in changing


def test_no_module_behind_the_routes_unpickles():
    root = Path(__file__).parents[2]
    files = [*root.glob("nodes/*.py"), *root.glob("xmempp_core/projects/*.py")]
    assert files
    for path in files:
        assert "pickle" not in path.read_text(encoding="utf-8"), path.name
