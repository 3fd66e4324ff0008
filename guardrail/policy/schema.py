"""What a policy says, as pydantic models: the shape of a policy file once everything is inherited.

It knows nothing of files (see `loader`) and decides nothing (see `evaluation`): whatever reads a
policy imports this, and is not imported here. No key is unknown, and every value is checked
strictly (see `values`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict, model_validator

from guardrail.policy.faults import fault
from guardrail.policy.frozen import FrozenDict
from guardrail.policy.judge_contrast import JudgeContrast
from guardrail.policy.section import Section
from guardrail.policy.terms import Action, Counterfactual, Evidence, Mode, Uncertain
from guardrail.policy.values import (
    ByLanguage,
    CategoryId,
    Count,
    Flag,
    Identifier,
    Language,
    Probability,
    Template,
    Templates,
    Text,
    Unsigned,
    Version,
    Words,
)
from guardrail.policy.watch import NO_WATCH, Watch

SCHEMA_VERSION = 1


class Calibration(Section):
    """A judge's probability corrected: `p' = sigmoid(scale * logit(p) + bias)`."""

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
        model: The path of the judge's model, for kind `model`; relative to the working directory.
        answer_suffix: Put after each category's question.
        views: Which parts of a request are judged besides the whole, the highest probability of a
            category counting: `auto` where its structure gives a reason (several pictures, tool
            results, a prefilled answer, odd text, something said beside a question about a
            picture), `all` the last user turn of every longer conversation, too; `whole` none.
        competence: When a *safe* verdict may suppress refusals.
        second_look: Whether a request in doubt is looked at twice.
        contrast: Whether the verdict is contrasted with that on grey pictures, before calibration.
    """

    kind: Literal["self", "caption", "model", "chat", "callable"] = "self"
    timeout_s: Annotated[float, Strict(), Field(gt=0, le=600), Unsigned] = 10.0
    model: Words | None = None
    calibration: Calibration | None = None
    competence: Competence = Competence()
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


class VerdictRules(Section):
    """Thresholds and actions for every category that does not set its own.

    `on_uncertain: lean` goes by the evidence: in the lower half of the band between the thresholds
    it does as `on_safe` says, from its middle on as `on_unsafe`.
    """

    unsafe_at: Probability = 0.60
    safe_below: Probability = 0.40
    on_safe: Action = "comply"
    on_unsafe: Action = "refuse"
    on_uncertain: Uncertain = "plain"
    on_error: Action = "block"


class Category(Section):
    """One kind of harm: the question that is put to the judge, and what follows from its answer.

    Attributes:
        question: The harm question; a yes means harm.
        answer_question: The same of the answer so far; without one, see `answer_questions`.
        reason: By language, the words that a message's `{reason}` is filled with.
        message: By language, a message of its own for this category.
    """

    id: CategoryId
    question: Words
    answer_question: Words | None = None
    description: Text = ""
    unsafe_at: Probability | None = None
    safe_below: Probability | None = None
    on_safe: Action | None = None
    on_unsafe: Action | None = None
    on_uncertain: Uncertain | None = None
    on_error: Action | None = None
    reason: ByLanguage = Field(default_factory=FrozenDict)
    message: Templates = Field(default_factory=FrozenDict)


class Contrast(Section):
    """The contrast of the real with the noised branch, at the guided steps.

    Attributes:
        form: `paper` is the published equation, `published-code` the authors' released code, which
            halves alpha where it is safe.
        counterfactual: What the noised branch sees: the picture with Gaussian `noise`, a `grey`
            picture, or one of its own `mean` colour; `photo-noise` is noise on the photograph
            before it is resized, as in the released code.
        noise_std: Of the noise, in [0, 1] pixel units; nothing to the plain ones.
    """

    form: Literal["default", "paper", "published-code"] = "default"
    counterfactual: Counterfactual = "noise"
    alpha: Annotated[float, Strict(), Field(ge=0, le=10), Unsigned] = 0.3
    noise_std: Annotated[float, Strict(), Field(ge=0, le=1), Unsigned] = 0.1
    guided_steps: Annotated[Count, Field(ge=0, le=512)] = 5
    plausibility: Probability = 0.1
    when: Literal["always", "at-stake", "never"] = "at-stake"

    @property
    def is_off(self) -> bool:
        """Whether no request is ever contrasted."""
        return self.when == "never" or self.alpha == 0 or self.guided_steps == 0


class Openings(Section):
    """Words that an answer is begun with, by action; none leave it to the model."""

    comply: Text = ""
    refuse: Text = ""


class Modulation(Section):
    """What is added to or taken from the logits of refusals, at the guided steps.

    Attributes:
        form: `phrase` follows whole phrases; `paper` is the published equation; `published-code`
            what the authors' released code does (a forced phrase where the action is `refuse`);
            `opening` begins the answer with fixed words and adds nothing.
        boost: Added where the action is `refuse`, in logits.
        suppress: Taken away where the action is `comply`, in logits.
        scale: `confidence` scales both with how far the verdict is past its threshold.
        top_k: For the paper's form: only tokens among the `top_k` most probable are touched.
        ensure_refusal: Where the action is `refuse` and the answer begins as no refusal does, the
            policy's words take its place.
        beginnings: For `published-code`: the phrases whose every token is a refusal's, and of which
            one is forced; the refusal phrases without any.
        openings: For `opening`.
    """

    form: Literal["phrase", "paper", "published-code", "opening", "off"] = "phrase"
    boost: Annotated[float, Strict(), Field(ge=0, le=100), Unsigned] = 8.0
    suppress: Annotated[float, Strict(), Field(ge=0, le=100), Unsigned] = 8.0
    scale: Literal["confidence", "fixed"] = "confidence"
    top_k: Annotated[Count, Field(ge=1, le=10_000)] = 20
    ensure_refusal: Flag = True
    beginnings: Annotated[
        tuple[Annotated[Words, Field(max_length=200)], ...], Field(max_length=1000)
    ] = ()
    openings: Openings = Openings()


class Vocabulary(Section):
    """How a language refuses.

    Attributes:
        phrases: Beginnings of refusals: what steering follows from the start of an answer, and what
            makes an answer count as a refusal.
        message: The words of a blocked request; `{reason}` and `{category}` may stand in it.
        reasons: By category id, the `{reason}` in this language, for categories that bring none.
        unchecked: The `{reason}` when no verdict could be had.
    """

    phrases: Annotated[
        tuple[Annotated[Words, Field(max_length=200)], ...], Field(max_length=20_000)
    ] = ()
    message: Template = "I can't help with that here: {reason}."
    reasons: Annotated[dict[CategoryId, Words], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict
    )
    unchecked: Words = "I could not check that it is safe"


class Failure(Section):
    """What happens when a part fails.

    Attributes:
        noised_branch: When the noised branch fails: `on_error` takes `verdict.on_error`, `continue`
            goes on without contrast.
    """

    noised_branch: Literal["on_error", "continue"] = "on_error"


class AfterRefusal(Section):
    """Thresholds that hold in a session once a request in it was refused.

    They can only tighten: where one is above a category's own, the category's own stays.
    """

    unsafe_at: Probability | None = None
    safe_below: Probability | None = None


class Session(Section):
    """What earlier requests of a conversation count for.

    Attributes:
        memory: `max` lets each category's highest remembered probability stand beside the new one,
            so that it can only raise the verdict; `off` judges every request by itself.
        decay: What is left of a remembered probability after each further request; 1 keeps it.
        after_refusal: Lower thresholds, once a request was refused or blocked for its verdict.
    """

    memory: Literal["off", "max"] = "off"
    decay: Probability = 1.0
    after_refusal: AfterRefusal = AfterRefusal()

    @property
    def tightens(self) -> bool:
        """Whether anything changes after a refusal."""
        return self.after_refusal != AfterRefusal()


class Audit(Section):
    """Where the audit log goes, and whether a request fails when it cannot be written."""

    path: Words | None = None
    on_error: Literal["fail", "continue"] = "fail"


class Capture(Section):
    """Whether texts may be recorded in traces and the audit log."""

    content: Flag = False


class PolicyContent(Section):
    """Every key of a policy, each checked by itself.

    Whether they fit each other, and what follows from them, is for `guardrail.Policy`.
    """

    version: Version
    name: Identifier
    description: Text = ""
    mode: Mode = "enforce"
    judge: Judge = Judge()
    verdict: VerdictRules = VerdictRules()
    categories: Annotated[tuple[Category, ...], Field(min_length=1, max_length=100)]
    contrast: Contrast = Contrast()
    modulation: Modulation = Modulation()
    watch: Watch = NO_WATCH
    refusals: Annotated[dict[Language, Vocabulary], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict
    )
    failure: Failure = Failure()
    session: Session = Session()
    audit: Audit = Audit()
    capture: Capture = Capture()
    locked: Annotated[tuple[Text, ...], Field(max_length=500)] = ()
