"""The judge's belief about one request. It knows nothing of thresholds: those are the policy's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NO_EVIDENCE = -100.0
"""Competence where there is nothing to go by, or it could not be measured."""


@dataclass(frozen=True)
class Verdict:
    """What a judge believes, before any policy has looked at it.

    Attributes:
        categories: Probability in [0, 1] that helping would cause harm, by category id. Judges are
            not trusted to keep to the range: the policy treats NaN and out-of-range values as a
            failed judge.
        source: Which judge spoke (`self`, `caption`, `model`, `chat`, `callable`, `none`).
        error: Why there is no belief, if the judge failed; one line.
        details: What the judge saw on the way (a caption, raw label logits), for the record.
        views: By category id, the part of the request whose probability counts, where that is not
            the whole conversation.
        competence: How far the judge may be trusted that this is *safe*: the least of `evidence`.
            None where it was not asked for.
        evidence: What that rests on: `request` and `description`, p-values in [0, 1] by which the
            request and what the model makes of its pictures are like those that the model was tried
            on; or `pictures`, the nats by which they lower the log-odds of harm against grey ones.
            Empty where nothing was measured.
        screen: What the screening question came to, a probability in [0, 1], before any
            calibration; None where none was asked.
        screened: Ids of the categories that it spared: they were not asked about, and their
            probability is that of the screen.
    """

    categories: Mapping[str, float] = field(default_factory=dict)
    source: str = "self"
    error: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)
    competence: float | None = None
    evidence: Mapping[str, float] = field(default_factory=dict)
    screen: float | None = None
    screened: tuple[str, ...] = ()

    @classmethod
    def unavailable(cls, reason: str, *, source: str = "self") -> Verdict:
        """Returns the verdict of a judge that failed for `reason`."""
        return cls(source=source, error=reason)

    @property
    def p_unsafe(self) -> float | None:
        """The largest category probability, or None without one."""
        return max(self.categories.values(), default=None)
