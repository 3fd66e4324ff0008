"""Tokens go out with their text: cut characters, stop strings, runs of bytes and calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from guardrail.backends import Likelihood
from guardrail.judging.reply import Reply
from guardrail.request.call_reader import CallReader
from guardrail.request.delta import Delta
from guardrail.request.thinking import ThinkingReader
from guardrail.steering.answer_reader import AnswerReader
from guardrail.steering.listed_tokens import ListedTokens, TokenNames
from guardrail.steering.text_stream import TextStream
from tests.request.test_call_reader import CALL, HERMES, LLAMA

PIECES: list[bytes | None] = [
    *(b"Hello", b" wor", b"ld", b"\xe4\xbd", b"\xa0", b" ST", b"OP", b" more"),
    *(None, b"a\xf0\x9f", b"\x98", b"\x80!", b""),
]
END = 8


def decode(ids: Sequence[int]) -> str:
    return b"".join(PIECES[at] or b"" for at in ids).decode(errors="replace")


class Noted:
    """What a reader needs of a draft."""

    def __init__(self) -> None:
        self.reply = Reply()
        self.errors: list[str] = []

    def note_error(self, line: str) -> None:
        self.errors.append(line)


def pieces(
    ids: Sequence[int],
    *,
    vocabulary: list[Any] | None = None,
    calls: Any = None,
    thinking: Any = None,
    **options: Any,
) -> list[tuple[str, list[str]]]:
    """Each piece of an answer, with the tokens that go with it."""
    text = TextStream(options.pop("decode", decode), **options)
    names = TokenNames(vocabulary or PIECES, lambda ids: "<end>")
    draft: Any = Noted()
    reader = AnswerReader(draft, text, calls, ListedTokens(text, names), thinking)
    deltas: list[Delta] = []
    for token in ids:
        deltas += reader.push(token, Likelihood(-0.5, ()))
    deltas += reader.flush()
    assert draft.reply.logprobs == [told for each in deltas for told in each.logprobs]
    return [
        (
            "CALL" if each.call else each.text,
            [bytes(told.bytes or ()).decode("latin-1") for told in each.logprobs],
        )
        for each in deltas
    ]


def test_a_token_goes_with_its_text_and_a_control_token_with_none() -> None:
    assert pieces([0, 1, 2, END]) == [("Hello", ["Hello"]), (" wor", [" wor"]), ("ld", ["ld"])]


def test_tokens_of_thinking_that_is_withheld_are_not_listed() -> None:
    words: list[Any] = [b"<th", b"ink>", b"Hm", b". </", b"think>\n", b"\nYes", b", so", b" it is."]
    answer = [("Yes", ["\nYes"]), (", so", [", so"]), (" it is.", [" it is."])]

    def spelled(ids: Sequence[int]) -> str:
        return b"".join(words[at] for at in ids).decode()

    options: dict[str, Any] = {"vocabulary": words, "decode": spelled}
    assert pieces(range(8), thinking=ThinkingReader(begun=False), **options) == answer
    assert pieces(range(2, 8), thinking=ThinkingReader(begun=True), **options) == answer
    assert pieces(range(4), thinking=ThinkingReader(begun=False), **options) == []
    tools = CallReader(HERMES, ["look"])
    assert pieces(range(8), calls=tools, thinking=ThinkingReader(begun=False), **options) == answer


def test_the_bytes_of_a_character_go_with_its_last_one() -> None:
    assert pieces([0, 3, 4]) == [("Hello", ["Hello"]), ("你", ["\xe4\xbd", "\xa0"])]
    assert pieces([9, 10, 11]) == [("a", []), ("\U0001f600!", ["a\xf0\x9f", "\x98", "\x80!"])]


def test_bytes_that_never_become_a_character_are_listed_as_the_text_says() -> None:
    assert pieces([0, 3]) == [("Hello", ["Hello"]), ("\ufffd", ["\xe4\xbd"])]


def test_what_a_stop_string_cuts_off_is_not_listed() -> None:
    # " ST" has given its space, "OP" and what follows nothing.
    assert pieces([0, 5, 6, 7], stop=["STOP"]) == [("Hello", ["Hello"]), (" ", []), ("", [" ST"])]
    assert pieces([0, 5, 6], stop=[" STOP"]) == [("Hello", ["Hello"])]


def test_what_only_looked_like_a_stop_string_is_listed_with_its_text() -> None:
    assert pieces([0, 5, 7], stop=[" STOP"]) == [
        ("Hello", ["Hello"]),
        (" ST more", [" ST", " more"]),
    ]


def test_a_token_without_text_goes_with_the_next_piece_or_the_last() -> None:
    assert pieces([12, 0, 12]) == [("Hello", ["", "Hello"]), ("", [""])]


def test_a_run_of_bytes_goes_out_as_a_whole() -> None:
    def fallback(ids: Sequence[int]) -> str:
        run = bytes(token for token in ids if token < 256)
        try:
            spelled = run.decode()
        except UnicodeDecodeError:
            spelled = "\ufffd" * len(run)
        return spelled + " STOP" * sum(token == 300 for token in ids)

    vocabulary: list[Any] = [*(bytes([at]) for at in range(256)), *[None] * 44, b" STOP"]
    found = pieces(
        [0xE4, 0xBD, 0xA0, 300],
        decode=fallback,
        vocabulary=vocabulary,
        fragments=frozenset(range(256)),
        stop=["STOP"],
    )
    assert found == [("你 ", ["\xe4", "\xbd", "\xa0"]), ("", [" STOP"])]
    ended = pieces(
        [0xE4, 0xBD], decode=fallback, vocabulary=vocabulary, fragments=frozenset(range(256))
    )
    assert ended == [("\ufffd\ufffd", ["\xe4", "\xbd"])]


@pytest.mark.parametrize("size", [1, 4, 7, 50])
def test_calls_have_no_tokens_and_the_text_around_them_has_its_own(size: int) -> None:
    said = f"a {CALL} b {CALL} c"
    cut = [said[at : at + size] for at in range(0, len(said), size)]

    def joined(ids: Sequence[int]) -> str:
        return "".join(cut[at] for at in ids)

    found = pieces(
        range(len(cut)),
        decode=joined,
        vocabulary=[each.encode() for each in cut],
        calls=CallReader(HERMES, ("f",)),
    )
    text = [each for each, _ in found if each != "CALL"]
    assert "".join(text) == "a b c"
    assert [each for each, _ in found].count("CALL") == 2
    if size == 1:
        assert found == [
            ("a", ["a"]),
            ("CALL", []),
            (" b", [" ", "b"]),
            ("CALL", []),
            (" c", [" ", "c"]),
        ]
    # A token is listed where it lies in any text of the answer, once, in order.
    holding = [
        each
        for at, each in enumerate(cut)
        if any(begin < (at + 1) * size and at * size < end for begin, end in places(said))
    ]
    assert [each for _, told in found for each in told] == holding


def places(said: str) -> list[tuple[int, int]]:
    """Where the text beside the calls stands."""
    b = said.index(" b")
    return [(0, 1), (b, b + 2), (len(said) - 2, len(said))]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (['{"answer"', ": 42", "}"], [('{"answer": 42}', ['{"answer"', ": 42", "}"])]),
        # Two pieces that are settled at once have each their own tokens.
        (
            ['{"answer"', ": 42", "},so"],
            [('{"answer": 42}', ['{"answer"', ": 42"]), (",so", ["},so"])],
        ),
    ],
)
def test_json_that_is_no_call_is_listed(said: list[str], expected: Any) -> None:
    found = pieces(
        range(3),
        decode=lambda ids: "".join(said[at] for at in ids),
        vocabulary=[each.encode() for each in said],
        calls=CallReader(LLAMA, ("f",)),
    )
    assert found == expected


def test_a_control_token_among_the_likeliest_has_no_bytes_and_one_that_is_none_no_name() -> None:
    names = TokenNames(PIECES, lambda ids: "<end>")
    told = names.told(3, Likelihood(-2.0, ((0, -0.5), (END, -1.0), (99, -3.0))))
    assert told is not None
    assert told.plain() == {
        "token": "\ufffd",
        "bytes": [0xE4, 0xBD],
        "logprob": -2.0,
        "top_logprobs": [
            {"token": "Hello", "bytes": [*b"Hello"], "logprob": -0.5},
            {"token": "<end>", "bytes": None, "logprob": -1.0},
            {"token": "", "bytes": None, "logprob": -3.0},
        ],
    }
