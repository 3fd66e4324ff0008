"""What a verdict's competence rests on, in words."""

from __future__ import annotations

from collections.abc import Mapping

_WORDS = {
    "request": "requests like this one: p {:.2g}",
    "description": "as sure of what it sees: p {:.2g}",
    "pictures": "pictures lower the log-odds of harm, against grey ones, by {:.3g} nats",
}


def evidence_in_words(evidence: Mapping[str, float]) -> list[str]:
    """Returns a sentence for each part of the evidence; what is not known here says its name."""
    return [
        _WORDS[name].format(found) if name in _WORDS else f"{name}: {found:.3g}"
        for name, found in evidence.items()
    ]
