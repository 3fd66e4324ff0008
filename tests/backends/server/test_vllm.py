"""A real vLLM server beside the same checkpoint in this process: verdicts and tokens.

Slow, and run by hand: `GUARDRAIL_VLLM=/path/to/vllm pytest -m slow tests/backends/server`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from guardrail import SafeCoDe
from guardrail.backends.server import ServerBackend, ServerClient
from guardrail.evaluation.datasets.catalogue import load_dataset
from guardrail.policy.terms import Action
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings
from tests.backends.server.alike import answered_alike, told_alike
from tests.backends.server.served import make_llava, make_qwen, vllm_server
from tests.backends.server.test_backend import P, policy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

GREEDY = GenerationSettings(max_new_tokens=24, temperature=0)
MAKE = {"llava": make_llava, "qwen2_5_vl": make_qwen}
REQUESTS, VERDICTS = 50, 20
SIDE = 224


@pytest.fixture(scope="module", params=MAKE)
def sides(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SafeCoDe, ServerBackend]]:
    """The model in this process, and behind a server."""
    folder = MAKE[request.param](tmp_path_factory.mktemp(request.param))
    with vllm_server(folder) as url:
        local = SafeCoDe.from_pretrained(folder, policy=policy())
        yield local, ServerBackend(ServerClient(url))


def asked(count: int) -> list[Conversation]:
    """Requests of the held-out scenes, their pictures at the size at which both models see them.

    Resizing is left out since libraries do it differently, by a bit of a pixel.
    """
    samples = [each for each in load_dataset("scenes").samples if each.side in ("safe", "unsafe")]
    chosen = samples[:: len(samples) // count][:count]
    return [question(each.question, [_resized(load_picture(each.picture))]) for each in chosen]


def _resized(picture: Picture) -> Picture:
    return Picture(picture.image.resize((SIDE, SIDE)), picture.digest)


@pytest.mark.parametrize("action", P)
def test_greedy_tokens_are_those_of_the_model_in_this_process(
    sides: tuple[SafeCoDe, ServerBackend], action: Action
) -> None:
    for each in answered_alike(*sides, action, asked(REQUESTS), GREEDY):
        assert each.decision.contrast.applied
        assert each.decision.errors == []


def test_verdicts_are_those_of_the_model_in_this_process(
    sides: tuple[SafeCoDe, ServerBackend],
) -> None:
    there = SafeCoDe(backend=sides[1], policy=policy())
    apart = 0.0
    for conversation in asked(VERDICTS):
        one, other = (each.decide(conversation).decision.verdict for each in (sides[0], there))
        assert other.error is None
        apart = max(apart, *(abs(p - other.categories[each]) for each, p in one.categories.items()))
    print(f"\nprobabilities differ by at most {apart:.1e}")
    assert apart <= 1e-3


def test_log_probabilities_are_those_of_the_model_in_this_process(
    sides: tuple[SafeCoDe, ServerBackend],
) -> None:
    told_alike(*sides, asked(10), replace(GREEDY, logprobs=True, top_logprobs=4))
