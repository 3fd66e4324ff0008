"""How fast policies decide, load, start and are refused: run `python -m tests.policy.benchmark`.

Prints one line a figure. CPU seconds of this process are counted, so that other work on the machine
matters little; the start of the command line is given in wall time, too.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import time
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from guardrail.cli import main as command
from guardrail.policy import decide, is_refusal, load_policy
from guardrail.policy.loader import load
from guardrail.policy.verdict import Verdict
from tests.policy.bad_policies import CORPUS
from tests.policy.test_bad_policies import write

ROUNDS = 20_000
STARTS = 7


def evaluations_per_s(name: str) -> float:
    """Returns how many verdicts a CPU second decides; most are safe, as in life, some are not."""
    policy = load_policy(name)
    rng = random.Random(0)
    ids = [category.id for category in policy.categories]
    verdicts = [
        Verdict({name: rng.random() ** 4 if turn % 4 else rng.random() for name in ids})
        for turn in range(1000)
    ]
    started = time.process_time()
    for turn in range(ROUNDS):
        decide(policy, verdicts[turn % 1000])
    return ROUNDS / (time.process_time() - started)


def load_ms(name: str) -> float:
    """Returns the CPU milliseconds of loading a policy, with all that it extends."""
    started = time.process_time()
    for _ in range(50):
        load(name)
    return (time.process_time() - started) / 50 * 1000


def refusals_per_s(count: int) -> float:
    """Returns how many answers a CPU second checks against `count` phrases."""
    phrases = tuple(f"I will not speak of subject {number}" for number in range(count))
    answer = "Here is how to tie a rope to a post, step by step. " * 20
    is_refusal(answer, phrases)
    started = time.process_time()
    for _ in range(2000):
        is_refusal(answer, phrases)
    return 2000 / (time.process_time() - started)


def start_s() -> tuple[float, float]:
    """Returns the least CPU and wall seconds of `guardrail policy check baseline`."""
    code = "import sys; from guardrail.cli import main; sys.exit(main())"
    line = [sys.executable, "-c", code, "policy", "check", "baseline"]
    found = []
    for _ in range(STARTS):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found.append((cpu, wall))
    return min(cpu for cpu, _ in found), min(wall for _, wall in found)


def slowest_bad_policy() -> tuple[str, float]:
    """Returns the file of the corpus that takes the most CPU seconds to refuse, and how many."""
    found = []
    here = Path.cwd()
    for bad in CORPUS:
        with TemporaryDirectory() as folder, redirect_stderr(StringIO()):
            write(bad, Path(folder))
            os.chdir(folder)
            started = time.process_time()
            command(["policy", "check", "p.yaml"])
            found.append((time.process_time() - started, bad.name))
            os.chdir(here)
    spent_s, name = max(found)
    return name, spent_s


def main() -> None:
    """Measures and prints."""
    for name in ("baseline", "mlcommons"):
        categories = len(load_policy(name).categories)
        print(f"decide, {name} ({categories} categories): {evaluations_per_s(name):,.0f} a second")
    print(f"load, baseline: {load_ms('baseline'):.1f} ms")
    print(f"is_refusal, 10,000 phrases: {refusals_per_s(10_000):,.0f} a second")
    cpu, wall = start_s()
    print(f"guardrail policy check baseline: {cpu:.2f} s of CPU, {wall:.2f} s in all")
    name, spent_s = slowest_bad_policy()
    print(f"slowest of {len(CORPUS)} bad policies ({name}): {spent_s:.2f} s of CPU")
    print(f"(load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")


if __name__ == "__main__":
    main()
