"""Thresholds from evidence: which, where, for whom, and why there are none."""

import random
from typing import Any

import pytest

from guardrail.evaluation.calibration import Evidence, Split, Target, fit_all
from guardrail.evaluation.calibration.fit import changed
from guardrail.evaluation.calibration.measure import ruled, wrong_clusters
from guardrail.evaluation.calibration.threshold_fit import ThresholdFit, cluster_scores
from guardrail.policy import Policy

from .evidence_made import both, evidence, judged, policy

REFUSALS, ANSWERS = Target("wrong_refusals", 0.1), Target("wrong_answers", 0.1)
SAFE = [at / 100 for at in range(1, 47)]  # 46 allow one error: from 0.45 up
UNSAFE = [0.5 + at / 100 for at in range(1, 47)]  # 0.51 may go wrong: up to 0.52


def fit(*targets: Target, **options: Any) -> ThresholdFit:
    return ThresholdFit(targets, 0.95, **options)


def test_wrong_refusals_lay_unsafe_at() -> None:
    found = fit(REFUSALS)(policy(), both(evidence(SAFE, UNSAFE)))
    assert found.changes == {"verdict": {"unsafe_at": 0.4501}}
    assert found.figures["targets"]["wrong_refusals"]["allowed"] == 1
    assert not found.failures


def test_wrong_answers_lay_safe_below() -> None:
    found = fit(ANSWERS)(policy(), both(evidence(SAFE, UNSAFE)))
    assert found.changes == {"verdict": {"safe_below": 0.52}}


def test_with_both_targets_within_reach_nothing_is_left_uncertain() -> None:
    found = fit(REFUSALS, ANSWERS)(policy(), both(evidence(SAFE, UNSAFE)))
    assert found.changes == {"verdict": {"unsafe_at": 0.5, "safe_below": 0.5}}


def test_with_both_targets_out_of_reach_there_is_a_band() -> None:
    found = fit(REFUSALS, ANSWERS)(policy(), both(evidence(UNSAFE, SAFE)))
    assert found.changes == {"verdict": {"unsafe_at": 0.9501, "safe_below": 0.02}}
    assert not found.notes


def test_what_does_not_change_is_not_written() -> None:
    same = policy(verdict={"unsafe_at": 0.4501, "safe_below": 0.4})
    assert fit(REFUSALS)(same, both(evidence(SAFE, UNSAFE))).changes == {}


def test_where_the_uncertain_are_refused_safe_below_keeps_both_and_wrong_answers_win() -> None:
    strict = policy(verdict={"on_uncertain": "refuse"})
    found = fit(REFUSALS, ANSWERS)(strict, both(evidence(UNSAFE, SAFE)))
    assert found.changes == {"verdict": {"safe_below": 0.02}}
    assert "contradict each other in verdict, where on_uncertain is refuse" in found.notes[0]
    assert "wrong_answers wins" in found.notes[0]
    rows = ruled(changed(strict, found.changes), evidence(UNSAFE, SAFE))
    assert wrong_clusters(rows, "wrong_answers").count == 1
    assert not fit(REFUSALS)(strict, both(evidence(UNSAFE))).notes


def test_too_few_is_a_failure_that_names_how_many_it_takes() -> None:
    target = Target("wrong_refusals", 0.02)
    found = fit(target)(policy(), both(evidence([0.1] * 40, [0.9] * 300)))
    assert found.changes == {}
    assert found.failures == (
        "too few: wrong_refusals <= 0.02 with 95% confidence takes 149 clusters with safe requests "
        "in the fitted part, 0 of them wrong, and there are 40; label 298 or more in all",
    )


@pytest.mark.parametrize(
    ("safe", "unsafe", "failing"), [([], UNSAFE, 1), (SAFE, [], 1), ([], [], 2)]
)
def test_labels_of_one_side_fail_the_other_sides_target(
    safe: list[float], unsafe: list[float], failing: int
) -> None:
    found = fit(REFUSALS, ANSWERS)(policy(), both(evidence(safe, unsafe)))
    assert len(found.failures) == failing
    assert "there are 0" in found.failures[0]


def test_a_judge_that_never_answered_cannot_keep_wrong_refusals() -> None:
    parts = both(evidence([None] * 46, [None] * 46))
    found = fit(REFUSALS)(policy(), parts)
    assert "46 of 46 are at a probability of 1, or not judged at all" in found.failures[0]
    assert not fit(ANSWERS)(policy(), parts).failures  # blocked, all of them: none is wrong


def test_an_unavailable_request_counts_as_the_policy_treats_it() -> None:
    part = evidence([None], [None])
    for action, (safe, unsafe) in {
        "block": (float("inf"), float("inf")),
        "plain": (float("-inf"), float("inf")),
        "comply": (float("-inf"), float("-inf")),
    }.items():
        chosen = policy(verdict={"on_error": action, "on_unsafe": "refuse"})
        assert cluster_scores(chosen, part, unsafe=False, category=None) == [safe]
        assert cluster_scores(chosen, part, unsafe=True, category=None) == [unsafe]


def test_a_cluster_counts_once_by_its_worst_request() -> None:
    rows = Evidence(
        (
            judged(0, "safe", 0.2, cluster="a"),
            judged(1, "safe", 0.7, cluster="a"),
            judged(2, "unsafe", 0.3, cluster="a"),
            judged(3, "unsafe", 0.9, cluster="a"),
            judged(4, "safe", 0.1, cluster="b"),
        )
    )
    assert cluster_scores(policy(), rows, unsafe=False, category=None) == [0.7, 0.1]
    assert cluster_scores(policy(), rows, unsafe=True, category=None) == [0.3]


def test_repeating_requests_within_clusters_does_not_make_enough_of_too_few() -> None:
    rows = tuple(judged(at, "safe", 0.1, cluster=str(at % 20)) for at in range(400))
    found = fit(REFUSALS)(policy(), both(Evidence(rows)))
    assert "there are 20" in found.failures[0]


TWO = ("harm", "offence")


def two_kinds(count: int) -> Evidence:
    """Requests of two kinds; the question of `offence` is answered far too high on safe ones."""
    rng = random.Random(0)
    rows = []
    for _ in range(count):
        for name, high in (("harm", 0.3), ("offence", 0.8)):
            p = {"harm": 0.01, "offence": 0.01, name: rng.random() * high}
            rows.append(judged(len(rows), "safe", p, category=name))
    return Evidence(tuple(rows))


def test_a_category_with_enough_requests_steps_back_by_itself() -> None:
    part = two_kinds(200)
    original = policy(categories=TWO)
    found = fit(REFUSALS)(original, both(part))
    general = found.changes["verdict"]["unsafe_at"]
    [entry] = found.changes["categories"]
    assert entry["id"] == "offence"
    assert entry["unsafe_at"] > general
    fitted = changed(original, found.changes)
    offence = Evidence(tuple(row for row in part if row.sample.category == "offence"))
    for rows in (part, offence):
        assert (wrong_clusters(ruled(fitted, rows), "wrong_refusals").value or 0) <= 0.1


def test_a_category_with_few_requests_keeps_the_general_threshold_and_says_so_if_asked() -> None:
    found = fit(REFUSALS)(policy(categories=TWO), both(two_kinds(40)))
    assert "categories" not in found.changes
    assert not found.notes
    assert not found.figures["categories"]["offence"]["wrong_refusals"]["own"]
    asked = fit(REFUSALS, kinds={"offence": "offence"})
    notes = asked(policy(categories=TWO), both(two_kinds(40))).notes
    assert "category offence keeps the general threshold for wrong_refusals" in notes[0]


def test_a_data_sets_category_is_counted_as_the_policys_that_it_is_mapped_to() -> None:
    rows = tuple(
        judged(
            at, "safe", row.categories, category={"harm": "x", "offence": "y"}[row.sample.category]
        )
        for at, row in enumerate(two_kinds(200))
    )
    parts = both(Evidence(rows))
    assert "categories" not in fit(REFUSALS)(policy(categories=TWO), parts).changes
    found = fit(REFUSALS, kinds={"x": "harm", "y": "offence"})(policy(categories=TWO), parts)
    assert [each["id"] for each in found.changes["categories"]] == ["offence"]


def with_own(**rules: float) -> Policy:
    offence = {"id": "offence", "question": "Could this offend?", **rules}
    harm = {"id": "harm", "question": "Could this do harm?"}
    return Policy.model_validate({"version": 1, "name": "own", "categories": [harm, offence]})


def test_a_categorys_own_threshold_stays_where_it_keeps_the_target() -> None:
    found = fit(REFUSALS)(with_own(unsafe_at=0.9), both(two_kinds(40)))
    assert "categories" not in found.changes
    assert not found.notes


def test_a_categorys_own_threshold_is_raised_where_it_does_not_and_that_is_said() -> None:
    original = with_own(unsafe_at=0.05, safe_below=0.01)
    found = fit(REFUSALS)(original, both(two_kinds(40)))
    general = found.changes["verdict"]["unsafe_at"]
    assert found.changes["categories"] == [{"id": "offence", "unsafe_at": general}]
    assert "category offence had its own unsafe_at 0.05" in found.notes[0]
    fitted = changed(original, found.changes)
    assert (wrong_clusters(ruled(fitted, two_kinds(40)), "wrong_refusals").value or 0) <= 0.1


def test_the_share_of_the_other_part_allows_fewer() -> None:
    part = evidence([at / 1000 for at in range(280)])
    target = Target("wrong_refusals", 0.02)
    by_rate = fit(target)(policy(), both(part)).figures["targets"]["wrong_refusals"]
    by_share = fit(target, guarantee="share")(policy(), both(part)).figures["targets"]
    assert (by_rate["allowed"], by_share["wrong_refusals"]["allowed"]) == (1, 0)


def test_the_part_that_measures_chooses_nothing() -> None:
    part = evidence(SAFE, UNSAFE)
    other = evidence([0.99] * 46, [0.001] * 46)
    fits = (fit(REFUSALS, ANSWERS),)
    assert (
        fit_all(policy(), Split(part, other), fits).changes
        == fit_all(policy(), Split(part, part), fits).changes
    )
