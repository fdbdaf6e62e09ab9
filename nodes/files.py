"""Files by the names that nodes hold: inside ComfyUI's input, output and temp folders alone."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

from . import host


def input_file(name: str) -> Path:
    """A file or folder of ComfyUI's input folder, or of its output folder.

    Args:
        name: path inside the folder, with " [input]" or " [output]" behind it to name the folder;
            without, the input folder is searched first.

    Raises:
        InputError: the name is empty or leads out of these folders.
        FormatError: there is nothing of that name.
    """
    from ..xmempp_core import FormatError

    path, where = _found(name)
    if path is None:
        raise FormatError(
            host.named_folder(name)[0],
            f"there is nothing of that name in ComfyUI's {where}; check the name",
        )
    return path


def _found(name: str) -> tuple[Path | None, str]:
    """The file or folder of a name, None if there is none, and where it was looked for."""
    plain, named = host.named_folder(name)
    where = f"{named.name} folder" if named else "input or output folder"
    folders = (named,) if named else host.folders()
    inside = [path for path in (_inside(folder, plain) for folder in folders) if path]
    if not inside:
        raise _outside(folders[0], plain)
    return next((path for path in inside if path.exists()), None), where


def output_file(name: str, suffix: str = "") -> tuple[Path, str]:
    """A path in ComfyUI's output folder and the name under which a Load node finds it.

    Args:
        name: path inside the folder; " [output]" behind it is taken off.
        suffix: added where the name does not end with it.

    Raises:
        InputError: the name is empty or leads out of the output folder.
        FormatError: its folder cannot be made.
    """
    from ..xmempp_core import FormatError

    root = Path(os.path.abspath(host.folders()[1]))
    plain = name.strip().removesuffix("[output]").strip()
    wanted = plain if not plain or plain.endswith(suffix) else plain + suffix
    path = _inside(root, wanted)
    if path is None:
        raise _outside(root, wanted)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot be made a folder ({error.strerror}); choose another name"
        raise FormatError(path.parent, problem) from error
    return path, f"{path.relative_to(root).as_posix()} [output]"


def _inside(root: Path, name: str) -> Path | None:
    """A path below a folder; None where the name is empty or leads out of it."""
    # not resolve(): users link folders of other disks into the input folder
    path, root = Path(os.path.abspath(root / name)), Path(os.path.abspath(root))
    return path if name and path != root and path.is_relative_to(root) else None


def _outside(root: Path, name: str) -> Exception:
    from ..xmempp_core import InputError

    return InputError(
        f"The name {name!r} does not lead to a place inside {root.name}/; "
        "write a name such as shot_010/track"
    )


def change_mark(name: str | None) -> str:
    """Text that changes when a file, or a file directly in a folder, changes; "" if it is gone.

    Args:
        name: as for `input_file`; None where the name comes from another node.
    """
    if not name or not name.strip():
        return ""
    path, _ = _found(name)
    if path is None:
        return ""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return "|".join(f"{f.name}:{f.stat().st_mtime_ns}:{f.stat().st_size}" for f in files)


def temporary_file(suffix: str) -> Path:
    """A new file name in ComfyUI's temp folder."""
    return host.temporary_folder() / f"xmempp_{uuid.uuid4().hex}{suffix}"


def temporary_copy(content: memoryview) -> Path:
    """A file with a video's bytes; named by them, so that all nodes and runs share one copy."""
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    path = temporary_file(".part")
    kept = path.with_name(f"xmempp_{digest}.video")
    if not kept.is_file():
        path.write_bytes(content)
        path.replace(kept)
    return kept
