"""Kills four writing processes at a random moment, again and again; prints what became of the log.

Run as `python killing.py FOLDER TRIALS SEED`. It is a program of its own because it forks.
"""

import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from guardrail.record.audit import AuditLog
from guardrail.record.audit.bench import synthetic_decision
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.queries import LogReader
from guardrail.record.keys import find_key

WRITERS = 4
LATEST_S = 0.35


def write_forever(path: Path, acknowledge: int, seed: int) -> None:
    chance = random.Random(seed)
    log = AuditLog(path)
    while True:
        decision = synthetic_decision(chance, steps=1)
        log.append(decision)
        os.write(acknowledge, decision.request_id.encode() + b"\n")


def trial(path: Path, chance: random.Random, *, under_way: bool) -> dict[str, float]:
    read, write = os.pipe()
    children = []
    for _ in range(WRITERS):
        seed = chance.getrandbits(60)
        child = os.fork()
        if child == 0:
            os.close(read)
            write_forever(path, write, seed)
        children.append(child)
    os.close(write)
    if under_way:
        select.select([read], [], [])  # until a first record is acknowledged
    time.sleep(chance.uniform(0, LATEST_S))
    for child in chance.sample(children, len(children)):
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
    acknowledged = b""
    while part := os.read(read, 1 << 16):
        acknowledged += part
    os.close(read)
    names = acknowledged.decode().split()

    started = time.perf_counter()
    with AuditLog(path) as log:
        log.append(synthetic_decision(chance, steps=1))
    opened_s = time.perf_counter() - started
    found = verify_path(path, find_key())
    assert found.ok, found.problem
    with LogReader(path) as reader:
        for name in names:
            reader.find(name)
    return {"acknowledged": len(names), "records": found.records, "opened_s": opened_s}


def main(folder: Path, trials: int, seed: int) -> None:
    chance = random.Random(seed)
    results = []
    for at in range(trials):
        # Mostly a log that lives on; now and then a new one, killed while it is being made.
        new = at % 4 == 0
        path = folder / (f"new-{at}.db" if new else "audit.db")
        results.append(trial(path, chance, under_way=not new))
    summary = {
        "trials": trials,
        "acknowledged": sum(each["acknowledged"] for each in results),
        "records": max(each["records"] for each in results),
        "slowest_open_s": round(max(each["opened_s"] for each in results), 3),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
