"""Text of an answer as it grows token by token, ended by stop strings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_UNFINISHED = "\ufffd"


class TextStream:
    """Turns tokens into text that never has to be taken back.

    Text is held back while its last character is incomplete, while it may be the beginning of a
    stop string, and while its last token is one byte of a run that is decoded as a whole.

    Args:
        decode: Token ids to text.
        stop: Strings that end the answer and are not part of it.
        fragments: Tokens that stand for single bytes: further ones may change what they spell.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        stop: Sequence[str] = (),
        *,
        fragments: frozenset[int] = frozenset(),
    ) -> None:
        self._decode = decode
        self._stop = tuple(stop)
        self._fragments = fragments
        self._ids: list[int] = []
        self._given = ""
        self._size: int | None = 0

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Every token so far, those of a stop string included."""
        return tuple(self._ids)

    @property
    def text(self) -> str:
        """The text given out so far."""
        return self._given

    @property
    def size(self) -> int | None:
        """How long the text of all tokens is, with what is held back or cut off; None while its
        last token is one byte of a run.
        """
        return self._size

    def measured(self, count: int) -> int:
        """Returns how long the text of the first tokens is, if no others follow."""
        return len(self._decode(self._ids[:count]))

    def push(self, token_id: int) -> str:
        """Returns the text that this token settles, often empty."""
        self._ids.append(token_id)
        if token_id in self._fragments:
            self._size = None
            return ""
        text = self._decode(self._ids)
        self._size = len(text)
        text = self._cut(text)
        held = self._held_back(text)
        return self._give(text[: len(text) - held])

    def flush(self) -> str:
        """Returns what was held back, at the end of the answer."""
        return self._give(self._cut(self._decode(self._ids)))

    def _give(self, text: str) -> str:
        new = text[len(self._given) :]
        self._given += new
        return new

    def _cut(self, text: str) -> str:
        found = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        return text[: min(found)] if found else text

    def _held_back(self, text: str) -> int:
        unfinished = len(text) - len(text.rstrip(_UNFINISHED))
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(text)), unfinished, -1):
                if text.endswith(stop[:size]):
                    unfinished = size
                    break
        return unfinished
