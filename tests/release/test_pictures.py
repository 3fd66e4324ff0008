"""The pictures are there light and dark, small, and load nothing from anywhere."""

import re

import pytest
from PIL import Image

from tests.release.distribution import ROOT

FOLDER = ROOT / "docs" / "pictures"
PICTURES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".svg", ".webp", ".png"))
DRAWN = [path for path in PICTURES if path.suffix == ".svg"]


def test_each_picture_is_there_light_and_dark() -> None:
    names = {path.name for path in PICTURES}
    light = {each for each in names if "-light." in each}
    assert {"ask-light.svg", "playground-light.webp", "audit-light.webp"} <= light
    assert names == light | {each.replace("-light.", "-dark.") for each in light}


def test_they_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in PICTURES}
    assert {name for name, size in sizes.items() if size > 200_000} == set()
    assert sum(sizes.values()) < 1_600_000


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)
def test_a_drawn_one_asks_nobody_for_anything(path: object) -> None:
    text = (FOLDER / str(path)).read_text("utf-8")
    assert "guardrail ask --demo" in text.replace("&#160;", " ")
    assert re.findall(r"url\((?!#)|@font-face|@import|<script|<image|href=", text) == []


@pytest.mark.parametrize("name", ["audit-light.webp", "audit-dark.webp"])
def test_light_is_light_and_dark_is_dark(name: str) -> None:
    shade = Image.open(FOLDER / name).crop((0, 0, 4, 4)).convert("L")  # the page behind it all
    assert (shade.tobytes()[0] > 128) == ("-light." in name)


def test_the_readme_begins_with_one() -> None:
    top = (ROOT / "README.md").read_text("utf-8")[:600]
    shown = re.findall(r"(?:srcset|src)=\"([^\"]+)\"", top)
    assert shown == ["docs/pictures/ask-dark.svg", "docs/pictures/ask-light.svg"]
    assert all((ROOT / each).is_file() for each in shown)
