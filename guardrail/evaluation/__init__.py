"""Evaluation: data sets with a safe and an unsafe side, several systems side by side, intervals.

It asks a guarded model and counts; it changes neither model nor policy. Importing it loads neither
torch nor transformers.
"""

from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.datasets import Entry, load_dataset
from guardrail.evaluation.report import report
from guardrail.evaluation.results import Record, Results
from guardrail.evaluation.runner import run
from guardrail.evaluation.systems import (
    DEFAULT_SYSTEMS,
    SYSTEMS,
    WATCHING_SYSTEMS,
    System,
    default_systems,
    systems_for,
)

__all__ = [
    "DEFAULT_SYSTEMS",
    "SYSTEMS",
    "WATCHING_SYSTEMS",
    "Dataset",
    "Entry",
    "Record",
    "Results",
    "Sample",
    "System",
    "default_systems",
    "load_dataset",
    "report",
    "run",
    "systems_for",
]
