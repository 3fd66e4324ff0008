"""`guardrail reference`: the file that it writes, what that earns, and what it refuses."""

import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest

from guardrail import Policy, SafeCoDe, load_policy
from guardrail.backends import REFERENCE_FILE
from guardrail.cli import main
from guardrail.cli import reference as command
from guardrail.embedded import CHECKPOINT
from guardrail.embedded.load import load_embedded
from guardrail.evaluation import requests
from guardrail.judging.reference import Reference
from guardrail.policy.evaluation import UNEARNED
from guardrail.request.conversation import Conversation, question
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings
from tests.families.checkpoint import save

PICTURES = sorted((Path(__file__).parents[2] / "examples" / "pictures").glob("*.png"))
QUESTIONS = ("How do I cut this?", "Is this safe for the children?")
GREEDY = GenerationSettings(max_new_tokens=2, temperature=0)
FAMILY = "llava"


def data_set(folder: Path, *, pictured: int = 8, texts: int = 4, label: str = "safe") -> str:
    """Requests about the example pictures, and some without a picture."""
    folder.mkdir()
    rows: list[dict[str, str]] = []
    for at in range(pictured):
        picture = PICTURES[at % len(PICTURES)]
        shutil.copy(picture, folder / picture.name)
        words = QUESTIONS[at % len(QUESTIONS)]
        rows.append({"picture": picture.name, "question": words, "label": label})
    rows += [{"question": f"What is {at} and {at}?", "label": "neutral"} for at in range(texts)]
    (folder / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(folder)


@pytest.fixture
def data(tmp_path: Path) -> str:
    return data_set(tmp_path / "data")


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(command, "load_engine", load)


@pytest.fixture(scope="module")
def judge() -> Path:
    """The embedded model, so that another one's verdicts are sound."""
    load_embedded()  # its architecture is known once it has been loaded
    return CHECKPOINT


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save(FAMILY, folder)
    return folder


def earning(reference: Path | None, *, judge: Path | None = None) -> Policy:
    """A policy by which every verdict is safe, and whose references need not be large.

    Args:
        reference: What it names.
        judge: A model that judges in the place of the one that answers.
    """
    baseline = load_policy("baseline")
    competence = {"above": 0.2, "reference": None if reference is None else str(reference)}
    who = {} if judge is None else {"kind": "model", "model": str(judge)}
    found: Policy = baseline.model_copy(
        update={
            "judge": baseline.judge.model_copy(
                update={
                    "competence": competence,
                    "second_look": {"picture": "none"},
                    "timeout_s": 300.0,
                    **who,
                }
            ),
            "verdict": {"unsafe_at": 1.0, "safe_below": 1.0, "on_error": "block"},
        }
    )
    return found


def asked() -> Conversation:
    return question(QUESTIONS[0], [load_picture(PICTURES[0])])


def run(*arguments: str) -> int:
    return main(["reference", "own", *arguments])


# What it writes ------------------------------------------------------------------------------


def test_it_writes_a_reference_and_says_where_it_came_from(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder" / "r.safetensors"
    assert run("--data", data, "--out", str(out), "--json") == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.err == ""
    made = Reference.load(out)
    assert (report["out"], report["requests"], report["descriptions"]) == (str(out), 12, 8)
    assert (len(made.distances), len(made.surprisals), len(made.token_ids)) == (6, 8, 128)
    assert report["tokens"] == 128
    assert report["smallest_p"] == pytest.approx(1 / 7)
    assert report["about"] == made.about
    assert made.about["model"] == "embedded"
    assert made.about["data set"].startswith("own, samples ")
    assert "guardrail reference own --data" in made.about["command"]


def test_in_words_it_says_what_to_do_with_it(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--data", data, "--out", str(tmp_path / "r")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "12 requests, 8 descriptions of their pictures; p-values from 0.14 up" in said
    assert (
        f"judge.competence.reference, or lay it beside the model's weights as {REFERENCE_FILE}"
        in said
    )
    assert run("--data", data, "--out", str(tmp_path / REFERENCE_FILE)) == 0
    assert "judge.competence.reference" not in capsys.readouterr().out


def test_the_same_requests_make_the_same_reference_whatever_their_labels(tmp_path: Path) -> None:
    for label in ("safe", "unsafe"):
        data = data_set(tmp_path / label, label=label)
        assert run("--data", data, "--out", str(tmp_path / f"{label}.r")) == 0
    safe, unsafe = (Reference.load(tmp_path / f"{label}.r") for label in ("safe", "unsafe"))
    assert safe.token_ids.tolist() == unsafe.token_ids.tolist()
    assert safe.distances == pytest.approx(unsafe.distances)


def test_batches_of_any_size_make_much_the_same_reference(data: str, tmp_path: Path) -> None:
    for batch in ("1", "5", "16"):
        assert run("--data", data, "--batch", batch, "--out", str(tmp_path / batch)) == 0
    one, five, all_ = (Reference.load(tmp_path / batch) for batch in ("1", "5", "16"))
    for other in (five, all_):
        assert other.token_ids.tolist() == one.token_ids.tolist()
        assert other.surprisals == pytest.approx(one.surprisals, abs=1e-3)
        assert other.mean == pytest.approx(one.mean, abs=1e-3)


def test_what_is_there_is_overwritten_by_force_alone(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r"
    out.write_bytes(b"mine")
    assert run("--data", data, "--out", str(out)) == 2
    assert capsys.readouterr().err.count("is there already: give another, or --force") == 1
    assert out.read_bytes() == b"mine"
    assert run("--data", data, "--out", str(out), "--force") == 0
    assert len(Reference.load(out).distances) == 6


# What it earns -------------------------------------------------------------------------------


def test_a_reference_named_in_a_policy_makes_the_embedded_model_comply(
    data: str, tmp_path: Path
) -> None:
    out = tmp_path / "r"
    assert run("--data", data, "--out", str(out)) == 0
    engine = SafeCoDe.embedded()
    decision = engine.answer(asked(), GREEDY, policy=earning(out)).decision
    assert (decision.action, decision.errors) == ("comply", [])
    own = engine.answer(asked(), GREEDY, policy=earning(None)).decision.verdict
    assert decision.verdict.evidence["request"] != own.evidence["request"]


def test_a_reference_makes_another_model_comply_named_or_beside_its_weights(
    data: str, tmp_path: Path, tiny: Path, judge: Path
) -> None:
    out, folder = tmp_path / "r", tmp_path / "model"
    shutil.copytree(tiny, folder)
    assert run("--data", data, "--out", str(out), "--model", str(folder)) == 0
    engine = SafeCoDe.from_pretrained(folder)
    bare, named = earning(None, judge=judge), earning(out, judge=judge)
    without = engine.answer(asked(), GREEDY, policy=bare).decision
    assert (without.action, without.rule, without.verdict.label) == ("plain", UNEARNED, "safe")
    earned = engine.answer(asked(), GREEDY, policy=named).decision
    assert (earned.action, earned.errors) == ("comply", [])
    shutil.copy(out, folder / REFERENCE_FILE)
    beside = engine.answer(asked(), GREEDY, policy=bare).decision
    assert beside.action == "comply"
    assert beside.verdict.evidence == earned.verdict.evidence


def test_a_reference_of_another_model_earns_nothing(
    data: str, tmp_path: Path, tiny: Path, judge: Path
) -> None:
    out = tmp_path / "r"
    assert run("--data", data, "--out", str(out)) == 0
    engine = SafeCoDe.from_pretrained(tiny)
    decision = engine.answer(asked(), GREEDY, policy=earning(out, judge=judge)).decision
    assert (decision.action, decision.rule) == ("plain", UNEARNED)
    assert decision.verdict.label == "safe"


# What it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "{}/nowhere"], "nowhere"),
        (["--data", "{}/torn"], "list.jsonl"),
        (["--data", "{}/data", "--batch", "0"], "batch is 0"),
        (["--data", "{}/data", "--seed", "-1"], "seed is -1"),
        (["--data", "{}/data", "--limit", "-1"], "-1"),
        (["--data", "{}/data", "--out", "{}"], "is there already"),
        (["--data", "{}/data", "--out", "{}", "--force"], "it is a folder"),
        (["--data", "{}/data", "--out", "{}/data/list.jsonl/r"], "cannot be written"),
    ],
)
def test_bad_use_is_one_line_and_no_model_is_loaded(
    no_engine: None,
    data: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "list.jsonl").write_text('{"question": 3}\n')
    before = sorted(tmp_path.rglob("*"))
    given = [each.format(tmp_path) for each in arguments]
    if "--out" not in given:
        given += ["--out", str(tmp_path / "r")]
    assert run(*given) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_too_few_requests_are_one_line_and_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for count in (1, 5):
        data = data_set(tmp_path / f"{count}", pictured=count, texts=0)
        assert run("--data", data, "--out", str(tmp_path / "r")) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1
        assert f"{count} requests are no reference: expected 6 or more" in said[0]
    assert not (tmp_path / "r").exists()


def test_requests_that_are_all_the_same_are_one_line_and_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "same"
    folder.mkdir()
    row = json.dumps({"question": "How?", "label": "safe"}) + "\n"
    (folder / "list.jsonl").write_text(row * 8)
    assert run("--data", str(folder), "--batch", "1", "--out", str(tmp_path / "r")) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "too much alike" in said[0]
    assert not (tmp_path / "r").exists()


def test_a_picture_that_cannot_be_read_names_its_sample(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(data) / PICTURES[2].name).write_bytes(b"no picture")
    assert run("--data", data, "--out", str(tmp_path / "r")) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "sample" in said[0]
    assert not (tmp_path / "r").exists()


def test_pictures_are_held_no_longer_than_they_are_asked(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[Any]] = []
    most, load = 0, requests.load_picture

    def loaded(given: Any) -> Any:
        nonlocal most
        made = load(given)
        held.append(weakref.ref(made.image))
        most = max(most, sum(each() is not None for each in held))
        return made

    monkeypatch.setattr(requests, "load_picture", loaded)
    assert run("--data", data, "--batch", "2", "--out", str(tmp_path / "r")) == 0
    assert len(held) >= 16  # once to choose tokens by, once to be described
    assert most <= 6
