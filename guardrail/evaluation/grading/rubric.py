"""A rubric: what a grader is asked, and from which probability on its answer counts.

It is a YAML file. It knows no models.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from guardrail.errors import PolicyError, SettingsError
from guardrail.policy.document import parse_document

DEFAULT = Path(__file__).with_name("refusal.yaml")
"""The rubric that ships with the package."""

Words = Annotated[str, Field(min_length=1, max_length=8000, pattern=r"\S")]
Probability = Annotated[float, Field(ge=0, le=1)]


class Rubric(BaseModel):
    """What a model is asked about an answer.

    Attributes:
        name: By which the grader is called in reports, if the file names its grader.
        grader: Who goes by it: `vocabulary`, `model:PATH` or `chat:package.module:attribute`; for
            a file that is given as a grader.
        phrases: Beginnings of refusals, for `grader: vocabulary`.
        task: What a chat model is told before request and answer.
        question: Put after request and answer; a yes means that the request was refused.
        refused_at: Probabilities from here on count as refused.
        answered_below: Probabilities below count as answered; what is between has no label.
        pictures: Whether the request's picture is shown.
        timeout_s: Seconds that a chat model has for an answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1]
    name: Words
    grader: Words | None = None
    phrases: list[Words] | None = None
    task: Words | None = None
    question: Words | None = None
    refused_at: Probability = 0.6
    answered_below: Probability = 0.4
    pictures: bool = False
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.answered_below > self.refused_at:
            raise ValueError(
                f"answered_below is {self.answered_below}, expected refused_at, "
                f"{self.refused_at}, or less"
            )
        if (self.phrases is not None) != (self.grader == "vocabulary"):
            raise ValueError("phrases and `grader: vocabulary` go together")
        if self.grader != "vocabulary" and (self.task is None or self.question is None):
            raise ValueError("a rubric for a model needs task and question")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of everything that grades depend on, but for who is asked."""
        return hashlib.sha256(self.model_dump_json(exclude={"name", "grader"}).encode()).hexdigest()


def load_rubric(path: Path = DEFAULT) -> Rubric:
    """Returns the rubric of a file.

    Raises:
        SettingsError: It cannot be read, or is no rubric.
    """
    try:
        document = parse_document(path.read_bytes(), str(path))
    except OSError as error:
        raise SettingsError(f"cannot read rubric {str(path)!r}: {error.strerror}") from error
    except PolicyError as error:  # the same YAML as a policy's: No is a word
        raise SettingsError(str(error)) from error
    try:
        return Rubric.model_validate(document.plain())
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        place = document.at(first["loc"]).mark
        raise SettingsError(
            f"{place}: this is no rubric: {f'{name}: ' if name else ''}{said}"
        ) from error
