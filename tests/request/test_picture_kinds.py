"""Pictures that were read wrong, or not at all, though nothing is wrong with their pixels."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from guardrail.errors import PictureError
from guardrail.request.pictures import PictureLimits, load_picture
from tests.fuzz.bombs import seeds
from tests.request.test_pictures import encoded, fault, noise

GREY = np.random.default_rng(3).integers(0, 256, (16, 24), np.uint8)
PNG = encoded(noise())
Z = zlib.compress(b"A" * 2_000_000)


def chunk(name: bytes, data: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(name + data) if crc is None else crc
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iCCP", b"icc\0\0" + Z),
        chunk(b"zTXt", b"parameters\0\0" + Z),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + Z),
        chunk(b"tEXt", b"Comment\0hi", 1),
        chunk(b"pHYs", b"\0"),
        chunk(b"tEXt", b"c\0" + b"A" * 2_000_000),
        chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
        chunk(b"tIME", b""),
        chunk(b"gAMA", b"\0", 7),
        chunk(b"cHRM", b"\0" * 3),
        chunk(b"acTL", b"\0\0\0\1\0\0\0\0"),
        chunk(b"prIv", b"\0" * 500_000, 0),
        chunk(b"tEXt", b"a\0b") * 2000,
    ],
    ids=lambda extra: extra[4:8].decode(),
)
@pytest.mark.parametrize("at", [33, -12])
def test_a_png_is_read_whatever_its_metadata(extra: bytes, at: int) -> None:
    data = PNG[:at] + extra + PNG[at:]
    assert load_picture(data).image.tobytes() == noise().tobytes()


@pytest.mark.parametrize(
    ("kind", "exif"),
    [
        ("JPEG", b"Exif\0\0II*\0\xff\xff\xff\xff"),
        ("JPEG", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"),
        ("JPEG", b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\2\0\xff\xff\xff\x7f\0\0\0\0"),
        ("JPEG", b"Exif\0\0"),
        ("WEBP", b"Exif\0\0II*\0\xff\xff\xff\xff"),
        ("PNG", b"II*\0\xff\xff\xff\xff"),
    ],
)
def test_damaged_exif_warns_nobody(kind: str, exif: bytes) -> None:
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow has no {kind}")
    data = encoded(noise(), kind, exif=exif)
    assert load_picture(data).image.size == (24, 16)  # warnings are errors here


def test_damaged_exif_of_an_avif_warns_nobody() -> None:
    if "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    exif = Image.Exif()
    exif[0x010E] = "canary"
    data = encoded(noise(), "AVIF", exif=exif.tobytes())
    at = max(data.find(b"\x0e\x01\x02\0"), data.find(b"\x01\x0e\0\2"))
    assert at > 0
    assert load_picture(data[: at - 2] + b"\xff\xff" + data[at:]).image.size == (24, 16)


def test_a_damaged_preview_directory_warns_nobody() -> None:
    data = encoded(noise(), "MPO", save_all=True, append_images=[noise()])
    at = data.index(b"MPF\0")
    assert load_picture(data[: at + 4] + b"\xff" * 20 + data[at + 24 :]).image.size == (24, 16)


def test_fields_of_a_tiff_that_are_no_pixels_warn_nobody() -> None:
    data = bytearray(encoded(noise(), "TIFF", description="x" * 40))
    start = struct.unpack("<I", data[4:8])[0]
    for entry in range(struct.unpack("<H", data[start : start + 2])[0]):
        at = start + 2 + 12 * entry
        if struct.unpack("<H", data[at : at + 2])[0] == 270:
            data[at + 4 : at + 12] = b"\xff\xff\xff\x0f\xff\xff\xff\x7f"
    assert load_picture(bytes(data)).image.tobytes() == noise().tobytes()


@pytest.mark.parametrize("bits", [1, 8, 10, 12, 14])
@pytest.mark.parametrize("kind", ["PIL", "PNG", "TIFF", "array", "PGM"])
def test_fewer_bits_in_sixteen_are_refused_and_never_black(bits: int, kind: str) -> None:
    values = (GREY.astype(np.uint16) << 8) >> (16 - bits)
    image = Image.fromarray(values)
    source = {
        "PIL": lambda: image,
        "PNG": lambda: encoded(image),
        "TIFF": lambda: encoded(image, "TIFF"),
        "array": lambda: values,
        "PGM": lambda: b"P5\n24 16\n65535\n" + values.astype(">u2").tobytes(),
    }[kind]()
    assert "fewer bits" in fault(source)


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint32, np.int16])
def test_wide_integers_of_a_byte_are_refused(kind: type) -> None:
    assert "fewer bits" in fault(GREY.astype(kind))
    if kind is np.int32:
        assert "fewer bits" in fault(Image.fromarray(GREY.astype(kind)))


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("colour", [2, 6])
def test_colours_of_fewer_bits_in_sixteen_are_refused(bits: int, colour: int) -> None:
    channels = 3 if colour == 2 else 4
    values = np.random.default_rng(1).integers(0, 2**bits, (16, 24, channels)).astype(">u2")
    if colour == 6:
        values[:, :, 3] = 65535
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 24, 16, 16, colour, 0, 0, 0))
    data = PNG[:8] + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert "fewer bits" in fault(data)


def test_a_declared_depth_is_what_is_scaled_by() -> None:
    for largest in (255, 100, 1023, 4095):
        values = np.array([[0, largest // 2, largest]])
        kind = ">u2" if largest > 255 else "u1"
        plain = b" ".join(b"%d" % value for value in values[0])
        for data in (
            b"P5\n# a comment\n3 1\n%d\n" % largest + values.astype(kind).tobytes(),
            b"P2 3 1 %d\n# here, too\n" % largest + plain,
        ):
            found = np.asarray(load_picture(data).image)[0, :, 0]
            assert found[0] == 0
            assert found[2] == 255
            assert abs(int(found[1]) - 127) <= 2


def test_what_is_black_in_every_depth_is_black() -> None:
    black = Image.fromarray(np.zeros((4, 4), np.uint16))
    assert load_picture(black).image.getextrema() == ((0, 0),) * 3


@pytest.mark.parametrize("brand", ["heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"])
@pytest.mark.parametrize("others", ["mif1heic", "", "msf1hevcmiaf"])
def test_heic_is_called_heic(brand: str, others: str) -> None:
    body = brand.encode() + bytes(4) + others.encode()
    data = struct.pack(">I", 8 + len(body)) + b"ftyp" + body + bytes(100)
    assert "is a HEIC photo" in fault(data)


@pytest.mark.parametrize("brand", [b"mif1", b"avif", b"miaf"])
def test_avif_stays_avif(brand: bytes) -> None:
    if "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    data = encoded(noise(), "AVIF")
    assert load_picture(data).image.size == (24, 16)
    assert "HEIC" not in fault(data[:8] + brand + data[12:60])


def test_one_loader_takes_every_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b#c.png").write_bytes(PNG)
    path, quoted = f"{tmp_path}/a b#c.png", f"{tmp_path}/a%20b%23c.png"
    spellings = [path, f"file:{quoted}", f"file://{quoted}", f"file://localhost{quoted}"]
    spellings += [f"FILE:{quoted}", "file:a%20b%23c.png", "a b#c.png", f'"{path}"', f" {path}\n"]
    spellings += [f"file:{path}", f"<file:{quoted}>", "'a b#c.png'"]
    for each in spellings:
        assert load_picture(each).image.tobytes() == noise().tobytes(), each
    for each in spellings:
        assert "may not be read here" in fault(each, PictureLimits(local_files=False))


def test_a_path_that_begins_with_a_blank_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / " a.png").write_bytes(PNG)
    assert load_picture(" a.png").image.size == (24, 16)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((16, 24), np.uint8),
        ((16, 24, 1), np.uint8),
        ((16, 24, 3), np.uint8),
        ((16, 24, 4), np.uint8),
        ((16, 24, 3), np.float32),
        ((16, 24, 3), np.float16),
        ((16, 24), np.float64),
        ((16, 24), np.bool_),
    ],
)
def test_arrays_of_pixels(shape: tuple[int, ...], kind: type) -> None:
    given = np.ones(shape, kind)
    expected = 1 if kind is np.uint8 and shape[-1] != 4 else 254 if kind is np.uint8 else 255
    found = load_picture(given).image
    assert found.size == (24, 16)
    assert found.getpixel((0, 0)) == (expected,) * 3


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 16, 24), np.uint8), "(3, 16, 24)"),
        (np.zeros(7), "(7,)"),
        (np.full((4, 4, 3), 200.0), "float pixels outside"),
        (np.full((4, 4), -5), "integer pixels outside"),
        (np.full((4, 4), "a"), "expected numbers"),
        (np.zeros((0, 4), np.uint8), "no pixels"),
        (np.full((4, 4, 3), np.nan), "float pixels outside"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arrays_that_are_no_pictures(array: np.ndarray, words: str) -> None:
    assert words in fault(array)


def _texts() -> list[str]:
    import base64

    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + GREY.tobytes()
    texts = []
    for data in (PNG[: len(PNG) // 2], GREY.tobytes(), heic, encoded(noise(), "JPEG")[:200]):
        plain = base64.b64encode(data).decode()
        forms = (plain, plain.rstrip("="), f"data:image/png;base64,{plain}!", f"{plain}\n{plain}*")
        texts += [*forms, f"image/png;base64,{plain}", f'"{plain}"', f"data:{plain}"]
        texts += [f"base64,{plain}", f"file:///{plain}", f"./{plain}", f"s3://{plain}"]
    return texts


@pytest.mark.parametrize("text", _texts())
def test_no_error_quotes_picture_data(text: str) -> None:
    said = fault(text)
    runs = re.findall(r"[A-Za-z0-9+/]{40,}", text)
    assert runs
    for run in runs:
        assert not any(run[at : at + 40] in said for at in range(len(run) - 39))


def test_bytes_are_bounded_before_they_are_decoded() -> None:
    limits = PictureLimits(max_bytes=1000)
    for text in (
        "data:image/png;base64," + "A" * 3000,
        "data:image/png;base64," + "%41" * 3000,
        "data:image/png," + "%00" * 1500,
        "A" * 3000,
    ):
        assert "is larger than" in fault(text, limits)


def test_limits_can_be_widened() -> None:
    data = encoded(noise(), "JPEG", progressive=True)
    assert "scans" in fault(data, PictureLimits(max_scans=3))
    assert load_picture(data, limits=PictureLimits(max_scans=200)).image.size == (24, 16)
    assert "MiB to decode" in fault(PNG, PictureLimits(max_memory=1000))
    assert "longer than 0 s" in fault(PNG, PictureLimits(max_seconds=0))


def test_a_tiff_that_is_damaged_keeps_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"):
        image = noise().convert("1") if compression == "group4" else noise(size=(200, 200))
        data = bytearray(encoded(image, "TIFF", compression=compression))
        for at in range(10, len(data) - 250, 5):
            data[at] ^= 0x5A
        with contextlib.suppress(PictureError):
            load_picture(bytes(data))
    assert capfd.readouterr().err == ""


def test_pixels_agree_with_pillow_for_every_kind() -> None:
    agreed = 0
    for kind, data in seeds():
        expected = Image.open(io.BytesIO(data))
        if kind == "GIF" and getattr(expected, "is_animated", False):
            assert "several pages" in fault(data)
            continue
        found = load_picture(data).image
        clear = expected.mode in ("RGBA", "LA") or "transparency" in expected.info
        if clear or expected.mode.startswith("I"):
            continue
        turned = ImageOps.exif_transpose(expected).convert("RGB")
        assert found.tobytes() == turned.tobytes(), kind
        agreed += 1
    assert agreed >= 14
