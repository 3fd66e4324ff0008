"""What is measured of long answers and of other wordings; a further run starts and ends."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from guardrail.embedded import CHECKPOINT, HELDOUT
from guardrail.embedded.load import load_embedded
from guardrail.embedded.training import __main__ as training
from guardrail.embedded.training import evaluate_turning as turning
from guardrail.embedded.training.card import _turning, _wordings
from guardrail.embedded.training.evaluate import Asker
from guardrail.embedded.training.evaluate_turning import cuts_of, evaluate_turning
from guardrail.embedded.training.evaluate_wordings import WORDINGS, evaluate_wordings
from guardrail.embedded.training.things import CATEGORIES, THINGS
from guardrail.embedded.training.turning_trees import answer_question_node
from guardrail.embedded.training.wording import ANSWER_QUESTIONS

STYLES = ("noto", "noto-v1", "twemoji", "emojione", "fxemoji")


@pytest.fixture(scope="module")
def asker() -> Asker:
    return Asker(*load_embedded())


class Told:
    """Answers each request by turns, and judges what is said by whether it says "swim"."""

    def __init__(self, asker: Asker) -> None:
        self.backend = asker.backend

    def answers(self, pictures: Any, texts: list[str], *, longest: int) -> list[str]:
        bad = "I see a man. You could swim here. Smile and say hello. That is all."
        return [
            bad if number % 2 else "I see a man. Bring a friend." for number in range(len(texts))
        ]

    def scores(self, pictures: Any, texts: list[str]) -> tuple[torch.Tensor, None]:
        return torch.full((len(texts), len(CATEGORIES)), 0.1), None

    def answer_scores(self, pictures: Any, texts: Any, said: list[str]) -> torch.Tensor:
        found = torch.tensor([0.9 if "swim" in each else 0.1 for each in said])
        return found[:, None].expand(-1, len(CATEGORIES))


def test_turns_and_verdicts_are_counted(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"id": f"t{n:04d}", "kind": kind, "request": "Ideas?", "image_path": "a.webp",
         "harmful_phrases": {"swim here": ["physical-danger"]}}
        for n, kind in enumerate(("ideas", "ideas", "day", "story", "talk", "talk"))
    ]  # fmt: skip
    monkeypatch.setattr(turning.json, "loads", lambda _: rows)
    monkeypatch.setattr(turning.Path, "read_text", lambda *_: "")
    monkeypatch.setattr(turning.Image, "open", lambda _: Image.new("RGB", (8, 8)))
    monkeypatch.setattr(turning, "_written", lambda row: turning.LongAnswer(("No.",), None))
    found = evaluate_turning(Told(asker), Path())  # type: ignore[arg-type]
    assert (found["turned"]["value"], found["turned"]["n"]) == (0.5, 6)
    assert found["turned_by_kind"]["ideas"]["value"] == 0.5
    assert found["request_judged_safe"]["value"] == 1.0
    pieces = asker.backend.encode("I see a man. You could swim here").tokens
    assert found["turning_token_5_25_50_75_95"] == [len(pieces) - 1] * 5
    assert found["own"]["before_after"]["value"] == 1.0
    assert found["own"]["turned"] == {"value": 1.0, "n": [3, 3]}
    assert found["own"]["accuracy_at_half"]["value"] == 1.0
    assert found["own"]["by_category"]["physical-danger"] == {"auroc": 1.0, "n": [3, 9]}
    assert found["written"]["before_after"]["value"] is None
    table = "\n".join(_turning(found))
    assert "| turn into help with what is harmful | 50.0% (18.8 to 81.2, n=6) |" in table


def test_answers_are_cut_before_and_after_the_sentence_that_turns() -> None:
    phrases = {"swim here": ["physical-danger"]}
    text = "A man. You could swim here. That is all."
    assert cuts_of(text, phrases) == ("A man.", "A man. You could swim here.")
    assert cuts_of("Swim here!", phrases) == ("", "Swim here!")
    assert cuts_of("A man. Bye.", phrases) == ("A man.", "A man. Bye.")


def test_an_answer_is_judged_as_the_public_processor_renders_it(asker: Asker) -> None:
    picture = Image.open(HELDOUT / "pictures" / "0000-safe.webp").convert("RGB")
    request, said = "Tell me a story.", "Once there was a tulip."
    [scores] = asker.answer_scores([picture], [request], [said])
    for column in (0, 6):
        node = answer_question_node(ANSWER_QUESTIONS[CATEGORIES[column]][0], True)
        messages = [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request}]},
            {"role": "assistant", "content": said},
        ]
        text = asker.processor.apply_chat_template(messages).removesuffix("<|im_end|>\n")
        inputs = asker.processor(images=[picture], text=text + node.text, return_tensors="pt")
        with torch.inference_mode():
            logits = asker.model(**inputs).logits[0, -1]
        expected = torch.sigmoid(logits[asker.yes] - logits[asker.no])
        assert scores[column] == pytest.approx(float(expected), abs=1e-3)


class Deaf:
    """Judges by the picture alone, and takes every question asked in capitals for harmful."""

    def scores(self, pictures: list[Any], texts: list[str]) -> tuple[torch.Tensor, None]:
        rows = [0.9 if number % 2 or text.isupper() else 0.1 for number, text in enumerate(texts)]
        return torch.tensor(rows)[:, None].expand(-1, len(CATEGORIES)), None


def test_every_wording_is_measured_on_the_pairs() -> None:
    found = evaluate_wordings(Deaf(), HELDOUT, limit=9)  # type: ignore[arg-type]
    assert set(found) == set(WORDINGS)
    assert found["reworded"]["auroc"]["value"] == found["polite"]["auroc"]["value"] == 1.0
    assert found["reworded"]["auroc"]["n"] == 18
    assert found["capitals"]["auroc"]["value"] == 0.5
    assert found["capitals"]["accuracy_at_half"]["value"] == 0.5
    assert len(list(_wordings(found))) == 2 + len(WORDINGS)


@pytest.mark.slow
def test_a_further_run_starts_is_resumed_and_exports(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index, key in enumerate(THINGS):
        folder = tmp_path / "cutouts" / key.replace(" ", "-")
        folder.mkdir(parents=True)
        for style in STYLES:
            Image.new("RGBA", (24, 24), (index, 99, 9, 255)).save(folder / f"{style}.png")
    again = ["--work-dir", str(tmp_path), "--checkpoint", str(tmp_path / "out"), "--seed", "2",
             "--start", str(CHECKPOINT), "--harden-steps", "0", "--talk-from", "56800",
             "--batch", "2", "--stages", "tokenizer", "harden", "talk", "export"]  # fmt: skip
    caplog.set_level(logging.INFO)
    training.main([*again, "--talk-steps", "1"])
    training.main([*again, "--talk-steps", "2"])
    assert "resumed at step 1" in caplog.text
    assert not (tmp_path / "harden.pt").exists()
    before, after = (load_embedded(p)[0].state_dict() for p in (CHECKPOINT, tmp_path / "out"))
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert any("language_model" in name for name in moved)
    assert not any("vision_tower" in name for name in moved)
