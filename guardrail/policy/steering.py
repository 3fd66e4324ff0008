"""What a policy says of the guided steps: how they are contrasted and modulated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from guardrail.policy.section import Section
from guardrail.policy.terms import Counterfactual
from guardrail.policy.values import Count, Flag, Probability, Text, Unsigned, Words


class Contrast(Section):
    """The contrast of the real with the noised branch, at the guided steps.

    Attributes:
        form: `paper` is the published equation, `published-code` the authors' released code, which
            halves alpha where it is safe.
        counterfactual: What the noised branch sees: the picture with Gaussian `noise`, a `grey`
            picture, or one of its own `mean` colour; `photo-noise` is noise on the photograph
            before it is resized, as in the released code.
        alpha: How strongly the difference of the two branches counts; 0 is no contrast.
        noise_std: Of the noise, in [0, 1] pixel units; nothing to the plain ones.
        guided_steps: How many of an answer's first tokens are contrasted and modulated.
        plausibility: Contrast chooses among tokens at least this share as probable as the likeliest
            one; 0 admits all. Of the form `default` alone.
        when: `at-stake` leaves contrast out where the verdict is clearly safe and no refusal is
            near, and where *safe* was not earned; `always` does not; `never` has no noised branch.
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
    """Words that an answer is begun with, by action; none leave it to the model.

    Attributes:
        comply: Where the action is `comply`.
        refuse: Where the action is `refuse`.
    """

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
