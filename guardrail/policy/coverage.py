"""Which rules of a policy its cases reach.

A rule is what a category does with a label: safe, uncertain, unsafe or unavailable. It is reached
when, in some case, that category has that label and its action is the one that is taken. Rules that
are said once for all categories (`verdict.on_safe`) count once, as do those by which a policy
watches the answer: a rule for each label that a reading may have.
"""

from __future__ import annotations

from collections.abc import Sequence

from guardrail.policy.evaluation import decide, findings_of
from guardrail.policy.policy import Policy
from guardrail.policy.rules import CategoryRule
from guardrail.policy.terms import LABELS, Label
from guardrail.policy.verdict import Verdict
from guardrail.policy.watching import decide_reading, readings_of

_PER_CATEGORY: tuple[Label, ...] = ("uncertain", "unsafe")


class Coverage:
    """Collects the rules that are reached.

    Args:
        policies: Those whose rules there are to reach.
    """

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._reached: set[str] = set()
        self._rules = dict.fromkeys(rule for policy in policies for rule in rules_of(policy))

    def reached(self, policy: Policy, verdict: Verdict) -> None:
        """Notes the rules that decide on `verdict`."""
        action = decide(policy, verdict).action
        for finding in findings_of(policy, verdict):
            if finding.action == action:
                self._reached.add(_name(policy, finding.rule, finding.label))

    def read(self, policy: Policy, verdict: Verdict, *, last: bool) -> None:
        """Notes the rules that decide on a reading of the answer so far."""
        act = decide_reading(policy, verdict, last=last).act
        for reading in readings_of(policy, verdict, last=last):
            if reading.act == act:
                self._reached.add(_watch_name(policy, reading.label))

    @property
    def rules(self) -> list[str]:
        """Every rule there is, in the policy's order."""
        return list(self._rules)

    @property
    def missed(self) -> list[str]:
        """The rules that no case reached."""
        return [rule for rule in self._rules if rule not in self._reached]

    @property
    def percent(self) -> float:
        """How many of the rules were reached, in percent."""
        return 100.0 * (1 - len(self.missed) / len(self._rules))


def rules_of(policy: Policy) -> list[str]:
    """Returns the name of every rule of `policy` that can be reached."""
    names: dict[str, None] = {}
    for rule in policy.rules:
        for label in rule.actions:
            if label == "uncertain" and rule.unsafe_at == rule.safe_below:
                continue
            if label == "safe" and rule.safe_below == 0:
                continue
            names[_name(policy, rule, label)] = None
    return [*names, *_watch_rules(policy)]


def _watch_rules(policy: Policy) -> list[str]:
    watch = policy.watch
    if watch.is_off:
        return []
    unreachable = {
        "uncertain": watch.unsafe_at == watch.safe_below,
        "safe": watch.safe_below == 0,
    }
    return [_watch_name(policy, label) for label in LABELS if not unreachable.get(label, False)]


def _watch_name(policy: Policy, label: Label) -> str:
    return f"{policy.name}: watch {label}"


def _name(policy: Policy, rule: CategoryRule, label: Label) -> str:
    name = f"{rule.id} {label}" if label in _PER_CATEGORY else rule.origins[label]
    return f"{policy.name}: {name}"
