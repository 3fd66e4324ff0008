"""Questions about an answer under way: read as a full forward would, and the answer goes on."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from guardrail.backends import Interrupted, Questions, Run
from guardrail.backends.transformers.labels import read_labels
from guardrail.errors import JudgeError, MessageError
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings
from tests.contract.full_forward import full_logits
from tests.contract.guarded import BY_KIND, LONGER, WORDS, ask, engine

ASKED = ("Does this answer help to set fire?", "Does it help with anything else? Yes or no?")
QUESTIONS = Questions(ASKED)
SAID = [70, 81, 75, 300, 40]
SETTINGS = GenerationSettings(max_new_tokens=8, temperature=0)


def begun(family: str, *asked: Conversation, tokens: int, pending: bool) -> Run:
    """A run of which so many tokens were taken, the last one perhaps not run yet."""
    run = engine(family).backend.start(asked, SETTINGS)
    run.prefill(lambda _: nullcontext())
    run.begin([None] * len(asked), seed=None)
    for at, token in enumerate(SAID[:tokens]):
        run.take([token] * len(asked))
        if at + 1 < tokens or not pending:
            run.advance(noised=False)
    return run


@pytest.mark.parametrize("pending", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("family", BY_KIND)
def test_an_answer_is_read_as_full_forwards_would(family: str, pending: bool) -> None:
    made, asked = engine(family), ask(family, LONGER)
    backend = made.backend
    said = backend.decode(SAID[:3])
    run = begun(family, asked, tokens=3, pending=pending)
    [found] = run.read_answers([0], [said], QUESTIONS).rows
    assert not isinstance(found, Exception), found

    suffixes = backend.encoder.answer_suffixes(asked, ASKED)
    if suffixes is None or run._prepared.embeds_prompt:
        expected = backend.p_yes([asked.answered(said).ask(each) for each in ASKED])
    else:
        inputs = backend.encoder.encode([asked])
        tokens = [torch.tensor([*SAID[:3], *suffix]) for suffix in suffixes]
        logits = torch.stack([full_logits(made.model, inputs, each)[-1] for each in tokens])
        expected = read_labels(logits, backend.labels())
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("family", BY_KIND)
def test_reading_leaves_the_answers_as_they_were(family: str) -> None:
    asked = [ask(family, WORDS), ask(family, LONGER)]
    if len(engine(family).backend.groups(asked)) > 1:
        asked = asked[:1]
    rows = range(len(asked))
    read, unread = (begun(family, *asked, tokens=2, pending=True) for _ in range(2))
    together = read.read_answers(rows, ["So"] * len(asked), QUESTIONS).rows
    apart = [read.read_answers([row], ["So"], QUESTIONS).rows[0] for row in rows]
    for one, other in zip(together, apart, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    for run in (read, unread):
        run.advance(noised=False)
    torch.testing.assert_close(read.logits()[0], unread.logits()[0], atol=0, rtol=0)


@pytest.mark.parametrize("family", BY_KIND)
def test_answers_that_the_first_question_clears_are_asked_no_more(family: str) -> None:
    asked = [ask(family, WORDS), ask(family, LONGER)]
    if len(engine(family).backend.groups(asked)) > 1:
        asked = asked[:1]
    run, said = begun(family, *asked, tokens=2, pending=True), ["So"] * len(asked)
    whole = run.read_answers(range(len(asked)), said, QUESTIONS).rows
    assert not any(isinstance(each, Exception) for each in whole)
    first = [each[0] for each in whole if not isinstance(each, Exception)]
    staged = Questions(ASKED[:1], ASKED[1:], lambda p: p[0] < max(first) - 1e-6)
    found = run.read_answers(range(len(asked)), said, staged).rows
    for one, other, p in zip(found, whole, first, strict=True):
        assert not isinstance(one, Exception)
        assert not isinstance(other, Exception)
        assert one == pytest.approx(other[: 2 if p == max(first) else 1], abs=1e-4)


def test_a_reading_that_is_stopped_is_no_failure_of_the_judge() -> None:
    stopped: list[bool] = []
    asked = ask("llava", WORDS)
    run = engine("llava").backend.start([asked], SETTINGS, stop=lambda: bool(stopped))
    run.prefill(lambda _: nullcontext())
    run.begin([None], seed=None)
    run.take([SAID[0]])
    run.advance(noised=False)
    stopped.append(True)
    with pytest.raises(Interrupted):
        run.read_answers([0], ["So"], QUESTIONS)


def test_each_answer_has_the_context_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    short, long = ask("llava", WORDS), ask("llava", f"{LONGER} {LONGER} {LONGER}")
    made = engine("llava")
    lengths = [made.count_tokens(each) for each in (short, long)]
    longest = max(map(len, made.backend.encoder.answer_suffixes(short, ASKED) or ()))
    monkeypatch.setattr(made.backend, "_context", lengths[1] + 4)
    assert lengths[0] + 3 + longest <= lengths[1] + 4, "else the test shows nothing"
    run = begun("llava", short, long, tokens=3, pending=True)
    first, second = run.read_answers([0, 1], ["So", "So"], QUESTIONS).rows
    assert not isinstance(first, Exception)
    assert isinstance(second, JudgeError)


def test_one_that_cannot_be_read_is_its_own_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ask("llava", WORDS), ask("llava", LONGER)
    encoder = engine("llava").backend.encoder
    suffixes = encoder.answer_suffixes

    def refusing(conversation: Conversation, questions: Sequence[str]) -> Any:
        if conversation is first:
            raise MessageError("this template takes no answer here")
        return suffixes(conversation, questions)

    monkeypatch.setattr(encoder, "answer_suffixes", refusing)
    run = begun("llava", first, second, tokens=2, pending=False)
    one, other = run.read_answers([0, 1], ["So", "So"], QUESTIONS).rows
    assert isinstance(one, MessageError)
    assert not isinstance(other, Exception)
