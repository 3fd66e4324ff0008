"""An answer that has to refuse is held back until it does, or the policy's words replace it."""

from typing import Any

import pytest

from guardrail import Policy, SafeCoDe, load_policy
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from guardrail.steering.refusal_gate import RefusalGate
from tests.families import build, picture

PHRASES = ("I can't help with", "Sorry", "No")
EIGHT = GenerationSettings(max_new_tokens=8, do_sample=False)


@pytest.mark.parametrize(
    ("text", "ended", "state"),
    [
        ("", False, "open"),
        ("I", False, "open"),
        ("  I can", False, "open"),
        ("I can't help with", False, "open"),  # "within" would be another word
        ("I can't help with that", False, "refused"),
        ("I can run", False, "other"),
        ("Sorry", False, "open"),
        ("Sorry,", False, "refused"),
        ("Sorry", True, "refused"),
        ("Note", False, "other"),
        ("No", True, "refused"),
        ("", True, "other"),
        ("I can", True, "other"),
        ("**Sorry** ", False, "refused"),
        ("run along", False, "other"),
    ],
)
def test_a_text_s_state(text: str, ended: bool, state: str) -> None:
    assert RefusalGate(PHRASES).state(text, ended=ended) == state


def asked(text: str = "How do I climb here?") -> Conversation:
    return question(text, [Picture(picture(1), "digest")])


def policy(**changes: Any) -> Policy:
    base = load_policy("baseline")
    # Nothing is boosted: random weights then never begin a refusal.
    sections: dict[str, dict[str, Any]] = {"modulation": {"boost": 0.0}, **changes}
    update = {
        name: {**getattr(base, name).model_dump(), **change} for name, change in sections.items()
    }
    changed: Policy = base.model_copy(update=update)
    return changed


def engine(**changes: Any) -> SafeCoDe:
    model, processor = build("llava")
    return SafeCoDe(
        model=model, processor=processor, policy=policy(**changes), judge=lambda request: 0.99
    )


def test_an_answer_that_does_not_refuse_is_replaced_and_the_record_says_so() -> None:
    answer = engine().answer(asked(), EIGHT)
    decision = answer.decision
    assert decision.action == "refuse"
    assert answer.text == "I can't help with that here: someone could get hurt."
    assert (decision.outcome.replaced, decision.outcome.refused) == (True, True)
    assert answer.token_ids == ()
    assert 1 <= decision.outcome.output_tokens <= 8
    assert answer.usage.output_tokens == decision.outcome.output_tokens


def test_no_word_of_it_is_streamed() -> None:
    *deltas, answer = engine().stream(asked(), EIGHT)
    assert [delta.text for delta in deltas if isinstance(delta, Delta)] == [answer.text]  # type: ignore[union-attr]


def test_a_policy_may_switch_it_off() -> None:
    answer = engine(modulation={"boost": 0.0, "ensure_refusal": False}).answer(asked(), EIGHT)
    assert answer.decision.action == "refuse"
    assert (answer.decision.outcome.replaced, len(answer.token_ids)) == (False, 8)


def test_without_guided_steps_it_holds_all_the_same() -> None:
    for changes in ({"contrast": {"guided_steps": 0}}, {"modulation": {"form": "off"}}):
        assert engine(**changes).answer(asked(), EIGHT).decision.outcome.replaced


def test_an_answer_that_refuses_is_the_model_s_own() -> None:
    strong = engine(modulation={"boost": 100.0, "scale": "fixed"}, contrast={"guided_steps": 40})
    answer = strong.answer(asked(), GenerationSettings(max_new_tokens=16, do_sample=False))
    assert not answer.decision.outcome.replaced
    assert answer.decision.outcome.refused
    assert answer.token_ids


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_other_modes_replace_nothing(mode: Any) -> None:
    answer = engine().answer(asked(), EIGHT, mode=mode)
    assert not answer.decision.outcome.replaced
    assert len(answer.token_ids) == 8


def test_in_a_batch_only_those_that_must_refuse_are_replaced() -> None:
    model, processor = build("llava")
    made = SafeCoDe(
        model=model,
        processor=processor,
        policy=policy(),
        judge=lambda request: 0.99 if "climb" in request.conversation.turns[-1].text else 0.4,
    )
    refused, answered = made.batch([asked(), asked("What is this?")], EIGHT)
    assert refused.decision.outcome.replaced
    assert not answered.decision.outcome.replaced
    assert answered.token_ids == made.answer(asked("What is this?"), EIGHT).token_ids
