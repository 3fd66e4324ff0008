"""Reads an answer as it grows: text, and the tool calls in it, never taken back."""

from __future__ import annotations

from collections.abc import Sequence

from guardrail.backends import Likelihood
from guardrail.judging.draft import Draft
from guardrail.request.call_reader import CallReader
from guardrail.request.delta import Delta, InvalidCall
from guardrail.request.thinking import ThinkingReader
from guardrail.steering.listed_tokens import ListedTokens, Place
from guardrail.steering.text_stream import TextStream


class AnswerReader:
    """Turns tokens into what a caller may have, and keeps the draft's reply up to date.

    Args:
        draft: Of the request; what its reply holds already stays before what is read.
        text: Tokens to text.
        calls: Tells tool calls from text, where there are tools.
        listed: Lists the text's tokens, where log-probabilities are wanted.
        thinking: Leaves out the thinking that an answer begins with, where it is withheld.
    """

    def __init__(
        self,
        draft: Draft,
        text: TextStream,
        calls: CallReader | None = None,
        listed: ListedTokens | None = None,
        thinking: ThinkingReader | None = None,
    ) -> None:
        self._before = draft.reply.copied()
        self._draft, self._text, self._calls, self._listed = draft, text, calls, listed
        self._thinking = thinking
        self._said = 0  # characters of the answer, thinking not counted

    def push(self, token_id: int, likelihood: Likelihood | None = None) -> list[Delta]:
        """Takes a token; returns the text and calls that it settles.

        Args:
            token_id: The token.
            likelihood: How likely it was; None where that is not listed.
        """
        text = self._text.push(token_id)
        if self._listed is not None:
            self._listed.push(token_id, likelihood)
        if self._thinking is not None:
            text = self._thinking.push(text)
        return self._taken(*self._read(text))

    def flush(self) -> list[Delta]:
        """Returns what was held back, at the end of the answer."""
        text = self._text.flush()
        if self._thinking is not None:
            text = self._thinking.push(text) + self._thinking.finish()
        deltas, places = self._read(text)
        if self._calls is not None:
            deltas += self._calls.finish()
            places += self._placed(self._calls.places)
        return self._taken(deltas, places, last=True)

    def _read(self, text: str) -> tuple[list[Delta], list[Place]]:
        """Returns pieces of the answer, and where each of them stands in the text."""
        self._said += len(text)
        if self._calls is not None:
            return self._calls.push(text), self._placed(self._calls.places)
        place = (self._said - len(text), self._said)
        return ([Delta(text)], self._placed([place])) if text else ([], [])

    @property
    def _hidden(self) -> int:
        """Where in the text the answer begins, as far as that is known."""
        return 0 if self._thinking is None else self._thinking.hidden

    def _placed(self, places: Sequence[Place]) -> list[Place]:
        """Returns places in the answer as places in the text of all tokens."""
        return [(begin + self._hidden, end + self._hidden) for begin, end in places]

    def _taken(
        self, deltas: list[Delta], places: Sequence[Place], *, last: bool = False
    ) -> list[Delta]:
        reply = self._draft.reply
        before = self._before
        reply.token_ids = before.token_ids + self._text.token_ids
        reply.whole = before.whole + self._text.text
        reply.generated = before.generated + len(self._text.token_ids)
        if self._listed is not None:
            settled = self._said if self._calls is None else self._calls.settled
            deltas = self._listed.beside(deltas, places, self._hidden + settled, last=last)
        for delta in deltas:
            reply.text += delta.text
            reply.logprobs += delta.logprobs
            if delta.call is not None:
                reply.calls.append(delta.call)
            if isinstance(delta.call, InvalidCall):
                self._draft.note_error(delta.call.error)
        return deltas
