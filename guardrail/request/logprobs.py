"""Log-probabilities of an answer's tokens, by the names of the chat API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LEAST_LOGPROB = -9999.0
"""What stands for a log-probability of minus infinity, which JSON does not have."""


@dataclass(frozen=True)
class Logprob:
    """A token and how likely it was at its place.

    Attributes:
        token: Its text; U+FFFD where its bytes are no whole character.
        bytes: What it spells, as numbers from 0 to 255; None of control tokens, which are no text.
        logprob: In nats, from -9999.0 to 0.
    """

    token: str
    bytes: tuple[int, ...] | None
    logprob: float

    def plain(self) -> dict[str, Any]:
        """Returns it as JSON."""
        spelled = None if self.bytes is None else [*self.bytes]
        return {"token": self.token, "bytes": spelled, "logprob": self.logprob}


@dataclass(frozen=True)
class TokenLogprob(Logprob):
    """A token of an answer's text.

    Attributes:
        top_logprobs: The likeliest tokens at its place, likeliest first, itself among them where it
            is one; fewer than were asked for, where no more could come.
    """

    top_logprobs: tuple[Logprob, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Returns it as JSON."""
        return {**super().plain(), "top_logprobs": [each.plain() for each in self.top_logprobs]}
