"""Has several kinds of answer in turn, round by round, so that all of them see the same machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

Progress = Callable[[str], None]

_Run = TypeVar("_Run")


def interleaved(
    answers: Mapping[str, Callable[[], _Run]], *, repeats: int, what: str, progress: Progress
) -> dict[str, list[_Run]]:
    """Returns what each kind of answer gave, in every round but the first, which only warms up.

    Every other round goes backwards, so that none of them comes after the same one each time.

    Args:
        answers: By name.
        repeats: Rounds.
        what: What is answered, for `progress`.
        progress: Told what is being done.
    """
    runs: dict[str, list[_Run]] = {name: [] for name in answers}
    for turn in range(repeats + 1):
        names = list(answers)[:: -1 if turn % 2 else 1]
        for name in names:
            progress(f"{what}, {name}: {f'round {turn} of {repeats}' if turn else 'warming up'}")
            run = answers[name]()
            if turn:
                runs[name].append(run)
    return runs
