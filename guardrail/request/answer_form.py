"""The form that a caller demands of an answer: a tool call, JSON by a schema, or anything.

How a form is written as a grammar is `answer_grammar`'s business; where a demand comes from is not
known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from guardrail.errors import SettingsError

ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
"""The schema of any JSON object."""

NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}
"""The schema of the arguments of a function that takes none."""


@dataclass(frozen=True)
class AnswerForm:
    """What an answer has to be.

    Attributes:
        calls: `free` leaves it to the model whether it calls a tool, `forced` demands it.
        tool: The only tool that may be called, where calls are forced; None is any of them.
        parallel: Whether an answer may hold several calls: forced ones only if True, free ones
            unless False.
        schema: JSON schema of the answer, where it is to be JSON; None leaves text as it is. With
            tools, a call may take its place.
    """

    calls: Literal["free", "forced"] = "free"
    tool: str | None = None
    parallel: bool | None = None
    schema: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.calls == "forced" and self.schema is not None:
            raise SettingsError(
                "a tool call and JSON by a schema are both demanded, expected one of them"
            )

    @property
    def constrains(self) -> bool:
        """Whether decoding has to be held to a grammar."""
        return self.calls == "forced" or self.schema is not None
