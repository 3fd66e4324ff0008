"""All systems on the shipped model: two pairs, one run, one verdict, and each in its own way."""

from collections.abc import Mapping

import pytest

from guardrail import SafeCoDe
from guardrail.evaluation import Dataset, Record, Results, load_dataset, run, systems_for
from guardrail.evaluation.systems.beginning import AGREEING
from guardrail.policy import load_policy
from guardrail.policy.refusals import is_refusal
from guardrail.request.settings import GenerationSettings

POLICY = load_policy("baseline")
NAMES = ["all", "constant-bias:0", "constant-bias:100"]
Answers = Mapping[str, Mapping[str, Record]]


@pytest.fixture(scope="module")
def answers() -> Answers:
    """By system and sample."""
    scenes = load_dataset("scenes")
    pairs = [each for each in scenes if each.side in ("safe", "unsafe")]
    dataset = Dataset(scenes.name, tuple(pairs)).limited(2, seed=0)
    systems = systems_for(NAMES, POLICY)
    results = Results({})
    settings = GenerationSettings(max_new_tokens=20, temperature=0)
    run(SafeCoDe.embedded(), dataset, systems, results, settings=settings)
    found = {
        system.name: {
            each.id: record
            for each in dataset
            if (record := results.get(system.name, each.id)) is not None
        }
        for system in systems
    }
    assert {len(each) for each in found.values()} == {4}
    return found


def refused(record: Record) -> bool:
    return record.finish == "blocked" or is_refusal(record.answer, POLICY.phrases)


def test_all_that_judge_read_one_verdict(answers: Answers) -> None:
    silent = {"unguarded", "safety-prompt", *(n for n in answers if n.startswith("constant-bias"))}
    for name, records in answers.items():
        for sample, record in records.items():
            if name in silent:
                assert (record.label, record.p_unsafe) == (None, None)
            else:
                assert record.p_unsafe == answers["guarded"][sample].p_unsafe
                assert record.label in ("safe", "uncertain", "unsafe")
    assert {each.label for each in answers["guarded"].values()} >= {"safe", "unsafe"}


def test_every_answer_has_its_cost(answers: Answers) -> None:
    assert all(each.seconds > 0 for records in answers.values() for each in records.values())


def test_verdict_then_block_blocks_or_is_the_model_itself(answers: Answers) -> None:
    for sample, record in answers["verdict-then-block"].items():
        if record.action == "block":
            assert (record.finish, record.tokens) == ("blocked", ())
        else:
            assert record.tokens == answers["unguarded"][sample].tokens


def test_block_and_suppress_answers_what_is_safe(answers: Answers) -> None:
    for record in answers["block-and-suppress"].values():
        assert record.action in ("comply", "block")
        assert refused(record) is (record.action == "block")


def test_a_forced_beginning_is_said(answers: Answers) -> None:
    begun = {"comply": AGREEING, "refuse": "I'm sorry"}
    for record in answers["forced-beginning"].values():
        assert record.answer.startswith(begun[record.action])


def test_no_bias_is_the_model_itself_and_a_large_one_refuses_nothing(answers: Answers) -> None:
    for sample, record in answers["constant-bias:0"].items():
        assert record.tokens == answers["unguarded"][sample].tokens
    assert not any(map(refused, answers["constant-bias:100"].values()))
    assert any(map(refused, answers["unguarded"].values()))


def test_what_is_said_in_the_prompt_is_heard(answers: Answers) -> None:
    for name in ("safety-prompt", "verdict-in-prompt"):
        assert {each.finish for each in answers[name].values()} <= {"stop", "length"}
    told = {sample: each.action for sample, each in answers["verdict-in-prompt"].items()}
    assert set(told.values()) == {"comply", "refuse"}
    assert told == {sample: each.action for sample, each in answers["forced-beginning"].items()}


def test_the_published_code_forces_the_first_words_of_an_excuse(answers: Answers) -> None:
    """What follows them is the model's own: "I am not" may go on with anything."""
    excuses = ("I'm sorry", "I am sorry", "I apologize", "I cannot", "I'm unable", "I am not")
    refusing = [each for each in answers["published-code"].values() if each.action == "refuse"]
    assert refusing
    for record in refusing:
        assert record.answer.startswith(excuses)
