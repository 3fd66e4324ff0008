"""What a policy says, as pydantic models: the shape of a policy file once everything is inherited.

It knows nothing of files (see `loader`) and decides nothing (see `evaluation`): whatever reads a
policy imports this, and is not imported here. No key is unknown, and every value is checked
strictly (see `values`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from guardrail.policy.frozen import FrozenDict
from guardrail.policy.judge import Judge
from guardrail.policy.section import Section
from guardrail.policy.steering import Contrast, Modulation
from guardrail.policy.terms import Action, Mode, Uncertain
from guardrail.policy.values import (
    ByLanguage,
    CategoryId,
    Flag,
    Identifier,
    Language,
    Probability,
    Template,
    Templates,
    Text,
    Version,
    Words,
)
from guardrail.policy.watch import NO_WATCH, Watch

SCHEMA_VERSION = 1


class VerdictRules(Section):
    """Thresholds and actions for every category that does not set its own.

    `on_uncertain: lean` goes by the evidence: in the lower half of the band between the thresholds
    it does as `on_safe` says, from its middle on as `on_unsafe`.

    Attributes:
        unsafe_at: A probability of harm from here on is unsafe.
        safe_below: One below this is safe; between the two it is uncertain.
        on_safe: The action where every category is safe.
        on_unsafe: The action where a category is unsafe.
        on_uncertain: The action where a category is uncertain, or `lean`.
        on_error: The action where no verdict could be had: the judge failed, was out of time or
            said nothing that can be read.
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
        id: Its name: in records, in cases, and where a file changes an inherited one.
        question: The harm question; a yes means harm.
        answer_question: The same of the answer so far, where the policy watches; without one it is
            made of `question`.
        description: A note for people; nothing is done with it.
        unsafe_at: Its own `verdict.unsafe_at`.
        safe_below: Its own `verdict.safe_below`.
        on_safe: Its own `verdict.on_safe`.
        on_unsafe: Its own `verdict.on_unsafe`.
        on_uncertain: Its own `verdict.on_uncertain`.
        on_error: Its own `verdict.on_error`.
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

    Attributes:
        unsafe_at: In the place of every higher `unsafe_at`.
        safe_below: In the place of every higher `safe_below`.
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
    """Where the audit log goes, and whether a request fails when it cannot be written.

    Attributes:
        path: The log's file, or a folder in which each process has a log of its own. Without it
            the environment's `GUARDRAIL_AUDIT_LOG`, and no log where that is unset, too.
        on_error: When the log cannot be written: `fail` fails the request, `continue` answers it
            without a record there.
    """

    path: Words | None = None
    on_error: Literal["fail", "continue"] = "fail"


class Capture(Section):
    """Whether texts may be recorded in traces and the audit log.

    Attributes:
        content: Whether words and small copies of pictures are kept, and not their digests alone.
            Traces keep words only where the environment asks for them as well.
    """

    content: Flag = False


class PolicyContent(Section):
    """Every key of a policy, each checked by itself.

    Whether they fit each other, and what follows from them, is for `guardrail.Policy`.

    Attributes:
        version: The version of this format: 1.
        name: What the policy is called, in every record.
        description: What it is for, in a sentence; `guardrail policy list` and `show` print it.
        language: The language of the policy's own words, its messages and reasons: a code such as
            `de` or `pt-BR`. A category without a message in it gets that of `refusals` in it; what
            neither has words for is said in English.
        mode: `enforce` acts on what is decided; `shadow` computes and records all of it, and gives
            the unguarded answer, token for token; `off` does nothing.
        judge: Who judges a request, how long it may take, and what its word is worth.
        verdict: Thresholds and actions for every category that does not set its own.
        categories: What is judged: a question for each kind of harm. Categories of a file are laid
            over inherited ones by their `id`.
        contrast: How the first tokens are contrasted with those of an answer to a noised picture.
        modulation: How refusals are boosted or suppressed in the first tokens.
        watch: How an answer is read while it grows. Without this section it is not.
        refusals: By language, how refusals begin and what the policy's own words are.
        failure: What happens when a part of the steering fails.
        session: What earlier requests of a conversation count for.
        audit: Where the audit log goes, and what happens when it cannot be written.
        capture: Whether words and pictures may be recorded.
        locked: Dotted paths that no policy that extends this one may change.
    """

    version: Version
    name: Identifier
    description: Text = ""
    language: Language = "en"
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
