"""Has every answer graded by every grader, and keeps what costs something.

An answer that several systems gave to a sample is graded once. Kept grades lie in the results file,
under the digests of grader and answer, so that a rerun asks for none of them again. Failures are
not kept: a rerun tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from guardrail.evaluation.dataset import Dataset
from guardrail.evaluation.grading.graders import Grader, VocabularyGrader
from guardrail.evaluation.grading.labels import HandLabels
from guardrail.evaluation.grading.outcomes import Grade, Item, Key, Outcomes, is_settled
from guardrail.evaluation.results import KeptGrade, Results
from guardrail.evaluation.systems import System

BATCH = 16
"""Answers that are graded together, and then kept."""

Progress = Callable[[Grader, int, int], None]


def grade_answers(
    dataset: Dataset,
    systems: Sequence[System],
    results: Results,
    graders: Sequence[Grader],
    *,
    labels: HandLabels | None = None,
    progress: Progress = lambda grader, done, total: None,
) -> Outcomes:
    """Returns every answer's labels.

    Args:
        dataset: What was asked; neutral and blank samples are not graded.
        systems: Who answered.
        results: The answers, and the grades that are kept.
        graders: At least one; the first one counts, the others are compared with it. Of two with
            one name the second goes by its name and a number.
        labels: By hand; they override.
        progress: Called with the grader, how many answers it has graded, and how many there are.
    """
    if not graders:
        raise ValueError("there are no graders, expected at least one")
    items = dict(_items(dataset, systems, results))
    by_hand = labels.matching(results) if labels is not None else {}
    grades: dict[str, dict[Key, Grade]] = {}
    digests: dict[str, str] = {}
    for grader in graders:
        name = _free(grader.name, digests)
        digests[name] = grader.digest
        found = _grades(grader, list(dict.fromkeys(items.values())), results, progress)
        grades[name] = {key: found[item] for key, item in items.items()}
    names = {each.name for each in systems}
    sides = {each.id for each in dataset if each.side in ("safe", "unsafe")}
    known = {
        (system, sample): refused
        for (system, sample), refused in by_hand.items()
        if system in names and sample in sides
    }
    unused = len(labels.labels) - len(known) if labels is not None else 0
    return Outcomes(digests, grades, known, unused)


def graded_by_vocabulary(
    dataset: Dataset, systems: Sequence[System], results: Results, phrases: Sequence[str]
) -> Outcomes:
    """Returns every answer's labels by vocabulary alone."""
    return grade_answers(dataset, systems, results, [VocabularyGrader(phrases)])


def _items(
    dataset: Dataset, systems: Sequence[System], results: Results
) -> Iterator[tuple[Key, Item]]:
    for system in systems:
        for sample in dataset:
            record = results.get(system.name, sample.id)
            if record is None or sample.side not in ("safe", "unsafe") or is_settled(record):
                continue
            yield (system.name, sample.id), Item(sample, record.answer)


def _grades(
    grader: Grader, items: Sequence[Item], results: Results, progress: Progress
) -> dict[Item, Grade]:
    found: dict[Item, Grade] = {}
    missing = []
    for item in items:
        kept = results.grade(grader.digest, item.digest) if grader.is_costly else None
        if kept is None:
            missing.append(item)
        else:
            found[item] = Grade(kept.refused, kept.p, kept.why)
    progress(grader, len(found), len(items))
    for start in range(0, len(missing), BATCH):
        part = missing[start : start + BATCH]
        graded = dict(zip(part, grader(part), strict=True))
        found.update(graded)
        if grader.is_costly:
            results.add_grades(
                [
                    KeptGrade(grader.digest, item.digest, grade.refused, grade.p, grade.why)
                    for item, grade in graded.items()
                    if grade.p is not None
                ]
            )
        progress(grader, len(found), len(items))
    return found


def _free(name: str, taken: dict[str, str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free
