"""An engine's answers as LangChain messages: whole, or in chunks that add up to the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import (
    ToolCallChunk,
    invalid_tool_call,
    tool_call,
    tool_call_chunk,
)

from guardrail.errors import GuardrailError
from guardrail.record.answer import Answer
from guardrail.request.delta import Delta, InvalidCall, ToolCall
from guardrail.request.logprobs import TokenLogprob


def answer_message(answer: Answer, model_name: str) -> AIMessage:
    """Returns a whole answer, its decision in `response_metadata["guardrail"]`."""
    return AIMessage(
        content=answer.text,
        tool_calls=[
            tool_call(name=call.name, args=dict(call.arguments), id=call.id)
            for call in answer.calls
            if isinstance(call, ToolCall)
        ],
        invalid_tool_calls=[
            invalid_tool_call(
                name=call.name, args=_unparsable(call.text), id=call.id, error=call.error
            )
            for call in answer.calls
            if isinstance(call, InvalidCall)
        ],
        **_metadata(answer, model_name),
    )


class AnswerChunks:
    """Writes one answer as chunks; the last one carries the decision.

    A call comes as one chunk, since what is not whole could not be told from a valid call.
    LangChain keeps no error in a chunk: why a call is invalid is among the decision's `errors`.

    Args:
        model_name: For the last chunk.
    """

    def __init__(self, model_name: str) -> None:
        self._model_name = model_name
        self._said = ""
        self._calls: list[ToolCall | InvalidCall] = []
        self._told = 0

    def chunk(self, delta: Delta) -> AIMessageChunk:
        """Returns a piece of the answer."""
        self._said += delta.text
        self._told += len(delta.logprobs)
        return AIMessageChunk(
            content=delta.text,
            tool_call_chunks=[] if delta.call is None else [self._call_chunk(delta.call)],
            response_metadata=_logprobs(delta.logprobs or None),
        )

    def last(self, answer: Answer) -> AIMessageChunk:
        """Returns what is left of the answer, and its decision.

        Raises:
            GuardrailError: What was written before is not the answer's beginning.
        """
        # INVARIANT: the chunks together are the answer, also where it was not generated.
        count = len(self._calls)
        if not answer.text.startswith(self._said) or [*answer.calls[:count]] != self._calls:
            raise GuardrailError("the engine streamed text that is not in its answer")
        return AIMessageChunk(
            content=answer.text[len(self._said) :],
            tool_call_chunks=[self._call_chunk(call) for call in answer.calls[count:]],
            chunk_position="last",
            **_metadata(answer, self._model_name, told=self._told),
        )

    def _call_chunk(self, call: ToolCall | InvalidCall) -> ToolCallChunk:
        self._calls.append(call)
        if isinstance(call, ToolCall):
            arguments = json.dumps(call.arguments, ensure_ascii=False)
        else:
            arguments = _unparsable(call.text)
        return tool_call_chunk(
            name=call.name, args=arguments, id=call.id, index=len(self._calls) - 1
        )


def _metadata(answer: Answer, model_name: str, *, told: int = 0) -> dict[str, Any]:
    """Returns what goes with an answer; of the log-probabilities, those not told before."""
    tokens = answer.usage
    logprobs = None if answer.logprobs is None else answer.logprobs[told:]
    return {
        "usage_metadata": UsageMetadata(
            input_tokens=tokens.input_tokens,
            output_tokens=tokens.output_tokens,
            total_tokens=tokens.input_tokens + tokens.output_tokens,
        ),
        "response_metadata": {
            "model_name": model_name,
            "finish_reason": answer.decision.outcome.finish_reason,
            "guardrail": answer.decision.model_dump(mode="json"),
            **_logprobs(logprobs),
        },
    }


def _logprobs(told: Sequence[TokenLogprob] | None) -> dict[str, Any]:
    """Returns log-probabilities as `ChatOpenAI` has them; chunks that are added join the lists."""
    return {} if told is None else {"logprobs": {"content": [each.plain() for each in told]}}


def _unparsable(text: str) -> str:
    """Returns the text of an invalid call, such that nobody takes it for arguments.

    LangChain completes JSON that was cut off, and would make a valid call of it.
    """
    return json.dumps(text, ensure_ascii=False) if text.startswith("{") else text
