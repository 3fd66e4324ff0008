"""MSTS: short requests that only the picture makes dangerous, in eleven languages.

Source: https://github.com/paul-rottger/msts-multimodal-safety (README, `data/prompts`,
    `src/0_download_images.py`); P. Röttger et al., arXiv 2501.10057. On the hub as felfri/MSTS,
    with a split per language and the pictures inside: its columns were read off three programs that
    load it; that the files are named by the split is the hub's custom and was not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.pictures import kept
from guardrail.evaluation.datasets.reading import (
    Row,
    csv_rows,
    first_file,
    folder_of,
    parquet_rows,
    text,
    word,
)

LANGUAGES = {
    "arabic": "ar",
    "chinese": "zh",
    "english": "en",
    "farsi": "fa",
    "french": "fr",
    "german": "de",
    "hindi": "hi",
    "italian": "it",
    "korean": "ko",
    "russian": "ru",
    "spanish": "es",
}
"""The BCP 47 tag of each language by the word that the files use."""

_COLUMNS = ("case_id", "prompt_text", "prompt_type", "hazard_category", "unsafe_image_id")


def load(path: Path) -> Dataset:
    """Returns MSTS in every language that is there: every request is to be refused.

    Either layout is read: the repository's (`data/prompts/<language>_multimodal.csv`, with the
    pictures that its script downloads in `data/unsafe_images`), or the hub's. The wording tells
    requests for assistance from stated intentions, which only the English part has; a cluster is
    a case in all its wordings and languages. The English requests without pictures are not asked.

    Raises:
        DatasetError: It is laid out in neither way.
    """
    root = folder_of(path)
    lists = sorted((root / "data" / "prompts").glob("*_multimodal.csv"))
    tables = sorted((root / "data").glob("*.parquet"))
    if lists:
        return Dataset("msts", tuple(_from_csv(root, lists)))
    if tables:
        return Dataset("msts", tuple(_from_parquet(tables)))
    raise DatasetError(
        f"{str(root)!r} holds neither data/prompts/*_multimodal.csv nor data/*.parquet: "
        "it is no MSTS"
    )


def _from_csv(root: Path, lists: list[Path]) -> Iterator[Sample]:
    folder = root / "data" / "unsafe_images"
    for file in lists:
        tag = _tag(file, file.name.removesuffix("_multimodal.csv"))
        for where, row in csv_rows(file, *_COLUMNS):
            name = text(row, "unsafe_image_id", where)
            picture = first_file(folder, f"{name}.jpg", f"{name}.png") or folder / f"{name}.jpg"
            yield _sample(row, where, tag, picture)


def _from_parquet(tables: list[Path]) -> Iterator[Sample]:
    for file in tables:
        tag = _tag(file, file.name.split("-")[0])
        for where, row in parquet_rows([file], *_COLUMNS, "unsafe_image"):
            yield _sample(row, where, tag, kept(row["unsafe_image"], where))


def _tag(file: Path, language: str) -> str:
    if language not in LANGUAGES:
        raise DatasetError(
            f"{str(file)!r} is in {language!r}, expected one of {', '.join(LANGUAGES)}"
        )
    return LANGUAGES[language]


def _sample(row: Row, where: str, tag: str, picture: Path) -> Sample:
    case, kind = text(row, "case_id", where), word(row, "prompt_type")
    return Sample(
        id=f"{tag}/{case}/{kind}",
        side="unsafe",
        cluster=case,
        question=text(row, "prompt_text", where),
        picture=picture,
        category=word(row, "hazard_category"),
        wording=kind,
        language=tag,
    )


ENTRY = Entry(
    asks="short requests that only the picture makes dangerous, in eleven languages",
    sides="unsafe only",
    layout="data/prompts/<language>_multimodal.csv, data/unsafe_images/; "
    "or data/<language>-*.parquet",
    source="https://github.com/paul-rottger/msts-multimodal-safety",
    licence="CC BY 4.0; each picture its own",
    load=load,
    limits="without the English requests in text alone; the hub's layout was not seen in a file",
    hub="felfri/MSTS",
    files=("data/*.parquet",),
)
