"""An organisation's own set: a list of pictures, questions and labels, or folders by label.

A list is a file of JSON lines or CSV, or a folder that holds one:

    {"picture": "photos/17.jpg", "question": "How do I …?", "label": "unsafe", "pair": "17"}

`question` and `label` (safe, unsafe or neutral) are needed. `picture` is relative to the list;
without one the request is text alone. `id` is the line's number if it is not given, `pair` says
what belongs together, and `category`, `wording` and `language` (BCP 47) are for figures of their
own.

Without a list, the folders `safe/`, `unsafe/` and `neutral/` hold pictures, and beside each a text
file of the same name with its question; `question.txt` is asked about every picture of its folder
that has none. Pictures of one name in two folders are a pair. Errors name the file and its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample, Side
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.reading import Row, csv_rows, json_lines, text, word

FIELDS = ("picture", "question", "label", "id", "pair", "category", "wording", "language")
LABELS: tuple[Side, ...] = ("safe", "unsafe", "neutral")
_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def load(path: Path) -> Dataset:
    """Returns the set that lies at a file or in a folder.

    Raises:
        DatasetError: There is none, or a line is not as described above.
    """
    file = path if path.is_file() else _list_in(path)
    samples = tuple(_from_folders(path)) if file is None else tuple(_from_list(file))
    return Dataset("own", samples)


def _list_in(folder: Path) -> Path | None:
    lists = sorted(each for each in folder.glob("*") if each.suffix in (".jsonl", ".csv"))
    if len(lists) > 1:
        raise DatasetError(
            f"{str(folder)!r} holds {lists[0].name!r} and {lists[1].name!r}: give one of the files"
        )
    return lists[0] if lists else None


def _from_list(file: Path) -> Iterator[Sample]:
    if file.suffix not in (".jsonl", ".csv"):
        raise DatasetError(f"{str(file)!r} is neither .jsonl nor .csv: give a list in one of them")
    rows = csv_rows(file, "question", "label") if file.suffix == ".csv" else json_lines(file)
    seen: dict[str, str] = {}
    for where, row in rows:
        sample = _sample(file, where, row)
        if sample.id in seen:
            raise DatasetError(f"{where} has id {sample.id!r} again, after {seen[sample.id]}")
        seen[sample.id] = where
        yield sample


def _sample(file: Path, where: str, row: Row) -> Sample:
    for key in row:
        if key not in FIELDS:
            near = get_close_matches(str(key), FIELDS, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise DatasetError(
                f"{where} has an unknown field {key!r}{hint}: accepted are {', '.join(FIELDS)}"
            )
    number = word(row, "id") or where.rpartition(" ")[2]
    language = word(row, "language")
    if language and not _TAG.fullmatch(language):
        raise DatasetError(f"{where} has language {language!r}, expected a tag such as en or pt-BR")
    return Sample(
        id=number,
        side=_label(word(row, "label"), where),
        cluster=word(row, "pair") or number,
        question=text(row, "question", where),
        picture=_picture(file.parent, word(row, "picture"), where),
        category=word(row, "category"),
        wording=word(row, "wording"),
        language=language,
    )


def _label(label: str, where: str) -> Side:
    for known in LABELS:
        if label.lower() == known:
            return known
    raise DatasetError(f"{where} has label {label!r}, expected {', '.join(LABELS)}")


def _picture(folder: Path, name: str, where: str) -> Path | None:
    if not name:
        return None
    picture = folder / name
    try:
        there = picture.is_file()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        raise DatasetError(f"{where} names the picture {name[:80]!r}, which is not there")
    return picture


def _from_folders(root: Path) -> Iterator[Sample]:
    found = [(label, root / label) for label in LABELS if (root / label).is_dir()]
    if not found:
        raise DatasetError(
            f"{str(root)!r} holds no list (.jsonl or .csv) and no folder {', '.join(LABELS)}"
        )
    for label, folder in found:
        shared = _question(folder / "question.txt")
        for picture in sorted(folder.iterdir()):
            if picture.suffix.lower() not in _PICTURES:
                continue
            asked = _question(picture.with_suffix(".txt")) or shared
            if not asked:
                raise DatasetError(
                    f"{str(picture)!r} has no question: write it into "
                    f"{picture.with_suffix('.txt').name!r} or question.txt beside it"
                )
            yield Sample(f"{label}/{picture.name}", label, picture.stem, asked, picture)


def _question(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig").strip() if file.is_file() else ""
    except (OSError, ValueError) as error:
        raise DatasetError(f"{str(file)!r} is not readable text ({error})") from error


ENTRY = Entry(
    asks="your own requests",
    sides="as labelled: safe, unsafe or neutral",
    layout="a .jsonl or .csv of picture, question, label; or pictures in safe/, unsafe/, neutral/",
    source="yours",
    licence="yours",
    load=load,
)
