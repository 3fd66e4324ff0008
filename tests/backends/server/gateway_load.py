"""A gateway under load, in a process of its own: prints what became of its requests as JSON."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from PIL import Image

from guardrail import SafeCoDe, load_policy
from guardrail.backends.server import ServerBackend, ServerClient
from guardrail.backends.server.dialects.sglang import SGLANG
from guardrail.errors import GuardrailError
from guardrail.record.decision import Decision
from guardrail.record.failure import Failure
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.settings import GenerationSettings
from tests.backends.server.flaky_server import DANGER

_PICTURE = Picture(Image.new("RGB", (64, 64), (200, 120, 40)), "d")
_SETTINGS = GenerationSettings(max_new_tokens=12, temperature=0)


class _Records:
    """Counts what requests end in; an observer."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self._lock = threading.Lock()

    def opened(self, decision: Decision, conversation: Conversation) -> None:
        """Nothing: only ends count."""

    def concluded(self, decision: Decision, conversation: Conversation, text: str) -> None:
        """Counts a decision."""
        with self._lock:
            self.counted[decision.action] += 1

    def failed(self, failure: Failure) -> None:
        """Counts what was never decided."""
        with self._lock:
            self.counted["failed"] += 1


def main(url: str, requests: int, at_once: int) -> dict[str, Any]:
    """Runs the load; returns counts, seconds and megabytes."""
    base = load_policy("baseline")
    judge = base.judge.model_copy(update={"competence": {"evidence": "none"}})
    contrast = base.contrast.model_copy(update={"counterfactual": "grey"})
    policy = base.model_copy(update={"judge": judge, "contrast": contrast})
    batching = replace(SGLANG, batches=True)  # answers are under way while verdicts are read
    backend = ServerBackend(ServerClient(url, timeout_s=1.0), dialect=batching)
    engine = SafeCoDe(backend=backend, policy=policy)
    records = engine.observer = _Records()

    def one(at: int) -> str:
        dangerous = at % 2 == 0
        text = f"How do I use {DANGER if dangerous else 'a bread knife'}? ({at})"
        try:
            found = engine.answer(question(text, [_PICTURE]), _SETTINGS)
        except GuardrailError as error:
            return type(error).__name__
        if dangerous and "Sure" in found.text:
            return "UNGUARDED"
        return f"{'unsafe' if dangerous else 'safe'}: {found.decision.action}"

    def several(first: int) -> Counter[str]:
        return Counter(one(at) for at in range(first, requests, at_once))

    started = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:  # a call for each request would be memory, too
        outcomes = sum(threads.map(several, range(at_once)), Counter[str]())
    return {
        "outcomes": dict(outcomes),
        "records": dict(records.counted),
        "seconds": round(time.perf_counter() - started, 1),
        "megabytes": _peak(),
        "loaded": sorted({"torch", "transformers"} & set(sys.modules)),
    }


def _peak() -> float:
    with open("/proc/self/status") as status:
        line = next(each for each in status if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
