"""Peak memory of a variant: on CUDA as the allocator counts it, else of a process of its own."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from guardrail.backends.transformers import device
from guardrail.bench.subject import Subject, loaded, shaped
from guardrail.bench.variants import VARIANTS
from guardrail.errors import GuardrailError

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Task:
    """One variant to be run in a process of its own; either `shape` or `model` is given."""

    shape: str | None
    model: str | None
    dtype: str | None
    variant: str
    new_tokens: int
    pictures: int
    prompt_tokens: int
    threads: int | None


def peak_bytes(task: Task) -> int:
    """Returns the peak resident memory of a fresh process that answers once after a warm-up.

    Raises:
        GuardrailError: The process failed.
    """
    made = subprocess.run(
        [sys.executable, "-m", "guardrail.bench.memory", json.dumps(asdict(task))],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        last = (made.stderr.strip().splitlines() or ["no output"])[-1]
        raise GuardrailError(f"memory of {task.variant!r} cannot be measured: {last}")
    return int(made.stdout.split()[-1])


def cuda_peak_bytes(subject: Subject, task: Task) -> int:
    """Returns the most that the CUDA allocator held while one answer was made."""
    conversation = subject.request(pictures=task.pictures, prompt_tokens=task.prompt_tokens)
    device.forget_cuda_peak()
    VARIANTS[task.variant](subject, conversation, task.new_tokens)
    return device.cuda_peak_bytes()


def _measured(task: Task) -> int:
    if task.threads:
        device.set_threads(task.threads)
    if task.model is not None:
        subject = loaded(task.model, dtype=task.dtype)
    else:
        subject = shaped(str(task.shape), dtype=task.dtype)
    conversation = subject.request(pictures=task.pictures, prompt_tokens=task.prompt_tokens)
    if task.variant == "skipped":
        subject = subject.settled(conversation)
    variant = VARIANTS[task.variant]
    variant(subject, conversation, min(8, task.new_tokens))
    _forget_peak()
    variant(subject, conversation, task.new_tokens)
    return _peak()


def _forget_peak() -> None:
    """Lets the peak begin anew where the system can: loading may take more than answering."""
    if _CLEAR.exists():
        _CLEAR.write_text("5", encoding="ascii")


def _peak() -> int:
    if _STATUS.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"))
        if found:
            return int(found[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    print(_measured(Task(**json.loads(sys.argv[1]))))
