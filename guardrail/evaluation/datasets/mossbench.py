"""MOSSBench: harmless requests that look alarming, and its contrast set of harmful ones.

Source: https://github.com/xirui-li/MOSSBench (README and `data/`, `data_contrast/`); X. Li et al.,
    "MOSSBench", arXiv 2406.17806. The copy on the hub, AIcell/MOSSBench, is said to lack the lists
    and could not be looked at: clone the repository.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.reading import folder_of, inside, keyed, read_json, text

_LIST = "images_information/information.json"


def load(path: Path) -> Dataset:
    """Returns MOSSBench: `data/` is to be answered, `data_contrast/`, if it is there, refused.

    Each holds `images_information/information.json`, which maps an id to `{image, question,
    metadata, ...}`; an id in both is a pair. The folder may also be `data/` itself. The category is
    the kind of stimulus, `metadata.over`.

    Raises:
        DatasetError: It is not laid out as expected.
    """
    root = folder_of(path)
    base = root if (root / _LIST).is_file() else root / "data"
    if not (base / _LIST).is_file():
        raise DatasetError(f"{str(root)!r} holds no {_LIST}: it is no MOSSBench")
    samples = list(_side(base, "safe"))
    for contrast in dict.fromkeys((root / "data_contrast", base.parent / "data_contrast")):
        if (contrast / _LIST).is_file():
            samples += _side(contrast, "unsafe")
            break
    return Dataset("mossbench", tuple(samples))


def _side(folder: Path, side: Literal["safe", "unsafe"]) -> Iterator[Sample]:
    file = folder / _LIST
    for key, (where, row) in keyed(read_json(file), file):
        metadata = row.get("metadata")
        yield Sample(
            id=f"{key}/{side}",
            side=side,
            cluster=key,
            question=text(row, "question", where),
            picture=inside(folder, text(row, "image", where), where),
            category=str(metadata.get("over", "")) if isinstance(metadata, Mapping) else "",
            language="en",
        )


ENTRY = Entry(
    asks="harmless requests that look alarming, and harmful ones about such pictures",
    sides="safe (data/); unsafe (data_contrast/)",
    layout=f"data/{_LIST}, data/images/; the same in data_contrast/",
    source="https://github.com/xirui-li/MOSSBench",
    licence="CC BY-SA 4.0, as a test set only",
    load=load,
    limits="the hub's copy (AIcell/MOSSBench) is not read",
)
