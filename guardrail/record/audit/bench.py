"""Measures a large log: `python -m guardrail.record.audit.bench [RECORDS]`, 100,000 by default.

Prints one JSON object: seconds to verify, to count, and for the page's list, and milliseconds per
durable append.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from guardrail.policy.terms import Action, Label
from guardrail.record.audit import store
from guardrail.record.audit.chain import sealed_head, sealed_row
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.log import AuditLog
from guardrail.record.audit.page.views import list_page
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.record import AuditRecord, Thresholds
from guardrail.record.decision import (
    Candidate,
    ContrastRecord,
    Decision,
    Outcome,
    PolicyRef,
    StepRecord,
    VerdictRecord,
)
from guardrail.record.digests import RequestDigests
from guardrail.record.keys import AuditKey, new_key

CATEGORIES = ("physical-harm", "child-at-risk", "weapons", "fire", "medical-harm", "privacy")
_POLICIES = ("baseline", "acme-retail")
_ACTIONS: dict[Label, Action] = {"safe": "comply", "uncertain": "plain", "unsafe": "refuse"}
_OPENINGS = (("I", "I'm", "Sure", "The"), ("'m", "can", " do", " knife"), (" sorry", "'t", " that"))


def synthetic_decision(chance: random.Random, *, steps: int = 3) -> Decision:
    """Returns a made-up decision that looks like a real one."""
    categories = {name: round(chance.betavariate(0.6, 3), 4) for name in CATEGORIES}
    worst = max(categories, key=categories.__getitem__)
    p = categories[worst]
    label: Label = "unsafe" if p >= 0.6 else "safe" if p < 0.4 else "uncertain"
    action = _ACTIONS[label]
    if label == "unsafe" and worst in ("child-at-risk", "weapons"):
        action = "block" if worst == "child-at-risk" else "escalate"
    generated = action not in ("block", "escalate")
    rule = {"safe": "on_safe", "uncertain": "on_uncertain", "unsafe": "on_unsafe"}[label]
    limit = {"safe": "< safe_below 0.4", "unsafe": ">= unsafe_at 0.6"}.get(label, "between both")
    return Decision(
        request_id=f"{chance.getrandbits(128):032x}",
        mode="enforce" if chance.random() < 0.9 else "shadow",
        model="embedded",
        policy=PolicyRef(
            name=chance.choice(("baseline", "acme-retail")), version=1, digest="5" * 64
        ),
        verdict=VerdictRecord(label=label, p_unsafe=p, categories=categories, source="self"),
        action=action,
        category=worst if label != "safe" else None,
        rule=f"verdict.{rule}",
        reasons=[f"{worst} is {label}: p {p} {limit}, so verdict.{rule}: {action}"],
        confidence=abs(p - 0.5) * 2,
        contrast=ContrastRecord(applied=generated, alpha=0.3, noise_std=0.1, steps=steps),
        steps=[_step(chance, at, action) for at in range(steps)] if generated else [],
        outcome=Outcome(
            refused=action == "refuse" if generated else None,
            finish_reason="stop" if generated else "blocked" if action == "block" else "escalated",
            output_tokens=24 if generated else 0,
        ),
        timings_ms={"judge": 31.2, "noised": 20.1, "total": round(chance.uniform(80, 400), 3)},
    )


def _step(chance: random.Random, at: int, action: Action) -> StepRecord:
    names = _OPENINGS[at % len(_OPENINGS)]
    real = sorted((chance.random() for _ in names), reverse=True)
    whole = sum(real) * 1.1
    lift = 3.0 if action == "refuse" else 0.4 if action == "comply" else 1.0
    guarded = [p * (lift if place == 0 else 1.0) for place, p in enumerate(real)]
    after = sum(guarded) * 1.1
    top = [
        Candidate(
            token=name,
            real=round(real[place] / whole, 5),
            noised=round(chance.uniform(0.4, 1.1) * real[place] / whole, 5),
            guarded=round(guarded[place] / after, 5),
        )
        for place, name in enumerate(names)
    ]
    return StepRecord(
        step=at,
        token=max(top, key=lambda each: each.guarded).token,
        token_unguarded=top[0].token,
        refusal_mass_before=top[0].real,
        refusal_mass_after=top[0].guarded,
        divergence=round(chance.uniform(0, 0.2), 5),
        top=top,
    )


def fill(path: Path, key: AuditKey, records: int, *, seed: int = 0) -> None:
    """Makes a log of made-up decisions of the last week, in one transaction: it is not durable."""
    chance = random.Random(seed)
    log = AuditLog(path, key=key)
    log.append(synthetic_decision(chance))
    log.close()
    thresholds = {name: Thresholds(unsafe_at=0.6, safe_below=0.4) for name in CATEGORIES}
    begun = datetime.now(timezone.utc) - timedelta(days=7)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        head = store.read_head(connection)
        assert head is not None
        for at in range(records - 2):
            moment = begun + timedelta(days=7) * (at / records)
            seq = head.seq + 1
            record = AuditRecord(
                seq=seq,
                time=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                kind="decision",
                decision=synthetic_decision(chance),
                thresholds=thresholds,
                request=RequestDigests(question="a" * 64, conversation="b" * 64, turns=1),
            )
            row = sealed_row(head.log, seq, head.link, record.body(), key)
            store.write_row(connection, row)
            head = sealed_head(head.log, row, key)
        store.write_head(connection, head)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def measure(path: Path, key: AuditKey) -> dict[str, Any]:
    """Returns what reading and appending take."""
    found: dict[str, Any] = {"megabytes": round(path.stat().st_size / 1e6, 1)}
    with LogReader(path) as reader:
        found["verify"] = _best(lambda: verify_path(path, key))
        found["stats"] = _best(lambda: reader.stats(Filter()))
        found["list"] = _best(lambda: list_page(reader, {}))
        found["filtered_list"] = _best(lambda: list_page(reader, {"action": "refuse"}))
    with AuditLog(path, key=key) as log:
        chance = random.Random(1)
        taken = []
        for _ in range(50):
            decision = synthetic_decision(chance)
            started = time.perf_counter()
            log.append(decision)
            taken.append((time.perf_counter() - started) * 1000)
    found["append_ms"] = {"median": round(sorted(taken)[25], 2), "worst": round(max(taken), 2)}
    return found


def _best(work: Callable[[], object]) -> dict[str, float]:
    """Returns the best of three: seconds on the clock, and of this process's own CPU time, which
    says more on a busy machine.
    """
    clock, cpu = [], []
    for _ in range(3):
        started, used = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    return {"clock_s": round(min(clock), 3), "cpu_s": round(min(cpu), 3)}


def main(arguments: Sequence[str]) -> None:
    """Fills a log in a temporary folder and measures it."""
    records = int(arguments[0]) if arguments else 100_000
    key = new_key()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.db"
        started = time.perf_counter()
        fill(path, key, records)
        filled = round(time.perf_counter() - started, 1)
        print(json.dumps({"records": records, "fill_s": filled, **measure(path, key)}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
