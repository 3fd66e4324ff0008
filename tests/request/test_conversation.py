"""Conversations, and questions put after them."""

from __future__ import annotations

import pytest

from guardrail.request.answer_form import AnswerForm
from guardrail.request.conversation import Conversation, Turn

ASKED = Turn("user", ("How do I get down there?",))
RESULT = Turn("tool", ("a cliff",), call_ids=("1",))


@pytest.mark.parametrize("last", [RESULT, Turn("assistant", ("Well.",))])
def test_the_answer_to_a_question_may_have_any_form(last: Turn) -> None:
    held = Conversation((ASKED, last), form=AnswerForm(schema={"type": "object"}))
    assert held.ask("Is it safe?").form == AnswerForm()


def test_a_question_after_a_result_leaves_it_the_result_of_its_call() -> None:
    last = Conversation((ASKED, RESULT)).ask("Is it safe?").turns[-1]
    assert (last.parts, last.call_ids) == (("a cliff\n\nIs it safe?",), ("1",))
