"""The toy shot as files, and a tiny model file, for tests of the command line and of delivery."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import av
from tiny import tiny_network
from torch import Tensor
from toy import toy_frames

from xmempp_core.formats.annotations.label_maps import write_label_map
from xmempp_core.network.weights_file import write_weights
from xmempp_core.pictures.pictures import write_picture

FIRST_NUMBER = 1001
FRAMES = 12
ANNOTATED = (3, 8)
# So small that a pass consolidates and evicts within twelve frames.
SMALL_SETTINGS = (
    "memorize_every=2",
    "working_memory_max_frames=3",
    "working_memory_min_frames=1",
    "long_term_prototypes=8",
    "long_term_max_elements=20",
    "internal_size=null",
    "top_k=10",
)


@dataclass(frozen=True)
class ShotOnDisk:
    """Where everything lies."""

    root: Path

    @property
    def frames(self) -> Path:
        """plate.1001.png to plate.1012.png"""
        return self.root / "plates"

    @property
    def annotations(self) -> Path:
        """Label maps of plate.1004 and plate.1009 with objects 3 and 7."""
        return self.root / "annotations"

    def model(self, architecture: str = "xmemlite-1") -> Path:
        """A model file of a tiny network."""
        path = self.root / f"{architecture}.safetensors"
        if not path.exists():
            write_weights(path, tiny_network(architecture).state_dict(), {"license": "CC0"})
        return path

    def names(self) -> list[str]:
        """Names of all frames."""
        return [f"plate.{FIRST_NUMBER + t}" for t in range(FRAMES)]


def make_shot(root: Path, count: int = FRAMES) -> ShotOnDisk:
    """Writes frames and annotations below `root`."""
    shot = ShotOnDisk(root)
    frames, labels = toy_frames(count)
    for t in range(count):
        name = f"plate.{FIRST_NUMBER + t}"
        write_picture(shot.frames / f"{name}.png", frames[t])
        if t in ANNOTATED:
            write_label_map(shot.annotations / f"{name}.png", labels[t])
    return shot


def write_video(path: Path, frames: Tensor, rate: int = 25) -> None:
    """A lossless film of frames (T, H, W, 3) uint8."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=rate, options={"crf": "0"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb24"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame.numpy(), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


class FileContent(bytes):
    """Bytes of a file, shown in a few words: pytest would print the difference of megabytes."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes, {hashlib.sha256(self).hexdigest()[:12]}>"

    @classmethod
    def of(cls, path: Path) -> FileContent:
        """The content of a file."""
        return cls(path.read_bytes())


def files_below(folder: Path) -> dict[str, FileContent]:
    """Content of all files of a folder by relative path, the lock left out."""
    return {
        str(path.relative_to(folder)): FileContent.of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
