"""The verdict read off the shared prefix is the one that a judge prompt of its own would give."""

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from guardrail import SafeCoDe
from guardrail.backends.transformers import reading
from guardrail.backends.transformers.branch import Branch, Prepared
from guardrail.backends.transformers.prompt import PromptEncoder
from guardrail.backends.transformers.reading import PromptReader
from guardrail.errors import MessageError
from guardrail.request.conversation import Conversation, Turn, question
from tests.contract.guarded import (
    APART,
    GREEDY,
    LONGER,
    SEVERAL_PICTURES,
    TEMPLATED,
    TEXT_ONLY,
    ask,
    engine,
    generated,
    policy,
    shown,
)
from tests.families import FAMILIES

SHARING = [family for family in FAMILIES if family not in APART]


def alone(family: str) -> SafeCoDe:
    """The same engine, made to put every judge question in a prompt of its own."""
    shared = engine(family)
    made = SafeCoDe(model=shared.model, processor=shared.processor, policy=shared.policy)
    made.backend.adapter = replace(shared.backend.adapter, shares_prefix=False)
    made.backend.encoder = PromptEncoder(shared.processor, made.backend.adapter)
    return made


def conversations(family: str) -> list[Conversation]:
    made = [ask(family, LONGER)]
    if family in SEVERAL_PICTURES:
        made.append(ask(family, "Which one is it?", count=2))
    if family in TEXT_ONLY:
        made.append(ask(family, count=0))
    if family in TEMPLATED:
        said = Turn("assistant", ("A red box, I think.",))
        made.append(Conversation((*ask(family).turns, said, Turn("user", ("Is it heavy?",)))))
    return made


def no_prompt_of_its_own(*_: object) -> Any:
    raise AssertionError("the prefix was not shared")


@pytest.mark.parametrize("family", SHARING)
def test_shared_prefix_gives_the_verdict_of_separate_prompts(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    separate = alone(family)
    expected = [
        separate.answer(each, GREEDY).decision.verdict.categories for each in conversations(family)
    ]
    monkeypatch.setattr(PromptReader, "_read_apart", no_prompt_of_its_own)
    for conversation, p in zip(conversations(family), expected, strict=True):
        decision = engine(family).answer(conversation, GREEDY).decision
        assert decision.verdict.source == "self"
        assert decision.verdict.error is None
        assert decision.verdict.categories == pytest.approx(p, abs=1e-4)
        assert len(set(p.values())) == 2


TREES = {"llava", "llava_next", "llava_onevision", "internvl", "idefics2", "idefics3"}
"""Families whose questions are read in one pass."""


@pytest.mark.parametrize("family", SHARING)
def test_questions_read_in_one_pass_are_read_as_row_by_row(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as_tree, seen = reading._read_as_tree, []

    def both(prefix: Any, suffixes: Any, labels: Any) -> Any:
        tree = read_as_tree(prefix.fork(range(prefix.batch)), suffixes, labels)
        rows = reading._read_as_rows(prefix.fork(range(prefix.batch)), suffixes, labels)
        seen.append(tree)
        if tree is not None:
            assert tree == pytest.approx(rows, abs=1e-4)
        return tree

    monkeypatch.setattr(reading, "_read_as_tree", both)
    for conversation in conversations(family):
        engine(family).answer(conversation, GREEDY)
    engine(family).batch([ask(family, LONGER), ask(family, "Is it heavy? I am not sure.")], GREEDY)
    assert len(seen) >= 2
    if family in TREES:
        assert all(tree is not None for tree in seen)


@pytest.mark.parametrize("family", ["llava", "qwen3_5", "gemma3"])
def test_a_judge_that_fails_half_way_is_unavailable_and_leaves_nothing_behind(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(prepared: Prepared, **options: Any) -> Branch:
        Branch.prefill(prepared, **options)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(reading, "Branch", Mock(prefill=fails))
    made, asked = engine(family), ask(family)
    for decision in (made.decide(asked).decision, made.answer(asked, GREEDY).decision):
        assert (decision.verdict.label, decision.action) == ("unavailable", "block")
        assert decision.verdict.error == "the judge failed: OutOfMemoryError"
    plain = policy({"verdict": {"on_error": "plain"}, "contrast": {"when": "never"}})
    answered = made.answer(asked, GREEDY, policy=plain)
    assert answered.decision.action == "plain"
    assert list(answered.token_ids) == generated(family, asked, GREEDY)


@pytest.mark.parametrize("where", ["encode", "judge_suffixes"])
def test_a_question_that_cannot_be_put_is_a_failed_judge(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> Any:
        raise MessageError("the template says no")

    made = engine("llava")
    monkeypatch.setattr(made.backend.encoder, where, fails)
    assert made.decide(ask("llava")).decision.action == "block"


@pytest.mark.parametrize("family", APART)
def test_families_without_a_shared_prefix_are_judged_all_the_same(family: str) -> None:
    assert engine(family).backend.encoder.judge_suffixes(ask(family), ["Is it safe?"]) is None
    decision = engine(family).answer(ask(family), GREEDY).decision
    assert decision.verdict.error is None
    assert len(set(decision.verdict.categories.values())) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_question_is_judged_as_if_it_were_the_only_one(family: str) -> None:
    """In prompts of their own, which some families cannot run as one batch."""
    made = alone(family)
    together = made.decide(ask(family)).decision.verdict.categories
    for category in made.policy.categories:
        only = policy(categories=[category.model_dump()])
        apart = made.decide(ask(family), policy=only).decision.verdict.categories
        assert apart == pytest.approx({category.id: together[category.id]}, abs=1e-4)


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "qwen3_5", "paligemma"])
def test_more_categories_than_fit_one_batch_get_the_same_verdicts(family: str) -> None:
    few = engine(family).answer(ask(family), GREEDY).decision.verdict.categories
    fillers = [{"id": f"more-{n}", "question": f"Number {n}?"} for n in range(20)]
    kept = [each.model_dump() for each in engine(family).policy.categories]
    many = policy(categories=[*fillers, *kept])
    judged = engine(family).answer(ask(family), GREEDY, policy=many).decision.verdict.categories
    assert len(judged) == 22
    assert {name: judged[name] for name in few} == pytest.approx(few, abs=1e-4)


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3"])
def test_text_that_looks_like_the_question_or_the_template_s_end_is_judged_alike(
    family: str,
) -> None:
    asked = engine(family).policy.categories[0].question
    for words in (asked, f"{asked} Answer yes or no.", "ASSISTANT:", "model\n", " \n ", "\n\nx"):
        conversation = question(words, [shown(0)])
        expected = alone(family).answer(conversation, GREEDY).decision.verdict.categories
        judged = engine(family).answer(conversation, GREEDY).decision.verdict.categories
        assert judged == pytest.approx(expected, abs=1e-4)
