"""Files of an export: in a hidden folder until all of them are whole, then under their names."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import FormatError, XMemError
from .plan import MattePlan
from .presets import MatteSettings
from .sidecar import files_of_sidecar

_STAGING = ".export-"


@dataclass(frozen=True)
class StagedExport:
    """An export under way."""

    plan: MattePlan
    settings: MatteSettings
    output: Path
    """where files go in the end"""
    staging: Path
    """where they lie until all are whole"""

    def written_bytes(self) -> int:
        """Bytes of the files so far."""
        return sum(path.stat().st_size for path in self.staging.rglob("*") if path.is_file())

    def check_room(self, needed_bytes: float) -> None:
        """Raises FormatError unless the disk has room."""
        free_bytes = shutil.disk_usage(self.staging).free
        if needed_bytes > free_bytes:
            raise FormatError(
                self.output,
                f"has {free_bytes / 2**30:.2f} GB free, the mattes need about "
                f"{needed_bytes / 2**30:.2f} GB; free space or choose another disk",
            )

    def put_in_place(self) -> None:
        """Moves every file to its name, the sidecar last; files that only an earlier one had go."""
        sidecar = PurePosixPath(self.plan.sidecar)
        earlier = files_of_sidecar(self.output / sidecar)
        for path in (*self.plan.files, sidecar):  # found before the first is moved
            if (self.output / path).is_dir():
                raise FormatError(self.output / path, "is a folder; remove it, or rename")
        for path in (*self.plan.files, sidecar):
            target = self.output / path
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.staging / path, target)
        for path in earlier - set(self.plan.files):
            (self.output / path).unlink(missing_ok=True)


@contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """A hidden folder in the output that is gone afterwards; leftovers of killed runs go too.

    Errors name the files as they would have been called.
    """
    for leftover in output.glob(f"{_STAGING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = output / f"{_STAGING}{secrets.token_hex(4)}"
    try:
        folder.mkdir()
        yield folder
    except FormatError as error:
        if not Path(error.path).is_relative_to(folder):
            raise
        place = output / Path(error.path).relative_to(folder)
        raise FormatError(place, error.problem) from error
    except XMemError:
        raise
    except OSError as error:
        raise FormatError(output, f"cannot be written to: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
