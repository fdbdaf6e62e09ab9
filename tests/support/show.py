"""A show of small toy shots with its manifest, for tests of batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shot_on_disk import FRAMES, ShotOnDisk, files_below, make_shot

SMALL = (
    "memorize_every = 2, working_memory_max_frames = 3, working_memory_min_frames = 1, "
    "long_term_prototypes = 8, long_term_max_elements = 20, top_k = 10"
)


@dataclass(frozen=True)
class Show:
    """Where everything lies."""

    root: Path

    @property
    def manifest(self) -> Path:
        """show.toml"""
        return self.root / "show.toml"

    @property
    def results(self) -> Path:
        """The manifest's output."""
        return self.root / "results"

    def shot(self, name: str) -> ShotOnDisk:
        """The inputs of a shot."""
        return ShotOnDisk(self.root / "shots" / name)

    def write(self, text: str = "", defaults: str = "", settings: str = SMALL) -> Path:
        """Writes the manifest: defaults, and shots that match, or `text` instead of them."""
        shots = text or (
            '[[shot]]\nframes = "shots/*/plates"\nannotations = "shots/*/annotations"\n'
        )
        self.manifest.write_text(
            f'output = "results"\n[defaults]\nmodel = "tiny.safetensors"\n'
            f"settings = {{{settings}}}\n{defaults}\n{shots}",
            encoding="utf-8",
        )
        return self.manifest

    def made(self, name: str, output: str = "results") -> dict[str, bytes]:
        """Content of a shot's results."""
        return files_below(self.root / output / name)


def make_show(
    root: Path, names: tuple[str, ...] = ("sh010", "sh020", "sh030"), frames: int = FRAMES
) -> Show:
    """Writes shots, a tiny model and the manifest below `root`."""
    show = Show(root)
    for name in names:
        shot = make_shot(root / "shots" / name, frames)
    shot.model().rename(root / "tiny.safetensors")
    show.write()
    return show
