"""How models write calls, read off the chat templates that real families have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2
import pytest

from guardrail.call_format import derive_call_format
from guardrail.conversation import Conversation
from guardrail.engine.prompt import PromptEncoder
from guardrail.errors import MessageError, ModelError
from tests.contract.guarded import engine
from tests.families import build, templates


def renders(template: str) -> Callable[[Conversation], str]:
    """A template as transformers would render it, free of any tokenizer."""

    def refuse(message: str) -> None:
        raise MessageError(message)

    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": False}
    compiled = environment.from_string(template)

    def render(conversation: Conversation) -> str:
        messages: list[dict[str, Any]] = [
            {
                "role": turn.role,
                "content": [{"type": "text", "text": part} for part in turn.parts],
                "tool_calls": [{"function": dict(call)} for call in turn.tool_calls],
            }
            for turn in conversation.turns
        ]
        return compiled.render(
            messages=messages,
            tools=[dict(tool) for tool in conversation.tools],
            add_generation_prompt=True,
            raise_exception=refuse,
            bos_token="<s>",
        )

    return render


def test_hermes_tags_are_read_off_the_template_of_qwen3_vl() -> None:
    written = derive_call_format(PromptEncoder(build("qwen3_vl")[1]).render)
    assert written.before == "<tool_call>\n"
    assert written.between == "\n</tool_call>\n<tool_call>\n"
    assert written.after == "\n</tool_call>"
    assert written.keys == ("name", "arguments")
    assert (written.opening, written.closing) == ("<tool_call>", "</tool_call>")
    assert written.around_arguments('a"b') == ('{"name": "a\\"b", "arguments": ', "}")


def test_a_bare_object_is_read_off_the_template_of_llama() -> None:
    written = derive_call_format(PromptEncoder(build("mllama")[1]).render)
    assert (written.before, written.between, written.after) == ("", None, "")
    assert written.keys == ("name", "parameters")
    assert written.around_arguments("f") == ('{"name": "f", "parameters": ', "}")


def test_a_list_is_read_off_the_template_of_mistral() -> None:
    written = derive_call_format(renders(templates.MISTRAL))
    assert (written.before, written.between, written.after) == ("[TOOL_CALLS] [", ", ", "]")
    assert (written.opening, written.closing) == ("[TOOL_CALLS]", "")


def test_a_name_outside_the_json_is_read_off_the_template_of_later_mistrals() -> None:
    written = derive_call_format(renders(templates.MISTRAL_V11))
    assert (written.before, written.between, written.after) == ("[TOOL_CALLS]",) * 2 + ("",)
    assert written.keys is None
    assert written.middle == "[ARGS]"
    assert written.around_arguments("f") == ("f[ARGS]", "")


def test_the_spacing_of_json_is_the_templates_own() -> None:
    assert derive_call_format(renders(templates.MISTRAL)).separators == (", ", ": ")
    dense = templates.MISTRAL_V11.replace(
        "['arguments'] | tojson", "['arguments'] | tojson | replace(': ', ':') | replace(', ', ',')"
    )
    assert derive_call_format(renders(dense)).separators == (",", ":")


@pytest.mark.parametrize(
    ("family", "says"),
    [
        ("llava", "does not take tools: it leaves them out"),
        ("qwen2_5_vl", "does not take tools: it leaves them out"),
        ("qwen3_5", "in a form that cannot be read here"),
        ("idefics", "does not take tools: it leaves them out"),
    ],
)
def test_a_template_that_cannot_be_used_says_why(family: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        engine(family).call_format()


def test_a_template_that_shows_tools_but_refuses_calls_says_so() -> None:
    template = templates.MISTRAL.replace(
        "{{ '[TOOL_CALLS] [' }}", "{{ raise_exception('no calls here') }}"
    )
    with pytest.raises(ModelError, match="does not take tool calls: no calls here"):
        derive_call_format(renders(template))
