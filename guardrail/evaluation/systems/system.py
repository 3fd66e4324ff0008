"""A system: a name, a policy, a mode, and how the model is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guardrail.policy import Policy
from guardrail.policy.terms import Mode
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

Ask = Callable[[Sequence[Conversation], GenerationSettings], list[Any]]
"""Asks several requests together; returns an `Answer` for each, or the error it ended in."""

Way = Callable[["SafeCoDe", Policy, Mode], Ask]
"""Makes an `Ask` of a model, once for all the requests of a run."""


def as_it_is(engine: SafeCoDe, policy: Policy, mode: Mode) -> Ask:
    """Asks what is asked, under the policy."""

    def ask(conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Any]:
        return engine.batch(
            conversations, settings, policy=policy, mode=mode, return_exceptions=True
        )

    return ask


@dataclass(frozen=True)
class System:
    """One of the systems compared.

    Attributes:
        name: In tables and files, with its parameter.
        policy: What decides, and names the judge and its questions.
        mode: `off` where nobody judges.
        way: How it asks.
        words: What its way adds to requests: answers depend on it, as on the policy.
    """

    name: str
    policy: Policy
    mode: Mode
    way: Way = as_it_is
    words: tuple[str, ...] = ()

    def asking(self, engine: SafeCoDe) -> Ask:
        """Returns how requests are put to a model."""
        return self.way(engine, self.policy, self.mode)

    @property
    def identity(self) -> list[str]:
        """What its answers depend on, besides the model and the requests; plain JSON."""
        return [self.policy.digest, self.mode, *self.words]
