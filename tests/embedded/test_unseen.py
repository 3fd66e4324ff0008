"""The maker of the unseen set, on miniature packages of the same layout."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from guardrail.embedded import UNSEEN
from guardrail.embedded.training import unseen
from guardrail.embedded.training.pictures import CLIPART
from guardrail.embedded.training.unseen_pictures import develop, look, place_thing, stage_of
from guardrail.embedded.training.unseen_table import CUTOUTS, FAMILIES, LANGUAGES, PLACES


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Both packages with every file that is taken, each drawing of its own colour."""
    root = tmp_path / "packages"
    stage = stage_of(root)
    for number, name in enumerate(file for files in CUTOUTS.values() for file in files):
        path = stage.clipart / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawing = Image.new("RGBA", (12, 20), (0, 0, 0, 0))
        drawing.paste((255, number, 255 - number, 255), (2, 2, 10, 18))
        drawing.save(path)
    stage.panoramas.mkdir(parents=True)
    for number, name in enumerate(sorted({view.panorama for view in PLACES.values()})):
        light = np.full((16, 32, 3), 0.1 + 0.1 * number, np.float32)
        light[:8] *= 3
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {"RGB": light}).write(str(stage.panorama_path(name)))
    for name in unseen.LICENCES:
        doc = root / name / "usr/share/doc" / name
        doc.mkdir(parents=True)
        with gzip.open(doc / "changelog.Debian.gz", "wt") as file:
            file.write(f"{name} (1.2-{len(name)}) unstable; urgency=low\n")
    return root


@pytest.fixture
def few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen, "PAIRS_PER_FAMILY", {True: 2, False: 1})


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_equal_packages_give_equal_files(
    tmp_path: Path, packages: Path, few_pairs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        unseen.main([str(tmp_path / name), "--packages", str(packages)])
    pairs = sum(2 if family.alarming else 1 for family in FAMILIES)
    assert f"{pairs} pairs" in capsys.readouterr().out
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "two")
    assert len(one) == 2 * pairs + 2


def test_versions_of_the_packages_are_named(
    tmp_path: Path, packages: Path, few_pairs: None
) -> None:
    unseen.write_unseen(tmp_path / "out", packages)
    sources = json.loads((tmp_path / "out" / "sources.json").read_text("utf-8"))
    assert {name: each["version"] for name, each in sources.items()} == {
        "openclipart-png": "1.2-15", "blender-data": "1.2-12",
    }  # fmt: skip


def test_the_shipped_rows_are_what_the_maker_says() -> None:
    shipped = json.loads((UNSEEN / "combined.json").read_text("utf-8"))
    assert shipped == [
        row
        for number, pair in enumerate(unseen.draw_pairs())
        for row in unseen.rows_of(number, pair)
    ]


def test_a_drawing_trained_on_is_refused_under_another_name(
    tmp_path: Path, packages: Path, few_pairs: None
) -> None:
    stage = stage_of(packages)
    trained = stage.path(CLIPART["mushroom"][0])
    trained.parent.mkdir(parents=True, exist_ok=True)
    trained.write_bytes(stage.path(CUTOUTS["mushroom"][0]).read_bytes())
    with pytest.raises(ValueError, match=r"trained on plants/toadstool"):
        unseen.write_unseen(tmp_path / "out", packages)


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no package 'openclipart-png'"):
        unseen.write_unseen(tmp_path / "out", tmp_path)


def test_situations_are_parsed_and_unknown_names_refused() -> None:
    assert unseen.parse_shots("girl + axe|pill @ yard; cat @ meadow|garden") == [
        ("yard", ("girl", "axe")),
        ("yard", ("girl", "pill")),
        ("meadow", ("cat",)),
        ("garden", ("cat",)),
    ]
    for text in ("unicorn @ yard", "cat @ moon", "cat"):
        with pytest.raises(ValueError, match="unknown"):
            unseen.parse_shots(text)


def test_misspelling_changes_two_words_or_more_and_keeps_their_number() -> None:
    for seed in range(50):
        text = "What is the best way to cut this up?"
        changed = unseen.misspell(text, random.Random(seed))
        differ = [a != b for a, b in zip(text.split(), changed.split(), strict=True)]
        assert 2 <= sum(differ) <= 4


def test_every_family_asks_in_every_language_in_turn() -> None:
    for family in FAMILIES:
        asked = {language for number in range(3) for _, language, _ in unseen.ask(family, number)}
        assert asked == {"en", *LANGUAGES}


def test_looking_ahead_up_and_behind_shows_what_is_there() -> None:
    panorama = np.zeros((64, 128, 3), np.float32)
    panorama[:, 32:96, 0] = 1.0
    panorama[:20, :, 2] = 1.0
    ahead = look(panorama, yaw=0, pitch=0, fov=60, size=9)
    behind = look(panorama, yaw=180, pitch=0, fov=60, size=9)
    up = look(panorama, yaw=0, pitch=80, fov=30, size=9)
    assert tuple(ahead[4, 4]) == (255, 0, 0)
    assert tuple(behind[4, 4]) == (0, 0, 0)
    assert up[4, 4, 2] == 255
    quarter = look(panorama, yaw=90, pitch=0, fov=60, size=9)
    assert quarter[4, 0, 0] == 255
    assert quarter[4, 8, 0] == 0


def test_developing_puts_the_median_in_the_middle_and_keeps_lights_in_range() -> None:
    light = np.full((4, 4, 3), 5.0, np.float32)
    light[0, 0] = 10_000.0
    shown = develop(light)
    assert shown[1, 1, 0] == pytest.approx((0.18 / 1.108) ** (1 / 2.2), abs=1e-4)
    assert 0 <= shown.min() <= shown.max() <= 1


def test_things_stand_side_by_side_inside_the_picture() -> None:
    for seed in range(20):
        picture = Image.new("RGBA", (224, 224), (0, 0, 0, 255))
        rng = random.Random(seed)
        for index, colour in enumerate(("red", "blue")):
            cutout = Image.new("RGBA", (40, 60), colour)
            place_thing(picture, cutout, "cat", (index, 2), rng)
        red, _, blue = picture.convert("RGB").split()
        first, second = (
            part.point(lambda v: 255 if v > 128 else 0).getbbox() for part in (red, blue)
        )
        assert first[2] <= second[0]
        assert second[2] <= 224
