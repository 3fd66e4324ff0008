"""Conversations, and questions put after them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from guardrail.errors import MessageError
from guardrail.request.answer_form import AnswerForm
from guardrail.request.conversation import Conversation, Turn, question
from guardrail.request.pictures import load_picture

ASKED = Turn("user", ("How do I get down there?",))
RESULT = Turn("tool", ("a cliff",), call_ids=("1",))


@pytest.mark.parametrize("last", [RESULT, Turn("assistant", ("Well.",))])
def test_the_answer_to_a_question_may_have_any_form(last: Turn) -> None:
    held = Conversation((ASKED, last), form=AnswerForm(schema={"type": "object"}))
    assert held.ask("Is it safe?").form == AnswerForm()


def test_a_question_after_a_result_leaves_it_the_result_of_its_call() -> None:
    last = Conversation((ASKED, RESULT)).ask("Is it safe?").turns[-1]
    assert (last.parts, last.call_ids) == (("a cliff\n\nIs it safe?",), ("1",))


_HALF = "hello \ud800 there"


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("the text of the user turn", lambda: question(_HALF)),
        ("the text of the system turn", lambda: question("hello", system=_HALF)),
        ("the text of the tool turn", lambda: Turn("tool", ("fine", "\udfff"))),
        (
            "a tool call of the assistant turn",
            lambda: Turn("assistant", (), ({"name": "find", "arguments": {"q": ["a", _HALF]}},)),
        ),
        (
            "a tool call of the assistant turn",
            lambda: Turn("assistant", (), ({"name": "find", "arguments": {_HALF: 1}},)),
        ),
        ("the session's id", lambda: question("hello", session="\udc80")),
        (
            "tool 0",
            lambda: Conversation(
                (Turn("user", ("hello",)),),
                ({"type": "function", "function": {"name": "f", "description": _HALF}},),
            ),
        ),
        (
            "the answer's form",
            lambda: Conversation(
                (Turn("user", ("hello",)),), form=AnswerForm(schema={"title": _HALF})
            ),
        ),
        ("the text of the user turn", lambda: question("hello").ask("\ud83d")),
    ],
)
def test_half_a_character_is_told_as_such(what: str, make: Callable[[], object]) -> None:
    with pytest.raises(MessageError) as caught:
        make()
    text = str(caught.value)
    assert text.startswith(f"{what} is not valid Unicode: character ")
    assert "lone surrogate U+D" in text
    assert text.isascii()


def test_whole_characters_of_every_plane_pass() -> None:
    assert question("é 한 😀 \U0010ffff \u200d").turns[0].text == "é 한 😀 \U0010ffff \u200d"


IMAGE = Image.new("RGB", (8, 8))


@pytest.mark.parametrize(
    "pictures",
    ["a.png", ["a.png"], [Path("a.png")], IMAGE, [IMAGE], [b"..."], [load_picture(IMAGE), None]],
    ids=["text", "texts", "paths", "image", "images", "bytes", "none"],
)
def test_what_is_no_picture_is_an_error_and_not_left_out(pictures: Any) -> None:
    with pytest.raises(MessageError, match=r"expected a (Picture|list of pictures)"):
        question("How do I run faster here?", pictures)


def test_a_turn_holds_nothing_but_text_and_pictures() -> None:
    with pytest.raises(MessageError, match="a part of the user turn is PosixPath"):
        Turn("user", (Path("a.png"), "Where is this?"))  # type: ignore[arg-type]


def test_pictures_that_come_one_by_one_are_all_shown() -> None:
    asked = question("Where is this?", (load_picture(IMAGE) for _ in range(2)))  # type: ignore[arg-type]
    assert len(asked.pictures) == 2
