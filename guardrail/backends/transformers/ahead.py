"""What a model would say next, had rows gone on with certain tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from guardrail.backends.transformers.branch import Branch
from guardrail.backends.transformers.tree import run_ahead

Tokens = Sequence[Sequence[int]]

_FORKS = 16
"""Rows that step ahead together, each with a copy of its prompt's cache."""


def look_ahead(branch: Branch, rows: Sequence[int], tokens: Tokens) -> Tensor:
    """Returns next-token logits, (rows, vocabulary) float32.

    Args:
        branch: What was run so far; unchanged.
        rows: Of the branch; one may be given several times.
        tokens: For each of them, all equally many, >= 1.
    """
    logits = _in_one_pass(branch, rows, tokens)
    return _step_by_step(branch, rows, tokens) if logits is None else logits


def _in_one_pass(branch: Branch, rows: Sequence[int], tokens: Tokens) -> Tensor | None:
    """Runs all at once on the rows' own caches; None where a family forbids it."""
    asked: dict[int, list[Sequence[int]]] = {}
    places = []
    for row, each in zip(rows, tokens, strict=True):
        places.append((row, len(asked.setdefault(row, []))))
        asked[row].append(each)
    shown, most = sorted(asked), max(map(len, asked.values()))
    padded = [[*asked[row], *asked[row][:1] * (most - len(asked[row]))] for row in shown]
    some = branch if len(shown) == branch.batch else branch.fork(shown)
    logits = run_ahead(some, torch.tensor(padded))  # (rows, continuations, vocabulary)
    if logits is None:
        return None
    return torch.stack([logits[shown.index(row), at] for row, at in places])


def _step_by_step(branch: Branch, rows: Sequence[int], tokens: Tokens) -> Tensor:
    """Runs forks token by token, as every family decodes; a few at once, to bound memory."""
    found = []
    for start in range(0, len(rows), _FORKS):
        some = slice(start, start + _FORKS)
        fork = branch.fork(rows[some])
        for column in torch.tensor([list(each) for each in tokens[some]], device=fork.ids.device).T:
            fork = fork.extend(column[:, None])
        found.append(fork.logits)
    return torch.cat(found)
