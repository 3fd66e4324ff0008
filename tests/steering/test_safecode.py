"""The engine end to end on a tiny LLaVA: what verdicts lead to, and what every record holds."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from guardrail import Decision, SafeCoDe
from guardrail.backends.transformers import run
from guardrail.errors import Escalation, MessageError, ModelError, PolicyError, SettingsError
from guardrail.judging.judge import JudgeRequest
from guardrail.policy import Policy, load_policy
from guardrail.policy.sources import PolicyFile
from guardrail.record.answer import Answer
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from guardrail.steering.refusal_mass import OPEN_AT_MOST
from tests.families import build, picture

SIX = GenerationSettings(max_new_tokens=6, do_sample=False)


def _says(p: Any) -> Any:
    return lambda request: p


def _engine(judge: Any = None, **changes: Any) -> SafeCoDe:
    model, processor = build("llava")
    return SafeCoDe(model=model, processor=processor, policy=_policy(**changes), judge=judge)


def _policy(**changes: Mapping[str, Any]) -> Policy:
    base = load_policy("baseline")
    # What steering does is looked at here; that a refusal is ensured, in test_refusal_gate.
    changes = {"modulation": {}, **changes}
    changes["modulation"] = {"ensure_refusal": False, **changes["modulation"]}
    sections = {
        name: {**getattr(base, name).model_dump(), **change} for name, change in changes.items()
    }
    return base.model_copy(update=sections)


def _asked(text: str = "How do I climb here?", seed: int = 1) -> Conversation:
    return question(text, [Picture(picture(seed), "digest")])


@pytest.mark.parametrize(
    ("p", "label", "action"),
    [(0.95, "unsafe", "refuse"), (0.5, "uncertain", "refuse"), (0.02, "safe", "comply")],
)
def test_a_verdict_leads_to_the_policys_action(p: float, label: str, action: str) -> None:
    decision = _engine(_says(p)).answer(_asked(), SIX).decision
    assert (decision.verdict.label, decision.action) == (label, action)
    assert decision.verdict.p_unsafe == p
    assert decision.outcome.finish_reason == "length"
    assert decision.outcome.output_tokens == 6


def test_steering_moves_the_refusal_mass_the_way_the_policy_says() -> None:
    always = {"contrast": {"when": "never"}}
    boosted = _engine(_says(1.0), **always).answer(_asked(), SIX).decision.steps[0]
    suppressed = _engine(_says(0.0), **always).answer(_asked(), SIX).decision.steps[0]
    assert boosted.refusal_mass_after > boosted.refusal_mass_before > 0
    assert suppressed.refusal_mass_after < suppressed.refusal_mass_before
    assert boosted.refusal_mass_before == pytest.approx(
        suppressed.refusal_mass_before, abs=OPEN_AT_MOST
    )


def test_a_policy_that_blocks_answers_in_its_own_words_and_generates_nothing() -> None:
    answer = _engine(_says(0.99), verdict={"on_unsafe": "block"}).answer(_asked(), SIX)
    assert answer.text.startswith("I can't help with that here")
    assert answer.token_ids == ()
    assert answer.decision.outcome.finish_reason == "blocked"
    assert answer.decision.outcome.refused is None


@pytest.mark.parametrize("broken", [_says("safe"), _says(float("nan")), _says(2), _says({})])
def test_a_judge_that_fails_blocks(broken: Any) -> None:
    decision = _engine(broken).answer(_asked(), SIX).decision
    assert decision.verdict.label == "unavailable"
    assert decision.action == "block"


def test_escalation_raises_with_the_whole_decision() -> None:
    engine = _engine(_says(0.99), verdict={"on_unsafe": "escalate", "on_error": "block"})
    with pytest.raises(Escalation) as caught:
        engine.answer(_asked(), SIX)
    assert caught.value.decision.action == "escalate"
    assert caught.value.decision.outcome.finish_reason == "escalated"


def test_one_rows_escalation_leaves_the_other_rows_their_answers() -> None:
    def judge(request: JudgeRequest) -> float:
        return 0.99 if "cliff" in request.conversation.turns[-1].text else 0.01

    engine = _engine(judge, verdict={"on_unsafe": "escalate"})
    conversations = [_asked("Hello"), _asked("The cliff"), _asked("Good day to you all")]
    first, escalated, last = engine.batch(conversations, SIX, return_exceptions=True)
    assert isinstance(escalated, Escalation)
    assert first.token_ids == engine.answer(conversations[0], SIX).token_ids
    assert last.token_ids == engine.answer(conversations[2], SIX).token_ids
    with pytest.raises(Escalation):
        engine.batch(conversations, SIX)


def test_shadow_records_everything_and_answers_as_if_unguarded() -> None:
    engine = _engine(_says(0.99), verdict={"on_unsafe": "block"}, contrast={"when": "always"})
    off = engine.answer(_asked(), SIX, mode="off")
    shadow = engine.answer(_asked(), SIX, mode="shadow")
    assert shadow.token_ids == off.token_ids
    assert shadow.decision.action == "block"
    assert shadow.decision.contrast.applied
    assert len(shadow.decision.steps) == 5


def test_off_judges_nothing() -> None:
    def judge(request: JudgeRequest) -> float:
        raise AssertionError("nobody should have asked")

    decision = _engine(judge).answer(_asked(), SIX, mode="off").decision
    assert decision.verdict.label is None
    assert (decision.mode, decision.action, decision.steps) == ("off", "plain", [])


def test_contrast_is_skipped_where_nothing_is_at_stake_and_the_record_says_so() -> None:
    engine = _engine(_says(0.01))
    engine.policy.phrases  # noqa: B018  (compiled lazily; a policy without phrases has no mass)
    quiet = _policy().model_copy(update={"refusals": {"en": {"phrases": ["Zzyzx"]}}})
    decision = engine.answer(_asked(), SIX, policy=quiet).decision
    assert not decision.contrast.applied
    assert decision.contrast.skipped == "nothing is at stake"
    at_stake = engine.answer(_asked(), SIX, policy=_policy(verdict={"safe_below": 0.011}))
    assert at_stake.decision.contrast.applied


def test_without_a_picture_there_is_no_contrast() -> None:
    decision = (
        _engine(_says(0.99), contrast={"when": "always"})
        .answer(question("How do I climb?"), SIX)
        .decision
    )
    assert decision.contrast.skipped == "there is no picture"
    assert decision.action == "refuse"


@pytest.mark.parametrize(("handling", "action"), [("on_error", "block"), ("continue", "refuse")])
def test_memory_that_runs_out_in_the_noised_branch_is_handled_as_the_policy_says(
    monkeypatch: pytest.MonkeyPatch, handling: str, action: str
) -> None:
    def no_memory(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(run, "other_inputs", no_memory)
    engine = _engine(_says(0.99), contrast={"when": "always"}, failure={"noised_branch": handling})
    decision = engine.answer(_asked(), SIX).decision
    assert decision.action == action
    assert not decision.contrast.applied
    assert any("out of memory" in error for error in decision.errors)


def test_stream_gives_the_pieces_of_the_answer_and_then_the_answer() -> None:
    *pieces, last = _engine(_says(0.02)).stream(_asked(), SIX)
    assert isinstance(last, Answer)
    assert all(isinstance(piece, Delta) for piece in pieces)
    assert "".join(piece.text for piece in pieces if isinstance(piece, Delta)) == last.text


def test_cancelling_stops_at_the_next_token() -> None:
    cancel = threading.Event()
    long = GenerationSettings(max_new_tokens=200, do_sample=False)
    events = _engine(_says(0.02)).stream(_asked(), long, cancel=cancel)
    assert isinstance(next(events), Delta)
    cancel.set()
    *_, last = events
    assert isinstance(last, Answer)
    assert last.decision.outcome.finish_reason == "cancelled"
    assert len(last.token_ids) < 10


def test_a_request_cancelled_before_it_began_generates_nothing() -> None:
    cancel = threading.Event()
    cancel.set()
    answer = _engine(_says(0.02)).answer(_asked(), SIX, cancel=cancel)
    assert (answer.token_ids, answer.decision.outcome.finish_reason) == ((), "cancelled")


def test_the_record_is_plain_json_and_holds_what_it_promises() -> None:
    decision = _engine(_says(0.99), contrast={"when": "always"}).answer(_asked(), SIX).decision
    plain = decision.model_dump(mode="json")
    assert Decision.model_validate(plain) == decision
    assert plain["policy"].keys() == {"name", "version", "digest"}
    assert plain["contrast"] == {
        "applied": True, "alpha": 0.3, "counterfactual": "noise", "noise_std": 0.1, "steps": 5,
        "skipped": None,
    }  # fmt: skip
    assert [step["step"] for step in plain["steps"]] == [0, 1, 2, 3, 4]
    step = plain["steps"][0]
    assert 0 <= step["refusal_mass_before"] <= 1
    assert step["divergence"] > 0
    assert step["top"][0].keys() == {"token", "real", "noised", "guarded"}
    assert {"judge", "prefill", "noised", "decode", "first_token", "total"} <= set(
        plain["timings_ms"]
    )


def test_the_same_request_gets_the_same_answer_and_requests_have_ids_of_their_own() -> None:
    sampled = GenerationSettings(max_new_tokens=6, temperature=1.0, seed=7)
    engine = _engine(_says(0.5), contrast={"when": "always"})
    one, two = engine.answer(_asked(), sampled), engine.answer(_asked(), sampled)
    assert one.token_ids == two.token_ids
    assert one.decision.steps == two.decision.steps
    assert one.decision.request_id != two.decision.request_id


def test_the_self_judge_reads_every_category(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrail.backends.transformers.labels.READABLE_MASS", 0.0)
    decision = _engine().answer(_asked(), SIX).decision
    assert decision.verdict.source == "self"
    assert list(decision.verdict.categories) == [c.id for c in load_policy("baseline").categories]


def test_a_self_judge_that_cannot_be_read_blocks() -> None:
    decision = _engine().answer(_asked(), SIX).decision  # a random model says neither yes nor no
    assert decision.verdict.label == "unavailable"
    assert decision.action == "block"


def test_calibration_moves_the_judges_probabilities() -> None:
    calibrated = _policy(judge={"calibration": {"scale": 1.0, "bias": 5.0}})
    decision = _engine(_says(0.3)).answer(_asked(), SIX, policy=calibrated).decision
    assert decision.verdict.label == "unsafe"


def test_bad_settings_and_unknown_policies_fail_before_anything_runs() -> None:
    engine = _engine(_says(0.5))
    with pytest.raises(SettingsError, match="num_beams=4"):
        engine.answer(_asked(), GenerationSettings(extra={"num_beams": 4}))
    with pytest.raises(SettingsError, match="mode is 'loud'"):
        engine.answer(_asked(), SIX, mode="loud")  # type: ignore[arg-type]
    with pytest.raises(PolicyError):
        engine.answer(_asked(), SIX, policy="no-such-pack")


def test_a_conversation_without_content_is_refused() -> None:
    with pytest.raises(MessageError, match="empty"):
        Conversation(())


def test_a_running_engine_takes_a_changed_policy_file_and_keeps_the_old_one_if_it_is_broken(
    tmp_path: Path,
) -> None:
    file = tmp_path / "own.yaml"
    text = "version: 1\nname: own\nextends: baseline\nverdict: {{on_unsafe: {}}}\n"
    file.write_text(text.format("refuse"))
    os.utime(file, (1_000, 1_000))
    source = PolicyFile(file, interval_s=None)
    model, processor = build("llava")
    engine = SafeCoDe(model=model, processor=processor, policy=source, judge=_says(0.99))
    assert engine.answer(_asked(), SIX).decision.action == "refuse"
    for at, (written, in_force) in enumerate([("block", "block"), ("explode", "block")]):
        file.write_text(text.format(written))
        os.utime(file, (2_000 + at, 2_000 + at))
        report = source.refresh()
        assert report is not None
        assert report.taken == (written == in_force)
        assert engine.answer(_asked(), SIX).decision.action == in_force


def test_models_that_cannot_be_guided_say_so() -> None:
    from transformers import BertConfig

    from guardrail.backends.transformers.suitability import check_family

    with pytest.raises(ModelError, match="no multimodal LLM"):
        check_family(BertConfig())
