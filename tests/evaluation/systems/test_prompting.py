"""Systems that speak to the model: what it hears, and whose verdict is recorded."""

from typing import Any, Literal

import pytest
from PIL import Image

from guardrail.errors import SettingsError
from guardrail.evaluation import systems_for
from guardrail.evaluation.systems.prompting import IN_WORDS, SAFETY_PROMPT
from guardrail.policy import load_policy
from guardrail.record.decision import VerdictRecord
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.settings import GenerationSettings

from ..stand_in import Says, StandIn

BASELINE = load_policy("baseline")
GREEDY = GenerationSettings(temperature=0)
PICTURE = Picture(Image.new("RGB", (4, 4)), "d")
LABELS = {"red": "unsafe", "green": "safe", "yellow": "uncertain", "black": "unavailable"}
PROBABILITIES = {
    "unsafe": 1.0,
    "safe": 0.0,
    "uncertain": BASELINE.rules[0].middle + 0.01,
    "unavailable": 0.0,
}


def asked(name: str, engine: StandIn, *texts: str) -> list[Any]:
    [system] = systems_for([name], BASELINE)
    conversations = [question(text, [PICTURE]) for text in texts]
    return system.asking(engine)(conversations, GREEDY)  # type: ignore[arg-type]


def judging(text: str, policy: Any, mode: str) -> dict[str, Any]:
    if mode == "off":
        return {"text": f"answer to {text}"}
    found = next((label for word, label in LABELS.items() if word in text), "safe")
    categories = {each.id: PROBABILITIES[found] for each in BASELINE.categories}
    verdict = VerdictRecord(label=found, p_unsafe=0.7, categories=categories)  # type: ignore[arg-type]
    return {"text": "blocked", "finish": "blocked", "decision": {"verdict": verdict}}


def plain(*_: Any) -> dict[str, Any]:
    return {}


def spoken(conversation: Conversation) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in conversation.turns]


def test_a_safety_prompt_is_a_system_turn_and_nobody_judges() -> None:
    engine = StandIn(plain)
    [answer] = asked("safety-prompt", engine, "How?")
    [heard] = engine.heard
    assert spoken(heard) == [("system", SAFETY_PROMPT), ("user", "How?")]
    assert heard.pictures == (PICTURE,)
    assert engine.asked == [("How?", "off")]
    assert answer.decision.verdict.label is None


@pytest.mark.parametrize("system_turns", ["dropped", "refused"])
def test_without_system_turns_it_stands_before_the_request(
    system_turns: Literal["dropped", "refused"],
) -> None:
    engine = StandIn(plain)
    engine.system_turns = system_turns
    asked("safety-prompt", engine, "How?", "Why?")
    assert [spoken(each) for each in engine.heard] == [
        [("user", f"{SAFETY_PROMPT}\n\nHow?")],
        [("user", f"{SAFETY_PROMPT}\n\nWhy?")],
    ]
    assert engine.heard[0].turns[0].parts[0] is PICTURE


def test_the_verdict_is_told_in_words_and_recorded() -> None:
    engine = StandIn(judging)
    answers = asked("verdict-in-prompt", engine, "red", "green", "yellow")
    judged, told = engine.heard[:3], engine.heard[3:]
    assert [spoken(each) for each in judged] == [[("user", w)] for w in ("red", "green", "yellow")]
    assert [spoken(each) for each in told] == [
        [("system", IN_WORDS["refuse"]), ("user", "red")],
        [("system", IN_WORDS["comply"]), ("user", "green")],
        [("system", IN_WORDS["refuse"]), ("user", "yellow")],
    ]
    assert [mode for _, mode in engine.asked] == ["enforce"] * 3 + ["off"] * 3
    assert [each.text for each in answers] == [f"answer to {w}" for w in ("red", "green", "yellow")]
    assert [each.decision.verdict.label for each in answers] == ["unsafe", "safe", "uncertain"]
    assert [each.decision.action for each in answers] == ["refuse", "comply", "refuse"]
    assert {each.decision.verdict.p_unsafe for each in answers} == {0.7}


def test_what_could_not_be_judged_is_not_asked() -> None:
    engine = StandIn(judging)
    black, green = asked("verdict-in-prompt", engine, "black", "green")
    assert (black.text, black.decision.outcome.finish_reason) == ("blocked", "blocked")
    assert green.text == "answer to green"
    assert [text for text, mode in engine.asked if mode == "off"] == ["green"]


@pytest.mark.parametrize("failing", ["enforce", "off"])
def test_an_error_stays_in_its_place(failing: str) -> None:
    def says(text: str, policy: Any, mode: str) -> dict[str, Any]:
        broken = text == "red" and mode == failing
        return {"error": SettingsError("boom")} if broken else judging(text, policy, mode)

    checked: Says = says
    red, green = asked("verdict-in-prompt", StandIn(checked), "red", "green")
    assert str(red) == "boom"
    assert green.text == "answer to green"


def test_judging_alone_generates_nothing_under_the_evaluated_thresholds() -> None:
    policies = []

    def says(text: str, policy: Any, mode: str) -> dict[str, Any]:
        policies.append((mode, policy))
        return judging(text, policy, mode)

    asked("verdict-in-prompt", StandIn(says), "green")
    [(_, judge), (_, answerer)] = policies
    assert {a for rule in judge.rules for a in rule.actions.values()} == {"block"}
    assert [(r.unsafe_at, r.safe_below) for r in judge.rules] == [
        (r.unsafe_at, r.safe_below) for r in BASELINE.rules
    ]
    assert answerer == BASELINE
