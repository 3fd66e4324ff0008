"""Training dialogues about tools are what the chat template makes of real ones."""

import json
import random

import pytest

from guardrail.embedded.load import load_embedded
from guardrail.embedded.training.stream import MAX_TOKENS, TOOLS, sample
from guardrail.embedded.training.things import THINGS
from guardrail.embedded.training.tool_dialogues import (
    Request,
    json_pair,
    picture_request,
    tool_request,
    tools_turn,
)
from guardrail.embedded.training.trees import Node, json_tree, tool_tree

REQUESTS = [tool_request(random.Random(seed)) for seed in range(80)]


def schema(request: Request) -> dict[str, object]:
    tool = request.tool
    properties = {name: {"type": kind} for name, kind in tool.parameters.items()}
    parameters = {"type": "object", "properties": properties}
    found = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": found}


def test_the_template_writes_what_was_trained() -> None:
    _, processor = load_embedded()
    for request in REQUESTS:
        calls = [
            {"type": "function", "function": {"name": request.tool.name, "arguments": dict(call)}}
            for call in request.calls
        ]
        messages = [
            {"role": "user", "content": request.question},
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "content": "Done."},
        ]
        written = processor.apply_chat_template(messages, tools=[schema(request)])
        assert written == (
            f"{tools_turn([request.tool])}<|im_start|>user\n{request.question}<|im_end|>\n"
            f"<|im_start|>assistant\n{request.answer()}<|im_end|>\n<|im_start|>tool\nDone.<|im_end|>\n"
        )


def test_calls_give_every_parameter_a_value_of_its_type() -> None:
    types = {"string": str, "integer": int, "array": list}
    for request in REQUESTS:
        for call in request.calls:
            assert {name: types[kind] for name, kind in request.tool.parameters.items()} == {
                name: type(value) for name, value in call.items()
            }


def test_most_values_stand_in_the_question() -> None:
    values = [
        (str(value), request.question)
        for request in REQUESTS
        for call in request.calls
        for value in call.values()
    ]
    assert sum(value in question for value, question in values) / len(values) > 0.6


@pytest.mark.parametrize("seed", range(12))
def test_a_call_about_a_picture_names_what_it_shows(seed: int) -> None:
    request = picture_request(["knife", "cake"], random.Random(seed))
    [call] = request.calls
    assert list(call.values()) in (["knife"], [["knife", "cake"]])


@pytest.mark.parametrize("seed", range(12))
def test_bare_json_has_the_keys_asked_for(seed: int) -> None:
    asked, answer = json_pair(random.Random(seed))
    assert all(f"'{key}'" in asked for key in json.loads(answer))


def _targets(node: Node) -> list[str]:
    return [node.target, *(target for child in node.children for target in _targets(child))]


def test_trees_hold_calls_and_what_is_said_of_results() -> None:
    rng = random.Random(0)
    targets = [target for _ in range(20) for target in _targets(tool_tree(rng))]
    assert any(target.startswith("<tool_call>{") for target in targets)
    assert any(target.startswith("The tool ") for target in targets)
    assert all(t.startswith("{") for t in _targets(json_tree(rng)) if t)
    assert len(THINGS) > 40  # the words that values are drawn from


def test_the_stream_holds_tools_without_pictures() -> None:
    tokenizer = load_embedded()[1].tokenizer.backend_tokenizer
    call = tokenizer.token_to_id("<tool_call>")
    drawn = [i for i in range(200) if random.Random(f"sample/0/{i}").random() < TOOLS]
    assert len(drawn) > 15
    found = [sample(index, 0, {}, tokenizer) for index in drawn]
    assert all(each.shown is None and len(each.packed.ids) <= MAX_TOKENS for each in found)
    assert sum(call in each.packed.labels for each in found) > 0.8 * len(found)
