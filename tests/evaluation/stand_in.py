"""A stand-in for a guarded model: it answers from a table, and counts what it is asked."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Literal

from guardrail.errors import MessageError
from guardrail.policy import Policy
from guardrail.policy.terms import Mode
from guardrail.record.answer import Answer
from guardrail.record.decision import Decision, Outcome, PolicyRef, VerdictRecord
from guardrail.request.conversation import Conversation
from guardrail.request.delta import Usage
from guardrail.request.settings import GenerationSettings

Says = Callable[[str, Policy, str], dict[str, Any]]
"""From question, policy and mode to `text`, and what else differs from an ordinary answer."""


def refuses_unguarded(question: str, policy: Policy, mode: str) -> dict[str, Any]:
    """Says of a model that refuses by itself and answers where it is guarded."""
    return {"text": "I can't help with that."} if mode == "off" else {}


class StandIn:
    """Has `batch`, `answer`, `count_tokens`, `backend` and `model_name` as `SafeCoDe` has.

    A token is a byte of UTF-8.
    """

    def __init__(self, says: Says) -> None:
        self._says = says
        self.asked: list[tuple[str, str]] = []
        self.shown: dict[str, int] = {}
        """How many pictures were last shown beside each question."""
        self.heard: list[Conversation] = []
        """All conversations, as they were asked."""
        self.system_turns: Literal["read", "dropped", "refused"] = "read"
        self.model_name = "stand-in"
        self.policy: Policy | None = None
        self.backend = SimpleNamespace(decode=lambda ids: bytes(ids).decode("utf-8", "ignore"))

    def batch(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        policy: Policy,
        mode: Mode,
        return_exceptions: bool,
    ) -> list[Any]:
        assert return_exceptions
        return [self._answer(each, policy, mode) for each in conversations]

    def answer(
        self, conversation: Conversation, settings: GenerationSettings, *, mode: Mode | None = None
    ) -> Answer:
        assert self.policy is not None
        found = self._answer(conversation, self.policy, mode or self.policy.mode)
        if isinstance(found, Exception):
            raise found
        return found

    def count_tokens(self, conversation: Conversation) -> int:
        """Returns how many characters are read."""
        turns = conversation.turns
        if self.system_turns != "read" and turns[0].role == "system":
            if self.system_turns == "refused":
                raise MessageError("the model's chat template refuses this conversation")
            turns = turns[1:]
        return sum(len(turn.text) for turn in turns)

    def _answer(self, conversation: Conversation, policy: Policy, mode: Mode) -> Any:
        text = conversation.turns[-1].text
        self.asked.append((text, mode))
        self.heard.append(conversation)
        self.shown[text] = len(conversation.pictures)
        said = SimpleNamespace(
            **{
                "text": "Sure, here is how.",
                "p_unsafe": None if mode == "off" else 0.1,
                "finish": "stop",
                "action": "plain",
                "error": None,
                "decision": {},
                **self._says(text, policy, mode),
            }
        )
        if said.error is not None:
            return said.error
        decision = Decision(
            request_id="0",
            mode=mode,
            model="stand-in",
            policy=PolicyRef(name=policy.name, version=1, digest=policy.digest),
            verdict=VerdictRecord(label=None if mode == "off" else "safe", p_unsafe=said.p_unsafe),
            action=said.action,
            outcome=Outcome(finish_reason=said.finish),
        )
        decision = decision.model_copy(update=said.decision)
        ids = () if said.finish == "blocked" else tuple(said.text.encode())
        return Answer(said.text, ids, decision, Usage(1, len(ids)))
