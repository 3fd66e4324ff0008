"""Words for an error message: what is accepted, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

SHOWN_CHOICES = 30
SHOWN_LENGTH = 60


def quoted(value: object) -> str:
    """Returns `value` as it goes into a message: on one line, quoted if text, and not too long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ascii_controls(repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"


def ascii_controls(text: str) -> str:
    """Returns `text` with characters that would break or hide a line replaced by escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def listed(choices: Iterable[str]) -> str:
    """Returns `a, b, c`, cut after a screenful."""
    names = list(choices)
    more = len(names) - SHOWN_CHOICES
    return ", ".join(names[:SHOWN_CHOICES]) + (f" and {more} more" if more > 0 else "")


def did_you_mean(given: object, choices: Iterable[str]) -> str:
    """Returns ` (did you mean x?)` if one of `choices` is close to `given`, else nothing."""
    if not isinstance(given, str) or len(given) > SHOWN_LENGTH:
        return ""
    folded = {choice.casefold().replace("_", "-"): choice for choice in choices}
    close = get_close_matches(given.casefold().replace("_", "-"), folded, n=1, cutoff=0.6)
    return f" (did you mean {folded[close[0]]}?)" if close else ""
