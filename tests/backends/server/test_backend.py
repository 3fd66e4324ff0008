"""A model behind a server is guarded as it is in this process: same verdicts, same tokens."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from guardrail import Policy, SafeCoDe, load_policy
from guardrail.backends.server import ServerBackend, ServerClient
from guardrail.backends.server.dialect import Dialect
from guardrail.backends.server.dialects.vllm import VLLM
from guardrail.judging.judge import JudgeRequest
from guardrail.policy.terms import Action
from guardrail.record.answer import Answer
from guardrail.request.conversation import Conversation, question
from guardrail.request.delta import Delta
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings
from tests.backends.server.openai_server import OpenAIServer

GREEDY = GenerationSettings(max_new_tokens=12, temperature=0)
PICTURES = Path(__file__).parents[3] / "examples" / "pictures"
ASKED = (
    ("cliff-edge", "How do I run faster here?"),
    ("kitchen-knife-bread", "How do I cut this?"),
    ("garden-balloon", "How do I blow this up?"),
    ("beer-and-car", "Describe this picture."),
)
P: dict[Action, float] = {"comply": 0.01, "plain": 0.5, "refuse": 0.99}


def policy() -> Policy:
    """One that trusts its judge, leaves what is uncertain, and contrasts with a grey picture."""
    base = load_policy("baseline")
    changes = {
        "judge": base.judge.model_copy(update={"competence": {"evidence": "none"}}),
        "verdict": base.verdict.model_copy(update={"on_uncertain": "plain"}),
        "contrast": base.contrast.model_copy(update={"when": "always", "counterfactual": "grey"}),
    }
    found: Policy = base.model_copy(update=changes)
    return found


@cache
def local() -> SafeCoDe:
    return SafeCoDe.embedded(policy=policy())


@cache
def server() -> OpenAIServer:
    return OpenAIServer(local().backend)  # type: ignore[arg-type]


def backend(dialect: Dialect | None = None) -> ServerBackend:
    client = ServerClient("http://model.test/v1", transport=server())
    return ServerBackend(client, dialect=dialect)


def ask(at: int) -> Conversation:
    name, text = ASKED[at]
    return question(text, [load_picture(PICTURES / f"{name}.png")])


def of_p(p: float) -> object:
    def judge(request: JudgeRequest) -> float:
        return p

    return judge


@pytest.mark.parametrize("at", range(len(ASKED)))
def test_the_verdict_is_that_of_the_model_in_this_process(at: int) -> None:
    served = SafeCoDe(backend=backend(), policy=policy())
    here, there = (each.answer(ask(at), GREEDY) for each in (local(), served))
    assert there.decision.action == here.decision.action
    assert there.decision.verdict.categories == pytest.approx(
        here.decision.verdict.categories, abs=1e-3
    )
    assert there.decision.errors == []


@pytest.mark.parametrize("action", P)
@pytest.mark.parametrize("at", range(3))
def test_greedy_tokens_are_those_of_the_model_in_this_process(at: int, action: Action) -> None:
    engines = [
        SafeCoDe(backend=each, policy=policy(), judge=of_p(P[action]))  # type: ignore[arg-type]
        for each in (local().backend, backend())
    ]
    here, there = (each.answer(ask(at), GREEDY) for each in engines)
    assert there.decision.action == action
    assert there.text == here.text
    spelled = [[each.token for each in answer.decision.steps] for answer in (here, there)]
    assert spelled[0] == spelled[1]
    assert there.decision.contrast.applied
    for one, other in zip(here.decision.steps, there.decision.steps, strict=True):
        assert one.refusal_mass_before - 0.02 <= other.refusal_mass_before <= 1


@pytest.mark.parametrize(
    ("revealed", "alike"),
    [({"names_tokens": True}, True), ({"most_revealed": 10_000}, True), ({}, False)],
)
def test_refusals_that_are_not_among_the_likeliest_tokens_are_looked_for(
    revealed: dict[str, Any], alike: bool
) -> None:
    drink = question("Which is bigger?", [load_picture(PICTURES / "beer-and-car.png")])
    few = replace(VLLM, most_logprobs=5, names_tokens=False)
    here, there = (
        SafeCoDe(backend=each, policy=policy(), judge=of_p(P["refuse"])).answer(drink, GREEDY)  # type: ignore[arg-type]
        for each in (local().backend, backend(replace(few, **revealed)))
    )
    spelled = [[each.token for each in answer.decision.steps] for answer in (here, there)]
    assert (spelled[0] == spelled[1]) is alike


@pytest.mark.parametrize(("kind", "shown"), [("noise", "photo-noise"), ("mean", "mean")])
def test_the_record_says_which_pictures_it_was_contrasted_with(kind: str, shown: str) -> None:
    base = policy()
    contrast = base.contrast.model_copy(update={"counterfactual": kind})
    changed: Policy = base.model_copy(update={"contrast": contrast})
    found = SafeCoDe(backend=backend(), policy=changed).answer(ask(1), GREEDY).decision.contrast
    assert (found.applied, found.counterfactual) == (True, shown)


def test_requests_that_run_together_are_answered_as_alone() -> None:
    served = SafeCoDe(backend=backend(), policy=policy())
    alone = [served.answer(ask(at), GREEDY).text for at in range(3)]
    assert [each.text for each in served.batch([ask(at) for at in range(3)], GREEDY)] == alone


def test_a_stream_is_the_answer_in_pieces() -> None:
    served = SafeCoDe(backend=backend(), policy=policy())
    *deltas, answer = served.stream(ask(1), GREEDY)
    assert isinstance(answer, Answer)
    assert "".join(each.text for each in deltas if isinstance(each, Delta)) == answer.text
    assert answer.decision.outcome.output_tokens == 12
    assert answer.decision.outcome.finish_reason == "length"


def test_sampling_with_a_seed_gives_the_same_guided_tokens_twice() -> None:
    served = SafeCoDe(backend=backend(), policy=policy())
    sampled = GenerationSettings(max_new_tokens=5, temperature=0.9, top_p=0.9, seed=3)
    first, second = (served.answer(ask(3), sampled).text for _ in range(2))
    assert first == second


def test_prompt_tokens_are_counted_as_the_server_counts_them() -> None:
    served = SafeCoDe(backend=backend(), policy=policy())
    assert served.answer(ask(0), GREEDY).usage == local().answer(ask(0), GREEDY).usage
    assert served.count_tokens(ask(0)) == local().count_tokens(ask(0))


def test_unguarded_one_request_is_all_that_is_made() -> None:
    served = SafeCoDe(backend=backend(), policy=policy())
    before = len(server().requests)
    found = served.answer(ask(0), GREEDY, mode="off")
    assert len(server().requests) == before + 1
    assert found.usage == local().answer(ask(0), GREEDY, mode="off").usage
    assert found.text == local().answer(ask(0), GREEDY, mode="off").text


def test_neither_torch_nor_transformers_is_loaded() -> None:
    code = (
        "import sys\n"
        "from guardrail import SafeCoDe\n"
        "from guardrail.errors import ServerError\n"
        "try:\n"
        "    SafeCoDe.from_server('http://127.0.0.1:9/v1', model='m')\n"
        "except ServerError as error:\n"
        "    assert 'cannot be reached' in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
        "loaded = {'torch', 'transformers', 'langchain_core'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
