"""Where the sets lie that ship with the package. Importing it loads none of them."""

from __future__ import annotations

from pathlib import Path

SOURCE = "this package, guardrail/embedded"
LICENCE = "Apache-2.0; pictures as in guardrail/embedded/NOTICE"


def heldout() -> Path:
    """Returns the folder of the embedded model's held-out set."""
    from guardrail.embedded import HELDOUT

    return HELDOUT


def unseen() -> Path:
    """Returns the folder of the unseen set."""
    from guardrail.embedded import UNSEEN

    return UNSEEN
