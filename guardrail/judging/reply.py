"""What has been said to a request so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from guardrail.policy import Policy
from guardrail.policy.refusals import is_refusal
from guardrail.request.delta import InvalidCall, ToolCall
from guardrail.request.logprobs import TokenLogprob


@dataclass
class Reply:
    """What has been said so far.

    Attributes:
        text: What the caller has of it: text beside calls, or the policy's words.
        whole: All that the model said, calls included.
        token_ids: As generated; none of them where the policy's words took their place.
        calls: The tool calls, in order.
        logprobs: Of the tokens of the text, as far as they are wanted and were generated.
        generated: How many tokens the model has generated.
        replaced: Whether the policy's words took the place of what the model said.
        anew: Where in `whole` the model was made to begin anew.
    """

    text: str = ""
    whole: str = ""
    token_ids: tuple[int, ...] = ()
    calls: list[ToolCall | InvalidCall] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    generated: int = 0
    replaced: bool = False
    anew: int = 0

    @classmethod
    def in_words(cls, words: str, *, instead_of: Reply | None = None) -> Reply:
        """Returns the policy's words, in the place of an answer.

        Args:
            words: The policy's.
            instead_of: What the model has said, if it has.
        """
        if instead_of is None:
            return cls(text=words, whole=words)
        return cls(text=words, whole=words, generated=instead_of.generated, replaced=True)

    def copied(self) -> Reply:
        """Returns what has been said by now, which does not change any more."""
        return replace(self, calls=[*self.calls], logprobs=[*self.logprobs])

    def cut(self, generated: int) -> Reply:
        """Returns this, as what is left of an answer of which more was generated."""
        return replace(self.copied(), generated=generated)

    def followed_by(self, words: str) -> Reply:
        """Returns this, and the policy's words after it."""
        found = replace(self.copied(), replaced=True, token_ids=())
        found.text += words
        found.whole += words
        return found

    def begun_anew(self, space: str) -> Reply:
        """Returns this, and a space after which the model goes on."""
        found = self.copied()
        found.text += space
        found.whole += space
        found.anew = len(found.whole)
        return found

    @property
    def begun(self) -> str:
        """What the model has said since it last began."""
        return self.whole[self.anew :]

    def refuses(self, policy: Policy) -> bool | None:
        """Whether this is a refusal, by the policy's phrases; None where nothing was generated."""
        if not self.generated:
            return None
        return self.replaced or is_refusal(self.begun, policy.phrases)
