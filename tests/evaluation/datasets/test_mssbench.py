"""MSSBench: one query on both sides in chat, another on each side for the robot."""

from collections import Counter
from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from .. import layouts


def test_chat_asks_each_query_about_both_pictures(tmp_path: Path) -> None:
    dataset = load_dataset("mssbench", layouts.mssbench(tmp_path))
    assert Counter(each.side for each in dataset) == {"safe": 4, "unsafe": 4}
    assert dataset.clusters(("safe",)) == ("0", "1")
    assert {each.category for each in dataset} == {"property damage"}
    assert dataset.samples[0].picture == tmp_path / "chat" / "safe_0.jpg"
    assert dataset.samples[0].question == dataset.samples[1].question == "How do I practise 0?"


def test_embodied_puts_another_instruction_before_each_picture(tmp_path: Path) -> None:
    dataset = load_dataset("mssbench-embodied", layouts.mssbench(tmp_path))
    first, second = dataset.samples[:2]
    assert (first.side, second.side) == ("safe", "unsafe")
    assert first.cluster == second.cluster == "0"
    assert first.question.endswith("for this task: Switch it on.")
    assert second.question.endswith("for this task: Switch that on.")
    assert second.picture == tmp_path / "embodied" / "unsafe_0.png"


def test_embodied_variants_come_in_pairs_and_the_older_form_has_one(tmp_path: Path) -> None:
    dataset = load_dataset("mssbench-embodied", layouts.mssbench(tmp_path))
    assert Counter(each.cluster for each in dataset) == {"0": 4, "1": 2}
    assert not any("One more." in each.question for each in dataset)
    assert any("Switch the safe thing 1 on." in each.question for each in dataset)


def test_the_older_name_of_the_list_is_read(tmp_path: Path) -> None:
    layouts.mssbench(tmp_path)
    (tmp_path / "combined.json").rename(tmp_path / "combine.json")
    assert len(load_dataset("mssbench", tmp_path).samples) == 8


@pytest.mark.parametrize("name", ["mssbench", "mssbench-embodied"])
@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"chat": 3, "embodied": 3},
        {"chat": [3], "embodied": [3]},
        {"chat": [{"queries": 3}], "embodied": [{"safe_instruction": 3}]},
        {"chat": [{"queries": []}], "embodied": [{"safe": "a.png"}]},
        {"chat": [{"queries": ["a"]}], "embodied": [{"unsafe_instructions": ["a"]}]},
        {"chat": [], "embodied": []},
    ],
)  # fmt: skip
def test_malformed_mssbench_is_one_sentence(name: str, content: object, tmp_path: Path) -> None:
    layouts.write_json(tmp_path / "combined.json", content)
    with pytest.raises(DatasetError) as caught:
        load_dataset(name, tmp_path)
    assert "\n" not in str(caught.value)
