"""Labels and verdicts together, and a split that keeps together what belongs together."""

from pathlib import Path

import pytest
from PIL import Image

from guardrail.errors import DatasetError
from guardrail.evaluation import Dataset, Sample
from guardrail.evaluation.calibration import Evidence, Spoken, Verdicts, evidence_of, split

from .evidence_made import judged, policy, sample


def verdicts_on(*ids: str) -> Verdicts:
    found = Verdicts({})
    found.add([Spoken(each, {"harm": 0.5}) for each in ids])
    return found


def test_pairs_stay_together_and_every_cluster_is_in_one_part() -> None:
    rows = tuple(judged(at, side, 0.5) for at in range(41) for side in ("safe", "unsafe"))
    found = split(Evidence(rows), seed=3)
    first, second = set(found.fitted.clusters()), set(found.held_out.clusters())
    assert not first & second
    assert first | second == {str(at) for at in range(41)}
    assert {len(first), len(second)} == {20, 21}
    assert len(found.fitted) == 2 * len(first)


def test_a_seed_gives_the_same_parts_and_another_gives_others() -> None:
    evidence = Evidence(tuple(judged(at, "safe", 0.5) for at in range(30)))
    assert split(evidence, seed=1) == split(evidence, seed=1)
    assert split(evidence, seed=1) != split(evidence, seed=2)


def test_only_labelled_samples_count_and_all_of_them_must_be_judged() -> None:
    asked = (sample(0, "safe"), sample(1, "neutral"), sample(2, "unsafe"))
    found = evidence_of(Dataset("made", asked), verdicts_on("0/safe", "2/unsafe"))
    assert [each.unsafe for each in found] == [False, True]
    with pytest.raises(DatasetError, match="'2/unsafe' was not judged"):
        evidence_of(Dataset("made", asked), verdicts_on("0/safe"))
    with pytest.raises(DatasetError, match="no sample labelled"):
        evidence_of(Dataset("made", (sample(1, "neutral"),)), verdicts_on())


def test_a_request_that_is_repeated_counts_once(tmp_path: Path) -> None:
    for name, level in (("one", 10), ("copy", 10), ("other", 99)):
        Image.new("RGB", (8, 8), (level, 0, 0)).save(tmp_path / f"{name}.png")

    def asked(cluster: str, name: str, question: str = "How?") -> Sample:
        return Sample(cluster, "safe", cluster, question, tmp_path / f"{name}.png")

    samples = (
        asked("a", "one"),
        asked("b", "copy"),
        asked("c", "other"),
        asked("d", "one", "Why?"),
    )
    found = evidence_of(Dataset("made", samples), verdicts_on("a", "b", "c", "d"))
    assert [each.sample.cluster for each in found] == ["a", "a", "c", "d"]
    assert found.merged == 1
    assert [each.sample.id for each in found] == ["a", "b", "c", "d"]


def test_repeats_join_clusters_through_each_other() -> None:
    rows = [
        ("0", "p", "Q1"),
        ("1", "p", "Q2"),
        ("2", "q", "Q2"),
        ("3", "q", "Q1"),
        ("4", "r", "Q3"),
    ]
    samples = tuple(
        Sample(number, "safe", cluster, question, None) for number, cluster, question in rows
    )
    found = evidence_of(Dataset("made", samples), verdicts_on(*"01234"))
    assert [each.sample.cluster for each in found] == ["p", "p", "p", "p", "r"]
    assert found.merged == 1


def test_a_verdict_is_calibrated_as_the_policy_says_and_unavailable_stays_so() -> None:
    fitted = policy(judge={"calibration": {"scale": 2.0, "bias": 0.0}})
    assert judged(0, "safe", 0.9).verdict(fitted).p_unsafe == pytest.approx(81 / 82)
    assert judged(0, "safe", 0.9).verdict(policy()).p_unsafe == 0.9
    assert judged(0, "safe", None).verdict(fitted).error == "the judge failed"
