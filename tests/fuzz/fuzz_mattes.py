"""Broken mattes, presets, names and sidecars: cases of the fuzz run."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import fuzz_inputs as inputs
import numpy as np
import OpenEXR
import tifffile
from fuzz_cases import HOSTILE_JSON, Case, Shot, break_file

from xmempp_core.formats.mattes.cryptomatte_ids import hash_of, header_of, manifest_of

PRESETS = {
    "not TOML": "format = ",
    "bytes": "\udcff\udcfe",
    "a NUL": 'template = "a\0.png"',
    "brackets": "bits = " + "[" * 100_000,
    "5,000 digits": "bits = " + "9" * 5000,
    "bits of nan": "bits = nan",
    "bits of inf": "bits = inf",
    "bits of a list": "bits = [8]",
    "a table": "[edges]\nx = 1",
    "padding of 10**12": "padding = 1000000000000",
    "first frame of 10**30": "first_frame = " + "9" * 30,
    "steady of 10**9": "steady = 1000000000",
    "a date": "format = 1979-05-27",
    "grow of nan": "grow_pixels = nan",
    "grow of inf": "grow_pixels = inf",
    "feather of 1e300": "feather_pixels = 1e300",
    "specks of nan": "remove_specks_pixels = nan",
    "points crossed": "black_point = 0.9\nwhite_point = 0.1",
    "layers of text": 'layers = "yes"',
    "a format of nothing": 'format = ""',
}
TEMPLATES = (
    "",
    "{",
    "{}",
    "}{frame}.png",
    "{frame}.png/",
    "/{frame}.png",
    "../{frame}.png",
    "{frame.__class__}.png",
    "{frame[0]}.png",
    "{version:9999999999d}.{frame}.png",
    "{version:n}.{frame}.png",
    "{frame!r}.png",
    "{object}{frame}.png",
    "\0.{frame}.png",
    "con/{object}.{frame}.png",
    "n" * 5000 + ".{frame}.png",
    "\udce9.{object}.{frame}.png",
    "{object}.{frame}.exr",
    "{object}." + "{frame}" * 1000 + ".png",
    "./././{object}.{frame}.png",
)
OPTIONS = {
    "--matte-set": ("", "x", "=", "bits=nan", "bits=1e999", "bits=" + "9" * 5000,
                    "bits=" + "[" * 100_000),
    "--format": ("tiff", ""),
    "--objects": ("x", ",", "9" * 5000, "-1", "1,1", "\0", "²"),
    "--join": ("x", "=", "a=", "=1", "a=9", "a=" + "9" * 5000, "\0=1"),
    "--shot": ("\0", "../x", "n" * 5000, "\ud800", "con", "."),
    "--range": ("x", "5-1", "0-999999999", "9" * 5000),
    "--handles": ("-1", "x", "9" * 5000, "1000000000"),
    "--matte-version": ("-1", "x", "9" * 5000),
    "--steady": ("-1", "x", "9" * 5000, "1"),
    "--preview": ("x", "999", "0-5", "9" * 5000),
    "--preset": ("", "x", "\0", "n" * 5000, "/dev/zero", "/", "~nosuchuser/x"),
    "--frames": ("", "x", "/dev/zero", "\0"),
}  # fmt: skip
SIDECARS: dict[str, dict[str, Any]] = {
    "no frames": {"frames": None},
    "frames of text": {"frames": ["x"]},
    "frames of 10**30": {"frames": [10**30] * 6},
    "more frames than files": {"frames": list(range(20))},
    "no objects": {"objects": []},
    "objects of numbers": {"objects": [1]},
    "an object without ids": {"objects": [{"name": "a"}]},
    "ids of 999": {"objects": [{"name": "a", "ids": [999]}]},
    "ids below 0": {"objects": [{"name": "a", "ids": [-1]}]},
    "a name of a list": {"objects": [{"name": [1], "ids": [1]}]},
    "no settings": {"settings": None},
    "a format of nothing": {"settings": {"format": "x", "layers": True}},
    "files outside": {"files": {"../../etc/passwd": "x"}},
    "files of a NUL": {"files": {"a\0.png": "x"}},
    "files of devices": {"files": {"/dev/zero": "x"}},
    "files of numbers": {"files": 5},
    "a version of 99": {"version": 99},
    "a version of a list": {"version": [1]},
}


def _write_png(path: Path, t: int) -> None:
    cv2.imwrite(str(path), inputs.labels(t).astype(np.uint16) * 40_000)


def _write_tiff(path: Path, t: int) -> None:
    tifffile.imwrite(path, inputs.labels(t).astype(np.uint16) * 40_000, compression="lzw")


def _write_exr(path: Path, t: int) -> None:
    alpha = inputs.labels(t).astype(np.float16)
    OpenEXR.File({}, {"hat.A": alpha, "coat.A": alpha * 0}).write(str(path))


def write_cryptomatte(path: Path, t: int, **header: Any) -> None:
    """A frame with the object "hat"."""
    covered = inputs.labels(t).astype(np.float32)
    ids = (inputs.labels(t).astype(np.uint32) * hash_of("hat")).view(np.float32)
    channels = {"CryptoObject00.R": ids, "CryptoObject00.G": covered}
    OpenEXR.File({**header_of(manifest_of(["hat"])), **header}, channels).write(str(path))


def write_film(path: Path) -> Path:
    """The mattes as alpha of ProRes 4444 or VP9, or as brightness."""
    codec, pixels = {
        ".mov": ("prores_ks", "yuva444p10le"),
        ".webm": ("libvpx-vp9", "yuva420p"),
        ".mp4": ("libx264", "yuv420p"),
    }[path.suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = inputs.SIDE
        stream.pix_fmt = pixels
        for t in range(inputs.FRAMES):
            rgba = np.repeat((inputs.labels(t) * 255)[..., None], 4, 2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgba, "rgba")))
        container.mux(stream.encode(None))
    return path


WRITERS: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "PNG": (".png", _write_png),
    "TIFF": (".tif", _write_tiff),
    "OpenEXR": (".exr", _write_exr),
    "Cryptomatte": (".exr", write_cryptomatte),
}


def _imported(shot: Shot, mattes: Path | str, *extra: str) -> dict[str, Any]:
    named = ["--mattes", str(mattes), "--frames", str(shot.frames)]
    return {"argv": ["import-mattes", *named, "--output", str(shot.folder() / "out"), *extra]}


def _sequence(shot: Shot, kind: str) -> Path:
    suffix, write = WRITERS[kind]
    folder = shot.folder() / "mattes"
    folder.mkdir()
    for t in range(inputs.FRAMES):
        write(folder / f"{t:04d}{suffix}", t)
    return folder


def matte_files(shot: Shot, rng: random.Random) -> Iterator[Case]:
    """Damaged pictures and films."""
    for kind, (suffix, _) in WRITERS.items():
        for name, damage in inputs.DAMAGES.items():
            for frame in (0, 3):
                folder = _sequence(shot, kind)
                break_file(folder / f"{frame:04d}{suffix}", damage, rng)
                yield Case(f"{kind} mattes, frame {frame} {name}", _imported(shot, folder))
        for name, data in inputs.WHOLE_DAMAGES.items():
            folder = _sequence(shot, kind)
            (folder / f"0000{suffix}").write_bytes(data)
            yield Case(f"{kind} mattes, {name}", _imported(shot, folder))
    for suffix in (".mov", ".webm", ".mp4"):
        whole = write_film(shot.folder() / f"m{suffix}")
        for name, damage in inputs.DAMAGES.items():
            film = shot.folder() / whole.name
            film.write_bytes(damage(whole.read_bytes(), rng))
            yield Case(f"a matte film {suffix}, {name}", _imported(shot, film))
        for name, data in inputs.WHOLE_DAMAGES.items():
            film = shot.folder() / whole.name
            film.write_bytes(data)
            yield Case(f"a matte film {suffix}, {name}", _imported(shot, film))


def odd_mattes(shot: Shot, rng: random.Random) -> Iterator[Case]:
    """Bombs, odd places, odd arguments, Cryptomattes with odd headers."""
    del rng
    for bomb in inputs.bombs():
        path = shot.folder() / bomb.name
        path.write_bytes(bomb.data)
        yield Case(f"bomb {bomb.name} as mattes", _imported(shot, path))
    for side in (100_000, 30_000):
        path = shot.folder() / "0000.exr"
        inputs.write_exr_window(path, side)
        yield Case(f"an EXR window of {side} as mattes", _imported(shot, path))
    for name, place in inputs.odd_places(shot.folder()).items():
        yield Case(f"mattes: {name}", _imported(shot, place))
        yield Case(f"mattes: {name}.mov", _imported(shot, place + ".mov"))
    whole = _sequence(shot, "Cryptomatte")
    for option, texts in {
        "--channel": ("x", "", ",", "hat,", "\0", "#1", "#x", "#" + "9" * 5000, "CryptoObject/"),
        "--offset": ("9" * 5000, "x", "999999999999", "-3"),
        "--every": ("0", "-1", "9" * 5000, "x"),
        "--use": ("x", "0-999999999", "7", ""),
        "--match": ("x",),
    }.items():
        for text in texts:
            yield Case(f"mattes {option} {text[:20]!r}", _imported(shot, whole, option, text))
    key = "cryptomatte/3ae39a5"
    headers: dict[str, dict[str, Any]] = {
        **{name: {f"{key}/manifest": text} for name, text in HOSTILE_JSON.items()},
        "no name": {f"{key}/name": ""},
        "a name of a number": {f"{key}/name": 5},
        "another hash": {f"{key}/hash": "MD5"},
        "a conversion of a number": {f"{key}/conversion": 1.5},
        "a manifest outside": {f"{key}/manifest": "{}", f"{key}/manif_file": "/etc/passwd"},
        "an id of text": {f"{key}/manifest": '{"hat": "x"}'},
        "an id of 5,000 digits": {f"{key}/manifest": json.dumps({"hat": "f" * 5000})},
        "an id below 0": {f"{key}/manifest": '{"hat": "-1"}'},
    }
    for name, header in headers.items():
        path = shot.folder() / "0000.exr"
        try:
            write_cryptomatte(path, 0, **header)
        except UnicodeError:
            continue  # OpenEXR's own writer takes no such text
        yield Case(f"a Cryptomatte with {name}", _imported(shot, path))
        yield Case(f"a Cryptomatte with {name}, hat", _imported(shot, path, "--channel", "hat"))


def _exported(shot: Shot, *extra: str) -> dict[str, Any]:
    output = str(shot.folder() / "out")
    return {"argv": ["export", "--track", str(shot.track), "--output", output, "--quiet", *extra]}


def exports(shot: Shot, rng: random.Random) -> Iterator[Case]:
    """Presets, templates, arguments and tracks of an export."""
    for name, text in PRESETS.items():
        path = shot.folder() / "p.toml"
        path.write_bytes(text.encode(errors="surrogateescape"))
        yield Case(f"a preset of {name}", _exported(shot, "--preset", str(path)))
    for template in TEMPLATES:
        call = _exported(shot, "--template", template)
        yield Case(f"a template of {template[:30]!r}", call)
    for option, texts in OPTIONS.items():
        for text in texts:
            yield Case(f"export {option} {text[:20]!r}", _exported(shot, option, text))
    for name, damage in inputs.DAMAGES.items():
        path = shot.folder() / "a.xmtrack"
        path.write_bytes(damage(shot.track.read_bytes(), rng))
        call = {"argv": ["export", "--track", str(path), "--output", str(path.parent / "out")]}
        yield Case(f"an export of a track, {name}", call)
    for name, place in inputs.odd_places(shot.folder()).items():
        call = {"argv": ["export", "--track", str(shot.track), "--output", place]}
        yield Case(f"export to: {name}", call)


def sidecars(shot: Shot, rng: random.Random) -> Iterator[Case]:
    """The JSON of an export, on reading and where it is replaced."""
    files = {f"{t:04d}.png": "x" for t in range(inputs.FRAMES)}
    whole: dict[str, Any] = {
        "format": "xmempp-mattes",
        "version": 1,
        "frames": list(range(inputs.FRAMES)),
        "objects": [{"name": "hat", "ids": [1]}],
        "settings": {"format": "png", "layers": False},
        "files": files,
    }
    texts = {name: json.dumps({**whole, **change}) for name, change in SIDECARS.items()}
    for name, text in {**texts, **HOSTILE_JSON}.items():
        folder = _sequence(shot, "PNG")
        (folder / "m.json").write_bytes(text.encode(errors="surrogateescape"))
        yield Case(f"a sidecar with {name}", _imported(shot, folder / "m.json"))
        yield Case(f"a folder whose sidecar has {name}", _imported(shot, folder))
        call = _exported(shot, "--overwrite", "--shot", "m", "--template", "m_{object}.{frame}.png")
        output = Path(call["argv"][4])
        output.mkdir()
        (output / "m_mattes.json").write_bytes(text.encode(errors="surrogateescape"))
        yield Case(f"an export over a sidecar with {name}", call)


MAKERS = (matte_files, odd_mattes, exports, sidecars)
