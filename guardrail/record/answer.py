"""What a guarded model gives back in the end: the answer, and the decision with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from guardrail.record.decision import Decision
from guardrail.request.delta import InvalidCall, ToolCall, Usage
from guardrail.request.logprobs import TokenLogprob


@dataclass(frozen=True)
class Answer:
    """A whole answer.

    Attributes:
        text: What the model said beside its calls, or the policy's words if it was blocked.
        token_ids: The generated tokens, the end-of-sequence token included; empty where the
            policy's words are the answer, or end it.
        decision: The record of what was decided, and why.
        usage: Token counts.
        calls: The tool calls, in order.
        logprobs: Of the text's tokens that the model chose, in order: none of words that the policy
            put there, of calls, of what a stop string cut off, and of control tokens. None where
            they were not wanted.
    """

    text: str
    token_ids: tuple[int, ...]
    decision: Decision
    usage: Usage
    calls: tuple[ToolCall | InvalidCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] | None = None


@dataclass(frozen=True)
class Judgement:
    """What was decided about a request that somebody else answers, or about their answer.

    Attributes:
        decision: The record.
        refusal: The policy's words for a request that is not to be answered; empty if it may be.
        token: Of a request that is escalated: what an approval has to bring back; empty otherwise.
        content: A digest of what was decided about.
    """

    decision: Decision
    refusal: str
    token: str = field(default="", repr=False)
    content: str = ""

    @property
    def withheld(self) -> bool:
        """Whether the request is not to be answered as it stands."""
        return self.decision.outcome.finish_reason != "judged"
