"""What runs a model: the protocol that judging and steering speak to, and who speaks it.

Nothing here or above imports torch or transformers; the backends themselves do as they must.
"""

from guardrail.backends.backend import (
    REFERENCE_FILE,
    Backend,
    Constraint,
    Interrupted,
    Phase,
    Run,
    Stop,
)
from guardrail.backends.likelihood import Likelihood
from guardrail.backends.questions import Questions
from guardrail.backends.results import FinishReason, Reading, Taken

__all__ = [
    "REFERENCE_FILE",
    "Backend",
    "Constraint",
    "FinishReason",
    "Interrupted",
    "Likelihood",
    "Phase",
    "Questions",
    "Reading",
    "Run",
    "Stop",
    "Taken",
]
