"""MiniMax M3: its sparse attention cuts a prompt into blocks, padding included.

Which tokens share a block moves with the padding, so requests run alone.
"""

from __future__ import annotations

from guardrail.backends.transformers.adapter import Adapter

ADAPTER = Adapter(batches="alone")
