"""A preview film: pictures in, mp4 out, one at a time."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ..xmempp_core.types import Size

DEFAULT_RATE = Fraction(24)
QUALITY = {"crf": "20", "preset": "veryfast"}


def write_film(
    path: Path, pictures: Iterable[Tensor], size: Size, frame_rate: Fraction | None
) -> None:
    """Writes pictures (H, W, 3) uint8 as H.264, which takes even sizes alone.

    The last row or column of an odd size is left out; it is a preview.

    Raises:
        FormatError: the file cannot be written.
    """
    import av
    import av.error

    from ..xmempp_core import FormatError

    rate = Fraction(frame_rate or DEFAULT_RATE).limit_denominator(65535)
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=rate, options=QUALITY)
            stream.pix_fmt = "yuv420p"
            height, width = size.height // 2 * 2, size.width // 2 * 2
            stream.height, stream.width = height, width
            for picture in pictures:
                pixels = picture[:height, :width].contiguous().numpy()
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
    except (av.error.FFmpegError, OSError) as error:
        raise FormatError(path, f"the preview film cannot be written ({error})") from error
