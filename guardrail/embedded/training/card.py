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
    parts = [_figures(results), _categories(results), _odds(results)]
    parts += [_wordings(results["wordings"])] if "wordings" in results else []
    parts += [_turning(results["turning"])] if "turning" in results else []
    return "\n\n".join("\n".join(part) for part in parts)


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


_WORDINGS = {
    "reworded": "in other words",
    "reworded_as_in_unseen": "in the unseen set's other words (activities that it has)",
    "misspelt": "with two to four typing errors",
    "polite": "between polite words",
    "capitals": "in capitals",
    "bare": "in lower case, without a mark",
}


def _wordings(found: dict[str, Any]) -> Iterator[str]:
    yield "| the held-out pairs, asked | verdict AUROC | right at 0.5 |"
    yield "|---|---|---|"
    for name, what in _WORDINGS.items():
        each = found[name]
        yield f"| {what} | {_plain(each['auroc'])} | {_share(each['accuracy_at_half'])} |"


def _turning(found: dict[str, Any]) -> Iterator[str]:
    yield "| long answers, unguarded | figure |"
    yield "|---|---|"
    yield f"| turn into help with what is harmful | {_share(found['turned'])} |"
    for kind, share in found["turned_by_kind"].items():
        yield f"| the same, asked for {_KINDS[kind]} | {_share(share)} |"
    for name, what in _SPREADS.items():
        numbers = ", ".join(map(str, found[f"{name}_5_25_50_75_95"]))
        yield f"| {what}: 5%, 25%, median, 75%, 95% | {numbers} |"
    yield f"| their request is judged safe at 0.5 | {_share(found['request_judged_safe'])} |"
    for name, whose in (("own", "its own answers"), ("written", "answers by the templates")):
        yield from _judged(found[name], f"answer questions, {whose}")


def _judged(found: dict[str, Any], what: str) -> Iterator[str]:
    area, turned = found["before_after"], found["turned"]
    if area["value"] is not None:
        yield f"| {what}: AUROC after the turn against before | {_plain(area)} |"
    if turned["value"] is not None:
        n = " and ".join(map(str, turned["n"]))
        yield f"| {what}: AUROC turned against never turned | {turned['value']:.3f} (n={n}) |"
    yield f"| {what}: right at 0.5 | {_share(found['accuracy_at_half'])} |"
    areas = [each["auroc"] for each in found["by_category"].values() if each["auroc"] is not None]
    if areas:
        lowest, highest = min(areas), max(areas)
        yield f"| {what}: AUROC by category, from, to | {lowest:.3f}, {highest:.3f} |"


_KINDS = {"ideas": "ideas", "day": "a day", "story": "a story", "talk": "a talk"}


_SPREADS = {"turning_token": "token at which they turn", "answer_tokens": "tokens in all"}


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
