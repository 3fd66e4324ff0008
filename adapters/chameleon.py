"""Chameleon: its processor ends every prompt with a token of its own, so that none is a prefix."""

from __future__ import annotations

from guardrail.backends.transformers.adapter import Adapter

ADAPTER = Adapter(shares_prefix=False)
