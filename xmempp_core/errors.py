"""Every error the package raises on purpose.

::

    XMemError
    |-- InputError (also ValueError)    an argument, an annotation or a setting cannot be used
    |   |-- ShapeError                  a tensor has another shape; carries expected and got
    |   `-- SettingsError               a setting is out of range; names the field, value and range
    |-- FormatError (also OSError)      a file cannot be read or written; carries the path
    |-- CapacityError                   memory ran out; says which setting to lower
    `-- Interrupted                     a run was stopped between two frames, its state is saved

A message is one sentence: what is wrong, the value got, what is allowed, what to do.
"""

from __future__ import annotations

from pathlib import Path

_OUT_OF_MEMORY_SIGNS = (
    "out of memory",
    "can't allocate memory",
    "Cannot allocate memory",
    "Insufficient memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


class XMemError(Exception):
    """The root: catching it catches everything the package raises on purpose."""

    def __init_subclass__(cls) -> None:
        # tools show the full name before the sentence; a pack's folder would hide the sentence
        cls.__module__ = "xmempp_core"


class InputError(XMemError, ValueError):
    """An argument cannot be used; the message says what is allowed."""


class ShapeError(InputError):
    """Something has another shape than it must have.

    Args:
        what: the thing, as the user knows it ("annotation of frame 3: masks").
        expected: the shape it must have, as text or numbers.
        got: the shape it has.
        remedy: what to do about it, a clause; optional.
    """

    def __init__(self, what: str, expected: object, got: object, remedy: str = "") -> None:
        self.expected = expected
        self.got = got
        end = f"; {remedy}" if remedy else ""
        super().__init__(f"{what}: expected shape {expected}, got {got}{end}")


class SettingsError(InputError):
    """A setting is out of range.

    Args:
        field: name of the setting.
        value: the value it was given.
        allowed: the allowed values, in words.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"setting {field} is {value!r}, allowed is {allowed}")


class FormatError(XMemError, OSError):
    """A file or folder cannot be read or written.

    Args:
        path: the file or folder.
        problem: what is wrong and what to do, a clause that follows the path.
    """

    def __init__(self, path: str | Path, problem: str) -> None:
        self.path = Path(path)
        self.problem = problem
        super().__init__(f"{path}: {problem}")

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class CapacityError(XMemError):
    """Memory ran out; the message says which setting to lower."""


class Interrupted(XMemError):  # noqa: N818, it is no fault
    """A run was stopped between two frames because somebody asked; its state is saved.

    No fault: the command line ends with code 130.

    Args:
        done: frames computed.
        total: frames to compute in all.
        output: folder with the state.
    """

    def __init__(self, done: int, total: int, output: Path) -> None:
        super().__init__(f"interrupted after {done} of {total} frames; go on with --resume")
        self.done, self.total, self.output = done, total, output


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, on the GPU or the host.

    Python and FFmpeg raise MemoryError; PyTorch a RuntimeError, OpenCV, safetensors and the system
    errors of their own, which only their text tells apart.
    """
    if isinstance(error, XMemError):
        return False
    has_own_text = isinstance(error, (RuntimeError, OSError)) or type(error).__name__ in (
        "error",  # cv2.error
        "SafetensorError",
    )
    said = has_own_text and any(sign in str(error) for sign in _OUT_OF_MEMORY_SIGNS)
    return said or isinstance(error, MemoryError)
