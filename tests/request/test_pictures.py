from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guardrail.errors import PictureError
from guardrail.request.pictures import PictureLimits, load_picture, picture_from_base64


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (24, 16)) -> Image.Image:
    values = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def png_header(width: int, height: int) -> bytes:
    """A valid PNG of that size whose pixel data is missing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def fault(source: object, limits: PictureLimits | None = None) -> str:
    with pytest.raises(PictureError) as caught:
        load_picture(source, limits=limits)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "GIF", "JPEG"])
def test_every_default_format_is_read(kind: str) -> None:
    data = encoded(noise(), kind, **({"lossless": True} if kind == "WEBP" else {}))
    picture = load_picture(data)
    assert picture.image.mode == "RGB"
    assert picture.image.size == (24, 16)
    assert picture.digest == hashlib.sha256(data).hexdigest()
    if kind not in ("GIF", "JPEG"):
        assert picture.image.tobytes() == noise().tobytes()


def test_path_string_file_url_data_uri_and_base64_give_the_same_picture(tmp_path: Path) -> None:
    data = encoded(noise())
    path = tmp_path / "a picture é.png"
    path.write_bytes(data)
    text = base64.b64encode(data).decode()
    sources = [data, path, str(path), path.as_uri(), f"data:image/png;base64,{text}"]
    digests = {load_picture(source).digest for source in sources}
    folded = "\n".join(text[i : i + 60] for i in range(0, len(text), 60)).rstrip("=")
    digests.add(picture_from_base64(folded).digest)
    digests.add(picture_from_base64(base64.urlsafe_b64encode(data).decode()).digest)
    assert digests == {hashlib.sha256(data).hexdigest()}


def test_content_decides_not_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(noise(), "JPEG"))
    assert load_picture(path).image.size == (24, 16)


def test_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").write_bytes(encoded(noise()))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_picture("~/x.png").image.size == (24, 16)


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (64, 32), "black")
    image.paste("white", (0, 0, 16, 32))
    picture = load_picture(encoded(image, "JPEG", exif=exif, quality=95))
    assert picture.image.size == (32, 64)
    assert picture.image.getpixel((16, 4)) == (255, 255, 255)  # the left edge is now the top
    assert picture.image.getexif().get(0x0112) is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_orientation_agrees_with_pillow(orientation: int, kind: str) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(noise(), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert load_picture(data).image.tobytes() == expected.convert("RGB").tobytes()


def test_damaged_exif_does_not_cost_the_picture() -> None:
    data = encoded(noise(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert load_picture(data).image.size == (24, 16)


def test_alpha_is_composited_on_white() -> None:
    image = Image.new("RGBA", (4, 1), (255, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    pixels = load_picture(encoded(image)).image
    assert pixels.getpixel((0, 0)) == (255, 255, 255)
    assert pixels.getpixel((1, 0)) == (127, 127, 127)
    assert pixels.getpixel((3, 0)) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "YCbCr", "HSV", "RGBX"])
def test_modes_convert_to_rgb(mode: str) -> None:
    image = noise("RGBA" if mode in ("LA", "RGBA") else "RGB")
    image = image.convert("L").convert(mode) if mode in ("LA", "1") else image.convert(mode)
    picture = load_picture(image)
    assert picture.image.mode == "RGB"
    reference = noise("L" if mode in ("L", "LA", "1") else "RGB").convert("RGB")
    off = np.abs(np.asarray(picture.image, float) - np.asarray(reference, float)).mean()
    assert off < (130 if mode in ("1", "P") else 6)


def test_palette_with_transparent_entries() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.putpixel((1, 0), 1)
    for clear in (0, bytes([0, 255])):
        pixels = load_picture(encoded(image, "PNG", transparency=clear)).image
        assert [pixels.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (200, 0, 0)]


def test_rgb_with_a_transparent_colour() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    pixels = load_picture(encoded(image, "PNG", transparency=(1, 2, 3))).image
    assert [pixels.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (9, 9, 9)]


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    values = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    pixels = load_picture(encoded(Image.fromarray(values))).image
    assert [pixels.getpixel((x, 0))[0] for x in range(4)] == [0, 1, 128, 255]
    assert load_picture(encoded(Image.fromarray(values), "TIFF")).image.getpixel((2, 0))[0] == 128


def test_float_pixels_have_one_meaning_or_are_refused() -> None:
    unit = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert load_picture(unit).image.getpixel((1, 0)) == (128, 128, 128)
    for bad in (300.0, -1.0, float("nan")):
        image = Image.fromarray(np.array([[0.0, bad]], dtype=np.float32))
        assert "8-bit" in fault(image)


def test_cmyk_jpeg() -> None:
    white = load_picture(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG")).image
    black = load_picture(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG")).image
    assert min(white.getpixel((4, 4))) > 250
    assert max(black.getpixel((4, 4))) < 5


def test_pil_image_is_copied_and_its_digest_covers_size_and_pixels() -> None:
    image = noise()
    picture = load_picture(image)
    assert picture.image is not image
    image.paste("black", (0, 0, 24, 16))
    assert picture.image.tobytes() == noise().tobytes()
    turned = Image.frombytes("RGB", (16, 24), noise().tobytes())
    assert load_picture(turned).digest != picture.digest
    assert load_picture(noise()).digest == picture.digest


def test_metadata_does_not_travel_on() -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("prompt", "canary")
    assert load_picture(encoded(noise(), pnginfo=info)).image.info == {}


def test_huge_picture_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were decoded"))
    text = fault(png_header(20_000, 20_000))
    assert "20,000 x 20,000" in text
    assert "50 megapixels" in text


def test_strip_that_would_explode_on_resizing_is_refused() -> None:
    assert "strip" in fault(png_header(1, 40_000))
    assert "strip" in fault(Image.new("RGB", (4000, 1)))


def test_pixel_limit_applies_to_pil_images() -> None:
    assert "megapixels" in fault(noise(), PictureLimits(max_pixels=100))


def test_byte_limit(tmp_path: Path) -> None:
    data = encoded(noise())
    path = tmp_path / "big.png"
    path.write_bytes(data)
    limits = PictureLimits(max_bytes=len(data) - 1)
    text = base64.b64encode(data * 2).decode()
    for source in (data, path, f"data:image/png;base64,{text}", "data:image/png," + "%00" * 9999):
        assert "is larger than" in fault(source, limits)
    assert load_picture(path, limits=PictureLimits(max_bytes=len(data))).image.size == (24, 16)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animated_or_paged_pictures_are_refused(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert "animated" in fault(data)
    if kind == "GIF":
        assert "animated" in fault(Image.open(io.BytesIO(data)))
        assert load_picture(Image.open(io.BytesIO(data)).copy()).image.size == (8, 8)


def test_phone_photo_with_a_preview_is_one_picture() -> None:
    data = encoded(noise(), "MPO", save_all=True, append_images=[noise(size=(12, 8))])
    assert load_picture(data).image.size == (24, 16)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF"])
def test_truncated_pictures_never_raise_anything_else(kind: str) -> None:
    if kind == "AVIF" and "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    data = encoded(noise(), kind)
    for length in sorted({0, 1, 7, 16, 30, len(data) // 2, len(data) * 3 // 4}):
        fault(data[:length])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
def test_damaged_bytes_give_a_picture_or_a_picture_error(kind: str) -> None:
    data = encoded(noise(), kind)
    generator = np.random.default_rng(3)
    for _ in range(150):
        damaged = bytearray(data)
        for place in generator.integers(0, len(data), 4):
            damaged[place] = int(generator.integers(0, 256))
        with contextlib.suppress(PictureError):
            assert load_picture(bytes(damaged)).image.mode == "RGB"


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("these are my notes, not a picture at all\n" * 5)
    text = fault(path)
    assert "notes.png" in text
    assert "is text" in text
    assert "PNG" in text
    assert "0 bytes" in fault(b"")
    assert "PDF" in fault(b"%PDF-1.7 ....")
    assert "SVG" in fault(b'<?xml version="1.0"?>\n<svg xmlns="x"/>')
    assert "HEIC" in fault(b"\0\0\0\x18ftypheic\0\0\0\0")
    assert "video" in fault(b"\0\0\0\x18ftypisom\0\0\0\0")
    assert "LFS" in fault(b"version https://git-lfs.github.com/spec/v1\noid sha256:0")
    assert "unknown kind" in fault(bytes(range(128, 200)))


def test_formats_can_be_narrowed() -> None:
    limits = PictureLimits(formats=frozenset({"PNG"}))
    assert load_picture(encoded(noise()), limits=limits).image.size == (24, 16)
    text = fault(encoded(noise(), "GIF"), limits)
    assert "is a GIF picture, which is not allowed" in text


def test_file_system_faults(tmp_path: Path) -> None:
    assert "does not exist" in fault(tmp_path / "missing.png")
    assert "is a directory" in fault(tmp_path)
    (tmp_path / "empty.png").touch()
    assert "empty" in fault(tmp_path / "empty.png")
    assert "cannot be read" in fault("x\0y.png")
    assert "cannot be read" in fault("x." * 2500)
    assert "not a picture" in fault("x" * 5000)
    assert "empty" in fault("  ")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        assert "not a regular file" in fault(tmp_path / "pipe.png")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(noise()))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # a file mode would not stop a test run by root
    assert "permissions" in fault(path)


def test_local_files_can_be_switched_off(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(noise()))
    limits = PictureLimits(local_files=False)
    for source in (path, str(path), path.as_uri()):
        assert "may not be read here" in fault(source, limits)
    assert load_picture(path.read_bytes(), limits=limits).image.size == (24, 16)


def test_addresses() -> None:
    text = fault("https://example.org/cat.png?token=canary")
    assert "example.org" in text
    assert "UrlPolicy" in text
    assert "canary" not in text
    assert "s3://" in fault("s3://bucket/cat.png")
    assert "another machine" in fault("file://server/cat.png")


def test_data_uri_faults() -> None:
    assert "comma" in fault("data:image/png;base64")
    assert "not valid base64" in fault("data:image/png;base64,***")
    assert "is text" in fault("data:text/plain,hello%20there")
    assert "empty" in fault("data:image/png;base64,")


def test_other_types_are_refused() -> None:
    assert "int" in fault(7)
