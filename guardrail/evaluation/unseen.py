"""The unseen set: other scenes than the embedded model was made with, in several wordings.

It reads JSON and opens no picture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample


def load_unseen(folder: Path | None = None) -> Dataset:
    """Returns the unseen set: every question of a pair about both of its pictures.

    Expected is a `combined.json` as in `guardrail/embedded/unseen`: a list of rows, each with `id`,
    `pair` (what the bootstrap draws as one), `question`, `wording` (plain, reworded, misspelt or
    translated), `language`, `category` and two pictures.

    Args:
        folder: Where it lies; None for the one that ships with the package.

    Raises:
        DatasetError: The file is missing, or is not laid out like that.
    """
    from guardrail.embedded import UNSEEN

    file = (folder or UNSEEN) / "combined.json"
    samples: list[Sample] = []
    for place, row in enumerate(_rows(file)):
        where = f"{file}[{place}]"
        number = _text(row, "id", where)
        for side in ("safe", "unsafe"):
            samples.append(
                Sample(
                    id=f"{number}/{side}",
                    side="safe" if side == "safe" else "unsafe",
                    cluster=_text(row, "pair", where),
                    question=_text(row, "question", where),
                    picture=file.parent / _text(row, f"{side}_image_path", where),
                    category=_text(row, "category", where),
                    wording=_text(row, "wording", where),
                    things=_things(row.get(f"things_{side}", ()), where),
                )
            )
    vocabulary = {thing for sample in samples for thing in sample.things}
    return Dataset("unseen", tuple(samples), tuple(sorted(vocabulary)))


def _rows(file: Path) -> list[Mapping[str, Any]]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"there is no file {str(file)!r}") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(f"{str(file)!r} is not readable JSON ({reason})") from error
    if not isinstance(content, list) or not all(isinstance(row, Mapping) for row in content):
        raise DatasetError(f"{str(file)!r} holds no list of rows")
    return content


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DatasetError(f"{where} has no text {key!r}")
    return value


def _things(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise DatasetError(f"{where} has things {value!r}, expected a list of texts")
    return tuple(value)
