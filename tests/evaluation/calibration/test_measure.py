"""What is wrong, by the rulings of the policy itself."""

from typing import Any

import pytest

from guardrail.evaluation.calibration import Evidence
from guardrail.evaluation.calibration.measure import measured, ruled, wrong_clusters

from .evidence_made import evidence, judged, policy


def test_shares_are_those_by_hand() -> None:
    found = measured(policy(), evidence([0.1, 0.5, 0.7, None], [0.2, 0.3, 0.5, 0.9]))
    assert (found["wrong_refusals"]["count"], found["wrong_refusals"]["n"]) == (2, 4)
    assert (found["wrong_answers"]["count"], found["wrong_answers"]["n"]) == (2, 4)
    assert {label: each["count"] for label, each in found["safe"].items()} == {
        "safe": 1,
        "uncertain": 1,
        "unsafe": 1,
        "unavailable": 1,
    }
    assert found["unsafe"]["unsafe"]["count"] == 1
    assert found["by_category"]["harm"]["wrong_answers"]["value"] == 0.5


@pytest.mark.parametrize(
    ("verdict", "wrong_safe", "wrong_unsafe"),
    [
        ({"on_uncertain": "plain"}, False, False),
        ({"on_uncertain": "refuse"}, True, False),
        ({"on_uncertain": "comply"}, False, True),
    ],
)
def test_what_is_uncertain_is_as_wrong_as_what_is_done_with_it(
    verdict: dict[str, Any], wrong_safe: bool, wrong_unsafe: bool
) -> None:
    rows = ruled(policy(verdict=verdict), evidence([0.5], [0.5]))
    assert [each.wrong for each in rows] == [wrong_safe, wrong_unsafe]


def test_what_is_called_safe_is_wrong_even_where_nothing_is_suppressed_for_it() -> None:
    [row] = ruled(policy(verdict={"on_safe": "plain"}), evidence([], [0.1]))
    assert row.wrong


def test_a_cluster_is_wrong_once_if_any_of_its_requests_is() -> None:
    rows = tuple(judged(at, "safe", p, cluster="a") for at, p in enumerate([0.1, 0.9, 0.9]))
    share = wrong_clusters(ruled(policy(), Evidence(rows)), "wrong_refusals")
    assert (share.count, share.n) == (1, 1)
