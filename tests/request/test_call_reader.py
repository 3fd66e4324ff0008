"""Calls found in answers, whatever the pieces that the text comes in."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardrail.request.call_format import CallFormat
from guardrail.request.call_reader import CallReader
from guardrail.request.delta import InvalidCall, ToolCall

HERMES = CallFormat(
    before="<tool_call>\n",
    between="\n</tool_call>\n<tool_call>\n",
    after="\n</tool_call>",
    head='{"name": "probe_tool_zq", "arguments": ',
    tail="}",
    keys=("name", "arguments"),
)
LLAMA = CallFormat(
    "", None, "", '{"name": "probe_tool_zq", "parameters": ', "}", ("name", "parameters")
)
MISTRAL = CallFormat("[TOOL_CALLS] [", ", ", "]", HERMES.head, "}", HERMES.keys)
NAMED = CallFormat("[TOOL_CALLS]", "[TOOL_CALLS]", "", "probe_tool_zq[ARGS]", "", None)


def read(written: CallFormat, *pieces: str, **options: Any) -> tuple[str, list[Any]]:
    """What is said beside the calls; calls as (name, arguments), invalid ones as their errors."""
    reader = CallReader(written, ("f", "g"), **options)
    deltas = [delta for piece in pieces for delta in reader.push(piece)] + reader.finish()
    calls = [delta.call for delta in deltas if delta.call is not None]
    ids = [call.id for call in calls]
    assert len(set(ids)) == len(ids)
    return "".join(delta.text for delta in deltas), [
        (call.name, call.arguments) if isinstance(call, ToolCall) else call.error for call in calls
    ]


CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'


@pytest.mark.parametrize(
    ("written", "text", "said", "calls"),
    [
        (HERMES, CALL, "", [("f", {"a": 1})]),
        (HERMES, f"Let me see.\n{CALL}", "Let me see.", [("f", {"a": 1})]),
        (HERMES, f"{CALL}\nDone.", "Done.", [("f", {"a": 1})]),
        (HERMES, f"{CALL}\n{CALL}", "", [("f", {"a": 1})] * 2),
        (HERMES, f"a {CALL} b {CALL} c", "a b c", [("f", {"a": 1})] * 2),
        (HERMES, 'x <tool_call>{"arguments": {}, "name": "g"}', "x", [("g", {})]),
        (HERMES, "plain <tool talk \n", "plain <tool talk \n", []),
        (LLAMA, '{"name": "f", "parameters": {"a": "}"}}', "", [("f", {"a": "}"})]),
        (LLAMA, ' {"answer": 42}', ' {"answer": 42}', []),
        (LLAMA, 'so {"name": "f", "parameters": {}}', 'so {"name": "f", "parameters": {}}', []),
        (
            MISTRAL,
            '[TOOL_CALLS][{"name": "f", "arguments": {}}, {"name": "g", "arguments": {"b": []}}]',
            "",
            [("f", {}), ("g", {"b": []})],
        ),
        (
            NAMED,
            '[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}',
            "",
            [("f", {"a": 1}), ("g", {})],
        ),
    ],
)
def test_calls_are_told_from_text(
    written: CallFormat, text: str, said: str, calls: list[Any]
) -> None:
    assert read(written, text) == (said, calls)
    assert read(written, *text) == (said, calls)  # letter by letter


@pytest.mark.parametrize(
    ("written", "text", "said", "error"),
    [
        (HERMES, '<tool_call>\n{"name": "f", "argu', "", "in the middle of a tool call"),
        (HERMES, "ok <tool_call>", "ok", "in the middle of a tool call"),
        (HERMES, "<tool_call>{nonsense}</tool_call> then", "then", "not a JSON object with a name"),
        (HERMES, "<tool_call>[]</tool_call>", "", "not a JSON object with a name"),
        (HERMES, '<tool_call>{"name": "h", "arguments": {}}</tool_call>', "", "names no tool"),
        (
            HERMES,
            '<tool_call>{"name": "f", "arguments": 3}</tool_call>',
            "",
            "arguments are not a JSON",
        ),
        (HERMES, '<tool_call>{"name": "f", "arguments": "</tool_call>', "", "not valid JSON"),
        (LLAMA, '{"name": "f", "parameters": {"a"', "", "in the middle of a tool call"),
        (MISTRAL, '[TOOL_CALLS] [{"name": "f", "arguments": {}}', "", "in the middle"),
        (NAMED, "[TOOL_CALLS]f[AR", "", "in the middle of a tool call"),
    ],
)
def test_what_is_no_call_is_reported_and_never_said(
    written: CallFormat, text: str, said: str, error: str
) -> None:
    for pieces in ([text], list(text)):
        found, calls = read(written, *pieces)
        assert found == said
        assert len(calls) == 1
        assert error in calls[0]


def test_a_closing_tag_in_an_argument_does_not_close_the_call() -> None:
    text = '<tool_call>{"name": "f", "arguments": {"a": "</tool_call>"}}</tool_call>'
    assert read(HERMES, *text) == ("", [("f", {"a": "</tool_call>"})])


def test_an_invalid_call_keeps_what_the_model_wrote() -> None:
    [delta] = CallReader(HERMES, ["f"]).push("<tool_call>{'name'}</tool_call>")
    assert isinstance(delta.call, InvalidCall)
    assert delta.call.text == "<tool_call>{'name'}"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param("[" * 3000, id="too-deep"),
        pytest.param('{"name": "f", "arguments": {"a": %s}}' % ("1" * 5000), id="too-many-digits"),
    ],
)
def test_json_that_python_does_not_take_is_no_call(bad: str) -> None:
    for last in ("", "</tool_call>", f"</tool_call> then {CALL}"):
        said, calls = read(HERMES, "<tool_call>", bad, last)
        assert said == ("then" if "then" in last else "")
        assert any(part in calls[0] for part in ("not a JSON object", "in the middle"))
        assert calls[1:] == ([("f", {"a": 1})] if "then" in last else [])
    assert read(LLAMA, '{"answer": ', bad) == ('{"answer": ' + bad, [])


def test_a_further_call_is_invalid_where_one_is_allowed() -> None:
    _, calls = read(HERMES, CALL + CALL, parallel=False)
    assert calls[0] == ("f", {"a": 1})
    assert "parallel_tool_calls is false" in calls[1]


def test_calls_that_are_held_back_are_invalid() -> None:
    assert read(HERMES, CALL, held_back="no") == ("", ["no"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    calls=st.lists(
        st.tuples(st.sampled_from("fg"), st.dictionaries(st.text(), JSON, max_size=3)),
        min_size=1,
        max_size=3,
    ),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    written=st.sampled_from([HERMES, MISTRAL, NAMED]),
)
def test_whatever_is_written_in_a_format_is_read_in_it(
    calls: list[tuple[str, dict[str, Any]]], cuts: list[int], written: CallFormat
) -> None:
    bodies = []
    for name, arguments in calls:
        head, tail = written.around_arguments(name)
        bodies.append(head + json.dumps(arguments, ensure_ascii=False) + tail)
    text = "Well. " + written.before + (written.between or "").join(bodies) + written.after
    places = sorted({0, *(min(cut, len(text)) for cut in cuts), len(text)})
    pieces = [text[a:b] for a, b in pairwise(places)]
    assert read(written, *pieces) == ("Well.", calls)
