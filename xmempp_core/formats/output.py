"""The output folder of a shot: who may write to it, and the state of an unfinished pass."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..errors import FormatError
from ..track import Track
from .atomic import write_bytes
from .tracks import load_track, save_track

REPORT = "track.json"
TRACK = "track.xmtrack"
OVERLAY = "overlay.mp4"
MASKS, MATTES, PROBABILITIES = "masks", "mattes", "probabilities"
UNFINISHED = ".resume"
_LOCK = ".lock"


class OutputFolder:
    """Where the results of a shot go. Make one with `open_output`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def report(self) -> dict[str, Any] | None:
        """What track.json says; None when there is none."""
        return _read_json(self.root / REPORT)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file."""
        text = json.dumps(content, indent=2, ensure_ascii=False)
        write_bytes(self.root / name, (text + "\n").encode())

    # ---- an unfinished pass

    @property
    def spool(self) -> Path:
        """Folder for the backward results of an unfinished pass."""
        return self.root / UNFINISHED / "spool"

    def save_unfinished(
        self, identity: dict[str, str], state: dict[str, Tensor], part: Track
    ) -> None:
        """Keeps the state of the pass, and the results since the last time.

        Args:
            identity: what the pass is made from, by name.
            state: tensors of `Propagation.state`.
            part: results that no earlier call kept.
        """
        folder = self.root / UNFINISHED
        if len(part):
            save_track(part, folder / f"part-{len(list(folder.glob('part-*'))):05d}.xmtrack")
        on_host = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
        write_bytes(folder / "state.safetensors", save(on_host))
        self.write_json(f"{UNFINISHED}/identity.json", identity)

    def unfinished_identity(self) -> dict[str, str] | None:
        """What the unfinished pass was made from; None when there is none."""
        if not (self.root / UNFINISHED / "state.safetensors").is_file():
            return None
        return _read_json(self.root / UNFINISHED / "identity.json")

    def load_unfinished(self) -> tuple[dict[str, Tensor], Iterator[Track]]:
        """The saved state of the pass, and the results kept so far, in parts."""
        folder = self.root / UNFINISHED
        try:
            state = load_file(folder / "state.safetensors")
        except (SafetensorError, OSError) as error:
            raise FormatError(
                folder / "state.safetensors",
                f"cannot be read ({error}); run again without --resume",
            ) from error
        return state, map(load_track, sorted(folder.glob("part-*.xmtrack")))

    def drop_unfinished(self) -> None:
        """Forgets the unfinished pass."""
        shutil.rmtree(self.root / UNFINISHED, ignore_errors=True)


@contextmanager
def open_output(root: str | Path, *, overwrite: bool, resume: bool) -> Iterator[OutputFolder]:
    """The folder, made if needed, locked against a second writer until the block ends.

    Args:
        root: the folder.
        overwrite: allow a folder that holds files, and replace those of the same name.
        resume: allow a folder that holds an unfinished or finished pass.

    Raises:
        FormatError: it holds other files, is no folder, cannot be made, or is being written to.
    """
    folder = Path(root)
    output = OutputFolder(folder)
    if folder.exists() and not folder.is_dir():
        raise FormatError(folder, "is a file; give a folder as --output")
    continues = resume and (output.unfinished_identity() or output.report)
    if not overwrite and not continues and _holds_files(folder):
        raise FormatError(
            folder,
            "holds files already; give another --output, or --overwrite to replace them, "
            "or --resume to go on with an interrupted run",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FormatError(
            folder, "is being written to by another run; wait or choose another"
        ) from error
    except OSError as error:
        raise FormatError(folder, f"cannot be written to: {error.strerror or error}") from error
    try:
        yield output
    finally:
        lock.release()
        (folder / _LOCK).unlink(missing_ok=True)


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(p.name != _LOCK for p in folder.iterdir())


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
