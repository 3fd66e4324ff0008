"""Decoding that is held to a grammar, on a vocabulary of bytes and a few words."""

from __future__ import annotations

import sys

import pytest
import torch

from guardrail.backends.transformers.grammar import (
    GrammarVocabulary,
    RowConstraints,
    enforced,
    floored,
)
from guardrail.errors import ModelError, SettingsError

WORDS = [b"yes", b"no", "日本".encode(), None, None]
SPELLED: list[bytes | None] = [bytes([byte]) for byte in range(256)] + WORDS
YES, NO, JAPAN, CALL, END = range(256, 261)
NONE = torch.empty(0, dtype=torch.long)


def tokenize(text: str) -> list[int]:
    """As a tokenizer would that knows `<call>` as a control token."""
    whole = {"yes": [YES], "no": [NO], "<call>": [CALL]}
    return whole.get(text, list(text.encode()))


@pytest.fixture(scope="module")
def vocabulary() -> GrammarVocabulary:
    return GrammarVocabulary(SPELLED, tokenize)


def allowed(constraint: object) -> list[int]:
    return constraint.allowed().nonzero().flatten().tolist()  # type: ignore[attr-defined]


def test_only_what_the_grammar_has_next_is_allowed(vocabulary: GrammarVocabulary) -> None:
    constraint = vocabulary.constraint('start: "yes" | "no"')
    assert set(allowed(constraint)) == {ord("y"), ord("n"), YES, NO}
    assert not constraint.satisfied
    constraint.accept(YES)
    assert constraint.satisfied
    assert constraint.complete
    assert allowed(constraint) == []


def test_characters_may_be_cut_into_bytes_in_any_way(vocabulary: GrammarVocabulary) -> None:
    for cut in ([JAPAN], list("日本".encode())):
        constraint = vocabulary.constraint("start: /[^ ]+/")
        for token in cut:
            assert token in allowed(constraint)
            constraint.accept(token)
        assert constraint.satisfied


def test_control_tokens_are_allowed_only_where_the_grammar_names_them(
    vocabulary: GrammarVocabulary,
) -> None:
    assert CALL not in allowed(vocabulary.constraint("start: /.*/"))
    assert allowed(vocabulary.constraint(f'start: <[{CALL}]> "yes"')) == [CALL]


def test_control_tokens_are_told_apart(vocabulary: GrammarVocabulary) -> None:
    constraint = vocabulary.constraint(f'start: "yes" <[{CALL}]>*')
    constraint.accept(YES)
    assert allowed(constraint) == [CALL]


def test_a_control_tokens_name_is_spelled_out_as_text(vocabulary: GrammarVocabulary) -> None:
    constraint = vocabulary.constraint('start: "<call>"')
    for byte in b"<call>":
        assert CALL not in allowed(constraint)
        constraint.accept(byte)
    assert constraint.complete


def test_a_grammar_that_no_token_can_spell_is_an_error() -> None:
    few = GrammarVocabulary([b"{", b"}"], lambda text: [])
    constraint = few.constraint("start: /[{]x/")
    constraint.accept(0)
    with pytest.raises(ModelError, match="could not be held to its grammar"):
        constraint.allowed()


def test_a_schema_that_cannot_be_enforced_is_an_error(vocabulary: GrammarVocabulary) -> None:
    with pytest.raises(SettingsError, match="uniqueItems"):
        vocabulary.constraint('start: %json {"type": "array", "uniqueItems": true}')


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(SettingsError, match=r"safecode-guardrail\[structured\]"):
        GrammarVocabulary(SPELLED, tokenize)


def test_each_row_has_a_constraint_of_its_own(vocabulary: GrammarVocabulary) -> None:
    rows = [vocabulary.constraint('start: "yes"'), None, vocabulary.constraint('start: "no"*')]
    held = RowConstraints(rows, torch.tensor([END]))
    logits = torch.zeros(3, len(SPELLED) + 3)  # models pad their vocabulary
    mask = held.allowed([True] * 3, logits)
    assert mask is not None
    assert mask[0].nonzero().flatten().tolist() == [YES]  # as the model itself would write it
    assert mask[1].all()
    assert set(mask[2].nonzero().flatten().tolist()) == {ord("n"), NO, END}
    assert held.accept(0, YES)  # nothing more can come
    assert not held.accept(1, 7)
    assert not held.accept(2, NO)
    assert not held.accept(2, END)


def test_without_an_end_token_an_answer_ends_as_soon_as_it_may(
    vocabulary: GrammarVocabulary,
) -> None:
    held = RowConstraints([vocabulary.constraint('start: "no"+')], NONE)
    assert held.accept(0, NO)


def test_rows_that_are_free_or_finished_are_left_alone(vocabulary: GrammarVocabulary) -> None:
    logits = torch.randn(1, len(SPELLED))
    constraint = vocabulary.constraint('start: "no"')
    assert RowConstraints([None], NONE).allowed([True], logits) is None
    assert RowConstraints([constraint], NONE).allowed([False], logits) is None
    assert floored(logits, None) is logits
    assert enforced(logits, logits, None) is logits


def test_what_is_not_allowed_is_never_chosen() -> None:
    logits = torch.tensor([[5.0, 1.0, 2.0]])
    mask = torch.tensor([[False, True, True]])
    low = floored(logits, mask)
    assert low.isfinite().all()
    assert low.argmax() == 2
    assert torch.equal(low[0, 1:], logits[0, 1:])
    assert enforced(logits, logits, mask).argmax() == 2
    # Processors that rule out everything allowed do not count.
    ruled_out = torch.tensor([[5.0, float("-inf"), float("-inf")]])
    assert enforced(ruled_out, logits, mask).argmax() == 2
