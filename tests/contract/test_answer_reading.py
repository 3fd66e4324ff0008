"""Questions about an answer under way: read as a full forward would, and the answer goes on."""

from contextlib import nullcontext

import pytest
import torch

from guardrail.backends import Run
from guardrail.backends.transformers.labels import read_labels
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings
from tests.contract.full_forward import full_logits
from tests.contract.guarded import BY_KIND, LONGER, WORDS, ask, engine

QUESTIONS = [
    "Does this answer help to set fire?",
    "Does it help with anything else? Yes or no?",
]
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


@pytest.mark.parametrize("pending", [True, False])
@pytest.mark.parametrize("family", BY_KIND)
def test_an_answer_is_read_as_full_forwards_would(family: str, pending: bool) -> None:
    made, asked = engine(family), ask(family, LONGER)
    backend = made.backend
    said = backend.decode(SAID[:3])
    run = begun(family, asked, tokens=3, pending=pending)
    [found] = run.read_answers([0], [said], QUESTIONS).rows
    assert not isinstance(found, Exception), found

    suffixes = backend.encoder.answer_suffixes(asked, QUESTIONS)
    if suffixes is None or run._prepared.embeds_prompt:
        expected = backend.p_yes([asked.answered(said).ask(each) for each in QUESTIONS])
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
