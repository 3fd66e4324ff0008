"""What a server says of the next token: candidates with their log-probabilities, checked.

A server may be wrong, or not what it says: whatever is no distribution raises.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guardrail.backends.server.dialect import Dialect
from guardrail.backends.server.seen_tokens import FILLERS, SeenTokens
from guardrail.errors import ServerError

_UNSEEN = -60.0
"""Log-probability of a token that was not shown."""

_SLACK = 1e-3
"""How far probabilities may sum above 1, for rounding."""


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
    def rest(self) -> float:
        """The probability of all that is not among them."""
        return max(0.0, 1.0 - math.fsum(map(math.exp, self.log_p.values())))

    @property
    def least_ranked(self) -> float:
        """The log-probability under which every token is that is not among them."""
        return sorted(self.log_p.values(), reverse=True)[self.ranked - 1]

    def row(self, width: int, *, beside: Candidates | None = None) -> npt.NDArray[np.float32]:
        """Returns them as logits, (width,): what is not known is spread over the fillers.

        Args:
            width: How many tokens have been seen.
            beside: What these are contrasted with. A token of those that is not among these gets
                the most that it can have here, so that contrast brings it out no more than is sure.
        """
        found = np.full(width, _UNSEEN, np.float32)
        if beside is not None:
            found[list(beside.log_p)] = self.least_ranked
        found[:FILLERS] = math.log(max(self.rest, 1e-20) / FILLERS)
        numbers = np.fromiter(self.log_p, np.int64, len(self.log_p))
        found[numbers] = np.fromiter(self.log_p.values(), np.float32, len(self.log_p))
        return found


def candidates_of(answer: Any, tokens: SeenTokens, dialect: Dialect) -> Candidates:
    """Returns the candidates of an answer's first token.

    Raises:
        ServerError: There are none, or they are no distribution.
    """
    first = _first_token(answer)
    ranked = _listed(first.get("top_logprobs"))
    found: dict[int, float] = {}
    for entry in ranked:
        number, log_p = _entry(entry, tokens, dialect)
        found.setdefault(number, log_p)
    shown = len(found)
    for entry in _listed(first.get("logprob_token_ids", [])):
        number, log_p = _entry(entry, tokens, dialect)
        found.setdefault(number, log_p)
    if not found:
        raise ServerError("the server gives no log-probabilities of the next token")
    if math.fsum(map(math.exp, found.values())) > 1 + _SLACK:
        raise ServerError("the server gives log-probabilities that are no distribution")
    return Candidates(found, max(1, shown))


def _first_token(answer: Any) -> Mapping[str, Any]:
    try:
        found = answer["choices"][0]["logprobs"]["content"][0]
    except (TypeError, LookupError):
        raise ServerError("the server gives no log-probabilities of the next token") from None
    if not isinstance(found, Mapping):
        raise ServerError("the server gives log-probabilities in a form that is not known")
    return found


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _entry(entry: Any, tokens: SeenTokens, dialect: Dialect) -> tuple[int, float]:
    if not isinstance(entry, Mapping):
        raise ServerError("the server gives a candidate that is no token")
    log_p = entry.get("logprob")
    if isinstance(log_p, bool) or not isinstance(log_p, (int, float)):
        raise ServerError("the server gives a log-probability that is no number")
    if math.isnan(log_p) or log_p > _SLACK:
        raise ServerError(f"the server gives a log-probability of {log_p}")
    return token_of(entry, tokens, dialect), max(float(log_p), _UNSEEN)


def token_of(entry: Mapping[str, Any], tokens: SeenTokens, dialect: Dialect) -> int:
    """Returns the number of a token as log-probabilities name it.

    Raises:
        ServerError: It names none.
    """
    written, given = entry.get("token"), entry.get("bytes")
    if not isinstance(written, str):
        raise ServerError("the server names a token that is no text")
    spelled = written.encode("utf-8", "surrogatepass")
    if isinstance(given, list) and given and all(_is_byte(each) for each in given):
        spelled = bytes(given)
    own = entry.get("id")
    server_id = own if isinstance(own, int) and not isinstance(own, bool) else None
    return tokens.number(spelled, server_id=server_id, control=dialect.is_control(spelled))


def _is_byte(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 256
