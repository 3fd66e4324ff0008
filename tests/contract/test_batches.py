"""A batch equals its rows run alone, whatever each row's verdict, pictures and length are."""

import pytest

from guardrail.errors import Escalation
from guardrail.record.answer import Answer
from guardrail.request.conversation import Conversation, question
from guardrail.request.settings import GenerationSettings
from tests.contract.guarded import (
    GREEDY,
    LONGER,
    SAMPLED,
    SEVERAL_PICTURES,
    TEXT_ONLY,
    WORDS,
    ask,
    by_word,
    engine,
    judged_engine,
    policy,
    shown,
)
from tests.families import FAMILIES

VERDICTS = by_word(kitchen=0.95, garden=0.05, attic=0.5)


def rows(family: str) -> list[Conversation]:
    """Rows of different lengths, pictures and verdicts, as far as the family permits."""
    made = [
        question("Is it in the kitchen?", [shown(0, (24, 40))]),
        ask(family, f"In the garden: {LONGER}", first=3),
        ask(family, "And the attic? It is dark up there, as far as I can see.", first=4),
    ]
    if family in SEVERAL_PICTURES:
        made.append(ask(family, "Compare both with a kitchen.", count=2, first=5))
    if family in TEXT_ONLY:
        made.append(ask(family, "No picture of this garden?", count=0))
    return made


def same(batched: Answer, alone: Answer) -> None:
    assert batched.token_ids == alone.token_ids
    assert batched.text == alone.text
    assert batched.usage == alone.usage
    one, other = batched.decision, alone.decision
    assert one.action == other.action
    assert one.contrast == other.contrast
    assert one.outcome == other.outcome
    assert one.errors == other.errors == []
    assert [s.token for s in one.steps] == [s.token for s in other.steps]
    for a, b in zip(one.steps, other.steps, strict=True):
        assert a.refusal_mass_after == pytest.approx(b.refusal_mass_after, abs=1e-4)
        assert a.divergence == pytest.approx(b.divergence, abs=1e-4)


@pytest.mark.parametrize(
    "settings", [pytest.param(GREEDY, id="greedy"), pytest.param(SAMPLED, id="sampled")]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_batch_equals_its_rows_alone(family: str, settings: GenerationSettings) -> None:
    guarded = judged_engine(family, VERDICTS)
    conversations = rows(family)
    batched = guarded.batch(conversations, settings)
    assert {answer.decision.action for answer in batched} == {"refuse", "comply", "plain"}
    for answer, conversation in zip(batched, conversations, strict=True):
        same(answer, guarded.answer(conversation, settings))


@pytest.mark.parametrize("family", FAMILIES)
def test_blocked_and_escalated_rows_leave_the_others_alone(family: str) -> None:
    strict = policy({"verdict": {"on_unsafe": "block", "on_uncertain": "escalate"}})
    guarded = judged_engine(family, VERDICTS, strict)
    conversations = rows(family)
    batched = guarded.batch(conversations, GREEDY, return_exceptions=True)
    for answer, conversation in zip(batched, conversations, strict=True):
        p = VERDICTS(type("Asked", (), {"conversation": conversation})())  # type: ignore[arg-type]
        if p == 0.5:
            assert isinstance(answer, Escalation)
            assert answer.decision.outcome.finish_reason == "escalated"
        elif p > 0.5:
            assert answer.decision.outcome.finish_reason == "blocked"
            assert answer.token_ids == ()
            assert answer.text.startswith("I can't help with that here")
        else:
            same(answer, guarded.answer(conversation, GREEDY))


@pytest.mark.parametrize("family", FAMILIES)
def test_self_judged_batch_equals_its_rows_alone(family: str) -> None:
    guarded = engine(family)
    conversations = [ask(family), ask(family, LONGER, first=2)]
    for answer, conversation in zip(
        guarded.batch(conversations, GREEDY), conversations, strict=True
    ):
        alone = guarded.answer(conversation, GREEDY)
        same(answer, alone)
        judged, expected = answer.decision.verdict, alone.decision.verdict
        assert judged.categories == pytest.approx(expected.categories, abs=1e-4)


@pytest.mark.parametrize("mode", ["off", "shadow"])
@pytest.mark.parametrize("family", FAMILIES)
def test_unguarded_batch_equals_its_rows_alone(family: str, mode: str) -> None:
    guarded = judged_engine(family, VERDICTS)
    conversations = rows(family)
    for answer, conversation in zip(
        guarded.batch(conversations, GREEDY, mode=mode),  # type: ignore[arg-type]
        conversations,
        strict=True,
    ):
        assert answer.token_ids == guarded.answer(conversation, GREEDY, mode="off").token_ids


def test_rows_that_finish_early_are_padded_and_forgotten() -> None:
    guarded = engine("llava")
    conversations = [ask("llava", f"{WORDS} {n}", first=n) for n in range(4)]
    longest = guarded.answer(conversations[0], GREEDY, mode="off").text
    settings = GenerationSettings(max_new_tokens=6, temperature=0, stop=(longest[2],))
    batched = guarded.batch(conversations, settings)
    assert len({len(answer.token_ids) for answer in batched}) > 1
    for answer, conversation in zip(batched, conversations, strict=True):
        same(answer, guarded.answer(conversation, settings))
