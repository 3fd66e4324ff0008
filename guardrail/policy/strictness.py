"""Which of several policies is the strictest, in figures. It decides nothing about a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guardrail.policy.policy import Policy
from guardrail.policy.rules import CategoryRule
from guardrail.policy.terms import STRICTNESS, STRICTNESS_OF_ACT, Mode
from guardrail.policy.watch import Watch
from guardrail.policy.watching import act_at

_MODES: dict[Mode, int] = {"off": 0, "shadow": 1, "enforce": 2}


def strictest(policies: Sequence[Policy]) -> Policy:
    """Returns the strictest of `policies`; of equally strict ones, the first.

    A policy that enforces is stricter than one in shadow, and that than one that is off. Within a
    mode, the one is stricter whose actions are on average: over every category that any of the
    policies asks about, and over every probability of harm from 0 to 1, the rank of the action
    (comply 0, plain 1, refuse 2, escalate 3, block 4), plus the rank where no verdict can be had. A
    category that a policy does not ask about counts as safe. Calibration, sessions and reviews do
    not count. Of policies that are equally strict about requests, the one is stricter that watches
    its answers, whose readings lead to stricter acts on average over every probability, and that
    lets nothing out before it is judged.

    Args:
        policies: At least one.
    """
    categories = sorted({rule.id for policy in policies for rule in policy.rules})
    return max(policies, key=lambda policy: _strictness(policy, categories))


def _strictness(
    policy: Policy, categories: Iterable[str]
) -> tuple[int, float, tuple[bool, float, bool, bool]]:
    rules = {rule.id: rule for rule in policy.rules}
    unasked = STRICTNESS[policy.verdict.on_safe] + STRICTNESS[policy.verdict.on_error]
    ranks = (_mean_rank(rules[name]) if name in rules else unasked for name in categories)
    return _MODES[policy.mode], sum(ranks), _watchfulness(policy.watch)


def _watchfulness(watch: Watch) -> tuple[bool, float, bool, bool]:
    if watch.is_off:
        return False, 0.0, False, False
    low, high = watch.safe_below, watch.unsafe_at
    between = STRICTNESS_OF_ACT[act_at(watch, low)[1]] if low < high else 0
    unsafe = STRICTNESS_OF_ACT[watch.on_unsafe]
    reads = (high - low) * between + (1 - high) * unsafe
    return True, reads, watch.release == "judged", watch.thinking == "withheld"


def _mean_rank(rule: CategoryRule) -> float:
    rank = {label: STRICTNESS[action] for label, action in rule.actions.items()}
    between = (rank["safe"] + rank["unsafe"]) / 2 if rule.leans else rank["uncertain"]
    return (
        rule.safe_below * rank["safe"]
        + (rule.unsafe_at - rule.safe_below) * between
        + (1 - rule.unsafe_at) * rank["unsafe"]
        + rank["unavailable"]
    )
