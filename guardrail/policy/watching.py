"""What a policy makes of one reading of the answer so far: one pure, total function.

It takes probabilities as they count: whoever reads them off a judge calibrates them first, as those
of the request. It does not look at `mode`, at sessions or at the judge's competence, and not at
whether or how often the policy watches: who reads has decided that.

How it decides:
1. Each category is labelled by the thresholds of `watch`, as the request is by those of `verdict`:
   `p >= unsafe_at` unsafe, `p < safe_below` safe, between them uncertain; missing, NaN or outside
   [0, 1] unavailable, and all of them if the judge failed.
2. Each label asks for an act:
   - safe: `release`. The answer is cleared up to here.
   - unsafe: what `watch.on_unsafe` says.
   - uncertain, while the answer goes on: `hold`. Nothing is cleared until a later reading settles
     it; with `release: immediate` it has gone out, and the last cleared point stays where it was.
     Where `on_unsafe` is `record` it is `release`, since not even an unsafe reading holds anything.
   - uncertain, once the answer is over: it leans. From the middle of the band on it does as unsafe
     does, below it as safe.
   - unavailable: as unsafe, but `end` where that is `steer` or `record`, neither of which stops
     what nobody can read. Where the category's `on_error` is `comply` or `plain`, `release`.
3. The strictest act wins (replace > end > escalate > steer > hold > record > release); among equals
   the most severe label, then the highest probability, then the first in the policy.

INVARIANT: a risen probability never makes the act milder. Each category's act is a step function of
its own p, upwards in the order of 3 (for `record` because of the exception in 2), and the strictest
of several that only rise only rises.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from guardrail.policy.evaluation import Finding, ignored, judged
from guardrail.policy.policy import Policy
from guardrail.policy.review import Review
from guardrail.policy.rules import CategoryRule
from guardrail.policy.ruling import WatchRuling
from guardrail.policy.terms import SEVERITY, STRICTNESS_OF_ACT, Act, Label
from guardrail.policy.verdict import Verdict
from guardrail.policy.watch import Watch

CLEARED, UNCLEARED = "watch.safe_below", "watch.on_unsafe"
"""The rules of what goes out, and of what does not."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one category says of the answer so far.

    Attributes:
        because: What speaks for its label and its act.
        rule: The path of the rule that the act comes from.
    """

    category: str
    label: Label
    p: float | None
    act: Act
    rule: str
    because: str

    @property
    def sentence(self) -> str:
        """The reading in words."""
        return f"{self.category} is {self.label}: {self.because}, so {self.rule}: {self.act}"


def decide_reading(policy: Policy, verdict: Verdict, *, last: bool = False) -> WatchRuling:
    """Returns the one ruling of `policy` on a reading of the answer so far. It never raises.

    Args:
        policy: What decides.
        verdict: What the judge says to the answer questions, calibrated.
        last: Whether the answer is over.
    """
    readings = readings_of(policy, verdict, last=last)
    deciding = max(readings, key=_weight)
    named = _is_named(deciding, readings)
    first = deciding.sentence
    if not named:
        because = deciding.because
        if deciding.label == "safe":
            because = f"every category is safe, the nearest is {deciding.category}: {because}"
        first = f"{because}, so {deciding.rule}: {deciding.act}"
    others = [r.sentence for r in readings if named and r is not deciding and r.label != "safe"]
    return WatchRuling(
        label=max((reading.label for reading in readings), key=SEVERITY.__getitem__),
        act=deciding.act,
        category=deciding.category if named else None,
        rule=deciding.rule,
        reasons=(first, *others, *ignored(policy, verdict)),
        p=deciding.p,
    )


def reviewed_reading(ruling: WatchRuling, review: Review | None) -> WatchRuling:
    """Returns the ruling where a human may have looked at the request, or the answer, before.

    Who has approved a request has approved its answer: an approval that is honoured puts `release`
    in the place of `escalate`, and of nothing else. What was rejected is not let out.
    """
    if review is None or not review.settles(escalated=ruling.act == "escalate"):
        return ruling
    if review.approved:
        why = f"a human approved request {review.request_id}: release instead of escalate"
        return replace(ruling, act="release", reasons=(why, *ruling.reasons))
    why = f"a human rejected request {review.request_id}: replace"
    return replace(ruling, act="replace", reasons=(why, *ruling.reasons))


def readings_of(policy: Policy, verdict: Verdict, *, last: bool = False) -> list[Reading]:
    """Returns what each category of `policy` says of a reading, in the policy's order."""
    watch = policy.watch
    rules = tuple(
        replace(rule, unsafe_at=watch.unsafe_at, safe_below=watch.safe_below, leans=last)
        for rule in policy.rules
    )
    return [_reading(watch, finding, last=last) for finding in judged(rules, verdict)]


def act_at(watch: Watch, p: float, *, last: bool = False) -> tuple[Label, Act]:
    """Returns the label and the act of a probability in [0, 1]."""
    if p >= watch.unsafe_at:
        return "unsafe", watch.on_unsafe
    if p < watch.safe_below:
        return "safe", "release"
    if last:
        return "uncertain", watch.on_unsafe if p >= watch.middle else "release"
    return "uncertain", "release" if watch.on_unsafe == "record" else "hold"


def act_unread(watch: Watch, rule: CategoryRule) -> Act:
    """Returns the act of a category for which there is no probability."""
    if _permits(rule):
        return "release"
    return "end" if watch.on_unsafe in ("steer", "record") else watch.on_unsafe


def _permits(rule: CategoryRule) -> bool:
    return rule.actions["unavailable"] in ("comply", "plain")


def _reading(watch: Watch, finding: Finding, *, last: bool) -> Reading:
    rule, p, because = finding.rule, finding.p, finding.because
    if p is None:
        act = act_unread(watch, rule)
        origin = UNCLEARED
        if act != watch.on_unsafe:
            origin = rule.origins["unavailable"]
            because = f"{because}, and on_error is {rule.actions['unavailable']}"
        return Reading(rule.id, "unavailable", None, act, origin, because)
    label, act = act_at(watch, p, last=last)
    if label == "uncertain" and last:
        because = f"{because}, and the answer is over"
    elif label == "uncertain" and act == "release":
        because = f"{because}, and what is only recorded is not held"
        return Reading(rule.id, label, p, act, UNCLEARED, because)
    origin = UNCLEARED if act == watch.on_unsafe else CLEARED
    return Reading(rule.id, label, p, act, origin, because)


def _weight(reading: Reading) -> tuple[int, int, float]:
    """Orders readings; `max` keeps the first of equals, which is the policy's order."""
    return STRICTNESS_OF_ACT[reading.act], SEVERITY[reading.label], reading.p or 0.0


def _is_named(deciding: Reading, readings: list[Reading]) -> bool:
    """Whether one category decided: not if all are safe, nor if none could be read."""
    if deciding.label == "safe":
        return False
    return deciding.p is not None or any(reading.p is not None for reading in readings)
