"""What a policy makes of a verdict: one pure, total function.

The same policy and verdict give the same ruling, whatever the verdict holds. It looks at no text
and no picture, and does not know the mode: in `shadow` the engine records the ruling and does not
act on it.

How it decides:
1. Each category of the policy is labelled by its own thresholds: `p >= unsafe_at` unsafe,
   `p < safe_below` safe, between them uncertain. A probability that is missing, NaN or outside
   [0, 1] is unavailable, and so is every category if the judge failed.
2. Each category asks for the action that the policy maps its label to; `lean` stands for that
   of safe or of unsafe, by the half of the band that the probability lies in.
3. The strictest action wins (block > escalate > refuse > plain > comply), and the ruling carries
   the most severe label (unavailable > unsafe > uncertain > safe). A policy's actions never get
   more permissive as a label gets worse (checked at load), so a risen probability never makes the
   ruling more permissive.
   An action of `comply` has to be earned: where the judge's competence was asked for and is not
   above `judge.competence.above`, it is `plain`, and the model's own caution stands.
4. Among categories that ask for the winning action, the one with the most severe label decides;
   then the one furthest past `unsafe_at`, or with the highest probability if uncertain, or nearest
   to `safe_below` if safe; then the first in the policy.
5. What is remembered of earlier requests (`guardrail.policy.memory`) adds findings and lowers
   thresholds, and a human's review replaces `escalate` alone: neither makes 3 any less true.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from guardrail.policy.memory import NOTHING, Memory, tightened
from guardrail.policy.policy import Policy
from guardrail.policy.review import Review
from guardrail.policy.rules import CategoryRule
from guardrail.policy.ruling import Ruling
from guardrail.policy.suggest import quoted
from guardrail.policy.terms import MEASURED, SEVERITY, STRICTNESS, Action, Label
from guardrail.policy.verdict import NO_EVIDENCE, Verdict

UNEARNED = "judge.competence"
"""The rule of a ruling that would comply, had the judge earned it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one category says: its label, the action it asks for, and how far past its threshold.

    `remembered` is the earlier request whose probability this is; None for the new verdict's.
    `unearned` says why the judge is not competent here, if it is not.
    """

    rule: CategoryRule
    label: Label
    p: float | None
    confidence: float
    why: str = ""
    remembered: str | None = None
    unearned: str = ""

    @property
    def action(self) -> Action:
        """The action that this category asks for."""
        return "plain" if self.asked == "comply" and self.unearned else self.asked

    @property
    def asked(self) -> Action:
        """The action that it would ask for if the judge had earned all."""
        return self.rule.action_at(self.label, self.p)

    @property
    def origin(self) -> str:
        """The path of the rule that this action comes from."""
        return self.rule.origins[self.label] if self.action == self.asked else UNEARNED

    @property
    def sentence(self) -> str:
        """The finding in words."""
        return f"{self.rule.id} is {self.label}: {self.because}, so {self.origin}: {self.action}"

    @property
    def because(self) -> str:
        """What speaks for its label: the probability against the thresholds, or what failed."""
        if self.p is None:
            return self.why
        p, rule = f"p {self.p:.6g}", self.rule
        if self.remembered is not None:
            p = f"{p} (remembered from request {self.remembered})"
        if self.label == "unsafe":
            return f"{p} >= unsafe_at {rule.unsafe_at:g}"
        why = f", but {self.unearned}" if self.action != self.asked else ""
        if self.label == "safe":
            return f"{p} < safe_below {rule.safe_below:g}{why}"
        side = ""
        if rule.leans and self.p is not None:
            side = f", {'from' if self.p >= rule.middle else 'below'} their middle {rule.middle:g}"
        band = f"is from safe_below {rule.safe_below:g} to below unsafe_at {rule.unsafe_at:g}"
        return f"{p} {band}{side}{why}"


def decide(policy: Policy, verdict: Verdict, memory: Memory = NOTHING) -> Ruling:
    """Returns the one ruling of `policy` on `verdict`. It never raises.

    Args:
        policy: What decides.
        verdict: The judge's belief about this request.
        memory: What its session remembers; a policy without memory does not look at it.

    INVARIANT: memory adds findings and lowers thresholds, so it never permits more.
    """
    if policy.session.memory == "off":
        memory = NOTHING
    findings = findings_of(policy, verdict, memory)
    deciding = max(findings, key=_weight)
    label = max((finding.label for finding in findings), key=SEVERITY.__getitem__)
    return Ruling(
        label=label,
        action=deciding.action,
        category=_named(deciding, findings),
        rule=deciding.origin,
        reasons=_reasons(deciding, findings, policy, verdict, memory),
        confidence=deciding.confidence,
    )


def reviewed(ruling: Ruling, review: Review | None) -> Ruling:
    """Returns the ruling once a human has looked at the request that was escalated.

    An approval puts `plain` in the place of `escalate` and of nothing else, if it is honoured; a
    rejection blocks.
    """
    if review is None or not review.settles(escalated=ruling.action == "escalate"):
        return ruling
    if review.approved:
        why = f"a human approved request {review.request_id}: plain instead of escalate"
        return replace(ruling, action="plain", reasons=(why, *ruling.reasons))
    why = f"a human rejected request {review.request_id}: block"
    return replace(ruling, action="block", reasons=(why, *ruling.reasons))


def findings_of(policy: Policy, verdict: Verdict, memory: Memory = NOTHING) -> list[Finding]:
    """Returns what each category of `policy` says, in the policy's order, then what is remembered
    of each.
    """
    rules = policy.rules
    if memory.refusal is not None:
        rules = tuple(tightened(rule, policy.session.after_refusal) for rule in rules)
    earlier = [
        replace(_by_probability(rule, found.p), remembered=found.request_id)
        for rule in rules
        if (found := memory.remembered.get(rule.id)) is not None
    ]
    unearned = _unearned(policy, verdict)
    return [replace(each, unearned=unearned) for each in (*judged(rules, verdict), *earlier)]


def _unearned(policy: Policy, verdict: Verdict) -> str:
    """Returns why a judge whose competence was asked for is not competent here, or nothing."""
    asked, found = policy.judge.competence, verdict.competence
    if asked.evidence == "none" or found is None:
        return ""
    least = _number(found)
    if least is None:
        return "the evidence for it is no number"
    evidence = verdict.evidence if isinstance(verdict.evidence, Mapping) else {}
    if not MEASURED[asked.evidence].issuperset(evidence):
        return f"the evidence for it is not of the kind {asked.evidence!r}"
    if least > asked.threshold:
        return ""
    if least <= NO_EVIDENCE:
        return _NOTHING[asked.evidence]
    if asked.evidence == "picture":
        return (
            f"the pictures speak for it by {least:.3g} nats, not by more than {asked.threshold:g}"
        )
    strange = _STRANGE.get(min(evidence, key=lambda name: _weighed(evidence, name), default=""), "")
    return f"{strange or _STRANGE['request']}: p {least:.2g}, not above {asked.threshold:g}"


_NOTHING = {
    "picture": "there is no picture to go by, or none could be judged unseen",
    "familiar": "nothing says what requests this model was tried on, or it was not measured",
}
_STRANGE = {
    "request": "the request is unlike those that the model was tried on",
    "description": "the model is less sure of what it sees than where it was tried",
}


def _weighed(evidence: Mapping[str, object], name: str) -> float:
    found = _number(evidence[name])
    return math.inf if found is None else found


def judged(rules: tuple[CategoryRule, ...], verdict: Verdict) -> list[Finding]:
    """Returns what each of `rules` makes of a verdict, in their order. It never raises."""
    if verdict.error is not None:
        why = f"the judge failed ({quoted(str(verdict.error))})"
        return [Finding(rule, "unavailable", None, 0.0, why) for rule in rules]
    beliefs = verdict.categories
    if not isinstance(beliefs, Mapping) or not beliefs:
        why = "no category was judged"
        return [Finding(rule, "unavailable", None, 0.0, why) for rule in rules]
    return [_finding(rule, beliefs) for rule in rules]


def _finding(rule: CategoryRule, beliefs: Mapping[str, object]) -> Finding:
    if rule.id not in beliefs:
        return Finding(rule, "unavailable", None, 0.0, "it was not judged")
    p = probability(beliefs[rule.id])
    if p is None:
        given = beliefs[rule.id]
        shown = (
            quoted(given) if isinstance(given, (float, int, str)) else f"a {type(given).__name__}"
        )
        return Finding(rule, "unavailable", None, 0.0, f"{shown} is not a probability")
    return _by_probability(rule, p)


def _by_probability(rule: CategoryRule, p: float) -> Finding:
    if p >= rule.unsafe_at:
        room = 1.0 - rule.unsafe_at
        return Finding(rule, "unsafe", p, (p - rule.unsafe_at) / room if room > 0 else 1.0)
    if p < rule.safe_below:
        return Finding(rule, "safe", p, (rule.safe_below - p) / rule.safe_below)
    return Finding(rule, "uncertain", p, 0.0)


def probability(value: object) -> float | None:
    """Returns `value` as a float in [0, 1], or None if it is not one."""
    p = _number(value)
    return p if p is not None and 0.0 <= p <= 1.0 else None


def _number(value: object) -> float | None:
    if isinstance(value, (bool, str, bytes)):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:  # whatever a judge put there: not a number is not a verdict
        return None
    return None if math.isnan(number) else number


def _weight(finding: Finding) -> tuple[int, int, float]:
    """Orders findings; `max` keeps the first of equals, which is the policy's order."""
    label = finding.label
    past = finding.confidence if label == "unsafe" else -finding.confidence
    near = (finding.p or 0.0) if label == "uncertain" else past
    return STRICTNESS[finding.action], SEVERITY[label], near


def _named(deciding: Finding, findings: list[Finding]) -> str | None:
    if deciding.label == "safe" and "safe" not in deciding.rule.own:
        return None
    if deciding.label == "unavailable" and all(f.label == "unavailable" for f in findings):
        return None
    return deciding.rule.id


def _reasons(
    deciding: Finding,
    findings: list[Finding],
    policy: Policy,
    verdict: Verdict,
    memory: Memory,
) -> tuple[str, ...]:
    reasons = []
    if _named(deciding, findings) is None:
        because = (
            deciding.why
            or f"every category is below its safe_below, the nearest is {deciding.rule.id}"
        )
        if deciding.action != deciding.asked:
            because = f"{because}; but {deciding.unearned}"
        reasons.append(f"{because}, so {deciding.origin}: {deciding.action}")
    else:
        reasons.append(deciding.sentence)
        reasons += [f.sentence for f in findings if f is not deciding and f.label != "safe"]
    if memory.refusal is not None and policy.session.tightens:
        reasons.append(f"session.after_refusal holds since request {memory.refusal} was refused")
    return (*reasons, *ignored(policy, verdict))


def ignored(policy: Policy, verdict: Verdict) -> list[str]:
    """Returns a sentence for each category of `verdict` that `policy` does not have."""
    if not isinstance(verdict.categories, Mapping):
        return []
    known = {rule.id for rule in policy.rules}
    unknown = [name for name in verdict.categories if name not in known]
    return [f"category {quoted(name)} is not in this policy: ignored" for name in unknown]
