"""Options that `eval` and `calibrate` share: what is asked, of which model, in which batches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guardrail.errors import SettingsError
from guardrail.evaluation import Dataset, load_dataset

DatasetName = Annotated[
    str,
    typer.Argument(metavar="DATASET", help="Its name; guardrail eval --list shows them all."),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|ORG/NAME[@REVISION]",
        help="Where the data set lies: a folder, or a hub id; not needed for what ships.",
        show_default=False,
    ),
]
Language = Annotated[
    str,
    typer.Option(metavar="TAG,…", help="Only what is asked in these languages, as en,de."),
]
Limit = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Only N pairs and N neutral questions, chosen by the seed.",
        show_default=False,
    ),
]
PolicyName = Annotated[str, typer.Option(metavar="NAME|PATH", help="The policy.")]
Model = Annotated[str, typer.Option(metavar="PATH", help="A model's folder or hub id.")]
Server = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="An OpenAI-compatible server, up to /v1; --model is its name for the model, and its "
        "key is in GUARDRAIL_SERVER_KEY.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Chooses parts, and resamples.")]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Keep here what the model says, and go on from it next time.",
        show_default=False,
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Go on from FILE, or write it anew.")
]
Batch = Annotated[int, typer.Option(metavar="N", help="Requests that run together.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def check_numbers(*, batch: int, seed: int) -> None:
    """Checks what no data set is needed for.

    Raises:
        SettingsError: One is out of its range.
    """
    if batch < 1:
        raise SettingsError(f"batch is {batch}, expected 1 or more")
    if not 0 <= seed < 2**63:
        raise SettingsError(f"seed is {seed}, expected an integer from 0 to 2**63 - 1")


def load_asked(
    name: str, data: str | None, *, language: str, limit: int | None, seed: int
) -> Dataset:
    """Returns the part of a data set that is asked.

    Raises:
        DatasetError: There is no such data set, it cannot be read, or nothing of it is meant.
    """
    asked = load_dataset(name, data)
    if language:
        asked = asked.in_languages(language.split(","))
    return asked.limited(limit, seed=seed)
