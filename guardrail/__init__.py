"""Safety guardrail middleware for local multimodal LLMs.

Importing this package loads neither torch nor transformers nor langchain: the public names below
are resolved on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guardrail.chat.model import ChatSafeCoDe
    from guardrail.policy import Policy, load_policy
    from guardrail.record.decision import Decision
    from guardrail.steering.safecode import SafeCoDe

__version__ = "0.1.0"

__all__ = ["ChatSafeCoDe", "Decision", "Policy", "SafeCoDe", "__version__", "load_policy"]

_HOME = {
    "ChatSafeCoDe": "guardrail.chat.model",
    "Decision": "guardrail.record.decision",
    "Policy": "guardrail.policy",
    "SafeCoDe": "guardrail.steering.safecode",
    "load_policy": "guardrail.policy",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'guardrail' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
