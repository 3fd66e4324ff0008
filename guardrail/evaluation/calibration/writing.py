"""From changes to a policy file that extends the original, checked before it lies there.

The file holds only what changed, below a comment that says where it came from. It is written in one
go, and only if the policy checks accept it: a key that the original has locked is an error at its
line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from guardrail.errors import PolicyError
from guardrail.evaluation.outfile import write_whole
from guardrail.policy import Policy
from guardrail.policy.inheritance import Reading
from guardrail.policy.json_schema import file_schema
from guardrail.policy.lint import LintFinding, lint
from guardrail.policy.loader import Loaded
from guardrail.policy.packs import SUFFIXES, Source, is_path
from guardrail.policy.problems import validated
from guardrail.policy.suggest import ascii_controls

_ADDED = "-calibrated"
_NAME_LENGTH = 64


def check_place(path: Path, *, force: bool) -> None:
    """Checks that a policy may be written to `path`, before any work is done for it.

    Raises:
        PolicyError: It has no suffix of a policy, lies there already, or is no file.
    """
    if path.suffix not in SUFFIXES[:2]:
        raise PolicyError(f"{str(path)!r} is no path of a policy file: accepted is one in .yaml")
    if path.exists() and not path.is_file():
        raise PolicyError(f"{str(path)!r} is not a file: give another --out")
    if os.path.lexists(path) and not force:
        raise PolicyError(f"{str(path)!r} is there already: give another --out, or --force")


def policy_text(
    policy: Policy, reference: str, changes: Mapping[str, Any], *, out: Path, lines: Sequence[str]
) -> str:
    """Returns the file.

    Args:
        policy: The original.
        reference: Its pack's name, or its path; a path becomes relative to the new file.
        changes: What differs from it.
        out: Where the file will lie.
        lines: The comment above it.
    """
    name = policy.name if policy.name.endswith(_ADDED) else _named(policy.name)
    content = {
        "version": 1,
        "name": name,
        "description": f"{policy.name}, calibrated on labelled requests.",
        "extends": _extended(reference, out),
        **changes,
    }
    comment = "".join(f"# {ascii_controls(line)}".rstrip() + "\n" for line in lines)
    return comment + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def check_text(text: str, path: Path, expected: Policy) -> list[LintFinding]:
    """Returns what the policy checks find probably not meant in a file that is yet to be written.

    Raises:
        PolicyError: It does not load (a locked key is changed, …), or decides otherwise than what
            was calibrated.
    """
    _make_folder(path)  # a relative `extends` is looked up from there
    source = Source(
        str(path), str(path.resolve()), path.resolve().parent, text.encode, path.absolute()
    )
    reading = Reading()
    document = reading.resolve(source)
    policy = validated(Policy, document, file_schema)
    # INVARIANT: what is written is what was measured.
    if _measured(policy) != _measured(expected):
        raise PolicyError(f"{str(path)!r} would not decide as the policy that was calibrated")
    return lint(Loaded(policy, document, tuple(reading.files), tuple(reading.paths)))


def _measured(policy: Policy) -> tuple[Any, ...]:
    return policy.rules, policy.judge, policy.contrast, policy.modulation


def write_text(text: str, path: Path) -> None:
    """Writes a file in one go: a kill leaves what was there before, or all of the new one.

    Raises:
        PolicyError: It cannot be written.
    """
    _make_folder(path)
    try:
        write_whole(path, text)
    except OSError as error:
        raise _unwritable(path, error) from error


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> PolicyError:
    reason = (error.strerror or str(error)).lower()
    return PolicyError(f"cannot write {str(path)!r}: {reason}")


def _named(name: str) -> str:
    return re.sub(r"[-_./]+$", "", name[: _NAME_LENGTH - len(_ADDED)]) + _ADDED


def _extended(reference: str, out: Path) -> str:
    if not is_path(reference):
        return reference
    original = Path(reference).expanduser().resolve()
    try:
        return Path(os.path.relpath(original, out.resolve().parent)).as_posix()
    except ValueError:  # another drive
        return str(original)
