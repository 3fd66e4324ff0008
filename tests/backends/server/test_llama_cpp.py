"""A real llama.cpp server beside the same checkpoint in this process: verdicts and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image

pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")

from guardrail import SafeCoDe
from guardrail.backends.server import ServerBackend, ServerClient
from guardrail.policy.terms import Action
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.settings import GenerationSettings
from tests.backends.server.alike import answered_alike, told_alike
from tests.backends.server.llama_cpp import SIDE, llama_server, make
from tests.backends.server.test_backend import P, policy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

GREEDY = GenerationSettings(max_new_tokens=12, temperature=0)
REQUESTS = 50


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SafeCoDe, ServerBackend]]:
    """The model in this process, and behind a server."""
    folder = tmp_path_factory.mktemp("llama")
    checkpoint = make(folder)
    with llama_server(folder) as url:
        local = SafeCoDe.from_pretrained(checkpoint, policy=policy())
        yield local, ServerBackend(ServerClient(url))


def asked(count: int) -> list[Conversation]:
    """Requests about pictures of one colour each, of the size that the model sees."""
    return [
        question(
            f"Question {at}: what is to be seen?",
            [Picture(Image.new("RGB", (SIDE, SIDE), (5 * at, 250 - 5 * at, at)), f"{at}")],
        )
        for at in range(count)
    ]


def test_what_it_can_do_is_found_out(sides: tuple[SafeCoDe, ServerBackend]) -> None:
    found = sides[1].capabilities
    assert (found.dialect.name, found.shows, found.degraded) == ("llama.cpp", 100, ())


@pytest.mark.parametrize("action", P)
def test_greedy_tokens_are_those_of_the_model_in_this_process(
    sides: tuple[SafeCoDe, ServerBackend], action: Action
) -> None:
    answered_alike(*sides, action, asked(REQUESTS), GREEDY)


def test_log_probabilities_are_those_of_the_model_in_this_process(
    sides: tuple[SafeCoDe, ServerBackend],
) -> None:
    told_alike(*sides, asked(10), replace(GREEDY, logprobs=True, top_logprobs=4))
