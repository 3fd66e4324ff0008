"""What the guardrail leaves in an agent's state and on its messages, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypeVar

from langchain.agents.middleware import AgentState
from langchain.agents.middleware.types import (
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    PrivateStateAttr,
    ToolCallRequest,
)
from langchain.agents.structured_output import StructuredOutputError
from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage
from langgraph.types import Command

from guardrail.errors import Escalation
from guardrail.policy.review import Review
from guardrail.policy.terms import CLEARING
from guardrail.record.answer import Judgement

_Message = TypeVar("_Message", AIMessage, ToolMessage)

KEY = "guardrail"
"""Of the graph's state, and of messages' `response_metadata`."""


ALL = "guardrails"
"""Of messages' `response_metadata`: every decision on a message, where there are several."""

Origin = Literal["guard", "model", "answer"]
"""What escalated: the middleware's own guard a request, or an answer, or a model that guards
itself.
"""


def _merged(held: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
    """Each middleware of an agent writes under its own name, maybe in the same step."""
    return {**(held or {}), **(new or {})}


class GuardrailState(AgentState[Any]):
    """The agent's state, and what each guardrail decided in its latest step, by its name."""

    guardrail: NotRequired[Annotated[dict[str, Any], PrivateStateAttr, _merged]]


def held_by(name: str, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what the guardrail of that name left in the agent's state."""
    held = (state.get(KEY) or {}).get(name)
    return held if isinstance(held, Mapping) else {}


def left_by(name: str, left: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the update of an agent's state by which a guardrail leaves something there."""
    return {KEY: {name: dict(left)}}


def pending_review(
    held: Mapping[str, Any], messages: Sequence[AnyMessage], origin: Origin
) -> Review | None:
    """Returns a human's word on the very request that the model is to be asked now.

    Args:
        held: What this guardrail left.
        messages: The agent's.
        origin: Whose escalation it must be about.
    """
    review = held.get("review")
    if review is None or review["of"] != origin:
        return None
    if not messages or messages[-1].id != review["after"]:
        return None
    return Review.model_validate(review["said"])


def review_record(
    review: Review, led: Sequence[AnyMessage], held: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what `pending_review` reads, beside what was approved before it, or answered.

    Args:
        review: What was said.
        led: The messages that it is about.
        held: What was left when it was escalated.
    """
    said = {
        "said": review.model_dump(mode="json"),
        "after": led[-1].id if led else None,
        "of": held.get("of", "guard"),
    }
    return {"review": said, "passed": held.get("passed"), "answer": held.get("answer")}


def passed_record(judged: Judgement | None) -> dict[str, Any]:
    """Returns what lets an approved request pass once more, while others still have to agree.

    An approval counts once: without this, two guardrails that both ask would ask in turns.
    """
    review = judged.decision.review if judged is not None else None
    if judged is None or review is None or not (review.approved and review.honoured):
        return {}
    return _passed(judged)


def _passed(judged: Judgement) -> dict[str, Any]:
    decision = judged.decision.model_dump(mode="json")
    return {"passed": {"content": judged.content, "decision": decision}}


def kept_answer(
    held: Mapping[str, Any], messages: Sequence[AnyMessage]
) -> ModelResponse[Any] | None:
    """Returns the answer on which a human has had their word, so that the model is not asked again.

    None where the model is to be asked.
    """
    kept = held.get("answer")
    if kept is None or pending_review(held, messages, "answer") is None:
        return None
    return ModelResponse(list(kept["result"]), kept["structured"])


def shown_answer(held: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the answer that was withheld until a human decides, as they are shown it."""
    kept = held.get("answer")
    said = (
        next((each for each in kept["result"] if isinstance(each, AIMessage)), None)
        if kept
        else None
    )
    if said is None:
        return None
    calls = [{"name": c["name"], "args": c["args"], "id": c["id"]} for c in said.tool_calls]
    return {"content": said.content, "tool_calls": calls}


def is_escalated(decision: Mapping[str, Any]) -> bool:
    """Whether a human is to be asked about a decision."""
    return bool(decision["outcome"]["finish_reason"] == "escalated")


def is_withheld(message: AIMessage | ToolMessage) -> bool:
    """Whether a message is the policy's words, perhaps after what was cleared of an answer."""
    outcome = message.response_metadata.get(KEY, {}).get("outcome", {})
    return outcome.get("finish_reason") in ("blocked", "escalated")


def is_blocked(message: AIMessage) -> bool:
    """Whether a message is withheld, and nobody is asked."""
    outcome = message.response_metadata.get(KEY, {}).get("outcome", {})
    return bool(outcome.get("finish_reason") == "blocked")


def is_words_alone(message: AIMessage) -> bool:
    """Whether nothing of a withheld message is a model's."""
    readings = message.response_metadata.get(KEY, {}).get("watch", ())
    return is_withheld(message) and not any(each["act"] in CLEARING for each in readings)


def is_declined(message: AIMessage) -> bool:
    """Whether a model that guards itself said no, in the policy's words or steered to its own."""
    decision = message.response_metadata.get(KEY, {})
    refused = decision.get("action") == "refuse" and decision.get("mode") == "enforce"
    return is_blocked(message) or refused


def all_asked(request: ModelRequest[Any]) -> list[AnyMessage]:
    """Returns all that a model is to be asked."""
    system = [request.system_message] if request.system_message is not None else []
    return [*system, *request.messages]


def without_calls(message: AIMessage) -> AIMessage:
    """Returns a message that ends the run: calls that were cleared before it turned are not made,
    and none is left that nobody answers.
    """
    return message.model_copy(update={"tool_calls": [], "invalid_tool_calls": []})


def before_last_answer(messages: Sequence[AnyMessage]) -> Sequence[AnyMessage]:
    """Returns what led to the latest message of the model's."""
    last = max((n for n, each in enumerate(messages) if isinstance(each, AIMessage)), default=0)
    return messages[:last]


def annotated(message: _Message, decision: Mapping[str, Any]) -> _Message:
    """Returns a message with a decision on it, beside those that it carries.

    `guardrail` is the latest of them, or the one for which the message was withheld.
    """
    held: Mapping[str, Any] = message.response_metadata
    metadata: dict[str, Any] = {**held, KEY: dict(decision)}
    before: Any = held.get(KEY)
    if before is not None:
        metadata[ALL] = [*held.get(ALL, [before]), dict(decision)]
        metadata[KEY] = before if is_withheld(message) else metadata[KEY]
    return message.model_copy(update={"response_metadata": metadata})


def withheld(
    judged: Judgement, name: str, *, of: Origin = "guard", passed: Mapping[str, Any] | None = None
) -> ExtendedModelResponse[Any]:
    """The policy's words; of an escalated request they stand for as long as nobody decides.

    Args:
        judged: What was decided.
        name: The guardrail's.
        of: Who decided.
        passed: What the guardrail's own guard had let pass by then, as a `passed_record`.
    """
    left = {"token": judged.token, "of": of, **(passed or {})}
    return _instead(_words_of(judged), name, left)


def withheld_answer(
    answered: Judgement, name: str, response: ModelResponse[Any], judged: Judgement
) -> ExtendedModelResponse[Any]:
    """The policy's words in the place of an answer, which makes no calls.

    While a human may yet let it go, it is kept, and with it that its request has passed.

    Args:
        answered: What was decided about the answer.
        name: The guardrail's.
        response: The answer.
        judged: What was decided about the request.
    """
    message = annotated(_words_of(answered), judged.decision.model_dump(mode="json"))
    if not answered.token:
        return _instead(message, name, {})
    kept = {"result": list(response.result), "structured": response.structured_response}
    left = {"token": answered.token, "of": "answer", "answer": kept, **_passed(judged)}
    return _instead(message, name, left)


def _words_of(judged: Judgement) -> AIMessage:
    words = AIMessage(judged.refusal, id=f"guardrail-{judged.decision.request_id}")
    return annotated(words, judged.decision.model_dump(mode="json"))


def unanswered(
    error: Escalation | StructuredOutputError, name: str, judged: Judgement | None
) -> ExtendedModelResponse[Any]:
    """What a model that guards itself said instead of an answer; a refusal is not parsed.

    Args:
        error: What it raised.
        name: The guardrail's.
        judged: What the guardrail's own guard decided before.

    Raises:
        StructuredOutputError: It was an answer, in the wrong form.
    """
    if isinstance(error, Escalation):
        theirs = Judgement(error.decision, error.refusal, error.token)
        return withheld(theirs, name, of="model", passed=passed_record(judged))
    if not is_declined(error.ai_message):
        raise error
    return _instead(error.ai_message, name, {})


def _instead(message: AIMessage, name: str, more: Mapping[str, Any]) -> ExtendedModelResponse[Any]:
    answered: ModelResponse[Any] = ModelResponse([message])
    left = left_by(name, {"withheld": message.id, **more})
    return ExtendedModelResponse(answered, Command(update=left))


def call_record(call: Mapping[str, Any], judged: Judgement) -> dict[str, Any]:
    """Returns what was decided about a call to a tool."""
    return {
        "name": call["name"],
        "args": call["args"],
        "withheld": judged.withheld,
        "refusal": judged.refusal,
        "token": judged.token,
        "decision": judged.decision.model_dump(mode="json"),
    }


def recorded_call(call_id: str, record: Mapping[str, Any]) -> ToolCall:
    """Returns the call that a record is about."""
    return ToolCall(name=record["name"], args=record["args"], id=call_id)


def calls_asked(
    held: Mapping[str, Any], messages: Sequence[AnyMessage]
) -> dict[str, Mapping[str, Any]]:
    """Returns the records of the latest answer's calls about which a human is to be asked."""
    last = next((each for each in reversed(messages) if isinstance(each, AIMessage)), None)
    made = {str(call["id"]) for call in last.tool_calls} if last is not None else set()
    return {
        name: each
        for name, each in held.get("calls", {}).items()
        if name in made and is_escalated(each["decision"])
    }


def record_of(held: Mapping[str, Any], call: ToolCall) -> Mapping[str, Any] | None:
    """Returns what was decided about this very call: by its id, name and arguments."""
    record: Mapping[str, Any] | None = held.get("calls", {}).get(str(call["id"]))
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
    return annotated(result, record["decision"])
