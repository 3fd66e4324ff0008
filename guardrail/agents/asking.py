"""A human's word on what was escalated: a LangGraph interrupt, and what it may be resumed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from guardrail.decision import Review
from guardrail.errors import SettingsError

INTERRUPT = "guardrail"
"""The `type` of the interrupts that come from here."""


class HumanDecision(BaseModel):
    """One answer, as LangChain's own human-in-the-loop middleware spells it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["approve", "reject"]
    by: str | None = Field(None, max_length=200)


_ANSWERS = TypeAdapter(list[HumanDecision])


@dataclass(frozen=True)
class Escalated:
    """Something that a human must decide.

    Attributes:
        decision: The decision, as plain JSON.
        tool_call: The call it is about, as `{"name", "args", "id"}`; None if it is the request.
    """

    decision: Mapping[str, Any]
    tool_call: Mapping[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        """Returns it as an interrupt shows it."""
        reasons = self.decision["reasons"]
        return {
            "reason": reasons[0] if reasons else self.decision["verdict"]["label"],
            "decision": dict(self.decision),
            "tool_call": dict(self.tool_call) if self.tool_call is not None else None,
        }


def ask_human(escalated: Sequence[Escalated]) -> list[Review]:
    """Interrupts the graph, and returns a review of each once it is resumed.

    It is resumed with `Command(resume={"decisions": [{"type": "approve"}, ...]})`, one for each in
    their order; where there is one only, `"approve"` or `"reject"` will do. An approval may say
    `by` whom.

    Raises:
        SettingsError: It was resumed with something else; nothing was approved.
    """
    answer = interrupt({"type": INTERRUPT, "requests": [each.plain() for each in escalated]})
    return [
        Review(
            request_id=str(each.decision["request_id"]),
            approved=said.type == "approve",
            by=said.by,
        )
        for each, said in zip(escalated, _decisions(answer, len(escalated)), strict=True)
    ]


def _decisions(answer: Any, count: int) -> list[HumanDecision]:
    given = answer
    if isinstance(given, Mapping) and set(given) == {"decisions"}:
        given = given["decisions"]
    elif isinstance(given, str):
        given = [{"type": given}]
    elif isinstance(given, Mapping):
        given = [given]
    try:
        decisions = _ANSWERS.validate_python(given)
    except ValidationError as error:
        raise SettingsError(f"resumed with {answer!r}, expected {_EXPECTED}") from error
    if len(decisions) != count:
        raise SettingsError(f"resumed with {len(decisions)} decisions, expected {count}")
    return decisions


_EXPECTED = '"approve", "reject" or {"decisions": [{"type": "approve" or "reject"}, ...]}'
