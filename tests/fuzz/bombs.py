"""Pictures made to cost much: ordinary in bytes, and without bound in what they ask for."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import quote

import numpy as np
from PIL import Image

BOMBS: dict[str, Callable[[], bytes | str]] = {}
"""By name, what makes the picture; made where it is used, since some are large."""


def bomb(make: Callable[[], bytes | str]) -> Callable[[], bytes | str]:
    BOMBS[make.__name__] = make
    return make


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes, colour: int = 2, depth: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def tiff(fields: dict[int, tuple[int, int, int]], body: bytes = b"", following: int = 0) -> bytes:
    """Fields by tag: type, count, value or offset; the body begins at byte 8."""
    entries = b"".join(
        struct.pack("<HHII", tag, *fields[tag]) for tag in sorted(fields)
    ) + struct.pack("<I", following)
    return (
        b"II*\0"
        + struct.pack("<I", 8 + len(body))
        + body
        + struct.pack("<H", len(fields))
        + entries
    )


def scans(width: int, height: int, count: int) -> bytes:
    """A progressive JPEG of many empty refinements."""
    data = saved(Image.new("RGB", (64, 64)), "JPEG", progressive=True)
    sof = data.index(b"\xff\xc2")
    data = data[: sof + 5] + struct.pack(">HH", height, width) + data[sof + 9 :]
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


@bomb
def jpeg_of_hundreds_of_scans() -> bytes:
    return scans(6000, 6000, 500)


@bomb
def jpeg_of_as_many_scans_as_are_accepted() -> bytes:
    return scans(5500, 5500, 55)


@bomb
def jpeg_of_many_scans_of_few_pixels() -> bytes:
    return scans(2000, 2000, 50)


@bomb
def jpeg_of_a_million_segments() -> bytes:
    data = saved(Image.new("RGB", (64, 64)), "JPEG")
    return data[:2] + b"\xff\xe5\0\2" * 4_000_000 + data[2:]


@bomb
def jpeg_of_a_million_fill_bytes() -> bytes:
    data = saved(Image.new("RGB", (64, 64)), "JPEG")
    return data[:2] + b"\xff" * 30_000_000 + data[2:]


@bomb
def jpeg_of_restarts_only() -> bytes:
    data = saved(Image.new("RGB", (64, 64)), "JPEG")
    return data[:-2] + b"\xff\xd0" * 15_000_000 + b"\xff\xd9"


@bomb
def jpeg_progressive_of_50_megapixels() -> bytes:
    return scans(7000, 7000, 1)


@bomb
def ppm_of_a_30_mb_comment() -> bytes:
    return b"P6\n#" + b"x" * 30_000_000 + b"\n8 8\n255\n" + bytes(192)


@bomb
def ppm_of_millions_of_comments() -> bytes:
    return b"P6\n" + b"#\n" * 15_000_000 + b"8 8\n255\n" + bytes(192)


@bomb
def ppm_written_out() -> bytes:
    return b"P3\n2200 2200\n255\n" + b"1 " * (2200 * 2200 * 3)


@bomb
def ppm_written_out_within_the_limit() -> bytes:
    return b"P3\n1100 1100\n255\n" + b"1 " * (1100 * 1100 * 3)


@bomb
def ppm_of_one_endless_number() -> bytes:
    return b"P2\n1000 1000\n255\n" + b"1" * 8_000_000


@bomb
def ppm_of_an_odd_depth() -> bytes:
    return b"P6\n3200 3200\n254\n" + bytes(3200 * 3200 * 3)


@bomb
def ppm_float_of_a_long_comment() -> bytes:
    return b"Pf\n#" + b"x" * 30_000_000 + b"\n8 8\n1.0\n" + bytes(256)


@bomb
def png_of_a_million_chunks() -> bytes:
    return png(8, 8, *[chunk(b"tEXt", b"")] * 2_000_000)


@bomb
def png_of_a_million_empty_pixel_chunks() -> bytes:
    return png(8, 8, *[chunk(b"IDAT", b"")] * 2_000_000)


@bomb
def png_bomb_of_50_megapixels() -> bytes:
    return png(7000, 7000, chunk(b"IDAT", zlib.compress(bytes(7000 * 21001), 9)))


@bomb
def png_with_alpha_of_50_megapixels() -> bytes:
    return png(7000, 7000, chunk(b"IDAT", zlib.compress(bytes(7000 * 28001), 9)), colour=6)


@bomb
def png_16_bit_of_50_megapixels() -> bytes:
    data = zlib.compress(bytes(7000 * 14001), 9)
    return png(7000, 7000, chunk(b"IDAT", data), colour=0, depth=16)


@bomb
def png_bomb_beyond_its_pixels() -> bytes:
    return png(8, 8, chunk(b"IDAT", zlib.compress(bytes(2_000_000_000 // 8), 9)))


@bomb
def png_profile_bomb() -> bytes:
    profile = chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(200_000_000), 9))
    return png(8, 8, profile, chunk(b"IDAT", zlib.compress(bytes(8 * 25))))


@bomb
def gif_of_millions_of_blocks() -> bytes:
    data = saved(Image.new("P", (8, 8)), "GIF")
    return data[:-1] + b"!\xfe" + b"\1x" * 15_000_000 + b"\0;"


@bomb
def gif_of_millions_of_extensions() -> bytes:
    data = saved(Image.new("P", (8, 8)), "GIF")
    at = data.index(b",")
    return data[:at] + b"!\xfe\0" * 10_000_000 + data[at:]


@bomb
def gif_of_a_frame_beyond_its_screen() -> bytes:
    data = bytearray(saved(Image.new("P", (8, 8)), "GIF"))
    at = data.index(b",")
    data[at + 5 : at + 9] = struct.pack("<HH", 65535, 65535)
    return bytes(data)


@bomb
def gif_of_50_megapixels() -> bytes:
    return saved(Image.new("P", (7000, 7000)), "GIF")


@bomb
def gif_of_garbage_between_blocks() -> bytes:
    data = saved(Image.new("P", (8, 8)), "GIF")
    at = data.index(b",")
    return data[:at] + b"\1" * 30_000_000 + data[at:]


@bomb
def webp_of_a_vast_canvas() -> bytes:
    data = saved(Image.new("RGBA", (8, 8), (1, 2, 3, 4)), "WEBP", exif=b"Exif\0\0II*\0")
    at = data.index(b"VP8X") + 12
    return data[:at] + b"\xff\x3f\0\xff\x3f\0" + data[at + 6 :]


@bomb
def webp_of_40_megapixels() -> bytes:
    return saved(Image.new("RGB", (6300, 6300)), "WEBP", method=0)


@bomb
def webp_of_20_megapixels() -> bytes:
    return saved(Image.new("RGB", (4600, 4600)), "WEBP", lossless=True, method=0)


_PLAIN = {256: (4, 1, 64), 257: (4, 1, 64), 258: (3, 1, 8), 262: (3, 1, 1), 277: (3, 1, 1)}


@bomb
def tiff_of_thousands_of_large_fields() -> bytes:
    body = bytes(20_000_000)
    fields = {tag: (7, len(body), 8) for tag in range(1000, 60_000)}
    return tiff({**_PLAIN, 273: (4, 1, 8), **fields}, body)


@bomb
def tiff_of_millions_of_strips() -> bytes:
    body = bytes(24_000_000)
    return tiff({**_PLAIN, 259: (3, 1, 1), 273: (4, 6_000_000, 8), 278: (4, 1, 1)}, body)


@bomb
def tiff_of_as_many_strips_as_are_accepted() -> bytes:
    body = struct.pack("<I", 8) * 65_000 + bytes(200_000)
    size = {256: (4, 1, 400), 257: (4, 1, 65_000)}
    return tiff({**_PLAIN, **size, 259: (3, 1, 1), 273: (4, 65_000, 8), 278: (4, 1, 1)}, body)


@bomb
def tiff_of_a_vast_tile() -> bytes:
    vast = {322: (4, 1, 2**20), 323: (4, 1, 2**20), 324: (4, 1, 8), 325: (4, 1, 100)}
    return tiff({**_PLAIN, 259: (3, 1, 5), **vast}, bytes(200))


@bomb
def tiff_of_a_ring_of_directories() -> bytes:
    return tiff({**_PLAIN, 259: (3, 1, 1), 273: (4, 1, 8)}, bytes(4096), following=4104)


@bomb
def tiff_of_a_jpeg_of_hundreds_of_scans() -> bytes:
    body = scans(6000, 6000, 500)
    size = {256: (4, 1, 6000), 257: (4, 1, 6000), 258: (3, 1, 8), 262: (3, 1, 6), 277: (3, 1, 3)}
    strips = {259: (3, 1, 7), 273: (4, 1, 8), 278: (4, 1, 6000), 279: (4, 1, len(body))}
    return tiff({**size, **strips}, body)


@bomb
def tiff_of_lzma() -> bytes:
    return tiff({**_PLAIN, 259: (3, 1, 34925), 273: (4, 1, 8), 279: (4, 1, 100)}, bytes(200))


@bomb
def tiff_deflated_of_36_megapixels() -> bytes:
    return saved(Image.new("RGB", (6000, 6000)), "TIFF", compression="tiff_adobe_deflate")


@bomb
def tiff_broken_and_loud() -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (256, 256), np.uint8)
    data = bytearray(saved(Image.fromarray(noise), "TIFF", compression="tiff_lzw"))
    for at in range(40, len(data) - 300, 7):
        data[at] ^= 0x5A
    return bytes(data)


@bomb
def bmp_of_millions_of_runs() -> bytes:
    body = b"\1\1" * 15_000_000
    info = struct.pack("<IiiHHIIiiII", 40, 7000, 7000, 1, 8, 1, len(body), 0, 0, 256, 0)
    head = b"BM" + struct.pack("<IHHI", 54 + 1024 + len(body), 0, 0, 54 + 1024)
    return head + info + bytes(1024) + body


@bomb
def avif_of_36_megapixels() -> bytes:
    return saved(Image.new("RGB", (6000, 6000)), "AVIF", speed=10)


@bomb
def avif_of_16_megapixels_of_noise() -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (1000, 1000, 3), np.uint8)
    return saved(Image.fromarray(noise).resize((3900, 3900)), "AVIF", speed=10, quality=50)


@bomb
def data_uri_percent_encoded_of_200_mb() -> str:
    return "data:image/png," + "%00" * 66_000_000


@bomb
def data_uri_of_base64_percent_encoded_of_120_mb() -> str:
    return "data:image/png;base64," + "%41" * 40_000_000


@bomb
def data_uri_of_white_space() -> str:
    return "data:image/png;base64," + "A " * 20_000_000


@bomb
def data_uri_of_a_header_only() -> str:
    return "data:" + ";a=b" * 20_000_000


@bomb
def base64_of_signs() -> str:
    return "%" * 100_000_000


def seeds() -> Iterator[tuple[str, bytes]]:
    """Small sound pictures of every format and of many kinds of pixels, to be damaged."""
    values = np.random.default_rng(5).integers(0, 256, (20, 24, 3), np.uint8)
    rgb = Image.fromarray(values)
    deep = Image.fromarray(values[:, :, 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: list[tuple[str, Image.Image, dict[str, object]]] = [
        ("PNG", rgb, {"exif": exif}),
        ("PNG", rgb.convert("RGBA"), {}),
        ("PNG", rgb.convert("P"), {"transparency": 3}),
        ("PNG", deep, {}),
        ("JPEG", rgb, {"exif": exif}),
        ("JPEG", rgb, {"progressive": True}),
        ("JPEG", rgb.convert("CMYK"), {}),
        ("MPO", rgb, {"save_all": True, "append_images": [rgb]}),
        ("GIF", rgb.convert("P"), {"comment": b"hello", "transparency": 1}),
        ("GIF", rgb, {"save_all": True, "append_images": [rgb.rotate(90)]}),
        ("WEBP", rgb, {"exif": exif}),
        ("WEBP", rgb.convert("RGBA"), {"lossless": True}),
        ("BMP", rgb, {}),
        ("BMP", rgb.convert("P"), {}),
        ("TIFF", rgb, {"exif": exif}),
        ("TIFF", rgb, {"compression": "tiff_lzw"}),
        ("TIFF", rgb, {"compression": "jpeg"}),
        ("TIFF", rgb.convert("1"), {"compression": "group4"}),
        ("TIFF", deep, {"compression": "tiff_adobe_deflate", "big_tiff": True}),
        ("PPM", rgb, {}),
        ("PPM", deep, {}),
        ("PPM", rgb.convert("1"), {}),
        ("AVIF", rgb, {"exif": exif.tobytes()}),
    ]
    for kind, image, options in kinds:
        if kind in ("MPO", *Image.SAVE):
            yield kind, saved(image, kind, **options)
    yield "PPM", b"P3\n# a comment\n4 2 255\n" + b"1 200 255 " * 8
    yield "PPM", b"P1\n4 2\n01101001"


def as_text(data: bytes, way: int) -> str:
    """One of the ways to write a picture into a text."""
    plain = base64.b64encode(data).decode()
    return (
        f"data:image/png;base64,{plain}",
        f"data:image/png;base64,{quote(plain, safe='')}",
        f"data:image/png,{quote(data, safe='')}",
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        f' "data:;base64,{plain}"\n',
        f"data:image/png;base64,{plain[: len(plain) // 2]}\n {plain[len(plain) // 2 :]}",
    )[way % 6]
