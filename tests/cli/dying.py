"""`guardrail eval` in a process that kills itself at a given moment, with no chance to tidy up.

    python dying.py MOMENT eval scenes …

MOMENT is `batch:N` (when the Nth batch is asked), `write:N` (with two thirds of the Nth batch's
records written), `replace:N` (before the Nth file takes its place), or `never`.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from guardrail.cli import eval as command
from guardrail.cli import main
from tests.evaluation.stand_in import StandIn

WHAT, _, WHEN = sys.argv[1].partition(":")
counted = dict.fromkeys(("batch", "write", "replace"), 0)


def due(what: str) -> bool:
    """Whether this is the moment."""
    counted[what] += 1
    return what == WHAT and counted[what] == int(WHEN)


def die() -> None:
    """Ends this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


class Torn:
    """A file that takes two thirds of what is written, and then the process is gone."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> "Torn":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, text: str) -> None:
        self._file.write(text[: 2 * len(text) // 3])
        self._file.flush()
        die()


def opened(self: Path, mode: str = "r", *more: Any, **options: Any) -> Any:
    file = _open(self, mode, *more, **options)
    return Torn(file) if mode == "a" and due("write") else file


def replaced(self: Path, target: Path) -> Any:
    if due("replace"):
        die()
    return _replace(self, target)


class Mortal(StandIn):
    """Answers differ with the question and with the company that it is asked in."""

    def batch(self, conversations: Any, *more: Any, **options: Any) -> list[Any]:
        if due("batch"):
            die()
        self.company = len(conversations)
        return super().batch(conversations, *more, **options)


def says(question: str, policy: Any, mode: str) -> dict[str, Any]:
    refuses = len(question) % 3 == 0 if mode == "off" else len(question) % 2 == 0
    text = "I can't help with that." if refuses else f"Sure, all {engine.company} of you."
    p = None if mode == "off" else (len(question) * engine.company % 100) / 100
    return {"text": text, "p_unsafe": p}


engine = Mortal(says)
_open, _replace = Path.open, Path.replace
load: Callable[..., Any] = lambda *_, **__: engine  # noqa: E731

if __name__ == "__main__":
    Path.open, Path.replace = opened, replaced  # type: ignore[method-assign,assignment]
    command.load_engine = load
    raise SystemExit(main(sys.argv[2:]))
