"""What a server says of the next tokens: candidates with their log-probabilities, checked.

A server may be wrong, or not what it says: whatever is no distribution raises.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guardrail.backends.server.seen_tokens import FILLERS
from guardrail.errors import ServerError

LEAST_SHOWN = -60.0
"""What steering takes the log-probability of a token for that was not shown; none is less."""

_SLACK = 1e-3
"""How far probabilities may sum above 1, for rounding."""

_NUMBERED = re.compile(r"token_id:(\d{1,9})")


@dataclass(frozen=True)
class Candidates:
    """Log-probabilities of some next tokens, by their numbers in `SeenTokens`.

    Attributes:
        log_p: In nats, <= 0.
        ranked: How many of them are known to be the likeliest of all.
    """

    log_p: Mapping[int, float]
    ranked: int

    @property
    def shown(self) -> float:
        """The probability of all that is among them, in [0, 1]."""
        return min(1.0, math.fsum(map(math.exp, self.log_p.values())))

    @property
    def least_ranked(self) -> float:
        """The log-probability under which every token is that is not among them."""
        return sorted(self.log_p.values(), reverse=True)[self.ranked - 1]

    @property
    def likeliest(self) -> int:
        """The likeliest token; of equals the first."""
        return max(self.log_p, key=self.log_p.__getitem__)

    def beside(self, others: Candidates) -> Candidates:
        """Returns these and what else is known of the same distribution."""
        found = {**others.log_p, **self.log_p}
        return Candidates(found, max(self.ranked, others.ranked))

    def row(self, width: int, *, real: Candidates | None = None) -> npt.NDArray[np.float32]:
        """Returns them as logits, (width,): what is not known is spread over the fillers.

        Args:
            width: How many tokens have been seen.
            real: What these are contrasted with. A token of those that is not among these gets the
                most that it can have here, so that contrast brings it out no more than is sure.
        """
        found = np.full(width, LEAST_SHOWN, np.float32)
        if real is not None:
            found[list(real.log_p)] = self.least_ranked
        found[:FILLERS] = math.log(max(1.0 - self.shown, 1e-20) / FILLERS)
        numbers = np.fromiter(self.log_p, np.int64, len(self.log_p))
        found[numbers] = np.fromiter(self.log_p.values(), np.float32, len(self.log_p))
        return found


@dataclass(frozen=True)
class Named:
    """A token as a server names it.

    Attributes:
        spelled: What it is written as; None where only its number is told.
        server_id: The server's own number of it, where that is told.
    """

    spelled: bytes | None
    server_id: int | None


@dataclass(frozen=True)
class Told:
    """What a server tells of one token of its answer.

    Attributes:
        taken: The token.
        ranked: The likeliest tokens at its place, with their log-probabilities.
        asked: Those that were asked for by number.
    """

    taken: Named
    ranked: Sequence[tuple[Named, float]]
    asked: Sequence[tuple[Named, float]]

    @property
    def named(self) -> list[Named]:
        """Every token that it names."""
        return [self.taken, *(each for each, _ in (*self.ranked, *self.asked))]


def told_of(answer: Any) -> list[Told]:
    """Returns what an answer tells of its tokens, in order, at least one.

    Raises:
        ServerError: It tells nothing, or what is no distribution.
    """
    try:
        content = answer["choices"][0]["logprobs"]["content"]
    except (TypeError, LookupError):
        content = None
    if not isinstance(content, list) or not content:
        raise ServerError("the server gives no log-probabilities of the next token")
    return [told_at(each) for each in content]


def whole(told: Sequence[Told]) -> Sequence[Told]:
    """Returns what is told up to the first character that was put together of several tokens.

    Of those, llama.cpp tells the last alone: by its number, and by the bytes of all.

    Raises:
        ServerError: The answer begins with one.
    """
    for at, each in enumerate(told):
        same = [other for other, _ in each.ranked if other.server_id == each.taken.server_id]
        if each.taken.server_id is not None and same and same[0].spelled != each.taken.spelled:
            if at == 0:
                raise ServerError("the server does not tell the tokens within a character")
            return told[:at]
    return told


def tokens_used(answer: Any, name: str) -> int:
    """Returns how many tokens an answer says that it used; 0 where it does not say it.

    Args:
        answer: An answer, or an event of a stream.
        name: `prompt_tokens` or `completion_tokens`.
    """
    usage = answer.get("usage") if isinstance(answer, Mapping) else None
    count = usage.get(name) if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and count > 0 else 0


def told_at(entry: Any, *, least: float = LEAST_SHOWN) -> Told:
    """Returns what an entry of log-probabilities tells of its token.

    Args:
        entry: The entry.
        least: What stands for all that is less.

    Raises:
        ServerError: It tells nothing, or what is no distribution.
    """
    if not isinstance(entry, Mapping):
        raise ServerError("the server gives log-probabilities in a form that is not known")
    ranked, asked = (
        [weighed(each, least) for each in _listed(entry.get(name))]
        for name in ("top_logprobs", "logprob_token_ids")
    )
    distinct = dict((*asked, *ranked))
    if not distinct:
        raise ServerError("the server gives no log-probabilities of the next token")
    if math.fsum(map(math.exp, distinct.values())) > 1 + _SLACK:
        raise ServerError("the server gives log-probabilities that are no distribution")
    return Told(named(entry), ranked, asked)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def weighed(entry: Any, least: float) -> tuple[Named, float]:
    """Returns a token and its log-probability, not under `least`.

    Raises:
        ServerError: It is no token, or has none.
    """
    if not isinstance(entry, Mapping):
        raise ServerError("the server gives a candidate that is no token")
    log_p = entry.get("logprob")
    if isinstance(log_p, bool) or not isinstance(log_p, (int, float)):
        raise ServerError("the server gives a log-probability that is no number")
    if math.isnan(log_p) or log_p > _SLACK:
        raise ServerError(f"the server gives a log-probability of {log_p}")
    return named(entry), max(float(log_p), least)


def named(entry: Mapping[str, Any]) -> Named:
    """Returns a token as log-probabilities name it.

    Raises:
        ServerError: They name none.
    """
    written, given, own = entry.get("token"), entry.get("bytes"), entry.get("id")
    if not isinstance(written, str):
        raise ServerError("the server names a token that is no text")
    numbered = _NUMBERED.fullmatch(written)
    if numbered:  # bytes beside it are those of this very word, or without the space before it
        return Named(None, int(numbered[1]))
    spelled = written.encode("utf-8", "surrogatepass")
    if isinstance(given, list) and given and all(_is_byte(each) for each in given):
        spelled = bytes(given)
    return Named(spelled, own if isinstance(own, int) and not isinstance(own, bool) else None)


def _is_byte(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 256
