"""What a picture may be, and what it may cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardrail.errors import PictureError

if TYPE_CHECKING:
    from guardrail.request.fetching import UrlPolicy

DEFAULT_FORMATS = frozenset({"PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"})
MIB = 1024 * 1024


@dataclass(frozen=True)
class PictureLimits:
    """What a picture may be.

    Attributes:
        max_bytes: Largest encoded size. It holds before base64 or percent signs are decoded, too.
        max_pixels: Largest width times height, checked before decoding.
        max_aspect: Largest ratio of the longer to the shorter side. A 1 x 50,000,000 strip passes
            every other check and becomes a bomb when a processor scales its short side up.
        max_memory: Most bytes that decoding may take beside the encoded ones, estimated from the
            headers: a progressive JPEG or a WebP takes several times its pixels.
        max_seconds: After so long, a picture that is still being read is given up. This is the last
            resort, for what no header tells; a decoder is asked between its blocks only.
        max_scans: Most passes over the pixels of a JPEG; progressive ones have about ten.
        formats: Pillow format names that may be decoded; the content decides, not the file name.
        local_files: Whether paths and `file:` addresses are read. Switch it off where the
            messages come from people who must not read this machine's files.
        urls: Which remote addresses may be fetched; None refuses all of them.
    """

    max_bytes: int = 32 * MIB
    max_pixels: int = 50_000_000
    max_aspect: float = 200.0
    max_memory: int = 384 * MIB
    max_seconds: float = 1.5
    max_scans: int = 64
    formats: frozenset[str] = DEFAULT_FORMATS
    local_files: bool = True
    urls: UrlPolicy | None = None

    def check_bytes(self, count: int, description: str) -> None:
        """Refuses more encoded bytes than are accepted.

        Raises:
            PictureError: There are.
        """
        if count > self.max_bytes:
            raise PictureError(
                f"{description} is larger than {self.max_bytes / MIB:g} MiB: "
                "scale it down or save it with stronger compression"
            )

    def check_size(self, width: int, height: int) -> None:
        """Refuses pixels that are too many or too oddly arranged.

        Raises:
            PictureError: They are; the sentence lacks its subject.
        """
        if width < 1 or height < 1:
            raise PictureError(f"has no pixels ({width} x {height}): save it again")
        if width * height > self.max_pixels:
            raise PictureError(
                f"has {width:,} x {height:,} pixels, at most "
                f"{self.max_pixels / 1e6:g} megapixels are accepted: scale it down"
            )
        if max(width, height) > self.max_aspect * min(width, height):
            raise PictureError(
                f"is a strip of {width:,} x {height:,} pixels, sides may differ by "
                f"{self.max_aspect:g} times at most: cut it into pieces"
            )

    def check_memory(self, count: int) -> None:
        """Refuses what takes too much room to decode.

        Raises:
            PictureError: It does; the sentence lacks its subject.
        """
        if count > self.max_memory:
            raise PictureError(
                f"would take {count / MIB:,.0f} MiB to decode, at most "
                f"{self.max_memory / MIB:,.0f} MiB are accepted: scale it down"
            )


class Deadline:
    """When reading a picture has to be over.

    Args:
        limits: For how long it may go on, from now.
    """

    def __init__(self, limits: PictureLimits) -> None:
        self._seconds = limits.max_seconds
        self._end = time.monotonic() + limits.max_seconds

    def check(self, description: str = "") -> None:
        """Gives up when it is late.

        Args:
            description: The subject of the sentence, where nobody else adds it.

        Raises:
            PictureError: It is.
        """
        if time.monotonic() > self._end:
            late = f"takes longer than {self._seconds:g} s to decode: save it again, scaled down"
            raise PictureError(f"{description} {late}".lstrip())
