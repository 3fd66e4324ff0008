"""The graders of `guardrail eval`: opened, asked, and what they differ on written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from guardrail.backends import Backend
from guardrail.evaluation import Dataset, Results, System
from guardrail.evaluation.grading import (
    Grader,
    HandLabels,
    Outcomes,
    check_grader,
    grade_answers,
    open_grader,
    read_labels,
    write_unlabelled,
)
from guardrail.evaluation.grading.opening import backend_of

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe


class Grading:
    """How the outcomes of a run are labelled; checked before any model is loaded.

    Args:
        graders: As on the command line; the first one counts. By vocabulary without any.
        labels: A file of labels by hand.
        to_label: Where to write what graders differ on.

    Raises:
        SettingsError: There is no such grader.
        DatasetError: The labels cannot be read.
    """

    def __init__(
        self, graders: Sequence[str] | None, *, labels: Path | None, to_label: Path | None
    ) -> None:
        self._written = tuple(dict.fromkeys(graders or ("vocabulary",)))
        for each in self._written:
            check_grader(each)
        self._labels = read_labels(labels) if labels is not None else HandLabels()
        self._to_label = to_label

    def outcomes(
        self,
        dataset: Dataset,
        systems: Sequence[System],
        results: Results,
        *,
        phrases: Sequence[str],
        engines: Mapping[str, SafeCoDe],
        bar: Progress,
    ) -> Outcomes:
        """Returns every answer's labels.

        Args:
            dataset: What was asked.
            systems: Who answered.
            results: The answers.
            phrases: Beginnings of refusals.
            engines: Models that are loaded already, by path or id: they are not loaded again.
            bar: Shows how far each grader is.

        Raises:
            GuardrailError: A grader cannot be had, or the file to label not be written.
        """

        def load_backend(model: str) -> Backend:
            return engines[model].backend if model in engines else backend_of(model)

        opened = [
            open_grader(each, phrases=phrases, load_backend=load_backend) for each in self._written
        ]
        tasks = {id(each): bar.add_task(each.name) for each in opened if each.is_costly}

        def progress(grader: Grader, done: int, total: int) -> None:
            if id(grader) in tasks:
                bar.update(tasks[id(grader)], completed=done, total=total)

        outcomes = grade_answers(
            dataset, systems, results, opened, labels=self._labels, progress=progress
        )
        if self._to_label is not None:
            names = [each.name for each in systems]
            count = write_unlabelled(self._to_label, dataset, names, results, outcomes)
            line = f"{count} answers to label by hand: {self._to_label}"
            bar.console.print(line, markup=False, soft_wrap=True)  # a broken path cannot be copied
        return outcomes
