"""The systems that an evaluation compares: one model, asked under policies and in other ways.

Each is a policy, or a small file that says how it asks; the catalogue names them all. The model is
the same, and so are the requests. All systems that judge read the evaluated policy's verdict.
"""

from guardrail.evaluation.systems.catalogue import (
    DEFAULT_SYSTEMS,
    EVERY,
    SYSTEMS,
    WATCHING_SYSTEMS,
    default_systems,
    listing,
    systems_for,
)
from guardrail.evaluation.systems.system import System

__all__ = [
    "DEFAULT_SYSTEMS",
    "EVERY",
    "SYSTEMS",
    "WATCHING_SYSTEMS",
    "System",
    "default_systems",
    "listing",
    "systems_for",
]
