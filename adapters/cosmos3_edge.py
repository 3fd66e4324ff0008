"""Cosmos 3 Edge: its processor has to be asked which tokens are pictures.

Positions need it: without, the model raises as soon as it is shown a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from guardrail.backends.transformers.adapter import Adapter


def _process(
    processor: Any, texts: Sequence[str], pictures: Sequence[Sequence[Any]], **options: Any
) -> Any:
    if any(pictures):
        options["images"] = pictures
    return processor(text=list(texts), return_mm_token_type_ids=True, **options)


ADAPTER = Adapter(process=_process)
