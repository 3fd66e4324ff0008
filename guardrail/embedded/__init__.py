"""The embedded MLLM: a small trained model that ships with the package.

Knows only where its files lie. Importing it loads neither torch nor transformers; use
`guardrail.embedded.load.load_embedded` for the model itself.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent

CHECKPOINT: Path = _HERE / "checkpoint"
"""Folder for `AutoModelForImageTextToText.from_pretrained`, after importing `.tower`."""

HELDOUT: Path = _HERE / "heldout"
"""Folder of the held-out set: `combined.json`, `neutral.json` and their pictures."""

UNSEEN: Path = _HERE / "unseen"
"""Folder of the unseen set, on which nothing was trained or chosen; see its README."""

__all__ = ["CHECKPOINT", "HELDOUT", "UNSEEN"]
