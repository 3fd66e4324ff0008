"""What a server's tokens spell, how they are told, and what is known of them while more come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

import httpx
import pytest

from guardrail.backends.server import ServerClient, dialect
from guardrail.backends.server.candidates import Candidates, Named, told_of, whole
from guardrail.backends.server.dialect import Dialect, dialects
from guardrail.backends.server.dialects.vllm import VLLM
from guardrail.backends.server.seen_tokens import FILLERS, SeenTokens
from guardrail.backends.server.spelling import Spelling
from guardrail.errors import ServerError
from guardrail.steering.refusals import RefusalIndex

PIECES = {1: "|", 2: " Yes", 3: " no", 4: "a|b", 5: "</s>", 6: "\ufffd", 7: "\ufffd", 8: "."}
"""A tokenizer that puts a space before a text, as SentencePiece does; 6 and 7 are half an é."""


class Tokenizer(httpx.BaseTransport):
    """Answers `/tokenize` and `/detokenize` as vLLM does."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read())
        self.asked.append(request.url.path)
        if request.url.path == "/tokenize":
            found = {"x|": [9, 1], "Yes": [2], "Yes no": [2, 3]}.get(body["prompt"])
            return httpx.Response(200, json={"tokens": found} if found else {"tokens": []})
        text = "".join(PIECES[each] for each in body["tokens"]).replace("\ufffd\ufffd", "é")
        return httpx.Response(200, json={"prompt": text})


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer()


@pytest.fixture
def spelling(tokenizer: Tokenizer) -> Spelling:
    client = ServerClient("http://m.test/v1", transport=tokenizer)
    return Spelling(client, "m", VLLM)


def test_tokens_told_by_number_are_written_out_once(
    spelling: Spelling, tokenizer: Tokenizer
) -> None:
    ids = [2, 3, 4, 5, 2]
    numbers = spelling.numbers([Named(None, each) for each in ids])
    assert [spelling.tokens[each] for each in numbers] == [b" Yes", b" no", b"a|b", None, b" Yes"]
    assert spelling.tokens.is_control(numbers[3])
    count = len(tokenizer.asked)
    assert spelling.numbers([Named(None, each) for each in ids]) == numbers
    assert len(tokenizer.asked) == count


def test_the_space_that_a_tokenizer_puts_before_a_text_is_none_of_it(spelling: Spelling) -> None:
    numbers = spelling.tokens_of("Yes no")
    assert spelling.text(numbers) == "Yes no"
    assert spelling.text(numbers[1:]) == "no"


def test_half_a_character_is_incomplete_and_both_halves_are_whole(spelling: Spelling) -> None:
    first, second, stop = spelling.numbers([Named(None, each) for each in (6, 7, 5)])
    assert spelling.tokens.fragments == {first, second}
    assert spelling.text([first]) == "\ufffd"
    assert spelling.text([first, second, stop]) == "é"


def test_a_server_that_does_not_say_what_its_numbers_spell_is_an_error() -> None:
    client = ServerClient("http://m.test/v1", transport=Tokenizer())
    silent = Spelling(client, "m", Dialect("silent"))
    with pytest.raises(ServerError, match="not what they spell"):
        silent.numbers([Named(None, 2)])


def test_texts_that_come_once_take_no_room_for_good() -> None:
    tokens = SeenTokens()
    numbers = [tokens.once(f"{at}".encode()) for at in range(3)]
    assert tokens.text(numbers) == b"012"
    assert len(tokens) == FILLERS
    assert not tokens.is_control(numbers[0])
    assert [tokens.server_id(each) for each in numbers] == [None] * 3


def told(*entries: Mapping[str, Any]) -> Any:
    return {"choices": [{"logprobs": {"content": list(entries)}}]}


def entry(token: int, text: bytes, top: bytes) -> dict[str, Any]:
    ranked = [{"id": token, "token": "", "bytes": [*top], "logprob": -0.1}]
    return {"id": token, "token": "", "bytes": [*text], "logprob": -0.1, "top_logprobs": ranked}


def test_what_is_told_of_a_character_of_several_tokens_is_left_out() -> None:
    answer = told(entry(1, b"a", b"a"), entry(2, "é".encode(), b"\xa9"), entry(3, b"b", b"b"))
    assert len(whole(told_of(answer))) == 1
    with pytest.raises(ServerError, match="within a character"):
        whole(told_of(told(entry(2, "é".encode(), b"\xa9"))))


def test_what_a_noised_branch_does_not_show_is_as_likely_as_it_can_be() -> None:
    real, noised = Candidates({2000: -0.1, 2001: -3.0}, 2), Candidates({2000: -0.5, 2002: -2.0}, 2)
    row = noised.row(2003, real=real)
    assert row[2000] == pytest.approx(-0.5)
    assert row[2001] == pytest.approx(-2.0)  # no more than the least that is shown
    assert real.shown == pytest.approx(0.9546, abs=1e-3)


def test_a_vocabulary_that_grows_is_looked_at_again() -> None:
    vocabulary: list[bytes | None] = [b"x"]
    index = RefusalIndex(["Sorry"], vocabulary)
    assert not index.beginnings(b"")
    vocabulary += [b"Sorry", b"So", None]
    found = index.beginnings(b"")
    assert found.all.tolist() == [1, 2]
    assert found.within(2).all.tolist() == [1]
    assert found.within(4) is found


@pytest.mark.parametrize(
    ("value", "message"),
    [("guardrail.errors:ServerError", "no Dialect"), ("nowhere.at:all", "cannot be loaded")],
)
def test_a_dialect_that_is_none_is_an_error(
    value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [EntryPoint("odd", value, dialect.GROUP)]
    monkeypatch.setattr(dialect, "entry_points", lambda group: found)
    with pytest.raises(ServerError, match=message):
        dialects()


def test_dialects_are_found_by_entry_point() -> None:
    assert [each.name for each in dialects()] == ["llama.cpp", "ollama", "sglang", "vllm"]
    assert {each.name: each.source for each in dialects()}["vllm"] == "run"
