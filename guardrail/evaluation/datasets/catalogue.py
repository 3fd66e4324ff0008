"""From a data set's name to its samples, whichever package brings the loader.

It finds loaders through the entry-point group `guardrail.datasets`, ours by the same door as those
of other packages, and imports none that is not asked for.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from guardrail.errors import DatasetError
from guardrail.evaluation.dataset import Dataset
from guardrail.evaluation.datasets.entry import Entry
from guardrail.evaluation.datasets.origin import located

GROUP = "guardrail.datasets"


def names() -> list[str]:
    """Returns the name of every data set that an installed package publishes, sorted."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def find_entry(name: str) -> Entry:
    """Returns the entry of a data set.

    Args:
        name: One of `names()`; upper case and underscores do not matter.

    Raises:
        DatasetError: No package publishes it, or several do, or what it publishes is no `Entry`.
    """
    wanted = _plain(name)
    if not wanted:
        raise DatasetError(f"no data set is named: accepted are {', '.join(names())}")
    found = [point for point in entry_points(group=GROUP) if _plain(point.name) == wanted]
    if not found:
        known = names()
        near = get_close_matches(wanted, known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise DatasetError(f"unknown data set {name!r}{hint}: accepted are {', '.join(known)}")
    if len(found) > 1:
        sources = ", ".join(sorted(point.value for point in found))
        raise DatasetError(f"several packages claim data set {name!r}: {sources}")
    return _entry(found[0])


def listing() -> list[dict[str, Any]]:
    """Returns every data set's name and what it says of itself, as plain JSON, sorted by name.

    Raises:
        DatasetError: What a package publishes cannot be imported, or is no `Entry`.
    """
    listed = []
    for name in names():
        entry = find_entry(name)
        listed.append(
            {
                "name": name,
                "asks": entry.asks,
                "sides": entry.sides,
                "layout": entry.layout,
                "hub": entry.hub or None,
                "source": entry.source,
                "licence": entry.licence,
                "limits": entry.limits or None,
                "shipped": entry.shipped is not None,
            }
        )
    return listed


def load_dataset(name: str, data: str | Path | None = None) -> Dataset:
    """Returns a data set by name.

    Args:
        name: One of `names()`.
        data: Where it lies: a folder (for `own` also a file), or a hub id as `ORG/NAME` or
            `ORG/NAME@REVISION`. Not needed for sets that ship with a package.

    Raises:
        DatasetError: There is no such data set, it cannot be fetched, or it is not laid out as
            expected.
    """
    entry = find_entry(name)
    place, origin = located(_plain(name), entry, data)
    return replace(entry.load(place), origin=origin)


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _entry(point: EntryPoint) -> Entry:
    try:
        entry = point.load()
    except (ImportError, AttributeError) as error:
        raise DatasetError(
            f"data set {point.name!r} ({point.value}) cannot be imported: {error}"
        ) from error
    if not isinstance(entry, Entry):
        raise DatasetError(f"{point.value} is a {type(entry).__name__}, expected an Entry")
    return entry
