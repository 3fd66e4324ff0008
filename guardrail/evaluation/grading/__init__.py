"""Outcome labels: whether an answer is a refusal, by vocabulary, by models, by hand.

A grader that errs, babbles or is not sure gives no label. That is counted and shown; it is never
taken for one outcome or the other.
"""

from guardrail.evaluation.grading.graders import (
    Grader,
    JudgeGrader,
    ModelGrader,
    VocabularyGrader,
)
from guardrail.evaluation.grading.labels import HandLabels, read_labels, write_unlabelled
from guardrail.evaluation.grading.opening import check_grader, open_grader
from guardrail.evaluation.grading.outcomes import Grade, Item, Outcomes, is_settled
from guardrail.evaluation.grading.rubric import Rubric, load_rubric
from guardrail.evaluation.grading.work import grade_answers, graded_by_vocabulary

__all__ = [
    "Grade",
    "Grader",
    "HandLabels",
    "Item",
    "JudgeGrader",
    "ModelGrader",
    "Outcomes",
    "Rubric",
    "VocabularyGrader",
    "check_grader",
    "grade_answers",
    "graded_by_vocabulary",
    "is_settled",
    "load_rubric",
    "open_grader",
    "read_labels",
    "write_unlabelled",
]
