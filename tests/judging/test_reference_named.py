"""Whose reference an engine goes by, and that whatever is none leaves the model its caution."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from guardrail import SafeCoDe
from guardrail.backends import REFERENCE_FILE
from guardrail.embedded import CHECKPOINT
from guardrail.judging.reference import Reference
from guardrail.policy.evaluation import UNEARNED
from guardrail.policy.verdict import NO_EVIDENCE, Verdict
from guardrail.request.conversation import Conversation, question
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings
from tests.families import build
from tests.judging.earning_made import BASELINE, earned_by, reference


@pytest.fixture(scope="module")
def embedded() -> SafeCoDe:
    return SafeCoDe.embedded(policy=earned_by())


GREEDY = GenerationSettings(max_new_tokens=4, temperature=0)
BREAD = Path(__file__).parents[2] / "examples" / "pictures" / "kitchen-knife-bread.png"


def bread(text: str = "How do I cut this?") -> Conversation:
    return question(text, [load_picture(BREAD)])


def far_too_few(folder: Path) -> Path:
    (folder / "few").write_bytes(reference(requests=10).to_bytes())
    return folder / "few"


def other_vocabulary(folder: Path) -> Path:
    known = reference()
    other = replace(known, token_ids=np.array([0, 10**6]))
    (folder / "other").write_bytes(other.to_bytes())
    return folder / "other"


def truncated(folder: Path) -> Path:
    (folder / "torn").write_bytes(reference().to_bytes()[:-9])
    return folder / "torn"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def huge(folder: Path) -> Path:
    (folder / "huge").touch()
    os.truncate(folder / "huge", 1 << 40)
    return folder / "huge"


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda folder: folder / "nowhere", "there is no reference at "),
        (lambda folder: Path("nowhere/near/here"), "/nowhere/near/here'"),
        (lambda folder: folder, "is no reference: it is no file"),
        (pipe, "is no reference: it is no file"),
        (huge, "is no reference: it has 1099511627776 bytes"),
        (truncated, "is no reference: "),
        (lambda folder: BREAD, "is no reference: "),
        (lambda folder: Path("a\0b"), "is no reference: embedded null byte"),
        (lambda folder: Path("a" * 1999), "is no reference: "),
        (far_too_few, "the reference has 10 requests, too few for a p of 0.001"),
        (other_vocabulary, "the reference names token 1000000, and the model has "),
    ],
)
def test_a_reference_that_is_none_is_a_note_and_the_models_own_caution(
    embedded: SafeCoDe, tmp_path: Path, made: Callable[[Path], Path], why: str
) -> None:
    policy = earned_by(reference=str(made(tmp_path)))
    began = time.perf_counter()
    decision = embedded.answer(bread(), GREEDY, policy=policy).decision
    assert time.perf_counter() - began < 30
    assert (decision.action, decision.rule) == ("plain", UNEARNED)
    assert (decision.verdict.label, decision.verdict.competence) == ("safe", NO_EVIDENCE)
    [note] = decision.errors
    assert note.startswith("competence was not measured: ")
    assert why in note
    assert "\n" not in note


def test_a_relative_reference_is_that_of_the_working_directory(
    embedded: SafeCoDe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = earned_by(reference="own/reference")
    for name, content in (
        ("a", b"torn"),
        ("b", (CHECKPOINT / REFERENCE_FILE).read_bytes()),
        ("c", b"torn"),
    ):
        (tmp_path / name / "own").mkdir(parents=True)
        (tmp_path / name / "own" / "reference").write_bytes(content)
    for name, action in (("a", "plain"), ("b", "comply"), ("c", "plain")):
        monkeypatch.chdir(tmp_path / name)
        assert embedded.answer(bread(), GREEDY, policy=policy).decision.action == action


def test_a_reference_may_lie_at_home(
    embedded: SafeCoDe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "r").write_bytes((CHECKPOINT / REFERENCE_FILE).read_bytes())
    assert embedded.reference_for(earned_by(reference="~/r")) is not None
    decision = embedded.answer(bread(), GREEDY, policy=earned_by(reference="~nobody/r")).decision
    assert (decision.action, len(decision.errors)) == ("plain", 1)


def test_a_model_made_in_memory_has_no_reference_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / REFERENCE_FILE).write_bytes((CHECKPOINT / REFERENCE_FILE).read_bytes())
    monkeypatch.chdir(tmp_path)
    model, processor = build("llava")
    made = SafeCoDe(model=model, processor=processor)
    assert made.backend.reference is None
    assert made.reference_for(BASELINE) is None


def test_a_backend_that_knows_of_no_reference_earns_nothing(
    embedded: SafeCoDe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(type(embedded.backend), "reference")
    decision = embedded.answer(bread(), GREEDY).decision
    assert decision.action == "plain"
    assert decision.errors == ["competence was not measured: AttributeError"]


def test_many_threads_read_a_reference_once(
    embedded: SafeCoDe, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, load = list[Path](), Reference.load

    def slow(path: Path) -> Reference:
        read.append(path)
        time.sleep(0.2)
        return load(path)

    engine = SafeCoDe(backend=embedded.backend, policy=earned_by())
    monkeypatch.setattr(Reference, "load", slow)
    asked = [bread()] * 20
    with ThreadPoolExecutor(20) as threads:
        actions = list(threads.map(lambda each: engine.answer(each, GREEDY).decision.action, asked))
    assert actions == ["comply"] * 20
    assert len(read) == 1


def test_many_threads_that_find_a_torn_reference_are_all_cautious(
    embedded: SafeCoDe, tmp_path: Path
) -> None:
    policy = earned_by(reference=str(truncated(tmp_path)))
    with ThreadPoolExecutor(20) as threads:
        decisions = list(
            threads.map(
                lambda each: embedded.answer(each, GREEDY, policy=policy).decision, [bread()] * 20
            )
        )
    assert {each.action for each in decisions} == {"plain"}
    assert {len(each.errors) for each in decisions} == {1}


def test_evidence_and_competence_are_on_record(embedded: SafeCoDe) -> None:
    decision = embedded.answer(bread(), GREEDY).decision
    evidence = decision.verdict.evidence
    assert set(evidence) == {"request", "description"}
    assert (
        decision.verdict.competence == min(evidence.values()) > BASELINE.judge.competence.threshold
    )
    assert decision.model_dump(mode="json")["verdict"]["evidence"] == evidence
    assert decision.timings_ms["description"] > 0


def test_evidence_of_another_kind_earns_nothing_whoever_brings_it(embedded: SafeCoDe) -> None:
    by_picture = earned_by(evidence="picture", above=-1.5)
    p = {each.id: 0.0 for each in BASELINE.categories}
    pictures = Verdict(p, competence=3.0, evidence={"pictures": 3.0})
    request = Verdict(p, competence=0.9, evidence={"request": 0.9})
    for policy, verdict, action in (
        (BASELINE, request, "comply"),
        (BASELINE, pictures, "plain"),
        (by_picture, pictures, "comply"),
        (by_picture, request, "plain"),
    ):
        judged = embedded.decide(bread(), policy=policy, verdict=verdict).decision
        assert judged.action == action
        assert judged.verdict.evidence == verdict.evidence


def test_a_picture_that_is_compared_with_grey_says_so_in_its_evidence(embedded: SafeCoDe) -> None:
    policy = earned_by(evidence="picture", above=-1.0)
    decision = embedded.answer(bread("How do I cut this bread?"), GREEDY, policy=policy).decision
    if decision.verdict.competence is None:  # so sure that it was not asked again
        assert decision.verdict.evidence == {}
    else:
        assert decision.verdict.evidence == {"pictures": decision.verdict.competence}
    strict = earned_by(evidence="picture", above=0.0)
    decision = embedded.answer(bread(), GREEDY, policy=strict).decision
    assert decision.verdict.evidence == {"pictures": decision.verdict.competence}
