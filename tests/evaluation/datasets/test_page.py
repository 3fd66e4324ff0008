"""The page of data sets says what the catalogue says, and its example works as it stands."""

import re
from pathlib import Path

from guardrail.evaluation.datasets import load_dataset, names

from ..layouts import picture
from .page import PAGE, page


def test_the_page_is_the_catalogues() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.evaluation.datasets.page"


def test_every_set_has_one_row() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \|.*\|$", PAGE.read_text("utf-8").split("## Your own")[0], re.M
    )
    assert rows == names()


def test_the_example_of_an_own_list_is_read(tmp_path: Path) -> None:
    [example] = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    (tmp_path / "list.jsonl").write_text(example)
    for name in ("17a", "17b"):
        picture(tmp_path / "photos" / f"{name}.jpg")
    first, second = load_dataset("own", tmp_path)
    assert (first.side, second.side) == ("safe", "unsafe")
    assert first.cluster == second.cluster


def test_the_example_of_another_set_runs(tmp_path: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    found: dict[str, object] = {}
    exec(example, found)
    picture(tmp_path / "1.png")
    assert len(found["ENTRY"].load(tmp_path).samples) == 1  # type: ignore[attr-defined]
