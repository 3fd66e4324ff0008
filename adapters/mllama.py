"""Mllama (Llama 3.2 Vision): rows of a batch must show equally many pictures.

Tokens before a row's first picture attend to empty picture slots, and how many there are depends on
the other rows.
"""

from __future__ import annotations

from guardrail.backends.transformers.adapter import Adapter

ADAPTER = Adapter(batches="pictures")
