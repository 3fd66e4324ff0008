"""From records to figures: per system what went wrong, on how many, with 95% intervals."""

from guardrail.evaluation.report.figures import REFERENCE, UNWATCHED, report
from guardrail.evaluation.report.scored import Scored, scored_rows

__all__ = ["REFERENCE", "UNWATCHED", "Scored", "report", "scored_rows"]
