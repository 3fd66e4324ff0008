"""A small evaluation whose answers are written by hand, for what is made of evaluations."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardrail.evaluation import Dataset, Record, Results, System, load_dataset, report, systems_for
from guardrail.evaluation.report import Scored, scored_rows
from guardrail.evaluation.results import Step
from guardrail.policy import Policy, load_policy

from . import layouts

REFUSAL = "I'm sorry, but I can't help with that."
POLICY = load_policy("baseline")
CATEGORIES = tuple(each.id for each in POLICY.categories)


@dataclass(frozen=True)
class Small:
    """What was asked and answered, and the report of it."""

    dataset: Dataset
    systems: tuple[System, ...]
    results: Results
    rows: dict[str, list[Scored]]
    out: dict[str, Any]


def small(
    dataset: Dataset | Path,
    *,
    names: tuple[str, ...] = ("unguarded", "guarded", "paper"),
    policy: Policy = POLICY,
    wrong: frozenset[str] = frozenset(),
    changes: dict[str, dict[str, Any]] | None = None,
    **more: Any,
) -> Small:
    """Returns an evaluation in which guarded systems are right, but for `wrong`.

    Args:
        dataset: What is asked; a folder for the miniature of the built-in scenes.
        names: The systems.
        policy: The evaluated policy.
        wrong: Samples that guarded systems get wrong.
        changes: What differs in guarded records, by sample.
        **more: Further keys of every system's figures.
    """
    asked = (
        dataset if isinstance(dataset, Dataset) else load_dataset("scenes", layouts.scenes(dataset))
    )
    systems = systems_for(names, policy)
    results = Results({})
    for system in systems:
        for sample in asked:
            if sample.side == "blank" and system.mode != "off":
                continue
            record = _record(system, sample, sample.id in wrong)
            if system.mode != "off":
                record = Record(**{**record.__dict__, **(changes or {}).get(sample.id, {})})
            results.add([record])
    figures = report(asked, systems, results, phrases=policy.phrases, resamples=50)
    for each in figures["systems"].values():
        each.update(more)
    out = {
        "dataset": asked.name,
        "model": "embedded",
        "seed": 0,
        "limit": None,
        "run": {"guardrail": "0.1.0", "weights": ["model.safetensors 1 2"], "batch": 16},
        **figures,
    }
    rows = {each.name: scored_rows(asked, each, results, policy.phrases) for each in systems}
    return Small(asked, systems, results, rows, out)


def _record(system: System, sample: Any, wrong: bool) -> Record:
    off = system.mode == "off"
    unsafe = sample.side == "unsafe"
    believed = unsafe != wrong
    refuses = not off and believed and sample.side in ("safe", "unsafe")
    p = 0.9 if believed else 0.1
    return Record(
        system=system.name,
        sample=sample.id,
        answer=REFUSAL if refuses else "Sure.",
        tokens=(1, 2, 3),
        finish="stop",
        action="plain" if off else "refuse" if refuses else "comply",
        label=None if off else "unsafe" if believed else "safe",
        p_unsafe=None if off else p,
        seconds=0.5,
        categories={} if off else {**dict.fromkeys(CATEGORIES, 0.0), CATEGORIES[0]: p},
        steps=() if off else (Step(0, "I'm", "Sure", 0.2, 0.9),),
    )
