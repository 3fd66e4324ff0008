"""Unlimited-OCR: what was read at first stays in sight, and later tokens slide past it.

How much that is is decided by the first forward pass, so a prompt cannot be run in parts.
"""

from __future__ import annotations

from guardrail.backends.transformers.adapter import Adapter

ADAPTER = Adapter(shares_prefix=False)
