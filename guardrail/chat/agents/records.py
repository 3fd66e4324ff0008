"""What the guardrail leaves in an agent's state and on its messages, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware import AgentState
from langchain.agents.middleware.types import (
    ExtendedModelResponse,
    ModelResponse,
    PrivateStateAttr,
    ToolCallRequest,
)
from langchain.agents.structured_output import StructuredOutputError
from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage
from langgraph.types import Command

from guardrail.errors import Escalation
from guardrail.policy.review import Review
from guardrail.record.answer import Judgement

KEY = "guardrail"
"""Of the graph's state, and of messages' `response_metadata`."""


class GuardrailState(AgentState[Any]):
    """The agent's state, and what the guardrail decided in its latest step."""

    guardrail: NotRequired[Annotated[dict[str, Any], PrivateStateAttr]]


def pending_review(state: Mapping[str, Any]) -> Review | None:
    """Returns a human's word on the very request that the model is to be asked now."""
    review = state.get(KEY, {}).get("review")
    messages = state["messages"]
    if review is None or not messages or messages[-1].id != review["after"]:
        return None
    return Review.model_validate(review["said"])


def review_record(review: Review, led: Sequence[AnyMessage]) -> dict[str, Any]:
    """Returns what `pending_review` reads: the review, and the last message it is about."""
    return {"said": review.model_dump(mode="json"), "after": led[-1].id if led else None}


def is_escalated(decision: Mapping[str, Any]) -> bool:
    """Whether a human is to be asked about a decision."""
    return bool(decision["outcome"]["finish_reason"] == "escalated")


def is_blocked(message: AIMessage) -> bool:
    """Whether a message is the policy's words, from a model that guards itself."""
    outcome = message.response_metadata.get(KEY, {}).get("outcome", {})
    return bool(outcome.get("finish_reason") == "blocked")


def is_declined(message: AIMessage) -> bool:
    """Whether a model that guards itself said no, in the policy's words or steered to its own."""
    decision = message.response_metadata.get(KEY, {})
    refused = decision.get("action") == "refuse" and decision.get("mode") == "enforce"
    return is_blocked(message) or refused


def before_last_answer(messages: Sequence[AnyMessage]) -> Sequence[AnyMessage]:
    """Returns what led to the latest message of the model's."""
    last = max((n for n, each in enumerate(messages) if isinstance(each, AIMessage)), default=0)
    return messages[:last]


def annotated(message: AIMessage, judged: Judgement) -> AIMessage:
    """Returns a message with the decision that let it pass, or that it stands for."""
    metadata = {**message.response_metadata, KEY: judged.decision.model_dump(mode="json")}
    return message.model_copy(update={"response_metadata": metadata})


def withheld(judged: Judgement) -> ExtendedModelResponse[Any]:
    """The policy's words; of an escalated request they stand for as long as nobody decides."""
    name = f"guardrail-{judged.decision.request_id}"
    return _instead(annotated(AIMessage(judged.refusal, id=name), judged))


def unanswered(error: Escalation | StructuredOutputError) -> ExtendedModelResponse[Any]:
    """What a model that guards itself said instead of an answer; a refusal is not parsed.

    Raises:
        StructuredOutputError: It was an answer, in the wrong form.
    """
    if isinstance(error, Escalation):
        return withheld(Judgement(error.decision, error.refusal))
    if not is_declined(error.ai_message):
        raise error
    return _instead(error.ai_message)


def _instead(message: AIMessage) -> ExtendedModelResponse[Any]:
    answered: ModelResponse[Any] = ModelResponse([message])
    return ExtendedModelResponse(answered, Command(update={KEY: {"withheld": message.id}}))


def call_record(call: Mapping[str, Any], judged: Judgement) -> dict[str, Any]:
    """Returns what was decided about a call to a tool."""
    return {
        "name": call["name"],
        "args": call["args"],
        "withheld": judged.withheld,
        "refusal": judged.refusal,
        "decision": judged.decision.model_dump(mode="json"),
    }


def recorded_call(call_id: str, record: Mapping[str, Any]) -> ToolCall:
    """Returns the call that a record is about."""
    return ToolCall(name=record["name"], args=record["args"], id=call_id)


def record_of(state: Mapping[str, Any], call: ToolCall) -> Mapping[str, Any] | None:
    """Returns what was decided about this very call: by its id, name and arguments."""
    record: Mapping[str, Any] | None = state.get(KEY, {}).get("calls", {}).get(str(call["id"]))
    if record is None or record["name"] != call["name"] or record["args"] != call["args"]:
        return None
    return record


def not_made(request: ToolCallRequest, record: Mapping[str, Any]) -> ToolMessage:
    """Returns the policy's words as the result of a call that is not made."""
    return ToolMessage(
        record["refusal"],
        name=request.tool_call["name"],
        tool_call_id=request.tool_call["id"],
        status="error",
        response_metadata={KEY: record["decision"]},
    )


def made(
    result: ToolMessage | Command[Any], record: Mapping[str, Any]
) -> ToolMessage | Command[Any]:
    """Returns a tool's result with the decision that let the call be made."""
    if not isinstance(result, ToolMessage):
        return result
    metadata = {**result.response_metadata, KEY: record["decision"]}
    return result.model_copy(update={"response_metadata": metadata})
