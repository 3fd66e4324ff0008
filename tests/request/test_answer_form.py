"""The form of an answer, as a grammar."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guardrail.backends.transformers.grammar import GrammarVocabulary
from guardrail.errors import SettingsError
from guardrail.request.answer_form import AnswerForm
from guardrail.request.answer_grammar import answer_grammar, closed

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = {**OPEN, "additionalProperties": False}
OTHER = {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}
BOTH = {"a": "x", "b": "y"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (OPEN, CLOSED),
        ({"type": "object"}, {"type": "object"}),
        ({**OPEN, "additionalProperties": {"type": "integer"}},) * 2,
        ({"properties": {"b": OPEN}}, {"properties": {"b": CLOSED}, "additionalProperties": False}),
        ({"type": "array", "items": OPEN}, {"type": "array", "items": CLOSED}),
        ({"anyOf": [OPEN, {"type": "null"}]}, {"anyOf": [CLOSED, {"type": "null"}]}),
        (
            {"$defs": {"d": OPEN}, "$ref": "#/$defs/d"},
            {"$defs": {"d": CLOSED}, "$ref": "#/$defs/d"},
        ),
        ({**OPEN, "allOf": [OPEN]},) * 2,
        ({**OPEN, "anyOf": [OTHER]},) * 2,
        ({**OPEN, "$defs": {"d": OTHER}, "$ref": "#/$defs/d"},) * 2,
        ({"allOf": [OPEN, {"$ref": "#/$defs/d"}], "$defs": {"d": OTHER}},) * 2,
        ({**OPEN, "if": OPEN, "then": OTHER},) * 2,
        ({**OPEN, "dependentSchemas": {"a": OTHER}},) * 2,
        ({**OPEN, "required": ["b"]},) * 2,
        ({**OPEN, "minProperties": 2},) * 2,
        (
            {"properties": {"x": {"$ref": "#/$defs/d"}}, "$defs": {"d": OPEN}},
            {
                "properties": {"x": {"$ref": "#/$defs/d"}},
                "$defs": {"d": CLOSED},
                "additionalProperties": False,
            },
        ),
        ({"enum": [OPEN]},) * 2,
        (
            {"properties": {"allOf": True}},
            {"properties": {"allOf": True}, "additionalProperties": False},
        ),
    ],
)
def test_objects_have_no_properties_that_are_not_named(
    schema: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert closed(schema) == expected


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({**OPEN, "anyOf": [OTHER]}, BOTH),
        ({**OPEN, "oneOf": [OTHER]}, BOTH),
        ({**OPEN, "$defs": {"d": OTHER}, "$ref": "#/$defs/d"}, BOTH),
        ({"allOf": [OPEN, {"$ref": "#/$defs/d"}], "$defs": {"d": OTHER}}, BOTH),
        ({"properties": {"c": OPEN}, "allOf": [{"properties": {"c": OTHER}}]}, {"c": BOTH}),
        ({**OPEN, "required": ["b"]}, BOTH),
    ],
)
def test_what_follows_a_schema_that_is_put_together_can_be_decoded(
    schema: dict[str, Any], value: dict[str, Any]
) -> None:
    spelled = GrammarVocabulary([bytes([each]) for each in range(256)], lambda t: [*t.encode()])
    constraint = spelled.constraint(answer_grammar(AnswerForm(schema=schema), (), None, {}))
    for byte in json.dumps(value).encode():
        assert constraint.allowed()[byte]
        constraint.accept(byte)
    assert constraint.satisfied


def test_a_call_and_json_cannot_both_be_demanded() -> None:
    with pytest.raises(SettingsError, match="both demanded"):
        AnswerForm("forced", schema={"type": "object"})


def test_a_forced_call_needs_tools() -> None:
    with pytest.raises(SettingsError, match="no tools are given"):
        answer_grammar(AnswerForm("forced"), (), None, {})
