"""The thinking that an answer begins with: read as all of it is, and shown or withheld."""

from __future__ import annotations

from typing import Any

import pytest

from guardrail import ChatSafeCoDe, Decision, SafeCoDe, load_policy
from guardrail.policy import Policy
from guardrail.request.conversation import question
from tests.chat.watched import turning
from tests.serving.served import NAME, backend, body

ASKED = body()["messages"]
THOUGHT = "<think>It is fine to look.</think>\n\n"
SAID = "I see"


def chat(thinking: str, is_unsafe: Any = lambda text: False, **more: Any) -> ChatSafeCoDe:
    """A model that is made to begin with thinking."""
    base = load_policy("baseline")
    modulation = {"form": "opening", "openings": {"comply": THOUGHT + SAID}}
    policy: Policy = base.model_copy(
        update={
            "modulation": base.modulation.model_copy(update=modulation),
            "watch": {"every": 4, "thinking": thinking, **more},
        }
    )
    policy = Policy.model_validate(policy.model_dump())
    engine = SafeCoDe(backend=backend(), policy=policy, judge=turning(is_unsafe), name=NAME)
    return ChatSafeCoDe(engine=engine, temperature=0, max_tokens=40)


def decision(message: Any) -> Decision:
    return Decision.model_validate(message.response_metadata["guardrail"])


def test_withheld_thinking_is_no_part_of_the_answer_and_shown_it_is_all_the_same() -> None:
    shown, withheld = chat("shown").invoke(ASKED), chat("withheld").invoke(ASKED)
    assert str(shown.content).startswith(THOUGHT + SAID)
    assert withheld.content == str(shown.content)[len(THOUGHT) :]
    assert withheld.usage_metadata == shown.usage_metadata


def test_a_stream_never_holds_a_word_of_it() -> None:
    made = chat("withheld", release="immediate")
    pieces = [str(chunk.content) for chunk in made.stream(ASKED)]
    assert "".join(pieces) == made.invoke(ASKED).content
    assert len([piece for piece in pieces if piece]) > 1


@pytest.mark.parametrize("thinking", ["shown", "withheld"])
def test_thinking_is_read_in_both(thinking: str) -> None:
    answer = chat(thinking, lambda text: "fine to look" in text).invoke(ASKED)
    found = decision(answer)
    assert found.watch[-1].act == "replace"
    assert found.outcome.replaced
    assert "look" not in str(answer.content)


def test_a_prompt_that_begins_it_is_known_by_its_end() -> None:
    found = backend()
    assert not found.prompt_ends(question("Hello"), ("<think>",))
    assert found.prompt_ends(question("Hello"), ("<|im_start|>assistant",))
