"""Ollama: https://docs.ollama.com/api/openai-compatibility; from its documentation, not run."""

from __future__ import annotations

from guardrail.backends.server.dialect import Dialect

OLLAMA = Dialect("ollama", continuing={}, sign="/api/version")
