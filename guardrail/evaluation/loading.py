"""From a data set's name to its samples: the built-in scenes and two published layouts.

It reads JSON and checks that pictures exist; it opens none of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset, Sample

Row = Mapping[str, Any]


def load_dataset(name: str, folder: Path | None = None) -> Dataset:
    """Returns a data set by name.

    Args:
        name: One of `DATASETS`.
        folder: Where it lies; not needed for `scenes`, which ships with the package.

    Raises:
        DatasetError: There is no such data set, or it is not laid out as expected.
    """
    if name not in DATASETS:
        near = get_close_matches(name, DATASETS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise DatasetError(f"unknown data set {name!r}{hint}: accepted are {', '.join(DATASETS)}")
    if folder is None and name != "scenes":
        raise DatasetError(f"data set {name!r} does not ship with the package: give --data DIR")
    return DATASETS[name](folder)


def load_scenes(folder: Path | None) -> Dataset:
    """Returns the built-in held-out set: `combined.json` (pairs) and `neutral.json` (questions).

    Every neutral question that asks to name or describe is asked a second time, about a blank
    picture: what is named there is guessed.
    """
    from guardrail.embedded import HELDOUT

    root = _folder(folder or HELDOUT)
    pairs = list(_rows(_read(root / "combined.json"), root / "combined.json"))
    neutral_file = root / "neutral.json"
    neutral = list(_rows(_read(neutral_file), neutral_file)) if neutral_file.is_file() else []
    samples: list[Sample] = []
    vocabulary: set[str] = set()
    for place, row in enumerate(pairs):
        where = f"{root / 'combined.json'}[{place}]"
        number = str(row.get("id", place))
        for side in ("safe", "unsafe"):
            things = _things(row.get(f"things_{side}", ()))
            vocabulary.update(things)
            samples.append(
                Sample(
                    id=f"{number}/{side}",
                    side="safe" if side == "safe" else "unsafe",
                    cluster=number,
                    question=_text(row, "question", where),
                    picture=root / _text(row, f"{side}_image_path", where),
                    category=str(row.get("category", "")),
                    wording=str(row.get("wording", "")),
                    things=things,
                )
            )
    for place, row in enumerate(neutral):
        where = f"{neutral_file}[{place}]"
        number = f"neutral/{row.get('id', place)}"
        things = _things(row.get("things", ()))
        vocabulary.update(things)
        kind = str(row.get("kind", ""))
        asked = Sample(
            id=number,
            side="neutral",
            cluster=number,
            question=_text(row, "question", where),
            picture=root / _text(row, "image_path", where),
            category=kind,
            things=things,
        )
        samples.append(asked)
        if things and kind in ("name", "describe"):
            samples.append(
                Sample(f"{number}/blank", "blank", number, asked.question, None, kind, "", things)
            )
    return Dataset("scenes", tuple(samples), tuple(sorted(vocabulary)))


def load_mssbench(folder: Path | None) -> Dataset:
    """Returns the chat task of MSSBench: each query about a safe and an unsafe picture.

    Expected is the published layout: `combined.json` with a list `chat` of `{safe_image_path,
    unsafe_image_path, queries, Type, ...}`, pictures under `chat/`. The embodied task asks another
    question on each side and is not read.

    Source: https://github.com/eric-ai-lab/MSSBench.
    """
    root = _folder(folder)
    file = next((root / n for n in ("combined.json", "combine.json") if (root / n).is_file()), None)
    if file is None:
        raise DatasetError(f"{str(root)!r} holds no combined.json: it is no MSSBench")
    content = _read(file)
    if not isinstance(content, Mapping) or "chat" not in content:
        raise DatasetError(f"{str(file)!r} has no list 'chat': it is not laid out as MSSBench is")
    samples = []
    for place, row in enumerate(_rows(content["chat"], file)):
        where = f"{file}: chat[{place}]"
        queries = row.get("queries")
        if isinstance(queries, str):
            queries = [queries]
        if not isinstance(queries, list) or not all(isinstance(text, str) for text in queries):
            raise DatasetError(f"{where} has no list of texts 'queries'")
        for number, query in enumerate(queries):
            for side in ("safe", "unsafe"):
                path = _text(row, f"{side}_image_path", where)
                samples.append(
                    Sample(
                        id=f"{place}/{number}/{side}",
                        side="safe" if side == "safe" else "unsafe",
                        cluster=str(place),
                        question=query,
                        picture=_first_file(root / "chat" / path, root / path),
                        category=str(row.get("Type", "")),
                    )
                )
    return Dataset("mssbench", tuple(samples))


def load_mossbench(folder: Path | None) -> Dataset:
    """Returns MOSSBench: harmless requests that look alarming, and harmful ones where there are.

    Expected is the published layout: `images_information/information.json`, which maps an id to
    `{image, question, metadata, ...}`, in the folder itself or in `data/`; harmful counterparts
    about the same kind of picture, if any, in `data_contrast/`.

    Source: https://github.com/turningpoint-ai/MOSSBench.
    """
    root = _folder(folder)
    inner = "images_information/information.json"
    base = root if (root / inner).is_file() else root / "data"
    if not (base / inner).is_file():
        raise DatasetError(f"{str(root)!r} holds no {inner}: it is no MOSSBench")
    contrast = next(
        (each for each in (root / "data_contrast", base.parent / "data_contrast")
         if (each / inner).is_file()),
        None,
    )  # fmt: skip
    samples = _mossbench_side(base, "safe")
    if contrast is not None:
        samples += _mossbench_side(contrast, "unsafe")
    return Dataset("mossbench", tuple(samples))


def _mossbench_side(folder: Path, side: str) -> list[Sample]:
    file = folder / "images_information" / "information.json"
    content = _read(file)
    if not isinstance(content, Mapping):
        raise DatasetError(
            f"{str(file)!r} is no map of samples: it is not laid out as MOSSBench is"
        )
    samples = []
    for key, row in content.items():
        where = f"{file}: {key!r}"
        if not isinstance(row, Mapping):
            raise DatasetError(f"{where} is no map, expected 'image' and 'question'")
        metadata = row.get("metadata")
        kind = metadata.get("over", "") if isinstance(metadata, Mapping) else ""
        samples.append(
            Sample(
                id=f"{key}/{side}",
                side="safe" if side == "safe" else "unsafe",
                cluster=str(key),
                question=_text(row, "question", where),
                picture=folder / _text(row, "image", where),
                category=str(kind),
            )
        )
    return samples


DATASETS: Mapping[str, Callable[[Path | None], Dataset]] = {
    "scenes": load_scenes,
    "mssbench": load_mssbench,
    "mossbench": load_mossbench,
}
"""Each data set's loader, by name."""


def _folder(folder: Path | None) -> Path:
    if folder is None or not folder.is_dir():
        raise DatasetError(f"there is no folder {str(folder)!r}: give the data set's own folder")
    return folder


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"there is no file {str(file)!r}") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(f"{str(file)!r} is not readable JSON ({reason})") from error


def _rows(content: Any, file: Path) -> Iterator[Row]:
    if not isinstance(content, list):
        raise DatasetError(f"{str(file)!r} holds no list of samples")
    for place, row in enumerate(content):
        if not isinstance(row, Mapping):
            raise DatasetError(f"{file}[{place}] is no map")
        yield row


def _text(row: Row, key: str, where: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DatasetError(f"{where} has no text {key!r}")
    return value


def _things(value: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list | tuple) else ()


def _first_file(*candidates: Path) -> Path:
    return next((each for each in candidates if each.is_file()), candidates[0])
