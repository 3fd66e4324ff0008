"""Running and going on: who is asked what, what is kept, and what a rerun does."""

import json
from pathlib import Path
from typing import Any

import pytest

from guardrail.errors import DatasetError, Escalation, PictureError, SettingsError
from guardrail.evaluation import Dataset, Results, Sample, load_dataset, run, systems_for
from guardrail.evaluation.results import Step
from guardrail.evaluation.runner import requests_of
from guardrail.policy import load_policy
from guardrail.record.decision import StepRecord, VerdictRecord

from . import layouts
from .stand_in import StandIn

SYSTEMS = systems_for(["unguarded", "guarded"], load_policy("baseline"))
HEADER = {"dataset": "scenes", "seed": 0}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return load_dataset("scenes", layouts.scenes(tmp_path / "scenes"))


def plain(*_: Any) -> dict[str, Any]:
    return {}


def test_every_system_is_asked_everything_but_blank_pictures_only_unguarded(
    dataset: Dataset,
) -> None:
    engine, results = StandIn(plain), Results(HEADER)
    run(engine, dataset, SYSTEMS, results, batch=3)
    modes = [mode for _, mode in engine.asked]
    assert modes.count("off") == len(dataset.samples) == requests_of(SYSTEMS[0], dataset)
    assert modes.count("enforce") == len(dataset.samples) - 2 == requests_of(SYSTEMS[1], dataset)
    assert len(results) == len(engine.asked)


def test_text_alone_is_asked_without_a_picture_and_a_blank_one_is_shown(tmp_path: Path) -> None:
    layouts.picture(tmp_path / "a.png")
    samples = (
        Sample("1", "unsafe", "1", "alone", None),
        Sample("2", "neutral", "2", "alone, neutral", None),
        Sample("3", "blank", "3", "unseen", None),
        Sample("4", "safe", "4", "seen", tmp_path / "a.png"),
    )
    engine = StandIn(plain)
    run(engine, Dataset("mixed", samples), SYSTEMS, Results(HEADER))
    assert engine.shown == {"alone": 0, "alone, neutral": 0, "unseen": 1, "seen": 1}


def test_judges_are_not_hurried(dataset: Dataset) -> None:
    limits = set()

    def says(question: str, policy: Any, mode: str) -> dict[str, Any]:
        limits.add(policy.judge.timeout_s)
        return {}

    run(StandIn(says), dataset, SYSTEMS, Results(HEADER))
    assert limits == {600.0}


def test_progress_counts_to_the_number_of_requests(dataset: Dataset) -> None:
    counted = dict.fromkeys((each.name for each in SYSTEMS), 0)

    def progress(system: Any, answered: int) -> None:
        counted[system.name] += answered

    run(StandIn(plain), dataset, SYSTEMS, Results(HEADER), batch=4, progress=progress)
    assert counted == {each.name: requests_of(each, dataset) for each in SYSTEMS}


def test_a_rerun_asks_only_batches_of_which_something_is_missing(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "results.jsonl"
    first = Results(HEADER, path=path)
    run(StandIn(plain), dataset, SYSTEMS, first, batch=4)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-2]) + "\n" + lines[-2][:20])  # killed while it wrote
    engine = StandIn(plain)
    again = Results(HEADER, path=path)
    assert len(again) == len(first) - 2
    kept = again.get("guarded", json.loads(lines[-3])["sample"])
    run(engine, dataset, SYSTEMS, again, batch=4)
    assert len(engine.asked) == 3  # the last batch, in the same company
    assert again.get("guarded", json.loads(lines[-3])["sample"]) is kept
    assert len(Results(HEADER, path=path)) == len(first)
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_records_of_the_form_before_steps_count_and_say_so(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "results.jsonl"
    run(StandIn(plain), dataset, SYSTEMS, Results(HEADER, path=path))
    header, *rows = path.read_text().splitlines()
    older = [json.loads(row) for row in rows]
    for row in older:
        del row["steps"], row["categories"]
    path.write_text("\n".join([header, *map(json.dumps, older)]) + "\n")
    engine, again = StandIn(plain), Results(HEADER, path=path)
    run(engine, dataset, SYSTEMS, again)
    assert engine.asked == []
    record = again.get("guarded", "0000/safe")
    assert record is not None
    assert (record.steps, record.categories) == (None, None)


def test_guided_steps_and_categories_come_back_from_the_file(
    dataset: Dataset, tmp_path: Path
) -> None:
    step = StepRecord(
        step=0, token="Sure", token_unguarded="I", refusal_mass_before=0.75, refusal_mass_after=0.25
    )
    judged = VerdictRecord(label="safe", p_unsafe=0.1, categories={"medical": 0.1})
    engine = StandIn(lambda *_: {"decision": {"steps": [step], "verdict": judged}})
    path = tmp_path / "results.jsonl"
    run(engine, dataset, SYSTEMS, Results(HEADER, path=path))
    record = Results(HEADER, path=path).get("guarded", "0000/safe")
    assert record is not None
    assert record.steps == (Step(0, "Sure", "I", 0.75, 0.25),)
    assert record.categories == {"medical": 0.1}


def test_a_results_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    Results(HEADER, path=path)
    before = path.read_text()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Results(HEADER, path=path)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_escalation_is_recorded_and_an_error_is_raised(dataset: Dataset) -> None:
    decided = StandIn(plain).batch(
        [_conversation()], None, policy=SYSTEMS[1].policy, mode="enforce", return_exceptions=True
    )[0].decision  # fmt: skip
    decided = decided.model_copy(
        update={"outcome": decided.outcome.model_copy(update={"finish_reason": "escalated"})}
    )
    results = Results(HEADER)
    run(StandIn(lambda *_: {"error": Escalation("x", decided)}), dataset, SYSTEMS[1:], results)
    record = results.get("guarded", "0000/safe")
    assert record is not None
    assert (record.finish, record.answer, record.tokens) == ("escalated", "", ())
    with pytest.raises(SettingsError, match="boom"):
        run(
            StandIn(lambda *_: {"error": SettingsError("boom")}),
            dataset,
            SYSTEMS,
            Results(HEADER),
        )


def test_an_unreadable_picture_names_its_sample(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "scenes" / "pictures" / "1-safe.png").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match=r"sample '(0001/safe|neutral/n1)': .*1-safe\.png"):
        run(StandIn(plain), dataset, SYSTEMS, Results(HEADER))


def test_results_of_another_run_are_not_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    Results(HEADER, path=path)
    with pytest.raises(DatasetError, match="another seed"):
        Results({**HEADER, "seed": 1}, path=path)
    before = path.read_text()
    Results({**HEADER, "seed": 1}, path=path, resume=False)
    assert path.read_text() != before


@pytest.mark.parametrize("content", [b"hello\n", b"[1]\n", b"\xff\xfe\x00", b'{"a": 1}\n'])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"notes\.txt"):
        Results(HEADER, path=path)
    assert path.read_bytes() == content


def test_a_results_path_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "results.jsonl"):
        with pytest.raises(DatasetError, match="cannot use"):
            Results(HEADER, path=path)


def _conversation() -> Any:
    from guardrail.request.conversation import question

    return question("x")
