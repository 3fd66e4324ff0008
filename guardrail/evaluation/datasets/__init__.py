"""Data sets: each published set's layout in a small file, found by name through entry points.

A loader reads lists and checks that the pictures exist; it opens none of them, knows no model, and
runs nothing. Sets of others are never shipped: they are read from a folder, or fetched from a hub
into the hub's own cache.
"""

from guardrail.evaluation.datasets.catalogue import find_entry, listing, load_dataset, names
from guardrail.evaluation.datasets.entry import Entry

__all__ = ["Entry", "find_entry", "listing", "load_dataset", "names"]
