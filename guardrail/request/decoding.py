"""From encoded bytes to RGB pixels, within the limits, whatever the bytes."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from PIL import Image

from guardrail.errors import PictureError
from guardrail.request.essence import Essence, orientation_in
from guardrail.request.gif import gif_essence
from guardrail.request.jpeg import jpeg_essence
from guardrail.request.netpbm import check_header, is_netpbm, netpbm_image
from guardrail.request.picture_limits import DEFAULT_FORMATS, Deadline, PictureLimits
from guardrail.request.pixels import rgb_pixels
from guardrail.request.png import png_essence
from guardrail.request.tiff import tiff_essence

_BLOCK = 16 * 1024
_OVERLAP = 8
"""Times its size that a decoder may read of a file: one that reads on goes round in it."""

_ESSENCES: Mapping[str, Callable[[bytes, PictureLimits], Essence]] = MappingProxyType(
    {"PNG": png_essence, "JPEG": jpeg_essence, "GIF": gif_essence, "TIFF": tiff_essence}
)
# Measured, with the copies that decoder and Pillow make, in bytes a pixel.
_MEMORY: Mapping[str, float] = MappingProxyType({"WEBP": 18.0, "AVIF": 24.0})
_OTHER_MEMORY = 12.0
_HEIC = frozenset(b"heic heix heim heis hevc hevx hevm hevs heif mif1 mif2 msf1 miaf".split())
_AVIF = frozenset((b"avif", b"avis"))
_LOOKS_LIKE: Mapping[str, re.Pattern[bytes]] = MappingProxyType(
    {
        "a video": re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL),
        "a PDF": re.compile(rb"%PDF"),
        "an SVG drawing": re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<svg", re.DOTALL),
        "a web page": re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE),
        "a Git LFS pointer": re.compile(rb"version https://git-lfs"),
        "an archive": re.compile(rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf"),
    }
)


def decoded(encoded: bytes, limits: PictureLimits, deadline: Deadline) -> Image.Image:
    """Returns the RGB pixels of an encoded picture.

    Raises:
        PictureError: It is no picture, damaged, or beyond the limits; the sentence lacks its
            subject.
    """
    Image.init()
    name = _format(encoded, limits)
    try:
        if name == "PPM" and is_netpbm(encoded):
            image = netpbm_image(encoded, limits, deadline)
            return image if image.mode == "RGB" else image.convert("RGB")
        if name == "PPM":
            check_header(encoded)
        essence = _essence(name, encoded, limits)
        deadline.check()
        with _quiet(name):
            image = _open(name, essence, limits, deadline)
            limits.check_size(*image.size)
            pixels = image.width * image.height
            limits.check_memory(int(pixels * essence.memory) + essence.buffers)
            if _is_sequence(image):
                raise PictureError(
                    "is animated or has several pages: "
                    "give one frame or page as a picture of its own"
                )
            _load(image)
        return _rgb(image, name, essence, deadline)
    except PictureError:
        raise
    except Exception as error:  # a reader fed with hostile bytes raises anything
        raise PictureError(
            f"begins like a {name} picture but cannot be read: the file is damaged, save it again"
        ) from error


def brands(encoded: bytes) -> frozenset[bytes]:
    """Returns the brands of an ISO media file (HEIC, AVIF, videos); none for any other."""
    if encoded[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(encoded[:4], "big"), 512)
    return frozenset((encoded[8:12], *(encoded[at : at + 4] for at in range(16, end - 3, 4))))


def looks_like_picture(head: bytes) -> bool:
    """Whether these are the first bytes of a picture, or of what passes for one."""
    if head[4:8] == b"ftyp" or head[:4] == b"%PDF" or is_netpbm(head):
        return True
    Image.init()
    for name in (*sorted(DEFAULT_FORMATS - {"PPM"}), "JPEG2000", "PSD", "ICO"):
        accept = Image.OPEN[name][1] if name in Image.OPEN else None
        if accept is not None and accept(head[:16]):
            return True
    return False


class _Blocks(io.BytesIO):
    """Bytes that are handed out while there is time, and not again and again."""

    def __init__(self, encoded: bytes, deadline: Deadline) -> None:
        super().__init__(encoded)
        self._deadline = deadline
        self._left = _OVERLAP * len(encoded) + 2**20

    def read(self, size: int | None = -1, /) -> bytes:
        self._deadline.check()
        block = super().read(size)
        self._left -= len(block)
        if self._left < 0:
            raise PictureError("refers to the same bytes again and again: save it again")
        return block


def _format(encoded: bytes, limits: PictureLimits) -> str:
    found = brands(encoded)
    if found & _HEIC and not found & _AVIF and not limits.formats & {"HEIF", "HEIC"}:
        raise PictureError(f"is a HEIC photo, not a picture that can be decoded: {_give(limits)}")
    for name in sorted(limits.formats & Image.OPEN.keys()):
        accept = Image.OPEN[name][1]
        recognised = accept(encoded[:16]) if accept is not None else False
        if recognised and not isinstance(recognised, str):
            return name  # a string says why this build of Pillow cannot decode the format
    raise PictureError(_unknown_kind(encoded[:1024], limits))


def _give(limits: PictureLimits) -> str:
    return f"give {', '.join(sorted(limits.formats))}"


def _unknown_kind(head: bytes, limits: PictureLimits) -> str:
    for name, (_, accept) in Image.OPEN.items():
        if name in ("BMP", *DEFAULT_FORMATS) and accept and accept(head[:16]) is True:
            return f"is a {name} picture, which is not allowed here: {_give(limits)}"
    for kind, pattern in _LOOKS_LIKE.items():
        if pattern.match(head):
            return f"is {kind}, not a picture that can be decoded: {_give(limits)}"
    printable = sum(32 <= byte < 127 or byte in (9, 10, 13) for byte in head)
    kind = "is text" if printable >= 0.95 * len(head) else "is of an unknown kind"
    return f"{kind}, not a picture, whatever its name: {_give(limits)}"


def _essence(name: str, encoded: bytes, limits: PictureLimits) -> Essence:
    if name in _ESSENCES:
        return _ESSENCES[name](encoded, limits)
    essence = Essence(encoded, memory=_MEMORY.get(name, _OTHER_MEMORY))
    if name == "WEBP" and encoded[12:16] == b"VP8X":
        # Pillow's decoder takes room for the canvas as soon as it is opened.
        wide, high = (1 + int.from_bytes(encoded[n : n + 3], "little") for n in (24, 27))
        limits.check_size(wide, high)
        limits.check_memory(int(wide * high * essence.memory))
    return essence


def _open(name: str, essence: Essence, limits: PictureLimits, deadline: Deadline) -> Image.Image:
    """Reads the header alone, by the one decoder.

    `PIL.Image.open` is not used: it warns about large pictures through process-wide state and
    checks the size against a global, where ours has its own limit and must never warn.
    """
    factory = Image.OPEN[name][0]
    image = factory(_Blocks(essence.encoded, deadline), "")
    if hasattr(image, "decodermaxblock"):
        image.decodermaxblock = _BLOCK
    return image


def _is_sequence(image: Image.Image) -> bool:
    """Whether there is more than one frame; the previews in an MPO photo are the caller's case."""
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged second frame is still a second frame
        return True


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except PictureError:
        raise
    except Exception as error:  # a decoder fed with hostile bytes raises anything
        raise PictureError("is truncated or damaged: save or download it again") from error


def _rgb(image: Image.Image, name: str, essence: Essence, deadline: Deadline) -> Image.Image:
    orientation, held = essence.orientation, image.info.get("exif")
    if name not in _ESSENCES and isinstance(held, bytes):
        orientation = orientation_in(held)
    try:
        deadline.check()
        return rgb_pixels(
            image,
            orientation=orientation,
            bits=essence.bits,
            owned=True,
            check=deadline.check,
        )
    except PictureError:
        raise
    except Exception as error:
        raise PictureError(
            f"has pixels of kind {image.mode!r} that cannot be converted: "
            "save it as an 8-bit RGB picture"
        ) from error


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keeps Pillow from warning about the metadata of a format whose metadata it reads.

    Only there, since the filters of warnings are the whole process's: the other formats come here
    without metadata.
    """
    if name in _ESSENCES or name in ("BMP", "PPM", "WEBP"):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
