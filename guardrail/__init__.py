"""Safety guardrail middleware for local multimodal LLMs.

Importing this package loads neither torch nor transformers nor langchain: the public names below
are resolved on first use. How the rooms hang together is in `guardrail/README.md`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guardrail.chat.agents import GuardrailMiddleware
    from guardrail.chat.model import ChatSafeCoDe
    from guardrail.judging.guard import Guard
    from guardrail.policy import Policy, load_policy
    from guardrail.record.decision import Decision
    from guardrail.record.version import __version__
    from guardrail.steering.safecode import SafeCoDe

__all__ = [
    "ChatSafeCoDe",
    "Decision",
    "Guard",
    "GuardrailMiddleware",
    "Policy",
    "SafeCoDe",
    "__version__",
    "load_policy",
]

_HOME = {
    "ChatSafeCoDe": "guardrail.chat.model",
    "Decision": "guardrail.record.decision",
    "Guard": "guardrail.judging.guard",
    "GuardrailMiddleware": "guardrail.chat.agents",
    "Policy": "guardrail.policy",
    "SafeCoDe": "guardrail.steering.safecode",
    "__version__": "guardrail.record.version",
    "load_policy": "guardrail.policy",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'guardrail' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
