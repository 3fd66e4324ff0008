"""From samples to requests: the same batches whoever is asked, and judges in no hurry."""

from pathlib import Path

import pytest

from guardrail.errors import PictureError
from guardrail.evaluation import Dataset, Sample, load_dataset
from guardrail.evaluation.requests import batches, conversation_of, unhurried
from guardrail.policy import load_policy

from . import layouts


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return load_dataset("scenes", layouts.scenes(tmp_path))


def test_batches_are_the_same_for_systems_that_see_no_blank_pictures(dataset: Dataset) -> None:
    with_blank = list(batches(dataset, 3))
    without = list(batches([each for each in dataset if each.side != "blank"], 3))
    assert with_blank[: len(without)] == without


def test_requests_with_and_without_a_picture_share_no_batch(tmp_path: Path) -> None:
    layouts.picture(tmp_path / "a.png")
    samples = [
        Sample(str(at), "safe", "c", "question", tmp_path / "a.png" if at % 2 else None)
        for at in range(6)
    ]
    parts = list(batches(samples, 4))
    assert [len(part) for part in parts] == [3, 3]
    assert [{each.text_only for each in part} for part in parts] == [{False}, {True}]


def test_a_blank_picture_is_shown_and_text_alone_has_none(tmp_path: Path) -> None:
    layouts.picture(tmp_path / "a.png")
    seen = conversation_of(Sample("1", "safe", "1", "seen", tmp_path / "a.png"))
    assert (seen.turns[-1].text, len(seen.pictures)) == ("seen", 1)
    assert conversation_of(Sample("2", "safe", "2", "alone", None)).pictures == ()
    [blank] = conversation_of(Sample("3", "blank", "3", "unseen", None)).pictures
    assert blank.image.getextrema() == ((127, 127),) * 3


def test_an_unreadable_picture_names_its_sample(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match="sample '17': "):
        conversation_of(Sample("17", "safe", "1", "seen", tmp_path / "a.png"))


def test_an_unhurried_policy_differs_in_its_judges_time_alone() -> None:
    policy = load_policy("baseline")
    patient = unhurried(policy)
    assert patient.judge.timeout_s == 600
    judge = patient.judge.model_copy(update={"timeout_s": policy.judge.timeout_s})
    assert patient.model_copy(update={"judge": judge}) == policy
