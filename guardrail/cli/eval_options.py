"""The options of `guardrail eval` alone: who grades, what figures may not be, where they go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Graders = Annotated[
    list[str] | None,
    typer.Option(
        "--grader",
        metavar="GRADER",
        help="Who says what a refusal is: vocabulary (the default), model:PATH, "
        "chat:MODULE:ATTRIBUTE, or a rubric's file. Others are compared with the first.",
        show_default=False,
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(metavar="FILE.jsonl", help="Labels by hand, which override.", show_default=False),
]
ToLabel = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.jsonl",
        help="Write here what graders differ on, for a person to label.",
        show_default=False,
    ),
]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="CONDITION",
        help="Exit with 1 if a figure passes a limit, such as 'wrong_answers.high > 0.05'; "
        "repeat it.",
        show_default=False,
    ),
]
Junit = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the conditions as JUnit XML.", show_default=False),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE.html", help="Write a page of it all.", show_default=False
    ),
]
InspectLog = Annotated[
    Path | None,
    typer.Option(
        "--inspect",
        metavar="FILE.json|DIR",
        help="Write a log for Inspect AI: of the evaluated policy, or into DIR of every system.",
        show_default=False,
    ),
]
Cases = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.cases.yaml",
        help="Write what was judged as cases for guardrail policy test.",
        show_default=False,
    ),
]
