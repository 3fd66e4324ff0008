"""PP-Chart2Table: a reader of charts, whose processor takes no request without one."""

from __future__ import annotations

from guardrail.backends.transformers.adapter import Adapter

ADAPTER = Adapter(needs_picture=True)
