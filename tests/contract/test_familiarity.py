"""What familiarity reads off a model is the same in every family, alone and in company."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from guardrail import SafeCoDe
from guardrail.backends import Run
from guardrail.judging.familiarity import first_tokens, surprisals
from guardrail.judging.reference_fit import fit_reference
from guardrail.policy.evaluation import UNEARNED
from guardrail.request.conversation import Conversation
from tests.contract.guarded import GREEDY, LONGER, WORDS, ask, engine, policy
from tests.families import FAMILIES

ABOVE = 0.3
"""Three requests make a reference's distribution, so that no p-value is below a quarter."""


def start(family: str, asked: list[Conversation]) -> Run:
    return engine(family).backend.start(asked, GREEDY)


def requests(family: str) -> list[Conversation]:
    return [
        ask(family, words, first=at)
        for at, words in enumerate((WORDS, LONGER, "Which?", "How?", "Why now?", "Who is it?"))
    ]


def own(family: str) -> Any:
    backend = engine(family).backend
    return lambda given, settings, stop: backend.start(given, settings, stop=stop)


@pytest.mark.parametrize("family", FAMILIES)
def test_surprisal_is_that_of_generate(family: str) -> None:
    made, asked = engine(family), ask(family)
    with torch.no_grad():
        found = made.model.generate(
            **made.backend.encoder.encode([asked]),  # type: ignore[attr-defined]
            **GREEDY.generate_arguments(),
            output_logits=True,
            return_dict_in_generate=True,
        )
    likely = torch.stack(found.logits, 1)[0].float().log_softmax(-1)  # (tokens, vocabulary)
    said = found.sequences[0, -len(likely) :]
    expected = -float(likely[torch.arange(len(said)), said].mean())
    assert surprisals(start(family, [asked])) == [pytest.approx(expected, abs=1e-3)]


@pytest.mark.parametrize("family", FAMILIES)
def test_first_tokens_are_the_same_alone_and_in_company(family: str) -> None:
    asked, ids = requests(family), [0, 3, 7]
    for group in engine(family).backend.groups(asked):
        run = start(family, [asked[at] for at in group])
        run.prefill(lambda _: nullcontext())
        together = first_tokens(run, ids)
        for at, row in zip(group, together, strict=True):
            single = start(family, [asked[at]])
            single.prefill(lambda _: nullcontext())
            assert first_tokens(single, ids)[0] == pytest.approx(row, abs=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_compliance_is_earned_by_a_reference_alone(family: str, tmp_path: Path) -> None:
    asked, backend = requests(family), engine(family).backend
    made = fit_reference(backend, [lambda: asked], {})
    (tmp_path / "reference").write_bytes(made.to_bytes())
    safe = {"unsafe_at": 1.0, "safe_below": 1.0}
    for named in (None, str(tmp_path / "reference")):
        competence = {"above": ABOVE, "reference": named}
        rules = policy({"judge": {"competence": competence, "timeout_s": 300.0}, "verdict": safe})
        decisions = [
            each.decision for each in SafeCoDe(backend=backend, policy=rules).batch(asked, GREEDY)
        ]
        assert [each.errors for each in decisions] == [[]] * len(asked)
        for each in decisions:
            earned = (each.verdict.competence or 0) > ABOVE
            assert (each.action, each.rule == UNEARNED) == (
                ("comply", False) if earned else ("plain", True)
            )
        assert any(each.action == "comply" for each in decisions) == (named is not None)
