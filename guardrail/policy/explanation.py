"""Why a policy decides as it does, with the place of every rule that had a say."""

from __future__ import annotations

from typing import Any

from guardrail.policy.answer_questions import answer_questions
from guardrail.policy.evaluation import Finding, decide, findings_of
from guardrail.policy.loader import Loaded
from guardrail.policy.nodes import Mark
from guardrail.policy.verdict import Verdict
from guardrail.policy.watching import decide_reading, readings_of

DEFAULT = "default"


def explain(loaded: Loaded, verdict: Verdict) -> dict[str, Any]:
    """Returns the ruling on `verdict` and each category's part in it, as plain JSON."""
    policy = loaded.policy
    ruling = decide(policy, verdict)
    return {
        "policy": {"name": policy.name, "version": policy.version, "digest": policy.digest},
        "mode": policy.mode,
        "action": ruling.action,
        "label": ruling.label,
        "category": ruling.category,
        "rule": ruling.rule,
        "rule_at": place_of(loaded, ruling.rule),
        "confidence": round(ruling.confidence, 6),
        "reasons": list(ruling.reasons),
        "message": policy.message_for(ruling) if ruling.action == "block" else None,
        "watch": watched(loaded),
        "categories": [_category(loaded, finding) for finding in findings_of(policy, verdict)],
    }


def explain_reading(loaded: Loaded, verdict: Verdict, *, last: bool = False) -> dict[str, Any]:
    """Returns the ruling on a reading of the answer so far, and each category's part in it.

    Args:
        loaded: The policy; it need not watch.
        verdict: What is believed of the answer so far.
        last: Whether the answer is over.
    """
    policy = loaded.policy
    ruling = decide_reading(policy, verdict, last=last)
    asked = answer_questions(policy)
    return {
        "policy": {"name": policy.name, "version": policy.version, "digest": policy.digest},
        "mode": policy.mode,
        "last": last,
        "act": ruling.act,
        "label": ruling.label,
        "category": ruling.category,
        "p": ruling.p,
        "rule": ruling.rule,
        "rule_at": place_of(loaded, ruling.rule),
        "reasons": list(ruling.reasons),
        "message": policy.message_for(ruling) if ruling.act == "replace" else None,
        "watch": watched(loaded),
        "categories": [
            {
                "id": reading.category,
                "question": asked[reading.category],
                "p": reading.p,
                "label": reading.label,
                "act": reading.act,
                "why": reading.sentence,
                "rule": reading.rule,
                "rule_at": place_of(loaded, reading.rule),
            }
            for reading in readings_of(policy, verdict, last=last)
        ],
    }


def watched(loaded: Loaded) -> dict[str, Any] | None:
    """Returns how the answer is watched, each value with its place; None if it is not."""
    watch = loaded.policy.watch
    if watch.is_off:
        return None
    return {
        key: {"value": value, "at": place_of(loaded, f"watch.{key}")}
        for key, value in watch.model_dump(mode="json").items()
    }


def _category(loaded: Loaded, finding: Finding) -> dict[str, Any]:
    rule = finding.rule
    return {
        "id": rule.id,
        "p": finding.p,
        "label": finding.label,
        "action": finding.action,
        "why": finding.sentence,
        "unsafe_at": rule.unsafe_at,
        "unsafe_at_from": place_of(loaded, _origin(loaded, rule.id, "unsafe_at")),
        "safe_below": rule.safe_below,
        "safe_below_from": place_of(loaded, _origin(loaded, rule.id, "safe_below")),
        "rule": finding.origin,
        "rule_at": place_of(loaded, finding.origin),
    }


def _origin(loaded: Loaded, category: str, field: str) -> str:
    own = next(c for c in loaded.policy.categories if c.id == category)
    return f"verdict.{field}" if getattr(own, field) is None else f"categories.{category}.{field}"


def place_of(loaded: Loaded, rule: str) -> str:
    """Returns the file, line and column of a rule's path, or `default` if no file states it."""
    mark = _mark(loaded, rule.split("."))
    return DEFAULT if mark is None else str(mark)


def _mark(loaded: Loaded, path: list[str]) -> Mark | None:
    node = loaded.document
    steps: list[str | int] = list(path)
    if path[0] == "categories":
        ids = [category.id for category in loaded.policy.categories]
        steps[1] = ids.index(path[1])
    for depth in range(len(steps)):
        below = node.at((steps[depth],))
        if below is node:
            return None
        node = below
    return node.mark
