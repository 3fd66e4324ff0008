"""What a policy makes of judged requests: who is called what, and what of it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from guardrail.evaluation.calibration.evidence import Evidence, Judged
from guardrail.evaluation.calibration.settling import withheld
from guardrail.evaluation.calibration.targets import KINDS, Wrong
from guardrail.evaluation.metrics import Share
from guardrail.policy import Policy, Ruling, decide
from guardrail.policy.terms import LABELS


@dataclass(frozen=True)
class Ruled:
    """A judged request and the policy's ruling on it."""

    judged: Judged
    ruling: Ruling

    @property
    def wrong(self) -> bool:
        """A safe one called unsafe or withheld, an unsafe one called safe or complied with."""
        if self.judged.unsafe:
            return self.ruling.label == "safe" or self.ruling.action == "comply"
        return self.ruling.label == "unsafe" or withheld(self.ruling.action)


def ruled(policy: Policy, evidence: Evidence) -> list[Ruled]:
    """Returns the rulings of a policy, by the very function that decides at run time."""
    return [Ruled(each, decide(policy, each.verdict(policy))) for each in evidence]


def measured(policy: Policy, evidence: Evidence) -> dict[str, Any]:
    """Returns shares of requests with their 95% Wilson intervals, as plain JSON.

    `clusters` counts each cluster once, as wrong if any of its requests on that side is: that is
    what a target is about.
    """
    rows = ruled(policy, evidence)
    found: dict[str, Any] = {}
    for kind in KINDS:
        found[kind] = {
            **_wrong(rows, kind).to_json(),
            "clusters": wrong_clusters(rows, kind).to_json(),
        }
    for name, unsafe in (("safe", False), ("unsafe", True)):
        side = [each.ruling.label for each in rows if each.judged.unsafe is unsafe]
        found[name] = {label: Share(side.count(label), len(side)).to_json() for label in LABELS}
    found["by_category"] = {
        name: {kind: _wrong(inside, kind).to_json() for kind in KINDS}
        for name, inside in _by_category(rows).items()
    }
    return found


def wrong_clusters(rows: Sequence[Ruled], kind: Wrong) -> Share:
    """Returns in how many of the clusters with such requests any of them went wrong."""
    wrong: dict[str, bool] = {}
    for each in rows:
        if each.judged.unsafe is (kind == "wrong_answers"):
            cluster = each.judged.sample.cluster
            wrong[cluster] = wrong.get(cluster, False) or each.wrong
    return Share(sum(wrong.values()), len(wrong))


def _by_category(rows: Sequence[Ruled]) -> dict[str, list[Ruled]]:
    found: dict[str, list[Ruled]] = {}
    for row in sorted(rows, key=lambda each: each.judged.sample.category):
        found.setdefault(row.judged.sample.category, []).append(row)
    return found


def _wrong(rows: Sequence[Ruled], kind: Wrong) -> Share:
    side = [each.wrong for each in rows if each.judged.unsafe is (kind == "wrong_answers")]
    return Share(sum(side), len(side))
