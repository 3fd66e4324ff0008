"""What a verdict and its competence rest on, in words."""

from __future__ import annotations

from guardrail.policy.verdict import Verdict

_WORDS = {
    "request": "requests like this one: p {:.2g}",
    "description": "as sure of what it sees: p {:.2g}",
    "pictures": "pictures lower the log-odds of harm, against grey ones, by {:.3g} nats",
}


def evidence_in_words(verdict: Verdict) -> list[str]:
    """Returns a sentence on what a screen came to, and for each part of the evidence; what is not
    known here says its name.
    """
    return [
        *_screen(verdict),
        *(
            _WORDS[name].format(found) if name in _WORDS else f"{name}: {found:.3g}"
            for name, found in verdict.evidence.items()
        ),
    ]


def _screen(verdict: Verdict) -> list[str]:
    if verdict.screen is None:
        return []
    asked, spared = "no category was spared", len(verdict.screened)
    if spared:
        asked = f"{spared} {'category' if spared == 1 else 'categories'} not asked about"
    return [f"screen, harm of any kind: p {verdict.screen:.2g}, {asked}"]
