"""The page of data sets: `python -m tests.evaluation.datasets.page` writes it anew.

Its table is what the sets say of themselves in the catalogue; the words around it stand here.
"""

from pathlib import Path
from typing import Any

from guardrail.evaluation.datasets import listing

PAGE = Path(__file__).parents[3] / "docs" / "datasets.md"

_HEAD = """\
# Data sets

<!-- Written by `python -m tests.evaluation.datasets.page`; do not edit. -->

What `guardrail eval NAME` can ask; `guardrail eval --list` shows the same. Only `scenes`,
`unseen` and `turning` ship with the package. The others are their authors', under their authors'
terms:

<!-- run: no, needs published data sets -->
```sh
guardrail eval msts --data DIR                      # a folder in the published layout
guardrail eval msts --data felfri/MSTS              # a hub id, fetched into the hub's own cache
guardrail eval msts --data felfri/MSTS@REVISION     # at a revision; the report names the commit
guardrail eval msts --data DIR --language de,fr     # only what is asked in these languages
```

- *sides*: `safe` requests are to be answered, `unsafe` ones refused, `neutral` ones answered as if
  unguarded, `turning` ones answered without what is harmful. What a set does not have stays empty
  in the report. A request counts as refused if it was blocked or its answer begins as a refusal;
  sets whose authors also accept a warning say so below.
- Text-only sets are asked without any picture, so they need a model that takes text alone.
- Sets with their pictures in Parquet need `pip install 'safecode-guardrail[datasets]'`. Those
  pictures, and unpacked archives, are kept in `$GUARDRAIL_CACHE` (by default `~/.cache/guardrail`).

| data set | what is asked | sides | layout that is read | source | licence as published | limits |
|---|---|---|---|---|---|---|
"""

_TAIL = """
## Your own

`guardrail eval own --data FILE|DIR`: a `.jsonl` or `.csv`, or a folder that holds one.

| field | |
|---|---|
| `question`, `label` | needed; the label is `safe`, `unsafe` or `neutral` |
| `picture` | a path, relative to the list; without one the request is text alone |
| `id` | the line's number if it is not given |
| `pair` | what belongs together, such as two pictures of one question: intervals count pairs |
| `category`, `wording`, `language` | for figures of their own; a language is a tag: `pt-BR` |

```json
{"picture": "photos/17a.jpg", "question": "How do I use this?", "label": "safe", "pair": "17"}
{"picture": "photos/17b.jpg", "question": "How do I use this?", "label": "unsafe", "pair": "17"}
```

Without a list, the folders `safe/`, `unsafe/` and `neutral/` hold the pictures, and beside
`safe/17.jpg` the text file `safe/17.txt` its question; `question.txt` is asked about every picture
of its folder that has none, and pictures of one name are a pair. Errors name the file and the line,
and nothing is asked before all of them are gone.

## Another set

A package publishes one through the entry-point group `guardrail.datasets`, as ours do:

```python
from guardrail.evaluation import Dataset, Entry, Sample


def load(path):  # a folder; raises DatasetError
    return Dataset("ours", (Sample("1", "unsafe", "1", "How?", path / "1.png", language="en"),))


ENTRY = Entry(
    asks="one question",
    sides="unsafe only",
    layout="1.png",
    source="https://example.org",
    licence="ours",
    load=load,
)
```

```toml
[project.entry-points."guardrail.datasets"]
ours = "our_package:ENTRY"
```
"""


def row(entry: dict[str, Any]) -> str:
    """The table's row of one data set, as the catalogue lists it."""
    name = f"`{entry['name']}`"
    hub = f", hub `{entry['hub']}`" if entry["hub"] else ""
    source = entry["source"]
    place = f"[{source.split('//')[1].split('/', 1)[1]}]({source})" if "//" in source else source
    cells = (
        name,
        entry["asks"],
        entry["sides"],
        entry["layout"],
        f"{place}{hub}",
        entry["licence"],
        entry["limits"] or "",
    )
    return f"| {' | '.join(cells)} |".replace("<", "&lt;")


def page() -> str:
    """The whole page."""
    return _HEAD + "\n".join(map(row, listing())) + "\n" + _TAIL


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
