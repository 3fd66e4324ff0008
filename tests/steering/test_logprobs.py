"""Log-probabilities of a guarded answer: what is listed, what is not, and in which piece."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from guardrail import Policy, SafeCoDe, load_policy
from guardrail.backends.likelihood import likelihoods
from guardrail.errors import SettingsError
from guardrail.request.answer_form import AnswerForm
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from tests.families import build, picture

TOLD = GenerationSettings(max_new_tokens=8, do_sample=False, logprobs=True, top_logprobs=2)


def engine(p: float, **changes: dict[str, Any]) -> SafeCoDe:
    model, processor = build("llava")
    base = load_policy("baseline")
    changes = {"modulation": {}, **changes}
    changes["modulation"] = {"ensure_refusal": False, **changes["modulation"]}
    sections = {
        name: {**getattr(base, name).model_dump(), **change} for name, change in changes.items()
    }
    policy: Policy = base.model_copy(update=sections)
    return SafeCoDe(model=model, processor=processor, policy=policy, judge=lambda request: p)


def asked() -> Conversation:
    return question("How do I climb here?", [Picture(picture(1), "digest")])


def listed(answer: Any) -> str:
    """What the tokens spell that are listed."""
    return b"".join(bytes(each.bytes or ()) for each in answer.logprobs).decode(errors="replace")


def test_nothing_is_told_unasked() -> None:
    *deltas, answer = engine(0.02).stream(asked(), replace(TOLD, logprobs=False, top_logprobs=0))
    assert answer.logprobs is None  # type: ignore[union-attr]
    assert all(each.logprobs == () for each in deltas)


@pytest.mark.parametrize("p", [0.02, 0.4, 0.99])
def test_a_stream_tells_piece_by_piece_what_the_answer_tells(p: float) -> None:
    *deltas, answer = engine(p).stream(asked(), TOLD)
    told = [token for each in deltas if isinstance(each, Delta) for token in each.logprobs]
    assert told == list(answer.logprobs)  # type: ignore[union-attr, arg-type]
    assert len(told) == 8
    assert listed(answer) == answer.text  # type: ignore[union-attr]


def test_the_record_of_a_guided_step_has_the_same_probability() -> None:
    answer = engine(0.99, contrast={"when": "always"}).answer(asked(), TOLD)
    assert answer.logprobs is not None
    assert len(answer.decision.steps) == 5
    for step, told in zip(answer.decision.steps, answer.logprobs, strict=False):
        [guarded, *_] = [each.guarded for each in step.top if each.token == step.token]
        assert math.exp(told.logprob) == pytest.approx(guarded, abs=1e-5)


def test_in_shadow_they_are_those_of_the_answer_as_it_is() -> None:
    guarded = engine(0.99, contrast={"when": "always"}, modulation={"boost": 9.0})
    off, shadow, enforced = (
        guarded.answer(asked(), TOLD, mode=mode) for mode in ("off", "shadow", "enforce")
    )
    assert shadow.logprobs
    assert off.logprobs
    assert enforced.logprobs
    for one, other in zip(shadow.logprobs, off.logprobs, strict=True):
        assert one.token == other.token
        assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
    assert enforced.logprobs[0].logprob != pytest.approx(off.logprobs[0].logprob, abs=1e-2)


def test_they_are_told_before_temperature_and_what_it_cuts() -> None:
    hot = replace(TOLD, do_sample=None, temperature=5.0, top_k=1, seed=1)
    guarded = engine(0.02)
    greedy, drawn = (guarded.answer(asked(), each, mode="off") for each in (TOLD, hot))
    assert drawn.logprobs == greedy.logprobs
    assert all(len(each.top_logprobs) == 2 for each in drawn.logprobs or ())


def test_an_openings_words_are_not_listed_since_nobody_chose_them() -> None:
    words = {"form": "opening", "openings": {"comply": "Sure, here", "refuse": "No."}}
    guarded = engine(0.02, modulation=words)
    answer = guarded.answer(asked(), TOLD)
    assert answer.text.startswith("Sure, here")
    assert answer.logprobs is not None
    begun = guarded.backend.tokens("Sure, here")
    assert len(answer.logprobs) == 8 - len(begun) > 0
    assert listed(answer) == answer.text.removeprefix("Sure, here")
    shadow = guarded.answer(asked(), TOLD, mode="shadow")
    assert len(shadow.logprobs or ()) == 8


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": {"on_unsafe": "block"}},
        {"modulation": {"boost": 0.0, "ensure_refusal": True}},  # random weights do not refuse
    ],
)
def test_the_policys_words_have_none(changes: dict[str, Any]) -> None:
    *deltas, answer = engine(0.99, **changes).stream(asked(), TOLD)
    assert answer.text.startswith("I can't help with that here")  # type: ignore[union-attr]
    assert answer.logprobs == ()  # type: ignore[union-attr]
    assert all(each.logprobs == () for each in deltas)


def test_what_a_stop_string_cuts_off_is_not_listed() -> None:
    guarded = engine(0.4)
    whole = guarded.answer(asked(), TOLD)
    stop = whole.text[len(whole.text) // 2 :][:3]
    *deltas, answer = guarded.stream(asked(), replace(TOLD, stop=(stop,)))
    assert answer.text == whole.text[: whole.text.index(stop)]  # type: ignore[union-attr]
    told = answer.logprobs  # type: ignore[union-attr]
    assert told == (whole.logprobs or ())[: len(told)]
    assert len(answer.text) <= len(listed(answer)) < len(answer.text) + 3 + 16  # type: ignore[union-attr]
    assert [token for each in deltas for token in each.logprobs] == list(told)
    before_last = b"".join(bytes(each.bytes or ()) for each in told[:-1]).decode(errors="replace")
    assert len(before_last) < len(answer.text)  # type: ignore[union-attr]


def test_only_what_a_form_allows_is_among_the_likeliest() -> None:
    pytest.importorskip("llguidance")
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    held = replace(asked(), form=AnswerForm(schema={**schema, "additionalProperties": False}))
    settings = replace(TOLD, max_new_tokens=40, top_logprobs=20)
    answer = engine(0.02).answer(held, settings)
    assert isinstance(json.loads(answer.text)["a"], bool)
    assert answer.logprobs is not None
    for told in answer.logprobs:
        assert told.token in [each.token for each in told.top_logprobs]
        total = sum(math.exp(each.logprob) for each in told.top_logprobs)
        assert total == pytest.approx(1.0, abs=1e-3) or len(told.top_logprobs) == 20
    assert any(len(told.top_logprobs) < 20 for told in answer.logprobs)


@pytest.mark.parametrize("array", [torch.tensor, np.array])
def test_numbers_are_finite_and_what_cannot_come_is_left_out(array: Any) -> None:
    rows = array([[0.0, 0.0, -math.inf, -1e30], [5.0, 5.0, 5.0, 5.0]])
    one, other = likelihoods(rows, [3, 0], 4)
    assert one.log_p == -9999.0
    assert sorted(token for token, _ in one.likeliest) == [0, 1]
    assert [log_p for _, log_p in one.likeliest] == pytest.approx([math.log(0.5)] * 2)
    assert other.log_p == pytest.approx(math.log(0.25))
    [certain] = likelihoods(array([[9.0, -math.inf]]), [0], 0)
    assert (certain.log_p, certain.likeliest) == (0.0, ())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"top_logprobs": 3}, "set logprobs=True"),
        ({"logprobs": 3}, "logprobs is 3, expected True or False"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs is -1"),
        ({"logprobs": True, "top_logprobs": True}, "top_logprobs is True"),
    ],
)
def test_settings_that_contradict_each_other_are_an_error(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        GenerationSettings(**given)
