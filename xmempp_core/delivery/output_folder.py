"""The output folder of a shot: who may write to it, and the state of an unfinished pass."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..atomic import is_temporary, make_durable, sweep_temporaries, write_bytes
from ..errors import FormatError, InputError
from ..folder_lock import LOCK_NAME, holds_files, locked_folder
from ..format_version import VERSION, check_format_version
from ..formats.tracks import read_records, save_records
from ..paths import path_kind, read_text, resolved_path
from ..spill import SpillStore
from ..strict_json import parse_json
from ..track.records import FrameRecord
from ..types import Size

REPORT = "track.json"
TRACK = "track.xmtrack"
OVERLAY = "overlay.mp4"
MASKS, MATTES, PROBABILITIES = "masks", "mattes", "probabilities"
UNFINISHED = ".resume"
ADAPTED = "adapted.safetensors"
"""The model adapted to the shot before its pass; with what is unfinished of it, it is no result."""
_KEY = "format_version"
_STATE, _IDENTITY = "state.safetensors", "identity.json"
_FORMAT_VERSION = 1  # of notes and states; parts and backward results go with them
_PART = "part-"
_BACKWARD = "the backward results"
# Folders that runs write to; those of others, which may be writing, are left alone.
_WRITTEN = (MASKS, MATTES, PROBABILITIES, UNFINISHED)


@dataclass(frozen=True)
class Unfinished:
    """Where an unfinished pass stood."""

    state: dict[str, Tensor]
    """For `Propagation.load_state`."""
    records: Iterator[FrameRecord]
    """The results until then; of a frame that was made twice the last counts."""


class OutputFolder:
    """Where the results of a shot go. Make one with `open_output`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._safe: set[Path] = set()  # backward results that a saved state may count on

    @property
    def report(self) -> dict[str, Any] | None:
        """What track.json says; None when there is none.

        Raises:
            FormatError: it is of a newer version.
        """
        return _read_json(self.root / REPORT)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file, its format version first."""
        text = json.dumps({_KEY: _FORMAT_VERSION, **content}, indent=2, ensure_ascii=False)
        write_bytes(self.root / name, (text + "\n").encode(), durable=True)

    # ---- an unfinished pass

    @property
    def backward_results(self) -> Path:
        """Folder for the backward results of an unfinished pass."""
        return self.root / UNFINISHED / "backward"

    def begin(self, identity: dict[str, str]) -> None:
        """Notes that a pass writes here that is unfinished until `drop_unfinished`.

        Args:
            identity: what the pass is made from, by name.
        """
        self.write_json(f"{UNFINISHED}/{_IDENTITY}", identity)

    def backward_files(self) -> list[Path]:
        """Files of the backward results until now."""
        return list(self.backward_results.glob("*.bin"))

    def save_unfinished(
        self, state: dict[str, Tensor], records: Sequence[FrameRecord], backward: Sequence[Path]
    ) -> None:
        """Keeps the state of the pass, and the results since the last time, through a power cut.

        Killed in between, it leaves results that the older state makes again.

        Args:
            state: tensors of `Propagation.state`.
            records: results that no earlier call kept.
            backward: files of backward results that the state counts on.
        """
        folder = self.root / UNFINISHED
        if records:
            number = len(list(folder.glob(f"{_PART}*")))
            save_records(records, folder / f"{_PART}{number:05d}.xmrecords")
        make_durable(path for path in backward if path not in self._safe)
        self._safe.update(backward)
        on_host = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
        write_bytes(folder / _STATE, save(on_host, {VERSION: str(_FORMAT_VERSION)}), durable=True)

    def unfinished_identity(self) -> dict[str, str] | None:
        """What the unfinished pass is made from; None when there is none.

        Raises:
            FormatError: it is of a newer version.
        """
        return _read_json(self.root / UNFINISHED / _IDENTITY)

    def load_unfinished(self, size: Size) -> Unfinished | None:
        """Where the unfinished pass stood when it was saved; None if it never was.

        Args:
            size: of the frames.

        Raises:
            FormatError: the state is damaged or of a newer version.
        """
        folder = self.root / UNFINISHED
        if not (folder / _STATE).is_file():
            return None
        state = _read_state(folder / _STATE)
        self._adopt_spool()
        parts = sorted(folder.glob(f"{_PART}*"))
        return Unfinished(state, (one for part in parts for one in read_records(part, size)))

    def _adopt_spool(self) -> None:
        """Takes over the backward results of version 0.1.0, which had a folder and no checksums."""
        spool = self.root / UNFINISHED / "spool"
        store = SpillStore(_BACKWARD, "start anew", folder=self.backward_results)
        for path in sorted(spool.glob("*.bin")):
            store.put(path.stem, path.read_bytes())
            path.unlink()

    def drop_unfinished(self) -> None:
        """Forgets the unfinished pass."""
        shutil.rmtree(self.root / UNFINISHED, ignore_errors=True)

    @property
    def has_begun(self) -> bool:
        """Whether an unfinished pass is noted; without the note nothing of it is kept yet."""
        return (self.root / UNFINISHED / _IDENTITY).is_file()

    def sweep(self) -> None:
        """Removes what killed runs left half written; for the holder of the lock alone."""
        if not self.has_begun:
            self.drop_unfinished()
        sweep_temporaries(self.root)
        for name in _WRITTEN:
            for folder, _, _ in os.walk(self.root / name):
                sweep_temporaries(Path(folder))

    def drop_unused(self) -> None:
        """Forgets a pass that wrote nothing and saved no state."""
        has_state = (self.root / UNFINISHED / _STATE).is_file()
        if not has_state and not _holds_files(self.root, UNFINISHED):
            self.drop_unfinished()


@contextmanager
def open_output(root: str | Path, *, overwrite: bool, resume: bool) -> Iterator[OutputFolder]:
    """The folder, made if needed, locked against a second writer until the block ends.

    A block that writes nothing leaves nothing behind.

    Args:
        root: the folder.
        overwrite: allow a folder that holds files, and replace those of the same name.
        resume: allow a folder that holds an unfinished or finished pass.

    Raises:
        FormatError: it holds other files, is no folder, cannot be made, or is being written to.
    """
    folder = Path(root)
    if path_kind(folder) == "file":
        raise FormatError(folder, "is a file; give a folder as --output")
    output = OutputFolder(folder)
    if folder.is_dir() and not overwrite and not (folder / LOCK_NAME).exists():
        _check_vacant(output, resume)  # so that not even a lock file is left in it
    with locked_folder(folder):
        try:
            if not overwrite:
                _check_vacant(output, resume)
            output.sweep()
            yield output
        finally:
            output.drop_unused()


def check_vacant(root: str | Path, *, overwrite: bool, resume: bool) -> None:
    """Refuses a folder that `open_output` would refuse for what it holds, before other work.

    Raises:
        FormatError: it holds other files.
    """
    folder = Path(root)
    if folder.is_dir() and not overwrite:
        _check_vacant(OutputFolder(folder), resume)


def check_apart(output: str | Path, inputs: Mapping[str, object], *, word: str) -> None:
    """Refuses an output folder whose files would lie over what is read.

    Args:
        output: the folder.
        inputs: files and folders by what users call them; None = not given.
        word: what users call the output.

    Raises:
        InputError: names the input.
    """
    root = resolved_path(output)
    written = [root / name for name in (MASKS, MATTES, PROBABILITIES, OVERLAY, REPORT)]
    for name, value in inputs.items():
        if value is None:
            continue
        path = resolved_path(str(value))
        if path == root or any(one in (path, *path.parents) for one in written):
            raise InputError(
                f"{word} {output} would write over {name} {value}; choose another folder"
            )


def _check_vacant(output: OutputFolder, resume: bool) -> None:
    """Refuses a folder with files, unless they are of the run that is to be resumed."""
    holds_run = bool(output.unfinished_identity() or output.report)
    unbegun = () if output.has_begun else (UNFINISHED,)
    if not _holds_files(output.root, *unbegun) or (resume and holds_run):
        return
    if resume:
        problem = "holds files, but no run to go on with; give another --output or --overwrite"
    elif holds_run:
        problem = "holds a run; go on with --resume, give another --output or --overwrite"
    else:
        problem = "holds files; give another --output, or --overwrite to write beside them"
    raise FormatError(output.root, problem)


def _holds_files(folder: Path, *but: str) -> bool:
    """Whether a folder holds anything beside the named and what is no result yet."""
    half_written = (path.name for path in folder.iterdir() if is_temporary(path))
    return holds_files(folder, ADAPTED, f".{ADAPTED}.unfinished", *half_written, *but)


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise FormatError(path, f"cannot be read ({error}); start anew with --overwrite") from error
    check_format_version(path, metadata.get(VERSION), _FORMAT_VERSION)
    return state


def _read_json(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds beside its version; None where there is none that can be read."""
    try:
        content = parse_json(read_text(path))
    except (FormatError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    check_format_version(path, content.pop(_KEY, None), _FORMAT_VERSION)
    return content
