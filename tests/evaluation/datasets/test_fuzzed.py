"""Lists with anything in them: a data set, or one sentence; never another error."""

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardrail.errors import DatasetError
from guardrail.evaluation.datasets import load_dataset

from ..layouts import MINIATURES

LISTS = {
    "holisafe": "holisafe_bench.json",
    "mm-safetybench": "data/processed_questions/01-Harm.json",
    "mossbench": "data/images_information/information.json",
    "mssbench": "combined.json",
    "mssbench-embodied": "combined.json",
    "scenes": "combined.json",
    "siuo": "data/siuo_gen.json",
    "unseen": "combined.json",
    "vlsbench": "data.json",
}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def places(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every way from the top of a JSON value to a part of it."""
    yield way
    parts = dict(enumerate(node)) if isinstance(node, list) else node
    for key, part in parts.items() if isinstance(parts, dict) else ():
        yield from places(part, (*way, key))


def changed(content: Any, way: tuple[Any, ...], value: Any) -> Any:
    if not way:
        return value
    content = copy.deepcopy(content)
    node = content
    for key in way[:-1]:
        node = node[key]
    node[way[-1]] = value
    return content


def what_is_said(name: str, data: Path) -> str:
    """The error's sentence, or "" of a set that is read and holds something."""
    try:
        return "" if load_dataset(name, data).samples else "\n"
    except DatasetError as error:
        return str(error)


@pytest.fixture(scope="module")
def written() -> Iterator[dict[str, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        yield {name: MINIATURES[name](Path(folder) / name) for name in LISTS}


@pytest.mark.parametrize("name", LISTS)
@given(data=st.data())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_changed_list_is_read_or_told_of(
    name: str, written: dict[str, Path], data: st.DataObject
) -> None:
    file = written[name] / LISTS[name]
    before = file.read_text("utf-8")
    content = json.loads(before)
    way = data.draw(st.sampled_from(list(places(content))))
    try:
        file.write_text(json.dumps(changed(content, way, data.draw(ANYTHING))), "utf-8")
        told = what_is_said(name, written[name])
    finally:
        file.write_text(before, "utf-8")
    assert "\n" not in told


@given(rows=st.lists(st.dictionaries(st.text(), ANYTHING) | ANYTHING, max_size=4), end=st.text())
@settings(max_examples=50, deadline=None)
def test_an_own_list_of_anything_is_read_or_told_of(rows: list[Any], end: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("jsonl", "csv"):
            file = Path(folder) / f"list.{suffix}"
            text = "\n".join(json.dumps(row) for row in rows) + end
            file.write_text(text, "utf-8", errors="surrogatepass")
            told = what_is_said("own", file)
            assert told
            assert "\n" not in told
