"""What a guarded model gives back: pieces of text, then the answer with its decision."""

from __future__ import annotations

from dataclasses import dataclass

from guardrail.decision import Decision


@dataclass(frozen=True)
class Delta:
    """A piece of an answer's text; never taken back."""

    text: str


@dataclass(frozen=True)
class Usage:
    """Tokens of one request: prompt (pictures included) and answer."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Answer:
    """A whole answer.

    Attributes:
        text: What the model said, or the policy's words if the request was blocked.
        token_ids: The generated tokens, the end-of-sequence token included; empty if blocked.
        decision: The record of what was decided, and why.
        usage: Token counts.
    """

    text: str
    token_ids: tuple[int, ...]
    decision: Decision
    usage: Usage


@dataclass(frozen=True)
class Judgement:
    """What was decided about a request that somebody else answers.

    Attributes:
        decision: The record.
        refusal: The policy's words for a request that is not to be answered; empty if it may be.
    """

    decision: Decision
    refusal: str

    @property
    def withheld(self) -> bool:
        """Whether the request is not to be answered as it stands."""
        return self.decision.outcome.finish_reason != "judged"
