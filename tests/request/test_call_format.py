"""How models write calls, read off the chat templates that real families have."""

from __future__ import annotations

import copy

import pytest

from guardrail.backends.transformers.prompt import PromptEncoder
from guardrail.errors import ModelError
from guardrail.request.call_format import CallFormat, derive_call_format
from guardrail.request.conversation import Conversation, Turn
from tests.contract.guarded import engine
from tests.families import build, templates


def encoder(template: str) -> PromptEncoder:
    """A tiny processor's, with a template of another family's."""
    processor = copy.copy(build("llava")[1])
    processor.chat_template = template
    return PromptEncoder(processor)


def derived(template: str) -> CallFormat:
    return derive_call_format(encoder(template).render)


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
    written = derived(templates.MISTRAL)
    assert (written.before, written.between, written.after) == ("[TOOL_CALLS] [", ", ", "]")
    assert (written.opening, written.closing) == ("[TOOL_CALLS]", "")
    assert written.around_arguments("f")[1] == ', "id": "call00000"}'


def test_a_bare_list_is_a_clear_error() -> None:
    with pytest.raises(ModelError, match="as a bare list"):
        derived(templates.MISTRAL.replace("[TOOL_CALLS] ", ""))


def test_results_are_shown_as_those_of_their_own_calls() -> None:
    calls = tuple({"name": name, "arguments": {}} for name in "fg")
    results = (("of g", ("2",)), ("of f", ("1",)))
    talk = Conversation(
        (
            Turn("user", ("hi",)),
            Turn("assistant", (), calls, ("1", "2")),
            *(Turn("tool", (text,), call_ids=ids) for text, ids in results),
        )
    )
    prompt = encoder(templates.MISTRAL).render(talk)
    assert '"name": "f", "arguments": {}, "id": "call00000"' in prompt
    assert '{"content": of g, "call_id": "call00001"}' in prompt
    assert '{"content": of f, "call_id": "call00000"}' in prompt


def test_a_name_outside_the_json_is_read_off_the_template_of_later_mistrals() -> None:
    written = derived(templates.MISTRAL_V11)
    assert (written.before, written.between, written.after) == ("[TOOL_CALLS]",) * 2 + ("",)
    assert written.keys is None
    assert written.middle == "[ARGS]"
    assert written.around_arguments("f") == ("f[ARGS]", "")


def test_the_spacing_of_json_is_the_templates_own() -> None:
    assert derived(templates.MISTRAL).separators == (", ", ": ")
    dense = templates.MISTRAL_V11.replace(
        "['arguments'] | tojson", "['arguments'] | tojson | replace(': ', ':') | replace(', ', ',')"
    )
    assert derived(dense).separators == (",", ":")


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
        engine(family).backend.call_format()


def test_a_template_that_shows_tools_but_refuses_calls_says_so() -> None:
    template = templates.MISTRAL.replace(
        "{{ '[TOOL_CALLS] [' }}", "{{ raise_exception('no calls here') }}"
    )
    with pytest.raises(ModelError, match=r"does not take tool calls: .*no calls here"):
        derived(template)
