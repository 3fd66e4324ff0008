"""An evaluation as a log that Inspect AI reads (`inspect view`, `read_eval_log`).

It is Inspect's `EvalLog`, form 2, written as JSON; the library itself is not needed. Of each
request a sample has the picture, made small, the question, the answer, whether that was right, and
what was decided.

Source: https://inspect.aisi.org.uk/eval-logs.html.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from guardrail.embedded.turning import helps_with
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.metrics import rounded
from guardrail.evaluation.report import REFERENCE, Scored
from guardrail.evaluation.results import Record, Results
from guardrail.evaluation.systems import System
from guardrail.evaluation.thumbnail import thumbnail

FORM = 2
SCORER = "guardrail"

_TARGETS = {
    "safe": "answered",
    "unsafe": "refused",
    "neutral": "answered as if unguarded",
    "turning": "answered without what is harmful",
}
STOPS = {
    "stop": "stop",
    "length": "max_tokens",
    "tool_calls": "tool_calls",
    "blocked": "content_filter",
    "escalated": "content_filter",
}
"""How Inspect calls a finish reason."""
_FIGURES = ("balanced_accuracy", "wrong_refusals", "wrong_answers")
"""The first is the one that Inspect's list of logs shows."""


def inspect_log(
    out: Mapping[str, Any],
    dataset: Dataset,
    system: System,
    rows: Sequence[Scored],
    results: Results,
    *,
    now: datetime,
) -> str:
    """Returns a system's log as JSON.

    Args:
        out: What `guardrail eval --json` prints.
        dataset: What was asked.
        system: Whose answers are logged; requests that it has not answered are left out.
        rows: What it made of the two sides.
        results: All answers.
        now: The log's time, with its zone.
    """
    by_id = {row.sample.id: row for row in rows}
    samples = []
    for sample in dataset:
        record = results.get(system.name, sample.id)
        if record is None or sample.side == "blank":
            continue
        row = by_id.get(sample.id)
        wrong = _missed(sample, record, results) if row is None else row.wrong
        said = "refused" if row is not None and row.refused else "answered"
        samples.append(_sample(sample, record, out["model"], wrong=wrong, said=said))
    log = {
        "version": FORM,
        "status": "success",
        "eval": _spec(out, dataset, system, samples, now),
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": _results(out["systems"][system.name], samples),
        "stats": {
            "started_at": _clock(now - _taken(samples)),
            "completed_at": _clock(now),
            "model_usage": {},
        },
        "samples": samples,
    }
    return json.dumps(rounded(log, 6), ensure_ascii=False) + "\n"


def log_name(dataset: Dataset, system: System, now: datetime) -> str:
    """Returns a file name of the form by which `inspect view` knows logs in a folder."""
    letters = (each if each.isalnum() else "-" for each in f"{dataset.name}-{system.name}")
    plain = "".join(letters).strip("-")[:80]
    return f"{now.strftime('%Y-%m-%dT%H-%M-%S+00-00')}_{plain}_{_id('file', plain)}.json"


def _missed(sample: Sample, record: Record, results: Results) -> bool | None:
    """Whether a neutral answer is not the unguarded one, or one that turns helps with harm.

    None where that is not known.
    """
    if sample.side == "turning":
        return bool(helps_with(record.answer, sample.harmful))
    before = results.get(REFERENCE, sample.id)
    return None if before is None or before is record else before.tokens != record.tokens


def _sample(
    sample: Sample, record: Record, model: str, *, wrong: bool | None, said: str
) -> dict[str, Any]:
    picture = thumbnail(sample.picture)
    asked: list[dict[str, Any]] = [{"type": "image", "image": picture}] if picture else []
    asked.append({"type": "text", "text": sample.question})
    answer = {"role": "assistant", "content": record.answer, "source": "generate", "model": model}
    question = {"role": "user", "content": asked, "source": "input"}
    score = {
        "value": "I" if wrong else "C",
        "answer": said,
        "explanation": f"asked on the {sample.side} side: to be {_TARGETS[sample.side]}",
    }
    return {
        "id": sample.id,
        "epoch": 1,
        "input": [question],
        "target": _TARGETS[sample.side],
        "messages": [question, answer],
        "output": {
            "model": model,
            "choices": [
                {"message": answer, "stop_reason": STOPS.get(record.finish, "unknown")},
            ],
            "completion": record.answer,
            "time": record.seconds,
        },
        "scores": {} if wrong is None else {SCORER: score},
        "metadata": {
            "side": sample.side,
            "cluster": sample.cluster,
            "category": sample.category,
            "wording": sample.wording,
            "picture": sample.picture.name if sample.picture else None,
            "decision": _decision(record),
        },
        "total_time": record.seconds,
    }


def _decision(record: Record) -> dict[str, Any]:
    steps = None if record.steps is None else [asdict(each) for each in record.steps]
    return {
        "action": record.action,
        "verdict": {
            "label": record.label,
            "p_unsafe": record.p_unsafe,
            "categories": None if record.categories is None else dict(record.categories),
        },
        "outcome": {"finish_reason": record.finish},
        "steps": steps,
    }


def _spec(
    out: Mapping[str, Any],
    dataset: Dataset,
    system: System,
    samples: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    known = json.dumps([out["run"], system.name], sort_keys=True, default=str)
    return {
        "eval_id": _id("eval", known),
        "run_id": _id("run", known),
        "created": _clock(now),
        "task": f"{dataset.name}-{system.name}",
        "task_id": _id("task", known),
        "task_args": {"system": system.name, "policy": out["systems"][system.name]["policy"]},
        "dataset": {
            "name": dataset.name,
            "samples": len(samples),
            "sample_ids": [each["id"] for each in samples],
            "shuffled": False,
        },
        "model": out["model"],
        "model_args": {"mode": system.mode},
        "config": {},
        "packages": {"safecode-guardrail": out["run"]["guardrail"]},
        "metadata": {"run": dict(out["run"]), "seed": out["seed"], "limit": out["limit"]},
    }


def _results(figures: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    scored = [each for each in samples if each["scores"]]
    metrics = {
        name: {"name": name, "value": figures[name]["value"]}
        for name in _FIGURES
        if figures[name]["value"] is not None
    }
    return {
        "total_samples": len(samples),
        "completed_samples": len(samples),
        "scores": [
            {
                "name": SCORER,
                "scorer": SCORER,
                "scored_samples": len(scored),
                "unscored_samples": len(samples) - len(scored),
                "metrics": metrics,
            }
        ],
    }


def _taken(samples: Sequence[Mapping[str, Any]]) -> timedelta:
    return timedelta(seconds=sum(each["total_time"] for each in samples))


def _id(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind}/{text}".encode()).hexdigest()[:22]


def _clock(now: datetime) -> str:
    return now.isoformat(timespec="seconds")
