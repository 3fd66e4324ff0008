"""Which policy is for which request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import PolicyError
from guardrail.policy import PolicyFile, When, load_policy
from guardrail.policy.loader import LoadedSelection, load_any

RULES = """version: 1
name: acme
select:
  - when: {tenant: kids-app}
    policy: kids
  - when: {route: /clinic/*, language: [de, pt]}
    policy: medical
  - when: {group: [staff, testers]}
    policy: permissive
  - when: {labels: {device: kiosk}}
    policy: strict
  - policy: baseline
"""


@pytest.fixture
def selection(tmp_path: Path) -> Path:
    path = tmp_path / "acme.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        (None, "baseline"),
        ({}, "baseline"),
        ({"tenant": "kids-app"}, "kids"),
        ({"tenant": "kids-app", "group": "staff"}, "kids"),
        ({"tenant": "Kids-App"}, "baseline"),
        ({"route": "/clinic/ask", "language": "de"}, "medical"),
        ({"route": "/clinic/ask", "language": "pt-BR"}, "medical"),
        ({"route": "/clinic/ask", "language": "pt_BR"}, "medical"),
        ({"route": "/clinic/ask", "language": "ptx"}, "baseline"),
        ({"route": "/clinic/ask"}, "baseline"),
        ({"route": "/clinics", "language": "de"}, "baseline"),
        ({"group": ["guests", "testers"]}, "permissive"),
        ({"device": "kiosk"}, "strict"),
        ({"tenant": None, "group": 5}, "baseline"),
    ],
)
def test_the_first_rule_whose_every_condition_holds_wins(
    selection: Path, metadata: dict[str, Any] | None, name: str
) -> None:
    loaded = load_any(selection)
    assert isinstance(loaded, LoadedSelection)
    assert loaded.choose(metadata).name == name
    assert PolicyFile(selection).current(metadata).name == name


def test_patterns_take_nothing_but_stars_for_special() -> None:
    when = When.model_validate({"route": "/a.b/[x]*"})
    assert when.holds({"route": "/a.b/[x]\nyz"})
    assert not when.holds({"route": "/aXb/x"})


def test_many_stars_cost_no_more_than_a_few() -> None:
    when = When.model_validate({"route": "*" * 500 + "a"})
    assert not when.holds({"route": "b" * 5000})


def test_a_selection_is_no_policy(selection: Path) -> None:
    with pytest.raises(PolicyError, match="a selection of policies"):
        load_policy(selection)
