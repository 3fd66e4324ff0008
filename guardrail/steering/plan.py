"""What is to be done to the logits of each row, and what was done at each step.

Values only: who plans is the policy's business, who carries it out `guided`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from guardrail.backends import FinishReason, Likelihood
from guardrail.policy import Policy, Ruling
from guardrail.policy.steering import Modulation
from guardrail.steering.contrast import ContrastForm
from guardrail.steering.opening import Opening

ModulationForm = Literal["phrase", "paper", "published-code", "opening", "off"]


@dataclass(frozen=True)
class Guidance:
    """How the guided steps are steered; the same for every row.

    Attributes:
        steps: How many first tokens are guided, >= 0.
        contrast_form: `default`, `paper` or `published-code`.
        alpha: Contrast strength.
        plausibility: beta of the plausibility set.
        modulation_form: `phrase`, `paper`, `published-code`, `opening` or `off`.
        top_k: Candidates that the paper's modulation looks at.
        candidates: How many top tokens a step's record keeps.
    """

    steps: int = 5
    contrast_form: ContrastForm = "default"
    alpha: float = 0.3
    plausibility: float = 0.1
    modulation_form: ModulationForm = "phrase"
    top_k: int = 20
    candidates: int = 5

    @classmethod
    def of(cls, policy: Policy) -> Guidance:
        """Returns what a policy says of its guided steps."""
        contrast, modulation = policy.contrast, policy.modulation
        return cls(
            steps=contrast.guided_steps,
            contrast_form=contrast.form,
            alpha=contrast.alpha,
            plausibility=contrast.plausibility,
            modulation_form=modulation.form,
            top_k=modulation.top_k,
        )


@dataclass(frozen=True)
class RowPlan:
    """What is done to one row.

    Attributes:
        contrast: Whether its noised branch counts.
        delta: Nats added to refusal tokens: above 0 boosts, below 0 suppresses.
        record: Whether its guided steps are recorded.
        safe: Whether it was judged safe, so that refusals are suppressed.
        openings: It is begun with the likeliest of these, if there are any.
    """

    contrast: bool = False
    delta: float = 0.0
    record: bool = True
    safe: bool = False
    openings: tuple[Opening, ...] = ()

    def begun_with(self, openings: tuple[Opening, ...]) -> RowPlan:
        """Returns the plan of an answer that has its openings, and so needs no modulation."""
        return replace(self, openings=openings, delta=0.0) if openings else self

    @property
    def after(self) -> RowPlan:
        """What is left of the plan once the row is steered no more."""
        return RowPlan(record=self.record)

    @classmethod
    def of(cls, ruling: Ruling | None, modulation: Modulation, *, contrast: bool) -> RowPlan:
        """Returns what a ruling asks for.

        Args:
            ruling: What the policy decided; None if nobody judged.
            modulation: How strongly refusals are boosted and suppressed.
            contrast: Whether there is a noised branch that counts.
        """
        delta = 0.0
        if ruling is not None and modulation.form != "off":
            strength = ruling.confidence if modulation.scale == "confidence" else 1.0
            if ruling.action == "refuse":
                delta = modulation.boost * strength
            elif ruling.action == "comply":
                delta = -modulation.suppress * strength
        safe = ruling is not None and ruling.action == "comply"
        return cls(contrast=contrast, delta=delta, safe=safe)


@dataclass(frozen=True)
class CandidateTrace:
    """A candidate token's probability in each stage of one guided step."""

    token_id: int
    real: float
    noised: float | None
    guarded: float


@dataclass(frozen=True)
class StepTrace:
    """What one guided step did to one row; its numbers are those of the decision record."""

    step: int
    guarded_id: int
    unguarded_id: int
    mass_before: float
    mass_after: float
    divergence: float | None
    top: tuple[CandidateTrace, ...]
    coverage: float | None


@dataclass(frozen=True)
class Step:
    """One decoded token per row.

    Attributes:
        token_ids: For each row the new token, None once the row has finished.
        finished: For each row, why it has finished, None while it has not.
        traces: For each row, what guidance did at this step, None where there was none.
        likelihoods: For each row, how likely its token was, None where that is not wanted, or an
            opening put it there.
    """

    token_ids: tuple[int | None, ...]
    finished: tuple[FinishReason | None, ...]
    traces: tuple[StepTrace | None, ...]
    likelihoods: tuple[Likelihood | None, ...]
