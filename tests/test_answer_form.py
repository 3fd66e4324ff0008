"""The form of an answer, as a grammar."""

from __future__ import annotations

from typing import Any

import pytest

from guardrail.answer_form import AnswerForm, closed
from guardrail.errors import SettingsError

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = {**OPEN, "additionalProperties": False}


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
        ({"enum": [OPEN]},) * 2,
    ],
)
def test_objects_have_no_properties_that_are_not_named(
    schema: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert closed(schema) == expected


def test_a_call_and_json_cannot_both_be_demanded() -> None:
    with pytest.raises(SettingsError, match="both demanded"):
        AnswerForm("forced", schema={"type": "object"})


def test_a_forced_call_needs_tools() -> None:
    with pytest.raises(SettingsError, match="no tools are given"):
        AnswerForm("forced").grammar((), None, {})
