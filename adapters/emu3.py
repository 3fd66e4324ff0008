"""Emu 3: its processor pads pictures to the largest of a batch, and its encoder sees the padding.

A picture's tokens would depend on its neighbours', so requests run alone.
"""

from __future__ import annotations

from guardrail.backends.transformers.adapter import Adapter

ADAPTER = Adapter(batches="alone")
