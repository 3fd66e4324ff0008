"""What a judge other than the model itself is told of tool traffic."""

from __future__ import annotations

from guardrail.judging.guard import Guard
from guardrail.judging.judge import JudgeRequest
from guardrail.request.conversation import Conversation, Picture, Turn, question
from guardrail.request.telling import told
from tests.families import picture

CLIFF = Picture(picture(1), "digest")
LOOK = {"name": "look", "arguments": {"at": "the cliff"}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
ASKED = Turn("user", ("How do I get down there?",))
TRAFFIC = Conversation(
    (
        ASKED,
        Turn("assistant", ("Let me see.",), (LOOK,), ("1",)),
        Turn("tool", ("a cliff", CLIFF), call_ids=("1",)),
        Turn("user", ("Well?",)),
    ),
    (TOOL,),
    session="mine",
)


def test_calls_and_their_results_become_words() -> None:
    found = told(TRAFFIC)
    assert found.turns == (
        ASKED,
        Turn("assistant", ("Let me see.", 'Call: look({"at": "the cliff"})')),
        Turn("user", ("Result of look:", "a cliff", CLIFF, "Well?")),
    )
    assert (found.tools, found.session) == ((), "mine")


def test_a_result_of_a_call_without_an_id_is_told_all_the_same() -> None:
    turns = (ASKED, Turn("assistant", (), (LOOK, LOOK)), Turn("tool", ("a",)), Turn("tool", ("b",)))
    last = told(Conversation(turns)).turns[-1]
    assert last.parts == ("Result of the call:", "a", "Result of the call:", "b")


def test_a_conversation_without_tools_is_told_as_it_is() -> None:
    asked = question("How do I climb?", [CLIFF], system="Be kind.")
    assert told(asked).turns == asked.turns


def test_every_judge_is_told_so() -> None:
    seen: list[JudgeRequest] = []

    def judge(request: JudgeRequest) -> float:
        seen.append(request)
        return 0.0

    Guard(judge=judge).decide(TRAFFIC)
    assert seen[0].conversation.turns == told(TRAFFIC).turns


def test_arguments_that_cannot_be_told_fail_the_judge() -> None:
    calls = ({"name": "look", "arguments": {(1, 2): "no key of JSON"}},)
    asked = Conversation((ASKED, Turn("assistant", (), calls), Turn("tool", ("x",))))
    decision = Guard(judge=lambda request: 0.0).decide(asked).decision
    assert (decision.verdict.label, decision.action) == ("unavailable", "block")
