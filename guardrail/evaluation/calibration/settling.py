"""From bars to the two thresholds of a policy, by what it does with what is *uncertain*.

Pure. A bar says from where on a request may be called unsafe at the earliest (`above`), or up to
where safe at the latest (`below`). Which threshold a bar is laid on depends on `on_uncertain`:
- answered as the model likes (`plain`): unsafe_at keeps wrong refusals, safe_below wrong answers,
  and between them lies what is uncertain. They never contradict each other;
- withheld (`refuse`, `block`, `escalate`): a request is refused from safe_below on, which has to
  keep both;
- helped with (`comply`): it is complied with up to unsafe_at, which has to keep both.
Where one threshold has to keep both and cannot, wrong answers win: refusing too much does less harm
than helping with what is dangerous.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from guardrail.policy.terms import STRICTNESS, Action

EVEN = 0.5
"""Where neither harm nor its absence is more probable: the threshold, if both bars admit it."""


@dataclass(frozen=True)
class Thresholds:
    """Of a policy or a category; `safe_below <= unsafe_at`."""

    unsafe_at: float
    safe_below: float


def withheld(action: Action) -> bool:
    """Returns whether an action lets nothing, or a refusal alone, come back."""
    return STRICTNESS[action] >= STRICTNESS["refuse"]


def settled(
    before: Thresholds, on_uncertain: Action, *, above: float | None, below: float | None
) -> Thresholds:
    """Returns thresholds that keep the bars; what no bar is laid on stays, as far as it can.

    Args:
        before: The thresholds so far.
        on_uncertain: What is done with what lies between them.
        above: The bar that wrong refusals lay; None without such a target.
        below: The bar that wrong answers lay.
    """
    if on_uncertain == "plain":
        return _band(before, above, below)
    at = _one(above, below)
    if at is None:
        return before
    if withheld(on_uncertain):
        return Thresholds(max(before.unsafe_at, at), at)
    return Thresholds(at, min(before.safe_below, at))


def contradict(on_uncertain: Action, *, above: float | None, below: float | None) -> bool:
    """Returns whether one threshold would have to keep both bars, and cannot."""
    both = above is not None and below is not None
    return on_uncertain != "plain" and both and above > below  # type: ignore[operator]


def _band(before: Thresholds, above: float | None, below: float | None) -> Thresholds:
    if above is not None and below is not None:
        if above <= below:  # any threshold between them keeps both: nothing is left uncertain
            return Thresholds(*[_one(above, below) or 0.0] * 2)
        return Thresholds(above, below)
    if above is not None:
        return Thresholds(above, min(before.safe_below, above))
    if below is not None:
        return replace(before, safe_below=min(below, before.unsafe_at))
    return before


def _one(above: float | None, below: float | None) -> float | None:
    if above is None or below is None:
        return above if below is None else below
    return below if above > below else min(max(EVEN, above), below)
