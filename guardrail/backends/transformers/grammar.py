"""Decoding that is held to a grammar: which tokens may come next in each row.

The seam to `llguidance`, the optional extra `structured`. It knows grammars, token ids and masks;
not what a grammar is for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from guardrail.errors import ModelError, SettingsError

_FLOOR = torch.finfo(torch.float32).min / 4
"""A logit far below any real one, and finite, so that contrasting two of them is not NaN."""


class GrammarVocabulary:
    """A tokenizer's tokens, as grammars are matched on them. Safe to share between threads.

    Args:
        spelled: For each token id, the bytes that it spells; None for control tokens, which only
            a grammar that names them admits.
        tokenize: A text to the tokens by which the model would write it.

    Raises:
        SettingsError: `llguidance` is not installed.
    """

    def __init__(
        self, spelled: Sequence[bytes | None], tokenize: Callable[[str], Sequence[int]]
    ) -> None:
        try:
            from llguidance import LLTokenizer, TokenizerWrapper
        except ImportError as error:
            raise SettingsError(
                "holding an answer to a form needs llguidance, which is not installed: "
                "pip install 'safecode-guardrail[structured]'"
            ) from error
        self.size = len(spelled)
        self._tokenizer = LLTokenizer(TokenizerWrapper(_Tokens(spelled, tokenize)))

    def constraint(self, grammar: str) -> Constraint:
        """Returns the constraint of one answer, at its beginning.

        Args:
            grammar: In Lark, as `llguidance` reads it.

        Raises:
            SettingsError: It cannot be compiled: a schema uses what is not supported.
        """
        from llguidance import LLMatcher

        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            [first, *_] = str(matcher.get_error()).splitlines() or [""]
            raise SettingsError(
                f"decoding cannot be held to the schema given: {first}",
                reason="decoding cannot be held to the schema given",
            )
        return Constraint(matcher, self.size)


class Constraint:
    """One answer's place in its grammar.

    Args:
        matcher: From `llguidance`.
        size: Size of the tokenizer's vocabulary.
    """

    def __init__(self, matcher: Any, size: int) -> None:
        self._matcher = matcher
        self._size = size

    @property
    def satisfied(self) -> bool:
        """Whether the answer may end here."""
        return bool(self._matcher.is_accepting())

    @property
    def complete(self) -> bool:
        """Whether the answer can only end here."""
        return bool(self._matcher.is_stopped())

    def allowed(self) -> Tensor:
        """Returns which tokens may come next, (vocabulary,) bool; the end of the answer is none.

        Raises:
            ModelError: None may, and the answer cannot end: its tokens cannot spell what has to
                come, or the grammar is beyond the library's limits.
        """
        bias = bytearray(self._matcher.compute_logit_bias())
        self._check()
        return torch.frombuffer(bias, dtype=torch.uint8)[: self._size] > 0

    def accept(self, token_id: int) -> None:
        """Goes on by a token that is allowed."""
        self._matcher.consume_token(token_id)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            [first, *_] = str(self._matcher.get_error()).splitlines() or [""]
            raise ModelError(
                f"decoding could not be held to its grammar: {first}",
                reason="decoding could not be held to its grammar",
            )


class RowConstraints:
    """The constraints of the rows of a batch.

    Args:
        rows: One per row, None where any token may come.
        eos_ids: (count,) the tokens that end an answer; may be empty.
    """

    def __init__(self, rows: Sequence[Constraint | None], eos_ids: Tensor) -> None:
        self._rows = tuple(rows)
        self._eos_ids = eos_ids
        self._eos = frozenset(eos_ids.tolist())

    def allowed(self, going: Sequence[bool], like: Tensor) -> Tensor | None:
        """Returns which tokens may come next, (batch, vocabulary) bool, or None if all may.

        Args:
            going: For each row, whether it has not finished.
            like: (batch, vocabulary) logits.
        """
        held = [row is not None and more for row, more in zip(self._rows, going, strict=True)]
        if not any(held):
            return None
        allowed = torch.ones(like.shape, dtype=torch.bool)
        for at, row in enumerate(self._rows):
            if row is not None and held[at]:
                # Models pad their vocabulary, or cannot say the last tokens of the tokenizer's.
                tokens = row.allowed()[: like.shape[1]]
                allowed[at] = False
                allowed[at, : len(tokens)] = tokens
                allowed[at, self._eos_ids.cpu()] = row.satisfied
        return allowed.to(like.device)

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows alone."""
        self._rows = tuple(self._rows[row] for row in rows)

    def accept(self, at: int, token_id: int) -> bool:
        """Takes a row's token; returns whether its answer can only end after it."""
        row = self._rows[at]
        if row is None or token_id in self._eos:
            return False
        row.accept(token_id)
        return row.complete or (row.satisfied and not self._eos)


def floored(logits: Tensor, allowed: Tensor | None) -> Tensor:
    """Returns logits in which what is not allowed is out of reach, and finite.

    Args:
        logits: (batch, vocabulary); not changed.
        allowed: Same shape, bool; None allows everything.
    """
    return logits if allowed is None else logits.masked_fill(~allowed, _FLOOR)


def enforced(scores: Tensor, logits: Tensor, allowed: Tensor | None) -> Tensor:
    """Returns scores by which only what is allowed can be chosen.

    Args:
        scores: (batch, vocabulary), after the caller's own processors.
        logits: The same before them: what counts in rows where they ruled out all that is allowed.
        allowed: Same shape, bool; None allows everything.
    """
    if allowed is None:
        return scores
    nothing = torch.tensor(float("-inf"), dtype=scores.dtype, device=scores.device)
    held = torch.where(allowed, scores, nothing)
    stuck = ~(held > _FLOOR).any(-1, keepdim=True)  # (batch, 1)
    return torch.where(stuck, torch.where(allowed, logits, nothing), held)


class _Tokens:
    """What `llguidance` asks a tokenizer for; the end of an answer is a token of its own."""

    bos_token_id = None

    def __init__(
        self, spelled: Sequence[bytes | None], tokenize: Callable[[str], Sequence[int]]
    ) -> None:
        # `llguidance` tells control tokens apart by their names.
        self.tokens = [
            f"<|control {token}|>".encode() if each is None else each
            for token, each in enumerate((*spelled, None))
        ]
        self.eos_token_id = len(spelled)
        control = [token for token, each in enumerate(spelled) if each is None]
        self.special_token_ids = [*control, self.eos_token_id]
        self._control = frozenset(control)
        self._tokenize = tokenize

    def __call__(self, text: str) -> list[int]:
        if not isinstance(text, str):
            raise TypeError("text is tokenized, not bytes")
        ids = list(self._tokenize(text))
        if self._control.isdisjoint(ids):
            return ids
        # A control token's name, spelled in a schema, is text.
        return [token for character in text for token in self._tokenize(character)]
