"""What tokens spell that a server tells by number only, asked once for each.

A text alone does not say what its tokens spell: many tokenizers drop the space before the first
word. So tokens are written out between others whose text is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from guardrail.backends.server.candidates import Candidates, Named, Told
from guardrail.backends.server.client import ServerClient
from guardrail.backends.server.dialect import Dialect
from guardrail.backends.server.seen_tokens import INCOMPLETE, SeenTokens
from guardrail.errors import ServerError

_BETWEEN = "|~^;#"
"""Characters of which one stands between the tokens that are written out."""

_AT_ONCE = 512
"""Tokens that are written out in one request."""


@dataclass(frozen=True)
class Spelling:
    """Learns the tokens of one model of one server.

    Attributes:
        client: The server.
        model: By which name it knows the model.
        dialect: How it is asked.
        tokens: What has been learnt.
    """

    client: ServerClient
    model: str
    dialect: Dialect
    tokens: SeenTokens = field(default_factory=SeenTokens)

    @property
    def asks(self) -> bool:
        """Whether the server tells tokens of texts, and texts of tokens."""
        return bool(self.dialect.tokens_path and self.dialect.text_path)

    def numbers(self, named: Sequence[Named]) -> list[int]:
        """Returns the numbers of tokens that a server has named.

        Raises:
            ServerError: It does not say what one of them spells.
        """
        self._learn([e.server_id for e in named if e.spelled is None and e.server_id is not None])
        return [self._number(each) for each in named]

    def steps(self, told: Sequence[Told]) -> list[tuple[int, Candidates]]:
        """Returns the number of each token of an answer, and the candidates at its place.

        Raises:
            ServerError: The server does not say what one of them spells.
        """
        numbers = iter(self.numbers([each for step in told for each in step.named]))
        return [(next(numbers), _candidates(each, numbers)) for each in told]

    def tokens_of(self, text: str) -> list[int]:
        """Returns the numbers of the tokens of a text; as one where the server does not tell."""
        if not self.asks:
            return [self.tokens.number(text.encode())]
        ids = self._ids_of(text)
        self._learn(ids)
        return [self.tokens.of(each) for each in ids]

    def text(self, numbers: Sequence[int]) -> str:
        """Returns the text of an answer's first tokens; an incomplete character ends in U+FFFD."""
        tokens = self.tokens
        if tokens.fragments.intersection(numbers) and self.asks:
            own = [tokens.server_id(each) for each in numbers if not tokens.is_control(each)]
            ids = [each for each in own if each is not None]
            if len(ids) == len(own):
                return self._text_of(ids).removeprefix(self._before)
        return tokens.text(numbers).decode(errors="replace").removeprefix(self._before)

    @cached_property
    def _before(self) -> str:
        """What the tokenizer puts before a text: a space, or nothing."""
        if not self.asks:
            return ""
        [first, *_] = self._ids_of("Yes")
        [spelled] = self._spelled([first], *self._between)
        return " " if spelled.startswith(" ") else ""

    def _number(self, named: Named) -> int:
        if named.spelled is None:
            assert named.server_id is not None
            return self.tokens.of(named.server_id)
        control = self.dialect.is_control(named.spelled)
        return self.tokens.number(named.spelled, server_id=named.server_id, control=control)

    def _learn(self, server_ids: Sequence[int]) -> None:
        unseen = self.tokens.unseen(server_ids)
        if not unseen:
            return
        if not self.asks:
            raise ServerError("the server tells tokens by number, and not what they spell")
        between = self._between
        for start in range(0, len(unseen), _AT_ONCE):
            part = unseen[start : start + _AT_ONCE]
            for server_id, spelled in zip(part, self._spelled(part, *between), strict=True):
                self._number(Named(spelled.encode("utf-8", "surrogatepass"), server_id))

    def _spelled(self, server_ids: Sequence[int], between: int, sign: str) -> Iterator[str]:
        asked = [between]
        for each in server_ids:
            asked += [each, between]
        pieces = self._text_of(asked).split(sign)
        if len(pieces) == len(server_ids) + 2:
            yield from pieces[1:-1]
            return
        for each in server_ids:  # one of them holds the sign itself
            yield self._text_of([between, each]).lstrip().removeprefix(sign)

    @cached_property
    def _between(self) -> tuple[int, str]:
        for sign in _BETWEEN:
            token = self._ids_of(f"x{sign}")[-1]
            if self._text_of([token] * 3).lstrip() == sign * 3:
                return token, sign
        raise ServerError("the server does not say what its tokens spell")

    def _ids_of(self, text: str) -> list[int]:
        asked = {"prompt": text, "content": text, "add_special_tokens": False, "add_special": False}
        found = self._ask(self.dialect.tokens_path, asked).get("tokens")
        if not isinstance(found, list) or not found or not all(map(_is_number, found)):
            raise ServerError("the server gives no tokens of a text")
        return found

    def _text_of(self, server_ids: Sequence[int]) -> str:
        answer = self._ask(self.dialect.text_path, {"tokens": list(server_ids)})
        found = answer.get("prompt", answer.get("content"))
        if not isinstance(found, str):
            raise ServerError("the server gives no text of tokens")
        return found

    def _ask(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self.client.ask(path, {"model": self.model, **body})
        if not isinstance(answer, Mapping):
            raise ServerError(f"the server answers nothing usable at {path!r}")
        return answer


def _candidates(told: Told, numbers: Iterator[int]) -> Candidates:
    """Returns the candidates at a token's place; takes their numbers, in the order of `named`."""
    found: dict[int, float] = {}
    for _, log_p in told.ranked:
        found.setdefault(next(numbers), log_p)
    ranked = max(1, len(found))
    for _, log_p in told.asked:
        found.setdefault(next(numbers), log_p)
    return Candidates(found, ranked)


def is_incomplete(text: str) -> bool:
    """Whether a text ends in the middle of a character."""
    return text.endswith(INCOMPLETE)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
