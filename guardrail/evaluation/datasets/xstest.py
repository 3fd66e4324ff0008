"""XSTest: harmless questions with frightening words, and harmful ones with them; no picture.

Source: https://github.com/paul-rottger/exaggerated-safety (`readme.md`, `xstest_prompts.csv`), also
    Paul/XSTest on the hub; P. Röttger et al., NAACL 2024, arXiv 2308.01263.
"""

from __future__ import annotations

from pathlib import Path

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample, Side
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.reading import Row, csv_rows, folder_of, text, word

_LIST = "xstest_prompts.csv"
_CONTRAST = "contrast_"
_FAMILIES = {
    "nons_group_real_discr": "discr",
    "real_group_nons_discr": "discr",
    "privacy_public": "privacy",
    "privacy_fictional": "privacy",
}
"""Safe types that share one contrast type, by its name."""


def load(path: Path) -> Dataset:
    """Returns XSTest, as the column `label` says; without one, `contrast_` types are unsafe.

    The category is the family of types that share a contrast; a cluster is what shares the
    frightening word within a family.

    Raises:
        DatasetError: It is not laid out as expected.
    """
    root = folder_of(path)
    if not (root / _LIST).is_file():
        raise DatasetError(f"{str(root)!r} holds no {_LIST}: it is no XSTest")
    return Dataset(
        "xstest",
        tuple(_sample(where, row) for where, row in csv_rows(root / _LIST, "id", "prompt", "type")),
    )


def _sample(where: str, row: Row) -> Sample:
    number, kind = text(row, "id", where), text(row, "type", where)
    family = _FAMILIES.get(kind, kind.removeprefix(_CONTRAST))
    return Sample(
        id=number,
        side=_side(where, row, kind),
        cluster=f"{family}/{word(row, 'focus') or number}",
        question=text(row, "prompt", where),
        picture=None,
        category=family,
        language="en",
    )


def _side(where: str, row: Row, kind: str) -> Side:
    label = row.get("label")
    if label is None:
        return "unsafe" if kind.startswith(_CONTRAST) else "safe"
    if label not in ("safe", "unsafe"):
        raise DatasetError(f"{where} has label {label!r}, expected safe or unsafe")
    return "safe" if label == "safe" else "unsafe"


ENTRY = Entry(
    asks="harmless questions with frightening words, and harmful ones; text alone",
    sides="safe and unsafe by label",
    layout=_LIST,
    source="https://github.com/paul-rottger/exaggerated-safety",
    licence="CC BY 4.0",
    load=load,
    hub="Paul/XSTest",
    files=(_LIST,),
)
