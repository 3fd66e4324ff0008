"""A folder of logs: each process of a server writes one of its own, and all of them are checked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from guardrail.errors import AuditError
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.continuation import broken_link
from guardrail.record.audit.interchange import is_export
from guardrail.record.audit.ownership import is_database
from guardrail.record.audit.verification import Problem, Verification
from guardrail.record.keys import AuditKey

_NAMED_LIKE_A_LOG = (".db", ".sqlite")
_WAITING = "-wal"
_BESIDE = (_WAITING, "-shm", "-journal")
_BEGINNING_S, _LOOKS = 0.1, 5
"""A log that is being made has nothing in it for a moment."""


@dataclass(frozen=True)
class Checked:
    """What a check of a folder found.

    Attributes:
        logs: Each log's file name and what was found, in the order of names.
        others: Files beside them that are no logs.
    """

    logs: tuple[tuple[str, Verification], ...]
    others: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with any."""
        return all(found.ok for _, found in self.logs)

    def plain(self) -> dict[str, Any]:
        """Returns it as plain JSON."""
        logs = [{"file": name, **found.plain()} for name, found in self.logs]
        return {"ok": self.ok, "logs": logs, "others": list(self.others)}


def verify_folder(folder: Path, key: AuditKey | None) -> Checked:
    """Checks every log in a folder, exports included; not those in folders within it.

    A log that another one there continues has to end where that begins. What is named like a log
    and is none is a log that was destroyed. That one was removed cannot be seen.

    Args:
        folder: Where they are; they may be written to meanwhile.
        key: As for `verify`.

    Raises:
        AuditError: There is none, or the folder cannot be read.
    """
    try:
        names = sorted(each.name for each in folder.iterdir() if not each.is_dir())
    except OSError as error:
        raise AuditError(f"cannot read the folder {str(folder)!r}: {error.strerror}") from error
    logs = {name: _checked(folder / name, key) for name in names if _is_log(folder, name)}
    for name in _orphans(names):
        logs[name] = _failed(f"{name!r} is gone, and its '-wal' file is still there", key)
    if not logs:
        raise AuditError(f"there is no audit log in {str(folder)!r}")
    linked = {name: _linked(found, list(logs.values())) for name, found in logs.items()}
    beside = {f"{name}{ending}" for name in logs for ending in _BESIDE}
    others = tuple(name for name in names if name not in logs and name not in beside)
    return Checked(tuple(sorted(linked.items())), others)


def _is_log(folder: Path, name: str) -> bool:
    if name.endswith(_BESIDE):
        return False
    if name.endswith(_NAMED_LIKE_A_LOG):
        return True
    path = folder / name
    # An empty file passes for a database, and a pipe would be waited for.
    return path.is_file() and _size(path) > 0 and (is_database(path) or is_export(path))


def _orphans(names: list[str]) -> Iterator[str]:
    for name in names:
        log = name.removesuffix(_WAITING)
        if log != name and log not in names:
            yield log


def _checked(path: Path, key: AuditKey | None) -> Verification:
    for look in range(_LOOKS):
        if look:
            time.sleep(_BEGINNING_S)
        try:
            return verify_path(path, key)
        except AuditError as error:
            problem = str(error)
    return _failed(problem, key)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _failed(message: str, key: AuditKey | None) -> Verification:
    problem = Problem("tables", None, message)
    return Verification("", 0, None, None, None, key is not None, 0, problem)


def _linked(found: Verification, among: list[Verification]) -> Verification:
    """Returns what was found of a log; with a problem if the one before it ends otherwise."""
    link = found.continues
    if not found.ok or link is None:
        return found
    before = [each for each in among if each.log == link.log and each.ok]
    problems = [broken_link(found, each) for each in before]
    if not problems or None in problems:
        return found
    return replace(found, problem=problems[0])
