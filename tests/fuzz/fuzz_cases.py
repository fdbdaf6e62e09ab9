"""The calls of the fuzz run: at least 300, the same for the same seed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import fuzz_inputs as inputs
import numpy as np
from PIL import Image
from tiny import tiny_network
from training_data import write_training_data

from xmempp_core.network.weights_file import write_weights

SMALL = ["--set", "internal_size=null", "--device", "cpu", "--dtype", "float32", "--quiet"]
HOSTILE_JSON = {
    "100,000 brackets": "[" * 100_000,
    "100,000 objects": '{"a":' * 100_000,
    "5,000 digits": '{"version": ' + "9" * 5000 + "}",
    "Infinity": '{"version": Infinity}',
    "NaN": '{"version": NaN, "top_k": NaN}',
    "1e999": '{"version": 1e999, "top_k": 1e999}',
    "a NUL": '{"version": "\\u0000", "names": {"1": "\\u0000"}}',
    "a surrogate": '{"names": {"1": "\\ud800"}}',
    "a list": "[1, 2]",
    "a string": '"text"',
    "cut": '{"version": ',
    "not UTF-8": "\udcff\udcfe{}",
}


@dataclass(frozen=True)
class Case:
    """One call and how it is told from others."""

    name: str
    call: dict[str, Any]
    """{"argv": [...]} or {"function": "module.name", "arguments": [...]}."""
    before: list[dict[str, Any]] = field(default_factory=list)
    """Calls whose outcome does not count, such as a run that is interrupted."""
    between: dict[str, str] = field(default_factory=dict)
    """Damage done after `before`: {"folder": ..., "damage": ..., "seed": ...}."""


class Shot:
    """What is whole: frames, maps, a model, a track; each case breaks one thing of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.frames = inputs.write_frames(root / "frames")
        self.maps = inputs.write_maps(root / "maps", (0, 3))
        self.model = root / "tiny.safetensors"
        write_weights(self.model, tiny_network("xmemlite-1").state_dict(), {"license": "CC0"})
        self.track = root / "base" / "track.xmtrack"
        self._folders = 0

    def folder(self) -> Path:
        """A new folder."""
        self._folders += 1
        path = self.root / f"case{self._folders:04d}"
        path.mkdir()
        return path

    def propagate(self, **changes: Any) -> dict[str, Any]:
        """A call of `propagate` with some of its paths changed."""
        given = {"frames": self.frames, "annotations": self.maps, "model": self.model}
        given |= {"output": self.folder() / "out"} | changes
        extra = given.pop("extra", [])
        named = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        return {"argv": ["propagate", *named, *SMALL, *extra]}

    def candidates(self, **changes: Any) -> dict[str, Any]:
        """A call of `candidates`."""
        given = {"frames": self.frames, "annotations": self.maps, "model": self.model}
        given |= {"track": self.track, "output": self.folder() / "out", "count": 2} | changes
        named = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        return {"argv": ["candidates", *named, "--device", "cpu", "--quiet"]}

    def base(self) -> dict[str, Any]:
        """The call that makes `track`."""
        return self.propagate(output=self.root / "base")


def all_cases(shot: Shot, seed: int) -> list[Case]:
    """Every case, its files written."""
    from fuzz_batch import MAKERS as OF_BATCHES  # they need what is defined here
    from fuzz_mattes import MAKERS

    rng = random.Random(seed)
    makers = (
        _pictures,
        _bombs,
        _films,
        _places,
        _maps,
        _notes,
        _models,
        _settings,
        _counts,
        _tracks,
        _resumes,
        _data_sets,
        _trainings,
        _nodes,
        *MAKERS,
        *OF_BATCHES,
    )
    return [case for make in makers for case in make(shot, rng)]


def _pictures(shot: Shot, rng: random.Random) -> Iterator[Case]:
    for suffix in inputs.PICTURE_SUFFIXES:
        for name, damage in inputs.DAMAGES.items():
            frames = inputs.write_frames(shot.folder() / "frames", suffix)
            break_file(frames / f"{rng.randrange(6):04d}{suffix}", damage, rng)
            yield Case(f"a {suffix} frame, {name}", shot.propagate(frames=frames))
        for name, data in inputs.WHOLE_DAMAGES.items():
            frames = inputs.write_frames(shot.folder() / "frames", suffix)
            (frames / f"0002{suffix}").write_bytes(data)
            yield Case(f"a {suffix} frame, {name}", {"argv": ["info", str(frames)]})
        frames = inputs.write_frames(shot.folder() / "frames", suffix)
        other = ".png" if suffix != ".png" else ".exr"
        inputs.write_frame(shot.root / f"other{other}", inputs.picture(0))
        shutil.copy(shot.root / f"other{other}", frames / f"0001{suffix}")
        yield Case(f"a {suffix} frame that is {other}", shot.propagate(frames=frames))
    yield from _odd_pictures(shot)


def _odd_pictures(shot: Shot) -> Iterator[Case]:
    square = inputs.picture(0)
    sizes = {"1x1": (1, 1), "1x200": (1, 200), "another size": (31, 32)}
    for name, (height, width) in sizes.items():
        frames = inputs.write_frames(shot.folder() / "frames")
        inputs.write_frame(frames / "0003.png", cv2.resize(square, (width, height)))
        yield Case(f"a frame of {name}", shot.propagate(frames=frames))
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16", "CMYK"):
        frames = inputs.write_frames(shot.folder() / "frames")
        path = frames / ("0003.png" if mode != "CMYK" else "0003.jpg")
        (frames / "0003.png").unlink()
        image = Image.fromarray(square)
        gray = Image.fromarray(square[..., 0].astype(np.uint16) * 257)
        (gray if mode == "I;16" else image.convert(mode)).save(path)
        yield Case(f"a frame of mode {mode}", shot.propagate(frames=frames))
    for suffix in (".png", ".webp", ".tif"):
        frames = inputs.write_frames(shot.folder() / "frames", suffix)
        pictures = [Image.fromarray(inputs.picture(t)) for t in range(4)]
        pictures[0].save(frames / f"0002{suffix}", save_all=True, append_images=pictures[1:])
        yield Case(f"an animated {suffix} among frames", shot.propagate(frames=frames))
        yield Case(f"an animated {suffix}", {"argv": ["info", str(frames / f"0002{suffix}")]})


def _bombs(shot: Shot, rng: random.Random) -> Iterator[Case]:
    del rng
    for bomb in inputs.bombs():
        path = shot.folder() / bomb.name
        path.write_bytes(bomb.data)
        yield Case(f"bomb {bomb.name} as info", {"argv": ["info", str(path)]})
        maps = inputs.write_maps(shot.folder() / "maps")
        if path.suffix == ".png":
            (maps / "0000.png").write_bytes(bomb.data)
            yield Case(f"bomb {bomb.name} as a map", shot.propagate(annotations=maps))
    for side in (100_000, 30_000):
        path = shot.folder() / "0000.exr"
        inputs.write_exr_window(path, side)
        yield Case(f"an EXR window of {side}", {"argv": ["info", str(path)]})


def _films(shot: Shot, rng: random.Random) -> Iterator[Case]:
    for name in inputs.FILMS:
        whole = inputs.write_film(shot.folder() / name)
        maps = shot.folder() / "maps"
        maps.mkdir()
        cv2.imwrite(str(maps / "00000.png"), inputs.labels(0).repeat(2, 0).repeat(2, 1))
        for kind, damage in inputs.DAMAGES.items():
            film = shot.folder() / name
            shutil.copy(whole, film)
            break_file(film, damage, rng)
            yield Case(f"{name}, {kind}", shot.propagate(frames=film, annotations=maps))
    for kind, data in inputs.WHOLE_DAMAGES.items():
        film = shot.folder() / "film.mp4"
        film.write_bytes(data)
        yield Case(f"film.mp4, {kind}", {"argv": ["info", str(film)]})
    for name, known in (("film.avi", b"FMP4"), ("film.mov", b"apcn"), ("film.mov", b"apch")):
        film = inputs.write_film(shot.folder() / name)
        film.write_bytes(film.read_bytes().replace(known, b"QQQQ"))
        yield Case(f"{name} of an unknown codec", {"argv": ["info", str(film)]})


def _places(shot: Shot, rng: random.Random) -> Iterator[Case]:
    del rng
    for name, path in inputs.odd_places(shot.folder()).items():
        yield Case(f"frames: {name}", shot.propagate(frames=path))
        yield Case(f"annotations: {name}", shot.propagate(annotations=path))
        yield Case(f"model: {name}", shot.propagate(model=path))
        yield Case(f"output: {name}", shot.propagate(output=path, extra=["--overwrite"]))
        yield Case(f"settings: {name}", shot.propagate(settings=path))
        yield Case(f"track: {name}", shot.candidates(track=path))
        yield Case(f"info: {name}", {"argv": ["info", path]})
        yield Case(f"info: {name}.safetensors", {"argv": ["info", path + ".safetensors"]})
        yield Case(f"convert from: {name}", {"argv": ["convert", path, "/nowhere/x.safetensors"]})
        if not path.startswith("/dev"):
            yield Case(f"convert to: {name}", {"argv": ["convert", str(shot.model), path]})
        yield Case(f"evaluate: {name}", _evaluate(shot, path))
        yield Case(f"train: {name}", _train(shot, path))
        arguments = [{"path": path}]
        yield Case(
            f"node: {name}",
            {"function": "nodes.annotation_sets.annotations_in", "arguments": arguments},
        )
    for name in (b"caf\xe9.0001.png", b"x.0001.\xff.png"):
        frames = inputs.write_frames(shot.folder() / "frames")
        for path in sorted(frames.iterdir())[1:]:
            path.unlink()
        os.rename(frames / "0000.png", os.path.join(os.fsencode(frames), name))
        yield Case(f"a frame named {name!r}", shot.propagate(frames=frames))


def _maps(shot: Shot, rng: random.Random) -> Iterator[Case]:
    for name, damage in inputs.DAMAGES.items():
        maps = inputs.write_maps(shot.folder() / "maps", (0, 3))
        break_file(maps / "0003.png", damage, rng)
        yield Case(f"a map, {name}", shot.propagate(annotations=maps))
        yield Case(f"a map in a node, {name}", _annotations_in(maps))
    for name, data in inputs.WHOLE_DAMAGES.items():
        maps = inputs.write_maps(shot.folder() / "maps", (0, 3))
        (maps / "0003.png").write_bytes(data)
        yield Case(f"a map, {name}", shot.propagate(annotations=maps))
    side = inputs.SIDE
    odd = {
        "another size": np.ones((8, 8), np.uint8),
        "16 bits": np.full((side, side), 300, np.uint16),
        "colors": np.random.default_rng(2).integers(0, 255, (side, side, 3), np.uint8),
        "soft": np.arange(side * side, dtype=np.uint32).reshape(side, side).astype(np.uint8),
        "nothing": np.zeros((side, side), np.uint8),
        "255 alone": inputs.labels(0) * 255,
    }
    for name, array in odd.items():
        maps = shot.folder() / "maps"
        maps.mkdir()
        cv2.imwrite(str(maps / "0000.png"), array)
        yield Case(f"a map of {name}", shot.propagate(annotations=maps))
    for name in ("9999.png", "x.png", "0000_0001.png", "-1.png", f"{'9' * 60}.png"):
        maps = inputs.write_maps(shot.folder() / "maps")
        (maps / "0000.png").rename(maps / name)
        yield Case(f"a map named {name}", shot.propagate(annotations=maps))


def _notes(shot: Shot, rng: random.Random) -> Iterator[Case]:
    del rng
    content = {
        **HOSTILE_JSON,
        "version 99": '{"version": 99}',
        "names of a list": '{"names": [1]}',
        "an id of 999": '{"names": {"999": "x"}}',
        "an id of 10**30": json.dumps({"names": {str(10**30): "x"}}),
        "colors of text": '{"colors": {"1": "red"}}',
        "colors out of range": '{"colors": {"1": [1, 2, 9999]}}',
        "absences of text": '{"absences": "all"}',
        "absence backwards": '{"absences": [{"object": 1, "first": 5, "last": 1}]}',
        "absence without end": '{"absences": [{"object": 1, "first": 0, "last": 1e300}]}',
        "frames of numbers": '{"frames": 3}',
        "a frame of 10**30": json.dumps({"frames": {str(10**30): {"objects": [1]}}}),
        "absent twice": '{"frames": {"0": {"objects": [1, 1], "absent": [1]}}}',
    }
    for name, text in content.items():
        maps = inputs.write_maps(shot.folder() / "maps", (0, 3))
        data = text.encode(errors="surrogateescape")
        (maps / "annotations.json").write_bytes(data)
        yield Case(f"annotations.json: {name}", shot.propagate(annotations=maps))
        yield Case(f"annotations.json in a node: {name}", _annotations_in(maps))
    for kind in ("a FIFO", "a folder", "a dangling symlink"):
        maps = inputs.write_maps(shot.folder() / "maps")
        target = maps / "annotations.json"
        if kind == "a FIFO":
            os.mkfifo(target)
        elif kind == "a folder":
            target.mkdir()
        else:
            target.symlink_to(maps / "nothing")
        yield Case(f"annotations.json is {kind}", shot.propagate(annotations=maps))
        yield Case(f"annotations.json is {kind}, in a node", _annotations_in(maps))


def _models(shot: Shot, rng: random.Random) -> Iterator[Case]:
    whole = shot.model.read_bytes()
    for kind, damage in inputs.DAMAGES.items():
        path = shot.folder() / "model.safetensors"
        path.write_bytes(damage(whole, rng))
        yield Case(f"a model, {kind}", {"argv": ["info", str(path)]})
        yield Case(f"a model, {kind}, to run", shot.propagate(model=path))
    headers = {
        **{name: text.encode(errors="surrogateescape") for name, text in HOSTILE_JSON.items()},
        "no tensor": b"{}",
        "a tensor beyond the end": b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}',
        "a shape of 10**18": b'{"a":{"dtype":"F32","shape":[999999999,999999999],'
        b'"data_offsets":[0,0]}}',
        "metadata of numbers": b'{"__metadata__":{"license":5}}',
    }
    for name, header in headers.items():
        path = shot.folder() / "model.safetensors"
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        yield Case(f"a model with a header of {name}", {"argv": ["info", str(path)]})
    for length in (0, 2**40, 2**64 - 1):
        path = shot.folder() / "model.safetensors"
        path.write_bytes(struct.pack("<Q", length) + b"{}")
        yield Case(f"a model whose header has {length} bytes", {"argv": ["info", str(path)]})
    for name, data in _old_checkpoints().items():
        path = shot.folder() / "model.pth"
        path.write_bytes(data)
        target = path.with_suffix(".safetensors")
        yield Case(f"a .pth of {name}", {"argv": ["convert", str(path), str(target)]})
    target = shot.folder() / "model.txt"
    yield Case("convert to .txt", {"argv": ["convert", str(shot.model), str(target)]})


def _old_checkpoints() -> dict[str, bytes]:
    """Files that claim to be PyTorch's."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(10_000_000))
    return {
        **inputs.WHOLE_DAMAGES,
        "a pickle that runs code": b"cos\nsystem\n(S'true'\ntR.",
        "a pickle of a number": b"\x80\x04K\x05.",
        "a zip of zeros": archive.getvalue(),
        "a cut zip": archive.getvalue()[:500],
    }


def _settings(shot: Shot, rng: random.Random) -> Iterator[Case]:
    del rng
    values = ["nan", "Infinity", "1e999", "-1", "0", "9" * 5000, "[[]]", '"x"', "null"]
    for name in ("top_k", "internal_size", "direction"):
        for value in values:
            extra = ["--set", f"{name}={value}"]
            yield Case(f"--set {name}={value[:20]}", shot.propagate(extra=extra))
    for text in ("x", "=", "nothing=1", "top_k", "top_k=" + "[" * 100_000):
        yield Case(f"--set {text[:20]}", shot.propagate(extra=["--set", text]))
    for option, texts in {
        "--range": ["", "x", "5-1", "0-999999999", "-", "9" * 5000, "0-0", "\0", "1--1"],
        "--use": ["", "x", "0-999999", "9" * 5000, "0,0,0", "-1", "1e9", "0-999999999999"],
        "--absent": ["", "x", "1:0-999999999", "999:0-1", "1:5-1", "1", ":", "9" * 5000 + ":1-2"],
        "--augment": ["", "x", "all,all", "\0"],
        "--device": ["x", "cuda:99", "", "meta"],
        "--input-colorspace": ["rec709", ""],
    }.items():
        for text in texts:
            yield Case(f"{option} {text[:20]!r}", shot.propagate(extra=[option, text]))
    for name, text in HOSTILE_JSON.items():
        path = shot.folder() / "settings.json"
        path.write_bytes(text.encode(errors="surrogateescape"))
        yield Case(f"a settings file of {name}", shot.propagate(settings=path))


def _counts(shot: Shot, rng: random.Random) -> Iterator[Case]:
    del rng
    for count in ("0", "-1", "9" * 5000, "x", "1e9", "1000000000"):
        yield Case(f"--count {count[:20]}", shot.candidates(count=count))


def _tracks(shot: Shot, rng: random.Random) -> Iterator[Case]:
    """Tracks are broken from the base track, which the tested tree itself has made."""
    whole = shot.track.read_bytes()
    for kind, damage in inputs.DAMAGES.items():
        path = shot.folder() / "a.xmtrack"
        path.write_bytes(damage(whole, rng))
        yield Case(f"a track, {kind}", {"argv": ["info", str(path)]})
        yield Case(f"a track, {kind}, for candidates", shot.candidates(track=path))
    changes: dict[str, dict[str, Any]] = {
        "a rate of 1e9999999": {"frame_rate": "1e9999999"},
        "a rate of 0": {"frame_rate": "0/0"},
        "a rate of digits": {"frame_rate": "9" * 5000 + "/1"},
        "a size of 10**6": {"size": [10**6, 10**6]},
        "a size of 10**18": {"size": [10**18, 10**18]},
        "a size of text": {"size": "xy"},
        "no size": {"size": []},
        "a version of 99": {"version": 99},
        "a version of a list": {"version": [1]},
        "names of numbers": {"frame_names": 5},
        "names of folders": {"frame_names": ["../../../../tmp/x"] * 6},
        "names of surrogates": {"frame_names": ["\ud800"] * 6},
        "names of 5,000 letters": {"frame_names": ["n" * 5000] * 6},
        "few names": {"frame_names": ["a"]},
        "numbers of 10**30": {"frame_numbers": [10**30] * 6},
        "settings of text": {"settings": "x"},
        "settings unknown": {"settings": {"x": 1}},
        "no model": {"model": None},
        "frames of numbers": {"frames": [1, 2, 3]},
        "a shape of 10**9": {"frames": [_frame(shape=[2, 10**9, 10**9])]},
        "a shape below 0": {"frames": [_frame(shape=[2, -1, -5])]},
        "an index of 10**9": {"frames": [_frame(index=10**9)]},
        "an index below 0": {"frames": [_frame(index=-1)]},
        "absent of text": {"frames": [_frame(absent="xy")]},
        "confidence of text": {"frames": [_frame(confidence=["x"])]},
    }
    for name, change in changes.items():
        path = _rewritten(shot, change)
        yield Case(f"a track with {name}", {"argv": ["info", str(path)]})
    for name, text in HOSTILE_JSON.items():
        path = _rewritten(shot, {}, header=text.encode(errors="surrogateescape"))
        yield Case(f"a track with a header of {name}", {"argv": ["info", str(path)]})
    for name, compression in (("LZMA", zipfile.ZIP_LZMA), ("BZIP2", zipfile.ZIP_BZIP2)):
        path = _rewritten(shot, {}, compression=compression)
        yield Case(f"a track of {name}", {"argv": ["info", str(path)]})
        path.write_bytes(inputs.flipped(path.read_bytes(), rng))
        yield Case(f"a damaged track of {name}", {"argv": ["info", str(path)]})
    path = _rewritten(shot, {}, bomb=True)
    yield Case("a track with an entry of 1 GB", shot.candidates(track=path))


def _frame(**changes: Any) -> dict[str, Any]:
    return {"index": 0, "shape": [2, 32, 32], "confidence": [1.0], "absent": []} | changes


def _rewritten(
    shot: Shot,
    changes: dict[str, Any],
    *,
    header: bytes | None = None,
    compression: int = zipfile.ZIP_STORED,
    bomb: bool = False,
) -> Path:
    """The base track with another header or other packing."""
    path = shot.folder() / "a.xmtrack"
    with zipfile.ZipFile(shot.track) as source, zipfile.ZipFile(path, "w", compression) as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "track.json":
                data = header or json.dumps({**json.loads(data), **changes}).encode()
            if bomb and name.startswith("labels"):
                with target.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
                    entry.write(bytes(10_000_000))
                continue
            target.writestr(name, data)
    return path


def _resumes(shot: Shot, rng: random.Random) -> Iterator[Case]:
    for kind in [*inputs.DAMAGES, *inputs.WHOLE_DAMAGES, *list(HOSTILE_JSON)[:6]]:
        output = shot.folder() / "out"
        start = shot.propagate(output=output)
        start["argv"].remove("--quiet")
        go_on = {"argv": [*start["argv"], "--resume"]}
        between = {"folder": str(output), "damage": kind, "seed": str(rng.random())}
        yield Case(
            f"a resume after damage: {kind}", go_on, [start | {"interrupted": True}], between
        )


def damage_unfinished(folder: str, damage: str, seed: str) -> None:
    """Breaks one file of an interrupted run."""
    rng = random.Random(seed)
    files = sorted(p for p in Path(folder).rglob("*") if p.is_file() and p.name != ".lock")
    if not files:
        return
    file = rng.choice(files)
    if damage in inputs.DAMAGES:
        break_file(file, inputs.DAMAGES[damage], rng)
    elif damage in inputs.WHOLE_DAMAGES:
        file.write_bytes(inputs.WHOLE_DAMAGES[damage])
    else:
        texts = [p for p in files if p.suffix == ".json"] or files
        rng.choice(texts).write_bytes(HOSTILE_JSON[damage].encode(errors="surrogateescape"))


def _evaluate(shot: Shot, data: Path | str) -> dict[str, Any]:
    named = ["--data", str(data), "--output", str(shot.folder() / "out")]
    few = ["--experiments", "methods", "--counts", "1", "--step", "3"]
    return {"argv": ["evaluate", *named, "--model", str(shot.model), *few, *SMALL]}


def _data_sets(shot: Shot, rng: random.Random) -> Iterator[Case]:
    def data_set() -> Path:
        root = shot.folder() / "data"
        inputs.write_frames(root / "JPEGImages" / "cat")
        inputs.write_maps(root / "Annotations" / "cat", (0, 3, 5))
        return root

    for kind, damage in inputs.DAMAGES.items():
        for part in ("JPEGImages", "Annotations"):
            root = data_set()
            break_file(root / part / "cat" / "0003.png", damage, rng)
            yield Case(f"a data set's {part}, {kind}", _evaluate(shot, root))
    for name, text in HOSTILE_JSON.items():
        root = data_set()
        (root / "meta.json").write_bytes(text.encode(errors="surrogateescape"))
        yield Case(f"a data set's meta.json of {name}", _evaluate(shot, root))
    root = data_set()
    (root / "ImageSets").mkdir()
    (root / "ImageSets" / "val.txt").write_bytes(b"\xff\xfe\0cat\n../../x\n")
    call = _evaluate(shot, root)
    yield Case("a data set's list of bytes", {"argv": [*call["argv"], "--subset", "val"]})
    for extra in (["--counts", "0"], ["--step", "0"], ["--experiments", "x"], ["--subset", "../x"]):
        yield Case(f"evaluate {' '.join(extra)}", {"argv": [*call["argv"], *extra]})


def _train(shot: Shot, data: Path | str, *extra: str) -> dict[str, Any]:
    named = ["--data", str(data), "--output", str(shot.folder() / "run"), "--from", str(shot.model)]
    return {"argv": ["train", *named, "--device", "cpu", "--steps", "1", "--quiet", *extra]}


def _trainings(shot: Shot, rng: random.Random) -> Iterator[Case]:
    for kind, damage in inputs.DAMAGES.items():
        data = write_training_data(shot.folder())
        files = sorted(p for p in data.rglob("*.png"))
        break_file(rng.choice(files), damage, rng)
        target = shot.folder() / "packed.zip"
        pack = ["pack-training-data", "--data", str(data), "--output", str(target)]
        yield Case(f"packing training data, {kind}", {"argv": pack})
    for kind in ("a file", "bytes", "a zip of nothing"):
        path = shot.folder() / "packed.zip"
        path.write_bytes(b"x" if kind == "a file" else rng.randbytes(500))
        if kind == "a zip of nothing":
            zipfile.ZipFile(path, "w").close()
        yield Case(f"training from {kind}", _train(shot, path))
    data = write_training_data(shot.folder())
    for option, value in (
        ("--steps", "-1"),
        ("--steps", "x"),
        ("--learning-rate", "nan"),
        ("--learning-rate", "-1"),
        ("--seed", "9" * 5000),
        ("--seed", "-1"),
        ("--pixels-per-step", "0"),
        ("--short-side", "0"),
        ("--workers", "-1"),
        ("--average-decay", "nan"),
        ("--schedule", "x"),
        ("--exclude", "["),
        ("--license", "x"),
        ("--held-out-every", "0"),
    ):
        yield Case(f"train {option} {value[:10]}", _train(shot, data, option, value))
    for state in (b"", b"text", bytes(1000)):
        run = _train(shot, data, "--resume")
        folder = Path(run["argv"][run["argv"].index("--output") + 1])
        folder.mkdir()
        for name in ("checkpoint.pt", "checkpoint.pth", "state.pt", "run.json", "log.jsonl"):
            (folder / name).write_bytes(state)
        yield Case(f"train --resume from {state[:4]!r}", run)


def _nodes(shot: Shot, rng: random.Random) -> Iterator[Case]:
    del shot, rng
    track = {"track": 6}
    for first, count in ((0, 10**12), (-1, 0), (10**12, 1), (5, 2), (0, -5), (0, 0)):
        call = {
            "function": "nodes.results.frames_in_track",
            "arguments": [track, first, count],
        }
        yield Case(f"frames_in_track {first} {count}", call)
    for text in ("", "x", "1,1", "-1", "9" * 5000, "1-99999999999", "\0", "1;2", "NaN", "²"):
        call = {"function": "nodes.results.object_ids_of", "arguments": [text, track]}
        yield Case(f"object_ids_of {text[:20]!r}", call)
    shapes: list[list[int]] = [[], [0], [4, 4], [2, 3, 4, 4], [1, 0, 0], [1, 4, 4, 3]]
    for shape in shapes:
        for fill, dtype in ((0.5, "float32"), (float("nan"), "float32")):
            mask = {"tensor": shape, "fill": fill, "dtype": dtype}
            call = {"function": "nodes.masks.masks_of", "arguments": [mask]}
            yield Case(f"masks_of {shape} {fill} {dtype}", call)
            by_frame = {"function": "nodes.masks.masks_by_frame", "arguments": [mask, [0, 5]]}
            yield Case(f"masks_by_frame {shape} {fill} {dtype}", by_frame)


def _annotations_in(folder: Path) -> dict[str, Any]:
    arguments = [{"path": str(folder)}]
    return {"function": "nodes.annotation_sets.annotations_in", "arguments": arguments}


def break_file(path: Path, damage: inputs.Damage, rng: random.Random) -> None:
    path.write_bytes(damage(path.read_bytes(), rng))


def digest(cases: list[Case]) -> str:
    """Tells two lists of cases apart."""
    return hashlib.sha256("\n".join(case.name for case in cases).encode()).hexdigest()[:12]
