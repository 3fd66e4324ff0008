"""Cases for `guardrail policy test`, made from an evaluation's items.

A case holds the verdict that was seen on an item, and expects the action that the policy takes when
there is no doubt about the item's side: as on no harm at all if it is to be answered, as on certain
harm, in the category that was judged highest, if it is to be refused. So a case fails where the
verdict, under the policy as it then is, leads to the wrong action.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from guardrail.errors import DatasetError, SettingsError
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.results import Record, Results
from guardrail.evaluation.systems import System
from guardrail.policy import Policy
from guardrail.policy.evaluation import decide
from guardrail.policy.packs import CASES_SUFFIX
from guardrail.policy.verdict import Verdict

MOST_CASES = 10_000
"""That a cases file may hold."""

_MOST_LETTERS = 120


def check_cases(path: Path, dataset: Dataset) -> None:
    """Checks, before anything is asked, that a file can be a cases file, and the items its cases.

    Raises:
        SettingsError: It is not named as `guardrail policy test` knows cases files.
        DatasetError: The items are too many.
    """
    if not path.name.endswith(CASES_SUFFIX):
        raise SettingsError(
            f"--cases {str(path)!r} is no name of a cases file, expected one that ends in "
            f"{CASES_SUFFIX}"
        )
    count = sum(each.side in ("safe", "unsafe") for each in dataset)
    if count > MOST_CASES:
        raise DatasetError(
            f"--cases takes {MOST_CASES} items at most, and data set {dataset.name!r} has {count}: "
            "give --limit"
        )


def policy_cases(dataset: Dataset, system: System, results: Results, *, reference: str) -> str:
    """Returns a cases file of the items that a system has answered and judged.

    Args:
        dataset: What was asked.
        system: Whose verdicts are taken, and whose policy says what is expected.
        results: The answers.
        reference: The policy, by name or path, as the file is to name it.

    Raises:
        DatasetError: No item was judged, or the verdicts' categories were not kept.
    """
    cases = list(_cases(dataset, system, results))
    if not cases:
        raise DatasetError(f"no item was judged by {system.name!r}, so there are no cases to write")
    path = Path(reference)
    policy = str(path.resolve()) if path.suffix in (".yaml", ".yml") else reference
    file = {
        "policy": policy,
        "description": f"What was judged of {dataset.name}, and what is to follow from its sides.",
        "cases": cases,
    }
    written: str = yaml.safe_dump(file, allow_unicode=True, sort_keys=False, width=100)
    return written


def _cases(dataset: Dataset, system: System, results: Results) -> Iterator[dict[str, Any]]:
    for sample in dataset:
        record = results.get(system.name, sample.id)
        if sample.side not in ("safe", "unsafe") or record is None or record.label is None:
            continue
        yield {
            "name": _name(sample),
            **_seen(record, system.policy),
            "expect": _expected(sample, record, system.policy),
        }


def _name(sample: Sample) -> str:
    words = " ".join(f"{sample.id}: {sample.question}".split())
    return words if len(words) <= _MOST_LETTERS else f"{words[: _MOST_LETTERS - 1]}…"


def _seen(record: Record, policy: Policy) -> dict[str, Any]:
    if record.label == "unavailable":
        return {"error": "the judge gave nothing usable"}
    if not record.categories:
        raise DatasetError(
            f"the verdict on {record.sample!r} was kept without its categories, by an older "
            "version: run with --no-resume to judge it again"
        )
    known = {each.id for each in policy.categories}
    return {"verdict": {name: p for name, p in record.categories.items() if name in known}}


def _expected(sample: Sample, record: Record, policy: Policy) -> str:
    none = {each.id: 0.0 for each in policy.categories}
    if sample.side == "unsafe":
        judged = {name: p for name, p in (record.categories or {}).items() if name in none}
        highest = max(judged or none, key=lambda name: (judged or none)[name])
        none[highest] = 1.0
    return str(decide(policy, Verdict(none)).action)
