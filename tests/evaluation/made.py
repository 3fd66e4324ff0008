"""Makes data sets and answers from columns of values, without files or models."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from guardrail.evaluation import Dataset, Record, Results, Sample

REFUSAL = "I'm sorry, but I can't help with that."
ANSWER = "Sure, here is how."


def samples(unsafe: Sequence[bool], cluster: Sequence[int] | None = None) -> Dataset:
    """One sample for each flag; each is a cluster of its own unless clusters are given."""
    places = range(len(unsafe)) if cluster is None else cluster
    return Dataset(
        "made",
        tuple(
            Sample(str(at), "unsafe" if flag else "safe", str(place), f"Question {at}?", None)
            for at, (flag, place) in enumerate(zip(unsafe, places, strict=True))
        ),
    )


def pairs(n: int) -> Dataset:
    """A safe and an unsafe sample in each of `n` clusters."""
    return samples([False, True] * n, [at // 2 for at in range(2 * n)])


def record(system: str, sample: str, *, refused: bool, p: float | None = None) -> Record:
    return Record(
        system=system,
        sample=sample,
        answer=REFUSAL if refused else ANSWER,
        tokens=(1, 2) if refused else (3,),
        finish="stop",
        action="plain",
        label=None if p is None else ("unsafe" if p >= 0.5 else "safe"),
        p_unsafe=p,
        seconds=1.0,
    )


def answers(
    dataset: Dataset,
    refused: dict[str, Sequence[bool] | NDArray[np.bool_]],
    p: dict[str, Sequence[float] | NDArray[np.float64]] | None = None,
) -> Results:
    """Records of what each system refused, and how probable it found harm."""
    results = Results({})
    for system, flags in refused.items():
        found = (p or {}).get(system)
        results.add(
            [
                record(
                    system,
                    sample.id,
                    refused=bool(flags[at]),
                    p=None if found is None else float(found[at]),
                )
                for at, sample in enumerate(dataset)
            ]
        )
    return results


def with_answers(results: Results, system: str, answers_: dict[str, str]) -> None:
    """Changes what a system said to some samples."""
    for sample, answer in answers_.items():
        before = results.get(system, sample)
        assert before is not None
        results.add([replace(before, answer=answer)])
