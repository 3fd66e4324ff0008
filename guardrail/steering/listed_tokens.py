"""Log-probabilities of an answer's tokens, given out beside the text that they spell.

A token goes with the piece that holds the end of its text: a character's first bytes wait for its
last ones, and what is held back, for a stop string or a call that may begin, keeps its tokens. A
token is listed if any of its text is given out, and none that is cut off as a whole is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from guardrail.backends import Backend, Likelihood
from guardrail.request.delta import Delta
from guardrail.request.logprobs import Logprob, TokenLogprob
from guardrail.steering.text_stream import TextStream

Place = tuple[int, int]
"""Where a piece of text begins and ends in the text of all tokens."""


@dataclass(frozen=True)
class TokenNames:
    """Tells what tokens are called.

    Attributes:
        vocabulary: The bytes that each token spells, None of control tokens; it may grow.
        spell: Returns what tokens spell, control tokens included.
    """

    vocabulary: Sequence[bytes | None]
    spell: Callable[[Sequence[int]], str]

    @classmethod
    def of(cls, backend: Backend) -> TokenNames:
        """Returns the names of a model's tokens."""
        return cls(backend.vocabulary(), backend.spell)

    def told(self, token_id: int, likelihood: Likelihood) -> TokenLogprob | None:
        """Returns what is told of a token of an answer; None of one that is no text."""
        if self._spelled(token_id) is None:
            return None
        own = self._named(token_id, likelihood.log_p)
        top = tuple(self._named(*each) for each in likelihood.likeliest)
        return TokenLogprob(own.token, own.bytes, own.logprob, top)

    def _named(self, token_id: int, log_p: float) -> Logprob:
        spelled = self._spelled(token_id)
        if spelled is not None:
            return Logprob(spelled.decode(errors="replace"), tuple(spelled), log_p)
        known = token_id < len(self.vocabulary)  # models pad theirs with tokens that are none
        return Logprob(self.spell([token_id]) if known else "", None, log_p)

    def _spelled(self, token_id: int) -> bytes | None:
        known = 0 <= token_id < len(self.vocabulary)
        return self.vocabulary[token_id] if known else None


@dataclass
class _Waiting:
    """A token that has not been given out; `end` is None while it is not known."""

    told: TokenLogprob | None
    begin: int
    end: int | None


@dataclass
class ListedTokens:
    """The tokens of one answer, as they wait for their text.

    Attributes:
        text: Has taken every token that comes here.
        names: What tokens are called.
    """

    text: TextStream
    names: TokenNames
    _count: int = 0
    _end: int = 0
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _shown: list[Place] = field(default_factory=list)
    _ready: list[tuple[TokenLogprob, int]] = field(default_factory=list)  # and where they end

    def push(self, token_id: int, likelihood: Likelihood | None) -> None:
        """Takes a token; without a likelihood it is not listed."""
        told = self.names.told(token_id, likelihood) if likelihood is not None else None
        size = self.text.size
        if size is not None:
            self._measure(self._count)
        self._count += 1
        self._waiting.append(_Waiting(told, self._end, size))
        self._end = self._end if size is None else size

    def beside(
        self, deltas: Sequence[Delta], places: Sequence[Place], settled: int, *, last: bool = False
    ) -> list[Delta]:
        """Returns pieces of the answer, each with the tokens that go with it.

        Args:
            deltas: Text and calls.
            places: Where each of them stands.
            settled: Up to where it is settled what becomes of the text.
            last: Whether no more comes; a token that is left over then makes a piece without text.
        """
        if last:
            self._measure(self._count)
        for place in places:
            self._show(place)
        ready = [*self._ready, *self._released(settled, last)]
        found = []
        for at, (delta, (_, stop)) in enumerate(zip(deltas, places, strict=True), 1):
            count = len(ready) if at == len(deltas) else sum(end <= stop for _, end in ready)
            found.append(replace(delta, logprobs=tuple(told for told, _ in ready[:count])))
            ready = ready[count:]
        if last and ready:
            found.append(Delta("", logprobs=tuple(told for told, _ in ready)))
        self._ready = ready
        return found

    def _measure(self, count: int) -> None:
        """Notes where a run of bytes ends, if it is one that the first tokens end in."""
        run = [each for each in self._waiting if each.end is None]
        if run:
            self._end = self.text.measured(count)
            for each in run:
                each.end = self._end

    def _show(self, place: Place) -> None:
        begin, stop = place
        if self._shown and self._shown[-1][1] == begin:
            self._shown[-1] = (self._shown[-1][0], stop)
        elif begin < stop:
            self._shown.append(place)

    def _released(self, settled: int, last: bool) -> Iterator[tuple[TokenLogprob, int]]:
        """Yields the tokens of which it is settled that some of their text is given out."""
        while self._waiting:
            told, begin, end = self._waiting[0].told, self._waiting[0].begin, self._waiting[0].end
            if end is None or (end > settled and not last):
                return
            self._waiting.popleft()
            if told is not None and self._is_shown(begin, end):
                yield told, end

    def _is_shown(self, begin: int, end: int) -> bool:
        """Whether any text of a token is given out; bytes are as the character that they end."""
        begin = min(begin, end - 1)
        return end == 0 or any(start < end and begin < stop for start, stop in self._shown)
