"""What the page of mappings names is there: fields of records, commands, keys, categories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import guardrail
from guardrail.cli import app
from guardrail.errors import PolicyError
from guardrail.policy import load_policy
from guardrail.policy.reference import find_keys
from guardrail.policy.terms import ACTIONS
from guardrail.record.audit import AuditRecord
from guardrail.record.decision import Decision

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "mappings.md").read_text("utf-8")
TABLES = [line for line in TEXT.splitlines() if line.startswith("|")]
NAMED = sorted(set(re.findall(r"`([^`]+)`", TEXT)))
OTHER = {'response_metadata["guardrail"]', "GUARDRAIL_AUDIT_LOG", "fail", "shadow", "SECURITY.md"}
"""What is named and is none of those, each checked by itself."""
SETS = {"unseen", "baseline", "mlcommons"}


def fields(schema: dict[str, Any], node: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yields the path of every field of a record's JSON Schema."""
    for each in (node, *node.get("anyOf", ()), node.get("items", {})):
        if "$ref" in each:
            yield from fields(schema, schema["$defs"][each["$ref"].rpartition("/")[2]], path)
        for name, below in each.get("properties", {}).items():
            yield f"{path}{name}"
            yield from fields(schema, below, f"{path}{name}.")


RECORDED = {
    field
    for model in (Decision, AuditRecord)
    for field in fields(model.model_json_schema(), model.model_json_schema())
}
CATEGORIES = {category.id for category in load_policy("mlcommons").categories}


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that a line names, and what is left of the line."""
    found: Any = typer.main.get_command(app)
    while words and hasattr(found, "get_command"):
        below = found.get_command(None, words[0])
        assert below is not None, words[0]
        found, words = below, words[1:]
    return found, words


def test_the_fields_are_read_off_the_records() -> None:
    assert {"verdict.categories", "review.by", "policy.digest", "steps", "time"} <= RECORDED
    assert "verdict.nonsense" not in RECORDED


@pytest.mark.parametrize("name", [each for each in NAMED if each.startswith("guardrail ")])
def test_every_command_named_has_the_options_named(name: str) -> None:
    found, rest = command_of(name.split()[1:])
    assert not hasattr(found, "get_command"), name
    options = {option for each in found.params for option in (*each.opts, *each.secondary_opts)}
    for word in rest:
        if word.startswith("-"):
            assert word in options, name
        else:  # an argument: a policy, or a data set
            assert word in SETS, name


def test_every_other_name_is_a_field_a_key_a_category_or_an_action() -> None:
    unknown = [
        name
        for name in NAMED
        if not name.startswith("guardrail")
        and name not in {*RECORDED, *CATEGORIES, *ACTIONS, *SETS, *OTHER, *guardrail.__all__}
        and not is_key(name)
    ]
    assert unknown == []
    assert (ROOT / "SECURITY.md").exists()


def is_key(name: str) -> bool:
    try:
        return any(key.path == name for key in find_keys(name))
    except PolicyError:
        return False


def test_every_hazard_has_a_category_and_every_category_of_the_pack_is_mapped() -> None:
    _, _, hazards = TEXT.partition("## MLCommons AILuminate")
    assert set(re.findall(r"`([a-z-]+)`", hazards)) - {"mlcommons", "baseline", "watch"} == (
        CATEGORIES
    )
    rows = [line for line in hazards.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 12
    assert all(re.search(r"\| `[a-z-]+`", row) for row in rows)


def test_no_row_claims_conformity_and_every_table_says_what_is_not_answered() -> None:
    assert "no claim of conformity" in TEXT
    assert len([line for line in TABLES if line.rstrip().endswith("| not answered |")]) == 5
    assert not re.search(r"\b(compl(iant|ies|iance)|conforms|certified)\b", TEXT)
