"""Prompts of base models without a chat template: plain text, as they were trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from guardrail.errors import MessageError
from guardrail.request.conversation import Turn


def question_answer(turns: Sequence[Turn], processor: object) -> str:
    """Returns `Question: … Answer: … Question: … Answer:`; the processor places the picture."""
    names = {"system": "", "user": "Question: ", "tool": "Question: ", "assistant": "Answer: "}
    said = [names[turn.role] + turn.text for turn in turns]
    return " ".join([*said, "Answer:"])


def bare(turns: Sequence[Turn], processor: object) -> str:
    """Returns the texts of all turns, a line each: for models that follow bare instructions."""
    return "\n".join(turn.text for turn in turns)


def one_picture(turns: Sequence[Turn], family: str) -> None:
    """Raises a `MessageError` unless the turns show at most one picture."""
    count = sum(len(turn.pictures) for turn in turns)
    if count > 1:
        raise MessageError(f"{family} takes one picture, this conversation has {count}")


def flat_pictures(
    processor: Any, texts: Sequence[str], pictures: Sequence[Sequence[Any]], **options: Any
) -> Any:
    """Calls a processor that wants one flat list of pictures, one for each text."""
    flat = [picture for row in pictures for picture in row]
    if flat and len(flat) != len(texts):
        raise MessageError("a batch for this family has a picture in every request, or in none")
    return processor(text=list(texts), images=flat or None, **options)
