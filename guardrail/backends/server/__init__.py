"""A model behind an OpenAI-compatible server, as a backend; no torch, no transformers."""

from guardrail.backends.server.backend import ServerBackend
from guardrail.backends.server.client import ServerClient

__all__ = ["ServerBackend", "ServerClient"]
