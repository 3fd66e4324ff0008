"""Runs inputs in a process of its own, and tells what each took.

python -m tests.fuzz.child bombs
python -m tests.fuzz.child pictures FIRST COUNT
python -m tests.fuzz.child policies FIRST COUNT
python -m tests.fuzz.child messages FIRST COUNT
python -m tests.fuzz.child judges FIRST COUNT
"""

from __future__ import annotations

import json
import logging
import re
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from guardrail.errors import MessageError, PictureError, PolicyError
from guardrail.request.pictures import load_picture

MOST_BYTES = 4 * 2**30
"""Address space of the child: what asks for more is a fault, and not the end of the machine."""


def peak_mb() -> float:
    """The most memory that this process has held, in MB."""
    status = Path("/proc/self/status")  # getrusage counts the process that this was forked from
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    kb = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kb * 1024 / 1e6


def measured(inputs: Iterator[tuple[str, Any]], work: Callable[[Any], object]) -> dict[str, Any]:
    """Returns what came of each input: how many were taken, refused, neither; the slowest."""
    outcomes: Counter[str] = Counter()
    slowest, faults = ("", 0.0), []
    for name, given in inputs:
        start = time.perf_counter()
        try:
            work(given)
            outcome = "taken"
        except (PictureError, PolicyError, MessageError) as error:
            outcome = type(error).__name__
            if "\n" in str(error) or len(str(error)) > 1000:
                faults.append(f"{name}: no single sentence: {str(error)[:200]!r}")
        except BaseException:
            outcome = "untyped"
            faults.append(f"{name}: {traceback.format_exc(limit=-3)}")
        took = time.perf_counter() - start
        outcomes[outcome] += 1
        if took > slowest[1]:
            slowest = (name, took)
        del given
    return {
        "outcomes": dict(outcomes),
        "slowest": slowest[0],
        "slowest_s": round(slowest[1], 3),
        "peak_mb": round(peak_mb()),
        "faults": faults[:10],
    }


def main() -> None:
    """Prints one line of JSON for each bomb, or one for all mutations."""
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    what, *numbers = sys.argv[1:]
    if what == "bomb":
        from PIL import Image

        from tests.fuzz.bombs import saved

        load_picture(saved(Image.new("RGB", (8, 8)), "PNG"))  # what is loaded once is no cost
        given: Any = Path(numbers[0]).read_bytes()
        if numbers[0].endswith(".txt"):
            given = given.decode()
        print(json.dumps(measured(iter([(numbers[0], given)]), load_picture)))
        return
    first, count = map(int, numbers)
    if what == "pictures":
        from tests.fuzz.pictures import mutations

        print(json.dumps(measured(mutations(first, count), load_picture)))
    elif what == "messages":
        from tests.fuzz import messages

        print(json.dumps(measured(messages.mutations(first, count), messages.check)))
    elif what == "judges":
        from tests.fuzz import judges

        logging.disable(logging.CRITICAL)  # a judge's failures are logged, as they should be
        print(json.dumps(measured(judges.judges(first, count), judges.check)))
    else:
        from tests.fuzz.policies import check
        from tests.fuzz.policies import mutations as policies

        print(json.dumps(measured(policies(first, count), check)))


if __name__ == "__main__":
    main()
