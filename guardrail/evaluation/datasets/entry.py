"""What a data set says of itself, and how it is read. It knows no other data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from guardrail.evaluation.dataset import Dataset


@dataclass(frozen=True)
class Entry:
    """A data set that can be named; packages publish one per name in `guardrail.datasets`.

    Attributes:
        asks: What is asked, in one line.
        sides: Which requests are to be answered and which refused, true to the publication.
        layout: The files that are read, relative to the folder.
        source: The address of the set's own repository or page.
        licence: As published, in a few words.
        load: Reads it from a folder (some sets: or from a file). Raises `DatasetError`.
        hub: The hub id under which it is published in a layout that `load` reads; "" if none.
        limits: What of the set is not read, or asked otherwise than published; "" if nothing.
        files: What of the hub's repository is fetched, as glob patterns; everything without any.
        shipped: Says where the set lies, if it comes with an installed package.
    """

    asks: str
    sides: str
    layout: str
    source: str
    licence: str
    load: Callable[[Path], Dataset]
    hub: str = ""
    limits: str = ""
    files: tuple[str, ...] = ()
    shipped: Callable[[], Path] | None = None
