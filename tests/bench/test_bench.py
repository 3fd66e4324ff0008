"""The bench measures what it says, on a model small enough for tests."""

import json

import pytest

from guardrail.backends.transformers.shape_vocabulary import make_tokenizer, refusal_phrases
from guardrail.backends.transformers.shapes import SHAPES, build_shape
from guardrail.bench import recording, watching
from guardrail.bench.measure import PicturesCost, Timing
from guardrail.bench.memory import Task, peak_bytes
from guardrail.bench.pinned import pinned
from guardrail.bench.report import Report, linearity
from guardrail.bench.spread import Spread
from guardrail.bench.subject import Subject, shaped
from guardrail.bench.variants import VARIANTS
from guardrail.cli import main
from guardrail.errors import GuardrailError, SettingsError
from guardrail.record.audit.observer import AuditObserver


@pytest.fixture(scope="module")
def subject() -> Subject:
    tiny = shaped("tiny")
    return tiny.settled(tiny.request(pictures=1, prompt_tokens=60))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_gives_exactly_the_tokens_asked_for(subject: Subject, variant: str) -> None:
    conversation = subject.request(pictures=1, prompt_tokens=60)
    for count in (1, 7):
        run = VARIANTS[variant](subject, conversation, count)
        assert 0 < run.first_token_s <= run.wall_s


def test_guarded_variants_do_what_they_are_called_for(subject: Subject) -> None:
    conversation = subject.request(pictures=1, prompt_tokens=60)
    always = VARIANTS["always"](subject, conversation, 6).parts_ms
    skipped = VARIANTS["skipped"](subject, conversation, 6).parts_ms
    assert {"prefill", "judge", "noised", "decode"} <= set(always)
    assert "judge" in skipped
    assert "noised" not in skipped


def test_request_has_the_asked_length(subject: Subject) -> None:
    one = subject.count_tokens(subject.request(pictures=1, prompt_tokens=90))
    three = subject.count_tokens(subject.request(pictures=3, prompt_tokens=90))
    assert 90 <= one < 130
    assert three > one + 2 * 16


def test_pinned_policies_keep_everything_else_of_the_baseline() -> None:
    policies = pinned()
    assert policies.always.contrast.when == "always"
    assert policies.skipped.contrast.when == "at-stake"
    assert len(policies.always.categories) == 7
    assert policies.always.phrases == policies.skipped.phrases


def test_phrases_and_tokenizer_are_of_the_asked_size() -> None:
    phrases = refusal_phrases(10_000)
    assert len(set(phrases)) == 10_000
    tokenizer = make_tokenizer(1500, controls=("<pad>", "</s>"), eos="</s>", pad="<pad>")
    assert len(tokenizer) == 1500
    text = "I can't help with that, Zoë: 这是 🐈."
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_overhead_on_a_line_is_linear() -> None:
    def cost(pictures: int, overhead: float) -> PicturesCost:
        return PicturesCost(pictures, 100, Spread.of([1.0]), Spread.of([overhead]))

    line = linearity([cost(1, 1.5), cost(2, 2.5), cost(4, 4.5)])
    assert line is not None
    assert line["per_picture_s"] == pytest.approx(1.0)
    assert line["fixed_s"] == pytest.approx(0.5)
    assert line["worst"] == pytest.approx(0.0, abs=1e-9)
    assert linearity([cost(1, 1.5)]) is None


def test_bars_hold_for_the_promised_shape_only() -> None:
    one = Spread.of([1.0])
    timing = Timing("always", 64, one, one, one, {})
    made = {"repeats": 1, "timings": [timing], "machine": {}}
    promised = Report(subject={"name": "llava-250m", "device": "cpu"}, **made)
    assert promised.bar(timing) == 1.25
    assert Report(subject={"name": "tiny", "device": "cpu"}, **made).bar(timing) is None


def test_command_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (
        "bench --shape tiny --new-tokens 2,4 --repeats 1 --no-memory --prompt-tokens 60 "
        "--pictures 1,2 --vocabulary 200 --json"
    )
    assert main(arguments.split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["variant"], row["new_tokens"]) for row in found["timings"]] == [
        (name, count) for count in (2, 4) for name in ("plain", "always", "skipped", "reference")
    ]
    for row in found["timings"]:
        assert row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
    assert found["timings"][0]["ratio"]["median"] == 1.0
    assert [row["pictures"] for row in found["pictures"]] == [1, 2]
    assert found["vocabulary"]["phrases"] == 200
    assert found["subject"]["random_weights"] is True


def test_command_prints_tables(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "bench --shape tiny --new-tokens 2 --repeats 1 --no-memory --variants off"
    assert main(arguments.split()) == 0
    out = capsys.readouterr().out
    assert "plain" in out
    assert "off" in out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--shape huge", "'huge', expected one of llava-250m"),
        ("--new-tokens 0", "'0', expected numbers of 1 or more"),
        ("--new-tokens x", "expected numbers"),
        ("--shape tiny --variants faster", "'faster', expected one of"),
        ("--shape tiny --model here", "not both"),
        ("--shape tiny --dtype int8", "'int8', expected one of"),
        ("--model /nowhere/at/all", "cannot load"),
    ],
)
def test_bad_use_is_one_line(arguments: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert why in error
    assert "Traceback" not in error


def test_a_model_that_stops_early_is_not_measured(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guardrail.bench import variants
    from guardrail.request.settings import GenerationSettings

    monkeypatch.setattr(
        variants, "exactly", lambda count: GenerationSettings(max_new_tokens=2, temperature=0)
    )
    conversation = subject.request(pictures=1, prompt_tokens=60)
    with pytest.raises(GuardrailError, match="2 tokens instead of 5"):
        VARIANTS["plain"](subject, conversation, 5)


def test_unknown_shape_is_refused() -> None:
    with pytest.raises(SettingsError, match="expected one of"):
        build_shape("none")
    assert {"llava-250m", "qwen2.5-vl-7b", "tiny"} == set(SHAPES)


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own() -> None:
    task = Task("tiny", None, None, "always", 4, 1, 60, 1)
    assert 50 * 2**20 < peak_bytes(task) < 8 * 2**30
    bad = Task("tiny", None, None, "always", 4, 0, 60, 1)
    with pytest.raises(GuardrailError, match="cannot be measured"):
        peak_bytes(bad)


def test_watching_is_measured_against_the_same_answer(subject: Subject) -> None:
    conversation = subject.request(pictures=1, prompt_tokens=60)
    cost = watching.time_watching(
        subject, conversation, new_tokens=70, repeats=2, progress=lambda _: None
    )
    assert (cost.every, cost.readings[1], cost.questions_in_full) == (32, 1, 8)
    assert cost.readings[0] >= 3
    assert min(cost.ratio.low, cost.ratio_in_full.low) > 0
    assert 0 == cost.delay_tokens.low < cost.delay_tokens.median < cost.delay_tokens.high < 32
    assert cost.delay_ms.high > 0


def test_recording_is_measured_against_the_same_answer(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "ROUNDS", 3)
    written = []
    monkeypatch.setattr(
        AuditObserver, "concluded", lambda self, decision, *rest: written.append(decision)
    )
    conversation = subject.request(pictures=1, prompt_tokens=60)
    cost = recording.time_recording(
        subject, conversation, new_tokens=4, repeats=1, progress=lambda what: None
    )
    assert (cost.new_tokens, cost.rounds) == (4, 3)
    assert cost.low <= cost.share <= cost.high
    assert len(written) == 3 + 2  # one of each pair, two of them to warm up
    assert all(decision.trace_id for decision in written)
