"""HunYuan-VL: its positions count the pictures of the whole batch, so requests run alone."""

from __future__ import annotations

from guardrail.backends.transformers.adapter import Adapter

ADAPTER = Adapter(batches="alone")
