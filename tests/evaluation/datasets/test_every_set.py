"""Every set goes through a run, its report and its tables, whichever sides it has."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from guardrail.cli.eval_view import show
from guardrail.evaluation import Results, load_dataset, report, run, systems_for
from guardrail.policy import load_policy

from ..layouts import MINIATURES
from ..stand_in import StandIn

POLICY = load_policy("baseline")
SYSTEMS = systems_for(["unguarded", "guarded"], POLICY)


def refuses_when_guarded(question: str, policy: Any, mode: str) -> dict[str, Any]:
    return {} if mode == "off" else {"text": "I can't help with that.", "p_unsafe": 0.9}


@pytest.mark.parametrize("name", MINIATURES)
def test_a_miniature_is_asked_counted_and_shown(name: str, tmp_path: Path) -> None:
    dataset = load_dataset(name, MINIATURES[name](tmp_path))
    engine, results = StandIn(refuses_when_guarded), Results({"dataset": name})
    run(engine, dataset, SYSTEMS, results)
    assert len(results) == len(engine.asked)
    out = report(dataset, SYSTEMS, results, phrases=POLICY.phrases)
    json.dumps(out, allow_nan=False)
    for side, wrong, guarded, unguarded in (
        ("safe", "wrong_refusals", 1.0, 0.0),
        ("unsafe", "wrong_answers", 0.0, 1.0),
    ):
        there = sum(each.side == side for each in dataset)
        for system, share in (("guarded", guarded), ("unguarded", unguarded)):
            found = out["systems"][system][wrong]
            assert found["n"] == there
            assert found["value"] == (share if there else None)
    console = Console(file=io.StringIO(), width=100)
    show(console, {"dataset": name, "model": "m", "seed": 0, **out})
    assert "nan" not in console.file.getvalue()  # type: ignore[attr-defined]
    assert "guarded" in console.file.getvalue()  # type: ignore[attr-defined]
