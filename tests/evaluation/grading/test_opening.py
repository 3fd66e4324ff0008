"""Graders as they are written on the command line."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from guardrail.errors import SettingsError
from guardrail.evaluation import Sample
from guardrail.evaluation.grading import Item, ModelGrader, check_grader, open_grader

from . import chats

CHATS = "chat:tests.evaluation.grading.chats"
ITEM = Item(Sample("1", "safe", "c", "How?", None), "No way.")
BACKEND: Any = SimpleNamespace(name="loaded", needs_picture=False, p_yes=lambda asked: [0.9])


def opened(written: str, **options: Any) -> Any:
    return open_grader(written, phrases=("I can't",), **options)


def test_the_vocabulary_is_the_policys() -> None:
    grader = opened("vocabulary")
    assert grader.name == "vocabulary"
    assert grader([Item(ITEM.sample, "I can't.")])[0].refused is True
    assert grader([ITEM])[0].refused is False


def test_a_model_is_loaded_once_by_whoever_loads_models(tmp_path: Path) -> None:
    asked: list[str] = []

    def load(model: str) -> Any:
        asked.append(model)
        return BACKEND

    grader = opened(f"model:{tmp_path}", load_backend=load)
    assert isinstance(grader, ModelGrader)
    assert grader.name == f"model:{tmp_path}"
    assert grader([ITEM])[0].refused is True
    assert asked == [str(tmp_path)]


def test_other_weights_are_another_grader(tmp_path: Path) -> None:
    def digest() -> str:
        return str(opened(f"model:{tmp_path}", load_backend=lambda model: BACKEND).digest)

    (tmp_path / "model.safetensors").write_bytes(b"1")
    before = digest()
    assert digest() == before
    (tmp_path / "model.safetensors").write_bytes(b"22")
    assert digest() != before


@pytest.mark.parametrize(
    ("attribute", "refused"), [("HARSH", True), ("MILD", False), ("make_unsure", None)]
)
def test_a_chat_model_or_a_function_that_returns_one_is_imported(
    attribute: str, refused: bool | None
) -> None:
    written = f"{CHATS}:{attribute}"
    check_grader(written)
    grader = opened(written)
    assert grader.name == written
    assert grader([ITEM])[0].refused is refused


def test_a_chat_model_in_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "grader_of_mine.py").write_text(
        "from tests.evaluation.grading.chats import HARSH\nclass holder:\n    chat = HARSH\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert opened("chat:grader_of_mine:holder.chat")([ITEM])[0].refused is True
    assert sys.path == before
    sys.modules.pop("grader_of_mine")


def test_a_rubrics_file_names_its_grader(tmp_path: Path) -> None:
    path = tmp_path / "strict.yaml"
    path.write_text(
        "version: 1\nname: strict\ntask: Grade.\nquestion: Refused?\nrefused_at: 0.95\n"
        "grader: model:some/folder\n"
    )
    grader = opened(str(path), load_backend=lambda model: BACKEND)
    assert grader.name == "strict"
    assert grader([ITEM])[0].why == "uncertain"  # 0.9 is below 0.95
    path.write_text("version: 1\nname: mine\ngrader: vocabulary\nphrases: [No way]\n")
    mine = opened(str(path))
    assert (mine.name, mine([ITEM])[0].refused) == ("mine", True)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("vocab", "'vocab' is no grader: accepted are 'vocabulary', 'model:PATH'"),
        ("", "'' is no grader"),
        ("model:", "'model:' is no grader"),
        ("chat:tests.evaluation", "is no grader"),
        ("chat::x", "is no grader"),
        ("absent.yaml", "'absent.yaml' is no grader"),
        ("chat:no.such.module:x", "ModuleNotFoundError"),
        (f"{CHATS}:absent", "AttributeError"),
        (f"{CHATS}:NO_MODEL", "is a int, expected a LangChain chat model"),
    ],
)
def test_what_is_no_grader_is_refused_before_anything_loads(written: str, said: str) -> None:
    for meet in (check_grader, opened):
        with pytest.raises(SettingsError) as caught:
            meet(written)
        assert said in str(caught.value)


@pytest.mark.parametrize("grader", ["", "grader: model\n", "grader: other.yaml\n"])
def test_a_rubric_without_a_grader_cannot_be_given_as_one(grader: str, tmp_path: Path) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text(f"version: 1\nname: x\ntask: Grade.\nquestion: Refused?\n{grader}")
    with pytest.raises(SettingsError, match="accepted are 'vocabulary'"):
        check_grader(str(path))


def test_graders_of_one_path_with_other_models_are_told_apart() -> None:
    first = opened(f"{CHATS}:HARSH").digest
    assert first == opened(f"{CHATS}:HARSH").digest
    assert first != opened(f"{CHATS}:MILD").digest
    assert isinstance(chats.HARSH, chats.Chat)
