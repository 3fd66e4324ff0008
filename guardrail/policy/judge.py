"""What a policy says of its judge: who judges, how long it may take, and what its word is worth."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from guardrail.policy.faults import fault
from guardrail.policy.judge_contrast import JudgeContrast
from guardrail.policy.screen import Screen
from guardrail.policy.section import Section
from guardrail.policy.terms import Evidence
from guardrail.policy.values import Probability, Text, Unsigned, Words


class Calibration(Section):
    """A judge's probability corrected: `p' = sigmoid(scale * logit(p) + bias)`.

    Attributes:
        scale: What the log-odds are multiplied by: below 1 the judge is less sure, above 1 surer.
        bias: Added to the log-odds: above 0 raises every probability of harm, below 0 lowers it.
    """

    scale: Annotated[float, Strict(), Field(gt=0, le=100), Unsigned] = 1.0
    bias: Annotated[float, Strict(), Field(ge=-100, le=100), Unsigned] = 0.0


class Competence(Section):
    """When a *safe* verdict may suppress refusals: `comply` has to be earned, else it is `plain`.

    Attributes:
        evidence: `familiar` asks whether the request is of a kind that the model was tried on, and
            whether the model is as sure of what it sees as it was there: without a reference that
            says so, nothing is earned. `picture` has a local judge look once more, at grey
            pictures: a judge that calls a request as safe unseen as seen does not go by what is to
            be seen. `none` takes every verdict at its word, as those of chat and callable judges
            always are.
        above: `familiar`: the p-value that must be exceeded: this share of requests like the
            reference's loses its suppression, up to twice that where a refusal is near.
            `picture`: by how much the pictures must lower the log-odds of harm, in nats; below 0,
            by how much they may raise them. Probabilities up to 0.08 count as alike, so that below
            0 a judge that is as sure as that is not asked again. Without it 0.001, and -1.5 nats.
        reference: Path of the reference, which `guardrail reference` writes; relative to the
            working directory. Without it that beside the model's weights.
    """

    evidence: Evidence = "familiar"
    above: Annotated[float, Strict(), Field(ge=-100, le=100)] | None = None
    reference: Words | None = None

    @property
    def threshold(self) -> float:
        """What has to be exceeded, in the evidence's own unit."""
        if self.above is not None:
            return self.above
        return -1.5 if self.evidence == "picture" else 0.001

    @model_validator(mode="after")
    def _is_a_share(self) -> Competence:
        if self.evidence == "familiar" and not 0 < self.threshold < 1:
            raise fault(
                f"above is {self.threshold:g}: of familiar requests it is a p-value, from above 0 "
                "to below 1",
                "above",
            )
        return self


class SecondLook(Section):
    """A local judge looks at a request in doubt once more; the mean of the log-odds counts.

    What is in doubt is said apart from the thresholds, so that these can be fitted to what is seen.

    Attributes:
        picture: `mirror` shows the pictures mirrored, at the cost of a prompt; `none` is no look.
        above: Doubt begins here: the highest probability of a category, before calibration.
        below: And ends below this one.
    """

    picture: Literal["mirror", "none"] = "none"
    above: Probability = 0.4
    below: Probability = 0.6

    @model_validator(mode="after")
    def _has_a_band(self) -> SecondLook:
        if self.above > self.below:
            raise fault(
                f"above {self.above:g} is beyond below {self.below:g}: nothing is in doubt", "above"
            )
        return self


class Judge(Section):
    """Who judges, and how long it may take.

    Attributes:
        kind: `self` (the model itself), `caption` (the paper's caption, then verdict), `model`
            (another local model), `chat` (a LangChain chat model), `callable` (given in code).
        timeout_s: Seconds that the judge has for a request; later, its verdict is unavailable.
        model: The path of the judge's model, for kind `model`; relative to the working directory.
        calibration: Corrects the judge's probabilities; `guardrail calibrate` fits it.
        answer_suffix: Put after each category's question.
        views: Which parts of a request are judged besides the whole, the highest probability of a
            category counting: `auto` where its structure gives a reason (several pictures, tool
            results, a prefilled answer, odd text, something said beside a question about a
            picture), `all` the last user turn of every longer conversation, too; `whole` none.
        competence: When a *safe* verdict may suppress refusals.
        screen: What is asked before the categories' questions, and may spare them.
        second_look: Whether a request in doubt is looked at twice.
        contrast: Whether the verdict is contrasted with that on grey pictures, before calibration.
    """

    kind: Literal["self", "caption", "model", "chat", "callable"] = "self"
    timeout_s: Annotated[float, Strict(), Field(gt=0, le=600), Unsigned] = 10.0
    model: Words | None = None
    calibration: Calibration | None = None
    competence: Competence = Competence()
    screen: Screen = Screen()
    second_look: SecondLook = SecondLook()
    contrast: JudgeContrast = JudgeContrast()
    answer_suffix: Text = "Answer yes or no."
    views: Literal["auto", "all", "whole"] = "auto"

    @model_validator(mode="after")
    def _has_its_model(self) -> Judge:
        if self.kind == "model" and self.model is None:
            raise fault("kind 'model' needs the path of a model in `judge.model`", "kind")
        if self.kind != "model" and self.model is not None:
            raise fault(
                f"kind {self.kind!r} takes no model: remove it, or set kind: model", "model"
            )
        return self
