"""A remote chat model that says what it is told, and a guard whose judge goes by words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from pydantic import PrivateAttr

from guardrail.judging.guard import Guard
from guardrail.judging.judge import JudgeRequest
from guardrail.policy import Policy, load_policy
from guardrail.record.decision import Decision
from guardrail.request.conversation import Conversation

MADE: list[str] = []
"""The calls of `price_of` that were made; tests clear it."""


@tool
def price_of(item: str) -> str:
    """Looks a price up."""
    MADE.append(item)
    return f"the {item} costs 10"


class Remote(BaseChatModel):
    """Answers with the next of its messages, and remembers what it was asked."""

    answers: list[AIMessage]
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def asked(self) -> list[list[BaseMessage]]:
        return self._asked

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self.bind()

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self._asked.append(messages)
        answer = self.answers[min(len(self._asked), len(self.answers)) - 1]
        return ChatResult(generations=[ChatGeneration(message=answer.model_copy())])


def calls(*items: str) -> AIMessage:
    """A message that calls `price_of` once for each item."""
    made = [
        {"name": "price_of", "args": {"item": item}, "id": f"call-{n}-{item}"}
        for n, item in enumerate(items)
    ]
    return AIMessage("", tool_calls=made)


class Log:
    """An observer that keeps every decision."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.conversations: list[Conversation] = []

    def opened(self, decision: Decision, conversation: Conversation) -> None:
        """Nothing of it is kept."""

    def concluded(self, decision: Decision, conversation: Conversation, text: str) -> None:
        self.decisions.append(decision)
        self.conversations.append(conversation)


class WordJudge:
    """Goes by the last turn's words; its answers to *unclear* may change from one to the next."""

    def __init__(self, unclear: Iterator[float] | None = None) -> None:
        self._unclear = unclear
        self.asked: list[str] = []

    def __call__(self, request: JudgeRequest) -> float:
        text = request.conversation.turns[-1].text
        self.asked.append(text)
        if "unjudgeable" in text:
            raise RuntimeError("no idea")
        if "unclear" in text:
            return next(self._unclear) if self._unclear is not None else 0.5
        return 0.95 if "danger" in text else 0.02


def policy(**sections: dict[str, Any]) -> Policy:
    """The baseline, which asks a human where it is uncertain."""
    base = load_policy("baseline")
    merged = {"verdict": {"on_unsafe": "block", "on_uncertain": "escalate"}} | sections
    return base.model_copy(
        update={
            name: {**getattr(base, name).model_dump(), **change} for name, change in merged.items()
        }
    )


def guard(judge: Any = None, **sections: dict[str, Any]) -> tuple[Guard, Log]:
    """A guard without a model, and the log of its decisions."""
    log = Log()
    return Guard(policy=policy(**sections), judge=judge or WordJudge(), observer=log), log
