"""Reads an answer as it grows: text, and the tool calls in it, never taken back."""

from __future__ import annotations

from guardrail.judging.draft import Draft
from guardrail.request.call_reader import CallReader
from guardrail.request.delta import Delta, InvalidCall
from guardrail.steering.text_stream import TextStream


class AnswerReader:
    """Turns tokens into what a caller may have, and keeps the draft's reply up to date.

    Args:
        draft: Of the request.
        text: Tokens to text.
        calls: Tells tool calls from text, where there are tools.
    """

    def __init__(self, draft: Draft, text: TextStream, calls: CallReader | None = None) -> None:
        self._draft, self._text, self._calls = draft, text, calls

    def push(self, token_id: int) -> list[Delta]:
        """Takes a token; returns the text and calls that it settles."""
        return self._taken(self._read(self._text.push(token_id)))

    def flush(self) -> list[Delta]:
        """Returns what was held back, at the end of the answer."""
        found = self._read(self._text.flush())
        if self._calls is not None:
            found += self._calls.finish()
        return self._taken(found)

    def _read(self, text: str) -> list[Delta]:
        if self._calls is not None:
            return self._calls.push(text)
        return [Delta(text)] if text else []

    def _taken(self, deltas: list[Delta]) -> list[Delta]:
        reply = self._draft.reply
        reply.token_ids, reply.whole = self._text.token_ids, self._text.text
        reply.generated = len(reply.token_ids)
        for delta in deltas:
            reply.text += delta.text
            if delta.call is not None:
                reply.calls.append(delta.call)
            if isinstance(delta.call, InvalidCall):
                self._draft.note_error(delta.call.error)
        return deltas
