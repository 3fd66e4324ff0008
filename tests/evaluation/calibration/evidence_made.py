"""Evidence with scores that a test chooses, and a policy of one or two categories."""

from collections.abc import Mapping, Sequence
from typing import Any

from guardrail.evaluation import Sample
from guardrail.evaluation.calibration import Evidence, Judged, Split
from guardrail.policy import Policy

QUESTIONS = {"harm": "Could this do harm?", "offence": "Could this offend?"}


def policy(*, categories: Sequence[str] = ("harm",), **content: Any) -> Policy:
    made = [{"id": name, "question": QUESTIONS[name]} for name in categories]
    return Policy.model_validate({"version": 1, "name": "made", "categories": made, **content})


def sample(number: int, side: str, *, cluster: str = "", category: str = "harm") -> Sample:
    return Sample(
        id=f"{number}/{side}",
        side=side,  # type: ignore[arg-type]
        cluster=cluster or str(number),
        question=f"Question {number}?",
        picture=None,
        category=category,
    )


def judged(
    number: int,
    side: str,
    p: float | Mapping[str, float] | None,
    *,
    cluster: str = "",
    category: str = "harm",
) -> Judged:
    categories = {} if p is None else {"harm": p} if isinstance(p, float) else p
    return Judged(sample(number, side, cluster=cluster, category=category), categories)


def evidence(safe: Sequence[float | None], unsafe: Sequence[float | None] = ()) -> Evidence:
    """One cluster per score: safe ones first."""
    rows = [judged(at, "safe", p) for at, p in enumerate(safe)]
    rows += [judged(len(safe) + at, "unsafe", p) for at, p in enumerate(unsafe)]
    return Evidence(tuple(rows))


def both(part: Evidence) -> Split:
    """A split whose two parts are the same: for arithmetic, not for measuring."""
    return Split(part, part)
