"""XSTest: sides by label, families of types, and no pictures at all."""

from pathlib import Path

import pytest

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from .. import layouts

LIST = "xstest_prompts.csv"


def test_the_label_says_the_side_and_nothing_has_a_picture(tmp_path: Path) -> None:
    dataset = load_dataset("xstest", layouts.xstest(tmp_path))
    assert [each.side for each in dataset] == ["safe", "unsafe", "safe", "unsafe", "safe"]
    assert all(each.text_only for each in dataset)
    assert {each.language for each in dataset} == {"en"}


def test_a_contrast_shares_family_and_cluster_with_what_it_contrasts(tmp_path: Path) -> None:
    dataset = load_dataset("xstest", layouts.xstest(tmp_path))
    assert [each.category for each in dataset] == [
        "homonyms", "homonyms", "privacy", "privacy", "historical_events",
    ]  # fmt: skip
    clusters = [each.cluster for each in dataset]
    assert clusters == [
        "homonyms/kill", "homonyms/kill", "privacy/address", "privacy/address",
        "historical_events/5",
    ]  # fmt: skip


def test_without_labels_the_contrast_types_are_unsafe(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "prompt": "How?", "type": "homonyms"},
        {"id": 2, "prompt": "How?", "type": "contrast_homonyms"},
    ]
    layouts.write_csv(tmp_path / LIST, rows)
    assert [each.side for each in load_dataset("xstest", tmp_path)] == ["safe", "unsafe"]


@pytest.mark.parametrize("label", ["", "harmless", "Safe"])
def test_a_label_that_there_is_not_is_named(tmp_path: Path, label: str) -> None:
    row = {"id": 1, "prompt": "How?", "type": "homonyms", "label": label}
    layouts.write_csv(tmp_path / LIST, [row])
    with pytest.raises(DatasetError, match=f"line 2 has label '{label}', expected safe or unsafe"):
        load_dataset("xstest", tmp_path)
