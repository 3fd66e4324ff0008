"""How answers begin: each asked once, kept, told by the policy's phrases; verdicts replayed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import GuardrailError, JudgeError
from guardrail.evaluation import Dataset, Results, load_dataset
from guardrail.evaluation.calibration import Evidence, Judged, labelled
from guardrail.evaluation.calibration.answering import TOKENS, Answering, kept_judge
from guardrail.evaluation.systems import System
from guardrail.judging.judge import JudgeRequest
from guardrail.policy import load_policy
from guardrail.request.conversation import question
from guardrail.request.pictures import load_picture

from .. import layouts
from ..stand_in import StandIn

BASELINE = load_policy("baseline")
SYSTEMS = [System("one", BASELINE, "enforce"), System("two", BASELINE, "enforce")]


@pytest.fixture
def scenes(tmp_path: Path) -> Dataset:
    return load_dataset("scenes", layouts.scenes(tmp_path / "scenes"))


@pytest.fixture
def part(scenes: Dataset, tmp_path: Path) -> Evidence:
    """Requests with a picture each of their own."""
    rows = []
    for at, each in enumerate(labelled(scenes)):
        shown = tmp_path / "own" / f"{at}.png"
        layouts.picture(shown, level=10 * at)
        rows.append(Judged(replace(each, picture=shown), {"harm": 0.25}))
    return Evidence(tuple(rows))


def refusing(text: str, policy: Any, mode: str) -> dict[str, Any]:
    if "unsafe" in text:
        return {"text": "I'm sorry, I can't help with that."}
    return {"text": "", "finish": "blocked"} if "0001" in text else {"text": "Sure, here is how."}


def answering(engine: Any, results: Results, **how: Any) -> Answering:
    return Answering(lambda _: engine, results, BASELINE.phrases, **how)


def test_refusals_are_told_by_their_beginning_and_blocked_requests_count(part: Evidence) -> None:
    engine = StandIn(refusing)
    found = answering(engine, Results({}), batch=3)("arms", SYSTEMS, part)
    assert list(found) == ["one", "two"]
    expected = [
        bool(refusing(each.sample.question, None, "")["text"][:5] != "Sure,") for each in part
    ]
    assert found["one"] == found["two"] == expected
    assert len(engine.asked) == 2 * len(part)


def test_what_is_kept_is_not_asked_again_and_no_model_is_loaded(
    part: Evidence, tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    counted: dict[str, int] = {}

    def begin(what: str, total: int) -> Any:
        counted[what] = -total
        return lambda done: counted.update({what: counted[what] + done})

    first = answering(StandIn(refusing), Results({"of": 1}, path=path), batch=2)
    half = Evidence(part.rows[:4])
    whole = first("half", SYSTEMS, half)
    engine = StandIn(refusing)
    again = answering(engine, Results({"of": 1}, path=path), batch=2, begin=begin)
    assert again("half", SYSTEMS, half) == whole
    assert engine.asked == []
    assert len(again("whole", SYSTEMS, part)["one"]) == len(part)
    assert len(engine.asked) == 2 * (len(part) - 4)
    assert counted == {"half": 0, "whole": 0}

    def never(_: Any) -> Any:
        raise AssertionError("a model was loaded")

    kept = Answering(never, Results({"of": 1}, path=path), BASELINE.phrases)
    assert kept("whole", SYSTEMS, part) == again("whole", SYSTEMS, part)


def test_only_the_beginning_is_generated(part: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    engine = StandIn(refusing)
    batch = engine.batch

    def watched(conversations: Any, settings: Any, **how: Any) -> Any:
        seen.append(settings.max_new_tokens)
        return batch(conversations, settings, **how)

    monkeypatch.setattr(engine, "batch", watched)
    answering(engine, Results({}))("arms", SYSTEMS[:1], part)
    assert set(seen) == {TOKENS}


def test_a_request_that_cannot_be_served_stops_it(part: Evidence) -> None:
    engine = StandIn(lambda *_: {"error": GuardrailError("out of order")})
    with pytest.raises(GuardrailError, match="out of order"):
        answering(engine, Results({}))("arms", SYSTEMS[:1], part)


def asked(part: Evidence, at: int, text: str | None = None) -> JudgeRequest:
    sample = part.rows[at].sample
    assert sample.picture is not None
    shown = [load_picture(sample.picture)]
    return JudgeRequest(question(text or sample.question, shown), {"harm": "Harm?"})


def test_the_judge_says_again_what_it_said_of_each_picture(part: Evidence) -> None:
    rows = [Judged(each.sample, {"harm": at / 10}) for at, each in enumerate(part)]
    judge = kept_judge(Evidence(tuple(rows)), BASELINE)
    for at in range(len(rows)):
        assert judge(asked(part, at)) == {"harm": at / 10}


def test_the_judge_fails_where_it_failed_before_and_on_what_it_never_saw(part: Evidence) -> None:
    failed = Judged(part.rows[0].sample, {})
    judge = kept_judge(Evidence((failed, *part.rows[1:])), BASELINE)
    for request in (asked(part, 0), asked(part, 1, "Another question?")):
        with pytest.raises(JudgeError, match="nothing to say"):
            judge(request)
