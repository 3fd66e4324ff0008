"""Writes an answer by the names of the chat API: whole, or in events.

The decision goes with it as `guardrail`; where the policy blocked, or ended or replaced an answer
that it watched, it says `content_filter`. Where JSON was asked for and words came, the words are
the message's `refusal`, which clients know; their log-probabilities are told as those of a refusal,
too.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class WrittenAnswer:
    """One answer, written piece by piece.

    Args:
        model: By which name the model is served.
        json_asked: Whether a JSON object was asked for: it is let go only to refuse in words.
    """

    def __init__(self, model: str, *, json_asked: bool = False) -> None:
        self._json_asked = json_asked
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }
        self._text = ""
        self._calls: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] | None = None
        self._last: Any = None

    def take(self, chunk: Any) -> dict[str, Any] | None:
        """Takes a chunk of the guarded chat model; returns its event, or None if it says nothing.

        Args:
            chunk: An `AIMessageChunk`; of the last one, see `ended` and `decision`, too.
        """
        if "guardrail" in chunk.response_metadata:
            self._last = chunk
        told = self._told(chunk.response_metadata.get("logprobs"))
        first = not (self._text or self._calls)
        calls = [self._call(each) for each in chunk.tool_call_chunks if _is_valid(each)]
        self._text += chunk.content
        if not chunk.content and not calls and not told:
            return None
        delta: dict[str, Any] = {"role": "assistant"} if first else {}
        if chunk.content:
            delta[self._told_as] = chunk.content
        if calls:
            delta["tool_calls"] = calls
        return self._event(delta, None, told)

    def _told(self, logprobs: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        """Takes the log-probabilities of a chunk; returns them."""
        if logprobs is None:
            return []
        self._logprobs = [*(self._logprobs or ()), *logprobs["content"]]
        return [*logprobs["content"]]

    def _listed(self, told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Returns log-probabilities under the name of what the text is told as."""
        return {"content": None, "refusal": None, self._told_as: told}

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        found = {
            "index": len(self._calls),
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["args"]},
        }
        self._calls.append(found)
        return found

    @property
    def _told_as(self) -> str:
        """As what the text is told: JSON that was asked for begins like it."""
        worded = self._json_asked and not self._text.lstrip().startswith("{")
        return "refusal" if worded and self._text.strip() else "content"

    @property
    def decision(self) -> dict[str, Any]:
        """What was decided; once all is taken."""
        found: dict[str, Any] = self._last.response_metadata["guardrail"]
        return found

    @property
    def usage(self) -> dict[str, int]:
        """Tokens, once all is taken."""
        used = self._last.usage_metadata
        return {
            "prompt_tokens": used["input_tokens"],
            "completion_tokens": used["output_tokens"],
            "total_tokens": used["total_tokens"],
        }

    @property
    def finish_reason(self) -> str:
        """Why it ended; once all is taken."""
        reason = str(self.decision["outcome"]["finish_reason"])
        if reason == "blocked":
            return "content_filter"
        return "tool_calls" if self._calls else reason

    def ended(self, *, usage: bool) -> Iterable[dict[str, Any]]:
        """Yields the last events.

        Args:
            usage: Whether tokens are counted, in an event of their own.
        """
        yield {**self._event({}, self.finish_reason), "guardrail": self.decision}
        if usage:
            yield {**self._named("chat.completion.chunk"), "choices": [], "usage": self.usage}

    def whole(self) -> dict[str, Any]:
        """Returns the answer."""
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message[self._told_as] = self._text or None
        if self._calls:
            message["tool_calls"] = [
                {name: value for name, value in each.items() if name != "index"}
                for each in self._calls
            ]
        elif not self._text:
            message["content"] = ""
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": self.finish_reason,
            "logprobs": None if self._logprobs is None else self._listed(self._logprobs),
        }
        return {
            **self._named("chat.completion"),
            "choices": [choice],
            "usage": self.usage,
            "guardrail": self.decision,
        }

    def unguarded(self) -> dict[str, Any]:
        """Returns the answer as that of a comparison: a text to be looked at."""
        return {
            "text": self._text,
            "finish_reason": self.finish_reason,
            "request_id": self.decision["request_id"],
            "timings_ms": self.decision["timings_ms"],
        }

    def compared(self, unguarded: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the event that ends a comparison."""
        return {**self._named("guardrail.comparison"), "unguarded": unguarded}

    def _event(
        self,
        delta: Mapping[str, Any],
        reason: str | None,
        told: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        listed = self._listed(told) if told else None
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": listed}
        return {**self._named("chat.completion.chunk"), "choices": [choice]}

    def _named(self, kind: str) -> dict[str, Any]:
        return {**self._head, "object": kind}


def event_line(event: Mapping[str, Any]) -> str:
    """Returns an event as it goes over the line."""
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n"


LAST_LINE = "data: [DONE]\n\n"


def _is_valid(call: Mapping[str, Any]) -> bool:
    """Whether it is a call: of what is none, the decision's errors say why."""
    try:
        return isinstance(json.loads(call["args"]), dict)
    except ValueError:
        return False
