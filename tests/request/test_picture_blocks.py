from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from guardrail.errors import MessageError, PictureError
from guardrail.request.picture_blocks import block_picture, is_held, is_named
from tests.request.test_pictures import encoded, noise

DATA = encoded(noise())
TEXT = base64.b64encode(DATA).decode()
URI = f"data:image/png;base64,{TEXT}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a picture.png"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(
    "block",
    [
        {"base64": TEXT},
        {"base64": TEXT.rstrip("="), "mime_type": "image/png"},
        {"base64": URI},
        {"base64": DATA},
        {"data": TEXT, "source_type": "base64"},
        {"image": noise()},
        {"image": np.asarray(noise())},
        {"image": URI},
        {"image": DATA},
        {"url": noise()},
        {"url": np.asarray(noise())},
        {"url": TEXT},
        {"url": f" {URI}\n"},
        {"url": f'"{URI}"'},
        {"url": "data:image/png;base64," + quote(TEXT, safe="")},
        {"image_url": URI},
        {"image_url": {"url": URI, "detail": "low"}},
        {"image_url": {"url": noise()}},
        {"source": {"type": "base64", "media_type": "image/png", "data": TEXT}},
        {"source": {"type": "url", "url": URI}},
    ],
    ids=lambda block: str(list(block)),
)
def test_every_form_of_a_held_picture_is_read(block: dict[str, Any]) -> None:
    found = block_picture({"type": "image", **block})
    assert found.image.tobytes() == noise().tobytes()
    assert not is_named({"type": "image", **block}) or block.get("url") == TEXT


def test_every_form_of_a_named_picture_is_read(file: Path) -> None:
    for key in ("url", "path", "image", "image_url", "source"):
        for value in (file, str(file), file.as_uri(), f"file:{file}", f" '{file}' "):
            block = {"type": "image", key: value}
            assert block_picture(block).image.size == (24, 16), (key, value)
            assert is_named(block)
            assert not is_held(block)


@pytest.mark.parametrize("block", [{"url": ""}, {"image_url": {"url": "  "}}, {"base64": ""}])
def test_an_empty_one_is_told_as_such(block: dict[str, Any]) -> None:
    with pytest.raises(PictureError, match="empty"):
        block_picture({"type": "image", **block})


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"url": 7}, "'url' is of type int"),
        ({"image": [[0, 1]]}, "'image' is of type list"),
        ({"image_url": {"url": {1, 2}}}, "'url' is of type set"),
    ],
)
def test_other_types_are_named(block: dict[str, Any], words: str) -> None:
    with pytest.raises(PictureError, match=words):
        block_picture({"type": "image", **block})


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({}, "nothing but its type"),
        ({"detail": "low"}, "only 'detail'"),
        ({"image_url": {"detail": "low"}}, "no picture"),
        ({"source": {"type": "file", "file_id": "f"}}, "uploaded file"),
        ({"image": None}, "only 'image'"),
    ],
)
def test_none_is_told_with_what_was_found(block: dict[str, Any], words: str) -> None:
    with pytest.raises(MessageError, match=words):
        block_picture({"type": "image", **block})


def test_a_ring_of_maps_ends() -> None:
    block: dict[str, Any] = {"type": "image"}
    block["source"] = block
    with pytest.raises(MessageError, match="no picture"):
        block_picture(block)


def test_the_callers_image_stays_as_it_is() -> None:
    image = noise("RGBA")
    before = image.tobytes()
    block_picture({"type": "image", "image": image})
    assert image.tobytes() == before
    assert isinstance(image, Image.Image)
