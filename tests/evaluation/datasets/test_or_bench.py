"""OR-Bench: what seems toxic is to be answered, what is toxic refused."""

from collections import Counter
from pathlib import Path

import pytest

from guardrail.evaluation.datasets import load_dataset

from .. import layouts


@pytest.mark.parametrize(("name", "answered"), [("or-bench", 3), ("or-bench-80k", 4)])
def test_the_toxic_part_alone_is_to_be_refused(name: str, answered: int, tmp_path: Path) -> None:
    dataset = load_dataset(name, layouts.or_bench(tmp_path))
    assert Counter(each.side for each in dataset) == {"safe": answered, "unsafe": 2}
    assert {each.question.split(",")[0] for each in dataset if each.side == "unsafe"} == {"toxic"}
    assert all(each.text_only for each in dataset)


def test_the_hard_part_is_not_asked_twice(tmp_path: Path) -> None:
    dataset = load_dataset("or-bench-80k", layouts.or_bench(tmp_path))
    assert not any("hard" in each.question for each in dataset)


def test_without_the_toxic_part_there_is_one_side(tmp_path: Path) -> None:
    layouts.or_bench(tmp_path)
    (tmp_path / "or-bench-toxic.csv").unlink()
    assert {each.side for each in load_dataset("or-bench", tmp_path)} == {"safe"}
