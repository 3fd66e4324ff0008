"""Whether the model names what is to be seen, and how much of that it would say unseen.

Things are found as whole words; of two that overlap the longer counts, so that "fire truck" is not
also "fire". It knows nothing of models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.metrics import Share
from guardrail.evaluation.results import Record, Results

Answer = tuple[Sample, Record]
Find = Callable[[str], frozenset[str]]


def naming(dataset: Dataset, results: Results, *, system: str) -> dict[str, Any] | None:
    """Returns naming figures of a system's answers: on pictures, on blank ones, and at chance.

    `recall` is the share of things shown that are named, `precision` the share of things named
    that are shown, `exact` the share of answers that name exactly what is shown; `chance` is the
    recall of every answer scored against the other pictures. None without things to name.
    """
    vocabulary = frozenset(dataset.vocabulary)
    if not vocabulary:
        return None
    seen: list[Answer] = []
    blank: list[Answer] = []
    for sample in dataset:
        record = results.get(system, sample.id)
        if record is not None and sample.things and sample.category in ("name", "describe"):
            (blank if sample.side == "blank" else seen).append((sample, record))
    if not seen:
        return None
    find = _finder(vocabulary)
    return {
        "picture": _figures(seen, find),
        "blank": _figures(blank, find) if blank else None,
        "chance": _chance(seen, find),
    }


def named_things(text: str, vocabulary: frozenset[str]) -> frozenset[str]:
    """Returns the things of `vocabulary` that `text` names."""
    return _finder(vocabulary)(text)


def _finder(vocabulary: frozenset[str]) -> Find:
    longest_first = sorted(vocabulary, key=lambda name: (-len(name), name))
    words = "|".join(re.escape(name.casefold()) for name in longest_first)
    pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)")
    by_folded = {name.casefold(): name for name in vocabulary}

    def find(text: str) -> frozenset[str]:
        return frozenset(by_folded[found] for found in pattern.findall(text.casefold()))

    return find


def _figures(answers: Sequence[Answer], find: Find) -> dict[str, Any]:
    shown = named = right = exact = 0
    for sample, record in answers:
        gold, said = frozenset(sample.things), find(record.answer)
        shown, named = shown + len(gold), named + len(said)
        right, exact = right + len(gold & said), exact + (gold == said)
    return {
        "recall": Share(right, shown).to_json(),
        "precision": Share(right, named).to_json(),
        "exact": Share(exact, len(answers)).to_json(),
    }


def _chance(answers: Sequence[Answer], find: Find) -> dict[str, Any]:
    """The recall of each answer against the next pictures' things, which it did not see."""
    shown = right = 0
    said = [find(record.answer) for _, record in answers]
    for at, (sample, _) in enumerate(answers):
        for step in range(1, min(len(answers), 11)):
            gold = frozenset(sample.things)
            shown, right = shown + len(gold), right + len(gold & said[(at + step) % len(answers)])
    return Share(right, shown).to_json()
