"""A human's word on what was escalated: a LangGraph interrupt, and what it may be resumed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from langgraph.types import interrupt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from guardrail.policy.review import Review

INTERRUPT = "guardrail"
"""The `type` of the interrupts that come from here."""


class HumanDecision(BaseModel):
    """One answer, as LangChain's own human-in-the-loop middleware spells it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["approve", "reject"]
    by: str | None = Field(None, max_length=200)


@dataclass(frozen=True)
class Escalated:
    """Something that a human must decide.

    Attributes:
        decision: The decision, as plain JSON.
        token: What an approval of it has to bring back; whoever is asked is not shown it.
        tool_call: The call it is about, as `{"name", "args", "id"}`; None if it is about something
            else: the answer, or else the request.
        answer: The answer it is about, as `{"content", "tool_calls"}`.
    """

    decision: Mapping[str, Any]
    token: str
    tool_call: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        """Returns it as an interrupt shows it."""
        return {
            "reason": self._reason,
            "decision": dict(self.decision),
            "tool_call": dict(self.tool_call) if self.tool_call is not None else None,
            "answer": dict(self.answer) if self.answer is not None else None,
        }

    @property
    def _reason(self) -> str:
        """Why a human is asked: a request that was let pass is asked about for its answer."""
        read = self.decision["watch"] if self.decision["action"] != "escalate" else []
        deciding = read[-1] if read else self.decision
        reasons = deciding["reasons"] or [self.decision["verdict"]["label"]]
        return str(reasons[0])


def ask_human(escalated: Sequence[Escalated]) -> list[Review]:
    """Interrupts the graph, and returns a review of each once it is resumed.

    It is resumed with `Command(resume={"decisions": [{"type": "approve"}, ...]})`, one for each in
    their order; where there is one only, `"approve"` or `"reject"` will do. An answer may say `by`
    whom. LangGraph refuses any other answer (`pydantic.ValidationError`) and goes on waiting.
    """
    value = {"type": INTERRUPT, "requests": [each.plain() for each in escalated]}
    answers = interrupt(value, response_schema=_answers(len(escalated)))
    return [
        Review(
            request_id=str(each.decision["request_id"]),
            approved=said.type == "approve",
            by=said.by,
            token=(each.token or None) if said.type == "approve" else None,
        )
        for each, said in zip(escalated, answers, strict=True)
    ]


def _answers(count: int) -> type[list[HumanDecision]]:
    """The type of what resumes: a decision for each request, in any of the accepted spellings."""
    length = Field(min_length=count, max_length=count)
    spelled: Any = Annotated[list[HumanDecision], BeforeValidator(_spelled_out), length]
    checked: type[list[HumanDecision]] = spelled
    return checked


def _spelled_out(given: Any) -> Any:
    if isinstance(given, Mapping) and set(given) == {"decisions"}:
        return given["decisions"]
    if isinstance(given, str):
        return [{"type": given}]
    return [given] if isinstance(given, Mapping) else given
