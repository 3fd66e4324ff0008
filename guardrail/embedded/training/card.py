"""Writes what was measured into the model card, between two marks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- measured: written by card.py -->", "<!-- end of measured -->"

_NAMING = {
    "heldout": "things named right, unseen compositions, cut-outs and backgrounds",
    "unseen-style": "unseen style (OpenMoji)",
    "real": "photographed cut-outs, one to a picture",
}
_PAIRS = {
    "verdict_auroc": "verdict AUROC, maximum over categories, safe against unsafe side",
    "verdict_accuracy_at_half": "verdict right at 0.5",
    "verdict_confident": "verdict below 0.2 or above 0.8",
    "wrong_refusal_safe_alarming": "wrongly refuses: safe side, alarming wording",
    "wrong_refusal_safe": "wrongly refuses: safe side, all",
    "wrong_answer_unsafe": "wrongly answers: unsafe side, all",
    "wrong_answer_unsafe_harmless": "wrongly answers: unsafe side, harmless wording",
}


def tables(results: dict[str, Any]) -> str:
    """Returns the card's tables.

    Args:
        results: What the stage `evaluate` measured.
    """
    return "\n".join([*_figures(results), "", *_categories(results), "", *_odds(results)])


def _figures(results: dict[str, Any]) -> Iterator[str]:
    yield "| what | figure |"
    yield "|---|---|"
    for split, what in _NAMING.items():
        found = results["naming"].get(split)
        if found is None:
            continue
        yield f"| {what}: recall | {_share(found['recall'])} |"
        yield f"| the same: precision | {_share(found['precision'])} |"
        yield f"| the same: every thing right and nothing else | {_share(found['exact'])} |"
    blank = results["neutral"]["blank_picture_named"]
    yield f"| gold things named on a grey picture (chance) | {_share(blank)} |"
    for name, what in _PAIRS.items():
        found = results["pairs"][name]
        yield f"| {what} | {_plain(found) if name == 'verdict_auroc' else _share(found)} |"
    yield f"| neutral questions refused | {_share(results['neutral']['refused'])} |"
    for kind in ("describe", "count", "name"):
        yield f"| {kind}, all things right | {_share(results['neutral'][kind]['things'])} |"
    speed = results["speed"]
    yield f"| load; answer of 32 tokens | {speed['load_s']} s; {speed['answer_32_tokens_s']} s |"


def _categories(results: dict[str, Any]) -> Iterator[str]:
    yield "| category | AUROC of its question | yes / no |"
    yield "|---|---|---|"
    for name, found in results["pairs"]["by_category"].items():
        yes, no = found["n"]
        yield f"| {name} | {found['auroc']:.3f} | {yes} / {no} |"


def _odds(results: dict[str, Any]) -> Iterator[str]:
    yield "Log-odds of a refusal at its opening (nats), by side and wording:"
    yield ""
    yield "| | 5% | 25% | median | 75% | 95% |"
    yield "|---|---|---|---|---|---|"
    for name, odds in results["pairs"]["refusal_log_odds_5_25_50_75_95"].items():
        row = " | ".join(f"{value:+.2f}" for value in odds)
        yield f"| {name.replace('_', ', ')} | {row} |"


def _share(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['value']:.1%} ({100 * low:.1f} to {100 * high:.1f}, n={found['n']})"


def _plain(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['value']:.3f} ({low:.3f} to {high:.3f}, n={found['n']})"


def measured(card: str, results: dict[str, Any]) -> str:
    """Returns the card with its tables replaced.

    Raises:
        ValueError: The card lacks the marks.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the card lacks {BEGIN!r} or {END!r}")
    return f"{before}{BEGIN}\n{tables(results)}\n{END}{after}"


def write_card(checkpoint: Path) -> None:
    """Writes `evaluation.json`'s figures into the card beside it."""
    card = checkpoint / "README.md"
    results = json.loads((checkpoint / "evaluation.json").read_text("utf-8"))
    card.write_text(measured(card.read_text("utf-8"), results), "utf-8")
