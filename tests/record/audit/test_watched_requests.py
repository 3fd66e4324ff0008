"""Watched answers of a real engine, on record: which reading was the last, and their replay."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrail.judging.judge import JudgeRequest
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.replay import replay
from guardrail.request.conversation import question
from guardrail.request.settings import GenerationSettings
from tests.contract.guarded import judged_engine, policy, shown

SETTINGS = GenerationSettings(max_new_tokens=6, temperature=0)


@pytest.mark.parametrize(
    ("p", "acts", "fate"),
    [
        (0.1, ["release", "release", "release"], "let out"),
        (0.5, ["hold", "hold", "end"], "ended"),
        (0.9, ["end"], "ended"),
    ],
)
def test_a_watched_answer_is_replayed_as_it_was_decided(
    p: float, acts: list[str], fate: str, tmp_path: Path
) -> None:
    def judge(request: JudgeRequest) -> float:
        return p if request.conversation.turns[-1].role == "assistant" else 0.05

    log, watch = tmp_path / "a.db", {"every": 2, "on_unsafe": "end"}
    chosen = policy({}, audit={"path": str(log)}, watch=watch)
    engine = judged_engine("qwen3_vl", judge, chosen)
    made = engine.answer(question("How?", [shown(0)]), SETTINGS).decision
    assert [each.act for each in made.watch] == acts
    assert [each.over for each in made.watch] == [each.tokens == 6 for each in made.watch]
    assert (made.ended_by == made.watch[-1]) is (fate == "ended")
    with LogReader(log) as reader:
        kept = [each for each in reader.records(Filter()) if each.kind == "decision"]
        found = replay(kept, chosen).watched
    assert [each.decision.watch for each in kept if each.decision] == [made.watch]
    assert (found.changes, found.fates) == ([], {(fate, fate): 1})
