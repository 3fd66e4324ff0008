"""Fits `unsafe_at` and `safe_below` to targets, each with a guarantee.

What is independent are clusters, not requests: a cluster counts once, by its worst request (the
highest score on the safe side, the lowest on the unsafe one). The share of clusters in which any
goes wrong is never below the mean share of requests that go wrong in a cluster, so a bound on the
one bounds the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from guardrail.evaluation.calibration.evidence import FITTED, Evidence, Judged, Split
from guardrail.evaluation.calibration.fit import Fitted
from guardrail.evaluation.calibration.order import Bar, bar_above, bar_below
from guardrail.evaluation.calibration.settling import Thresholds, contradict, settled, withheld
from guardrail.evaluation.calibration.targets import Guarantee, Target, Wrong
from guardrail.policy import Policy, decide
from guardrail.policy.rules import CategoryRule
from guardrail.policy.schema import Category
from guardrail.policy.verdict import Verdict

Bars = Mapping[Wrong, Bar]

ENOUGH = 5
"""Clusters that may go wrong from which on a category has thresholds of its own.

With fewer, a threshold lies at the edge of a small sample, where a request or two decide it.
"""


@dataclass(frozen=True)
class ThresholdFit:
    """Thresholds for all categories together and, where it has enough requests, for a category.

    For all together the score is the highest probability of a request, which decides. A category's
    own score is the answer to its own question, on requests of its kind; its thresholds only ever
    step back from the general ones (a higher `unsafe_at`, a lower `safe_below`), so what holds for
    all together still does.

    Attributes:
        targets: What is to be kept.
        confidence: With which each target is kept, by itself.
        kinds: The policy's category for the data set's categories; for others, the one of the same
            name, if there is one.
        guarantee: What keeps the targets: see `GUARANTEES`.
    """

    targets: tuple[Target, ...]
    confidence: float
    kinds: Mapping[str, str] = field(default_factory=dict)
    guarantee: Guarantee = "rate"
    name: str = "thresholds"

    def __call__(self, policy: Policy, split: Split) -> Fitted:
        """Returns the changes to `verdict` and to categories."""
        general = self._bars(policy, split, None)
        figures: dict[str, Any] = {
            "confidence": self.confidence,
            "guarantee": self.guarantee,
            "targets": {
                each.kind: {"rate": each.rate, **asdict(general[each.kind])}
                for each in self.targets
            },
        }
        failures = tuple(
            why for each in self.targets if (why := self._failure(each, general[each.kind]))
        )
        if failures:
            return Fitted(figures=figures, failures=failures)
        bars = {rule.id: self._own_bars(policy, split, rule.id) for rule in policy.rules}
        own = {
            name: {kind: bar for kind, bar in each.items() if _is_enough(bar)}
            for name, each in bars.items()
        }
        figures["categories"] = {
            name: {kind: {**asdict(bar), "own": _is_enough(bar)} for kind, bar in each.items()}
            for name, each in bars.items()
        }
        notes = (*_notes(policy, general), *self._lacking(bars))
        return Fitted(_changes(policy, general, own), figures, notes)

    def _bars(self, policy: Policy, split: Split, category: str | None) -> Bars:
        found: dict[Wrong, Bar] = {}
        for target in self.targets:
            unsafe = target.kind == "wrong_answers"
            bar = bar_below if unsafe else bar_above
            others = len(split.held_out.clusters(unsafe=unsafe))
            found[target.kind] = bar(
                cluster_scores(policy, split.fitted, unsafe=unsafe, category=category),
                target=target.rate,
                confidence=self.confidence,
                others=others if self.guarantee == "share" else None,
            )
        return found

    def _own_bars(self, policy: Policy, split: Split, category: str) -> Bars:
        """Returns the bars of a category by itself."""
        parts = (
            Evidence(tuple(each for each in part if self._kind(each) == category))
            for part in (split.fitted, split.held_out)
        )
        return self._bars(policy, Split(*parts), category)

    def _lacking(self, bars: Mapping[str, Bars]) -> list[str]:
        """Returns what the categories that were asked for have too little of."""
        return [
            f"category {name} keeps the general threshold for {kind}: it has {bar.n} clusters in "
            f"the fitted part, of which {bar.allowed or 0} may go wrong, and takes as many that "
            f"{ENOUGH} may"
            for name in sorted(set(self.kinds.values()))
            for kind, bar in bars[name].items()
            if not _is_enough(bar)
        ]

    def _kind(self, judged: Judged) -> str:
        return self.kinds.get(judged.sample.category, judged.sample.category)

    def _failure(self, target: Target, bar: Bar) -> str:
        if bar.value is not None:
            return ""
        side = "unsafe" if target.kind == "wrong_answers" else "safe"
        if bar.allowed is None:
            return (
                f"too few: {target} with {self.confidence:.0%} confidence takes {bar.needed} "
                f"clusters with {side} requests in the fitted part, 0 of them wrong, and there are "
                f"{bar.n}; label {round(bar.needed / FITTED)} or more in all"
            )
        return f"no threshold keeps {target}: of the clusters with {side} requests, {bar.why}"


def cluster_scores(
    policy: Policy, evidence: Evidence, *, unsafe: bool, category: str | None
) -> list[float]:
    """Returns the worst score of each cluster on one side.

    Args:
        policy: Calibrates.
        evidence: What was judged.
        unsafe: Which side.
        category: Whose probability is the score; the highest of all without one.
    """
    action = decide(policy, Verdict.unavailable("the judge failed")).action
    counted = withheld(action) if not unsafe else action != "comply"
    unavailable = float("inf") if counted else float("-inf")
    worst = min if unsafe else max
    scores: dict[str, float] = {}
    for each in evidence:
        if each.unsafe is not unsafe:
            continue
        verdict = each.verdict(policy)
        p = verdict.p_unsafe if category is None else verdict.categories.get(category)
        score = unavailable if p is None else p
        cluster = each.sample.cluster
        scores[cluster] = worst(scores.get(cluster, score), score)
    return list(scores.values())


def _changes(policy: Policy, general: Bars, own: Mapping[str, Bars]) -> dict[str, Any]:
    base = policy.verdict
    above, below = _value(general, "wrong_refusals"), _value(general, "wrong_answers")
    before = Thresholds(base.unsafe_at, base.safe_below)
    after = settled(before, base.on_uncertain, above=above, below=below)
    changes: dict[str, Any] = {}
    if verdict := {
        key: value for key, value in asdict(after).items() if getattr(base, key) != value
    }:
        changes["verdict"] = verdict
    categories = []
    for category, rule in zip(policy.categories, policy.rules, strict=True):
        kept = _own(category, rule, general, own.get(rule.id, {}))
        if entry := _entry(category, kept, after):
            categories.append({"id": category.id, **entry})
    if categories:
        changes["categories"] = categories
    return changes  # fmt: skip


def _own(category: Category, rule: CategoryRule, general: Bars, own: Bars) -> Thresholds:
    """Returns a category's thresholds: its own where they keep the bars, else what does."""
    above, below = _value(general, "wrong_refusals"), _value(general, "wrong_answers")
    plain = rule.actions["uncertain"] == "plain"
    if plain and above is not None:
        above = max(above, _value(own, "wrong_refusals") or above, category.unsafe_at or above)
    if plain and below is not None:
        steps = (_value(own, "wrong_answers"), category.safe_below)
        below = min([below, *(each for each in steps if each is not None)])
    before = Thresholds(rule.unsafe_at, rule.safe_below)
    return settled(before, rule.actions["uncertain"], above=above, below=below)


def _entry(category: Category, after: Thresholds, general: Thresholds) -> dict[str, float]:
    """Returns what a category has to say for itself so that `after` holds in it."""
    entry = {}
    for key, value in asdict(after).items():
        said = getattr(category, key)
        if (value != said) if said is not None else (value != getattr(general, key)):
            entry[key] = value
    return entry


def _notes(policy: Policy, general: Bars) -> list[str]:
    above, below = _value(general, "wrong_refusals"), _value(general, "wrong_answers")
    found = []
    places = [("verdict", policy.verdict.on_uncertain)]
    places += [
        (f"categories.{rule.id}", rule.actions["uncertain"])
        for rule in policy.rules
        if "uncertain" in rule.own
    ]
    for place, action in places:
        if contradict(action, above=above, below=below):
            found.append(
                f"the targets contradict each other in {place}, where on_uncertain is {action}: "
                f"wrong_refusals needs a threshold of {above:g}, wrong_answers one of {below:g}; "
                "wrong_answers wins, and wrong_refusals is not promised"
            )
    for category in policy.categories:
        if category.unsafe_at is not None and above is not None and category.unsafe_at < above:
            found.append(
                f"category {category.id} had its own unsafe_at {category.unsafe_at:g}, which "
                f"wrong_refusals does not allow: it is raised to {above:g}"
            )
    return found


def _is_enough(bar: Bar) -> bool:
    return bar.value is not None and bar.allowed is not None and bar.allowed >= ENOUGH


def _value(bars: Bars, kind: Wrong) -> float | None:
    bar = bars.get(kind)
    return bar.value if bar is not None else None
