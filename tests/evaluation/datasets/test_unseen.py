"""The shipped unseen set: complete, balanced, free of the held-out set's pictures, and loadable."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from guardrail.embedded import HELDOUT, UNSEEN
from guardrail.embedded.training.activity_table import ACTIVITY_ROWS
from guardrail.embedded.training.things import CATEGORIES, THINGS
from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

ROWS: list[dict[str, Any]] = json.loads((UNSEEN / "combined.json").read_text("utf-8"))
PLAIN = [row for row in ROWS if row["wording"] == "plain"]
LIMIT_BYTES = 6_000_000


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_there_are_150_pairs_or_more_each_asked_in_five_ways() -> None:
    pairs = Counter(row["pair"] for row in ROWS)
    assert len(PLAIN) == len(pairs) >= 150
    assert set(pairs.values()) == {5}
    assert Counter(row["wording"] for row in ROWS) == {
        "plain": len(pairs), "reworded": len(pairs), "misspelt": len(pairs),
        "translated": 2 * len(pairs),
    }  # fmt: skip


def test_rows_of_a_pair_differ_in_their_question_alone() -> None:
    same = ("category", "activity", "tone", "safe_image_path", "unsafe_image_path")
    for row, first in ((row, next(p for p in PLAIN if p["pair"] == row["pair"])) for row in ROWS):
        assert [row[key] for key in same] == [first[key] for key in same]
        assert row["question"] != first["question"] or row is first


def test_wordings_and_languages_are_balanced() -> None:
    languages = Counter(row["language"] for row in ROWS if row["wording"] == "translated")
    assert set(languages) == {"de", "fr", "es", "it", "pt", "nl"}
    assert max(languages.values()) - min(languages.values()) <= 10
    assert {row["language"] for row in ROWS if row["wording"] != "translated"} == {"en"}


def test_alarming_and_harmless_wordings_and_kinds_of_request_are_balanced() -> None:
    tones = Counter(row["tone"] for row in PLAIN)
    assert set(tones) == {"alarming", "harmless"}
    assert abs(tones["alarming"] - tones["harmless"]) <= len(PLAIN) // 20
    assert set(Counter(row["activity"] for row in PLAIN).values()) == {7, 8}
    assert min(Counter(row["category"] for row in PLAIN).values()) >= 10
    assert {row["category"] for row in PLAIN} == set(CATEGORIES) - {"offence"}


def test_reworded_and_misspelt_questions_were_not_trained_on() -> None:
    trained = {question for row in ACTIVITY_ROWS for question in row.questions}
    assert not trained & {row["question"] for row in ROWS if row["wording"] != "plain"}


def test_every_picture_is_rgb_of_224_pixels_and_used_once() -> None:
    paths = [row[f"{side}_image_path"] for row in PLAIN for side in ("safe", "unsafe")]
    assert len(set(paths)) == len(paths) == len(list((UNSEEN / "pictures").iterdir()))
    for path in paths:
        with Image.open(UNSEEN / path) as picture:
            assert (picture.size, picture.mode) == ((224, 224), "RGB")


def test_no_two_pictures_are_the_same_and_none_is_a_held_out_one() -> None:
    own = [digest(path) for path in (UNSEEN / "pictures").iterdir()]
    assert len(set(own)) == len(own)
    held = {digest(path) for path in (HELDOUT / "pictures").iterdir()}
    assert held
    assert not held & set(own)


def test_both_sides_of_a_pair_show_other_pixels() -> None:
    for row in PLAIN:
        safe, unsafe = (
            Image.open(UNSEEN / row[f"{side}_image_path"]).resize((8, 8)).tobytes()
            for side in ("safe", "unsafe")
        )
        assert safe != unsafe


def test_all_things_are_of_the_models_vocabulary() -> None:
    nouns = {thing.noun for thing in THINGS.values()}
    assert {
        t for row in ROWS for side in ("safe", "unsafe") for t in row[f"things_{side}"]
    } <= nouns


def test_it_is_small_and_names_its_packages_and_licences() -> None:
    assert sum(path.stat().st_size for path in UNSEEN.rglob("*") if path.is_file()) < LIMIT_BYTES
    sources = json.loads((UNSEEN / "sources.json").read_text("utf-8"))
    notice = (UNSEEN.parent / "NOTICE").read_text("utf-8")
    assert {name: each["licence"] for name, each in sources.items()} == {
        "openclipart-png": "public domain", "blender-data": "CC0-1.0",
    }  # fmt: skip
    for name, each in sources.items():
        assert name in notice
        assert each["version"]
        assert all(len(value) == 64 for value in each["files"].values())


def test_loading_asks_each_row_about_both_pictures_and_draws_pairs_whole() -> None:
    dataset = load_dataset("unseen")
    assert dataset.origin == "shipped"
    assert len(dataset.samples) == 2 * len(ROWS)
    assert len(dataset.clusters(("safe", "unsafe"))) == len(PLAIN)
    part = dataset.limited(3, seed=0)
    assert Counter(sample.side for sample in part) == {"safe": 15, "unsafe": 15}
    assert {sample.wording for sample in part} == {"plain", "reworded", "misspelt", "translated"}


def test_a_part_can_be_asked_by_language() -> None:
    german = load_dataset("unseen").in_languages(["de"])
    assert {sample.language for sample in german} == {"de"}
    asked = [row for row in ROWS if row["language"] == "de"]
    assert len(german.samples) == 2 * len(asked)


def test_a_folder_of_ones_own_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    row = {**ROWS[0], "safe_image_path": "a.jpg", "unsafe_image_path": "a.jpg"}
    (tmp_path / "combined.json").write_text(json.dumps([row]), "utf-8")
    assert [sample.side for sample in load_dataset("unseen", tmp_path)] == ["safe", "unsafe"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        ("{", "not readable JSON"),
        ("{}", "holds no list of samples"),
        ("[1]", "is no map"),
        ("[]", "holds no samples"),
        ('[{"id": "0"}]', "has no 'pair'"),
        (json.dumps([{**ROWS[0], "things_safe": "axe"}]), "has things_safe 'axe'"),
        (json.dumps([{**ROWS[0], "safe_image_path": "../a.jpg"}]), "leads out of"),
        (json.dumps([{**ROWS[0], "safe_image_path": "gone.jpg"}]), "there is no picture"),
    ],
)
def test_anything_else_is_refused_with_its_reason(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "combined.json").write_text(content, "utf-8")
    with pytest.raises(DatasetError, match=message):
        load_dataset("unseen", tmp_path)
