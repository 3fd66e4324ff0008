"""An answer as a server says it by itself, under way while others decide what becomes of it.

It is read no further than it is wanted, and closed once the answer is to go another way.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress

from guardrail.backends.results import FinishReason
from guardrail.backends.server.candidates import Candidates, told_at
from guardrail.backends.server.spelling import Spelling
from guardrail.backends.server.streaming import StreamedToken
from guardrail.errors import ServerError


class StreamedAnswer:
    """Reads one stream.

    Args:
        tokens: Of the stream; it begins once the first of them is wanted.
        spelling: What tokens spell.
        begun: The tokens that the answer was begun with, before those of the stream.
    """

    def __init__(
        self,
        tokens: Generator[StreamedToken, None, FinishReason],
        spelling: Spelling,
        *,
        begun: Sequence[int] = (),
    ) -> None:
        self._tokens, self._spelling = tokens, spelling
        self._given: list[StreamedToken] = [(each, None) for each in begun]
        self._over = False
        self._reason: FinishReason | None = None

    def reach(self, count: int) -> bool:
        """Reads on up to so many tokens; returns whether there are so many.

        Raises:
            ServerError: The stream breaks off, or is none.
        """
        while len(self._given) < count and not self._over:
            try:
                self._given.append(next(self._tokens))
            except StopIteration as ended:
                self._over, self._reason = True, ended.value
        return len(self._given) >= count

    def goes(self, said: Sequence[int]) -> bool:
        """Whether the answer begins with these tokens."""
        return self.agrees(said) and self.reach(len(said)) and self.agrees(said)

    def agrees(self, said: Sequence[int]) -> bool:
        """Whether what has been read of the answer does not begin otherwise."""
        read = zip(self._given, said, strict=False)
        return all(token == each for (token, _), each in read)

    def after(self, said: Sequence[int]) -> Candidates | None:
        """Returns the candidates after these tokens, if the answer goes there and tells them.

        Raises:
            ServerError: The stream breaks off, is none, or tells what is no distribution.
        """
        if not self.goes(said) or not self.reach(len(said) + 1):
            return None
        entry = self._given[len(said)][1]
        if entry is None:
            return None
        [(_, found)] = self._spelling.steps([told_at(entry)])
        return found

    def rest(self, said: Sequence[int]) -> Iterator[tuple[StreamedToken, FinishReason | None]]:
        """Yields what comes after these tokens, one token at least, the last with why it ended.

        Raises:
            ServerError: The answer does not begin with them, breaks off, or is none.
        """
        if not self.goes(said):
            raise ServerError("the server cannot go on in the middle of a character")
        start = len(said)
        if not self.reach(start + 1):
            yield (self._spelling.tokens.number(b"", control=True), None), self._reason
        while self.reach(start + 1):
            last = not self.reach(start + 2)
            found = self._given[start]
            self._given[start] = (found[0], None)  # nobody needs what was told of it any more
            yield found, self._reason if last else None
            start += 1

    def close(self) -> None:
        """Has the server say no more of it."""
        with suppress(ValueError):  # a thread that was given up reads it, and lets it go
            self._tokens.close()
