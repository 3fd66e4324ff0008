"""Where policies come from: files, and packs found through the entry-point group.

A reference is a *path* if it ends in `.yaml`, `.yml` or `.json`, begins with `.`, `/` or `~`, or is
a `pathlib.Path`; else it is the *name* of a policy in a pack, such as `baseline` or `refusals/ko`.
The shipped pack is looked at first, so that no other package can take the place of `baseline`; a
name in another package may be written `package:name`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from guardrail.errors import PolicyError
from guardrail.policy.document import MAX_BYTES
from guardrail.policy.nodes import Mark
from guardrail.policy.suggest import ascii_controls, did_you_mean, listed, quoted

GROUP = "guardrail.policies"
BUILTIN = "guardrail.policies"
SUFFIXES = (".yaml", ".yml", ".json")
CASES_SUFFIX = ".cases.yaml"
PATH_LENGTH = 300
NAME_LENGTH = 200
"""Characters of a policy's name: no file system takes longer ones."""
_NAME = re.compile(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*\Z")


@dataclass(frozen=True)
class Source:
    """Something a policy can be read from.

    Attributes:
        label: What it is called in messages.
        key: Its identity, for finding cycles.
        folder: What relative paths in it are relative to; None for a pack, which has no paths.
        read: Returns the bytes, at most `MAX_BYTES + 1`.
        path: Where to look for changes, absolute, links not followed; None for a pack.
    """

    label: str
    key: str
    folder: Path | None
    read: Callable[[], bytes]
    path: Path | None = None


def is_path(reference: str) -> bool:
    """Returns whether `reference` is a path and not the name of a policy in a pack."""
    return (
        reference.endswith(SUFFIXES) or reference.startswith((".", "/", "~")) or "\\" in reference
    )


def find_source(
    reference: str | Path,
    *,
    folder: Path | None = None,
    at: Mark | None = None,
    in_pack: bool = False,
) -> Source:
    """Returns the source that `reference` names.

    Args:
        reference: A path or a name, see the module.
        folder: What a relative path is relative to; the working directory by default.
        at: Where the reference stands, for the message.
        in_pack: Whether it stands in a pack, which may name other policies and no paths.

    Raises:
        PolicyError: If there is no such file or pack.
    """
    if isinstance(reference, Path) or is_path(reference):
        if in_pack:
            why = f"a policy in a pack cannot name the path {quoted(str(reference))}"
            raise _error(f"{why}: accepted is the name of a policy", at)
        if at is not None and not str(reference).endswith(SUFFIXES):
            # Whoever writes a policy may name any file of this machine: no other kind is opened.
            raise at.error(
                f"{quoted(str(reference))} is no path of a policy: accepted is the name of a "
                "policy, or a path ending in .yaml"
            )
        return _file_source(Path(reference), folder, at)
    return _pack_source(reference, at)


def _file_source(path: Path, folder: Path | None, at: Mark | None) -> Source:
    try:
        path = path.expanduser()
        if folder is not None:
            path = folder / path
        mode = path.stat().st_mode
        real = path.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else _reason(error)
        raise _missing(f"cannot read {_quoted(path)}: {reason}", path, at) from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise _missing(
            f"cannot read {_quoted(path)}: it is {kind}; accepted is a YAML file", path, at
        )
    return Source(
        _shown(path), str(real), real.parent, lambda: _read_file(path, at), path.absolute()
    )


def _shown(path: Path) -> str:
    shown = os.path.normpath(path)
    try:
        inside = os.path.relpath(shown)
    except (ValueError, OSError):  # another drive, or the working directory is gone
        return shown
    return shown if inside.startswith("..") else inside


def _quoted(path: Path) -> str:
    return ascii_controls(repr(_shown(path)))[:PATH_LENGTH]


def _read_file(path: Path, at: Mark | None) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _missing(f"cannot read {_quoted(path)}: {_reason(error)}", path, at) from None


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _missing(message: str, path: Path, at: Mark | None) -> PolicyError:
    if at is not None:
        return at.error(message)
    if os.path.lexists(path):
        return PolicyError(message)
    siblings = [p.name for p in path.parent.glob("*.yaml")][:200] if path.parent.is_dir() else []
    return PolicyError(message + did_you_mean(path.name, siblings))


def _pack_source(reference: str, at: Mark | None) -> Source:
    package, _, name = reference.rpartition(":")
    if len(name) > NAME_LENGTH or not _NAME.match(name):
        raise _error(
            f"{quoted(reference)} is no name of a policy, and no path (a path ends in .yaml)",
            at,
        )
    if not package and (found := _in_folder(builtin_folder(), name)):
        return _traversable_source(found, BUILTIN, name)
    matches = []
    for title, folder in other_folders().items():
        if package in ("", title) and (found := _in_folder(folder, name)):
            matches.append(_traversable_source(found, title, name))
    if package in ("builtin", BUILTIN) and (found := _in_folder(builtin_folder(), name)):
        return _traversable_source(found, BUILTIN, name)
    if len(matches) == 1:
        return matches[0]
    if matches:
        choices = listed(f"{source.key.split(':')[0]}:{name}" for source in matches)
        raise _error(f"the policy {quoted(name)} is in several packs: accepted are {choices}", at)
    known = names()
    near = did_you_mean(reference, known)
    raise _error(
        f"there is no policy named {quoted(reference)}{near}: "
        f"accepted are {listed(n for n in known if '/' not in n)}, or a path ending in .yaml",
        at,
    )


def _error(message: str, at: Mark | None) -> PolicyError:
    return at.error(message) if at is not None else PolicyError(message)


def _in_folder(folder: Traversable, name: str) -> Traversable | None:
    entry = folder
    *parents, last = name.split("/")
    for part in parents:
        entry = entry / part
    found = entry / f"{last}.yaml"
    return found if found.is_file() else None


def _traversable_source(entry: Traversable, package: str, name: str) -> Source:
    def read() -> bytes:
        with entry.open("rb") as file:
            return file.read(MAX_BYTES + 1)

    return Source(f"{package}/{name}.yaml", f"{package}:{name}", None, read)


def builtin_folder() -> Traversable:
    """Returns the folder of the shipped pack."""
    return files(BUILTIN)


def other_folders() -> dict[str, Traversable]:
    """Returns the folders of the packs in other packages, by the name of their entry point."""
    from importlib.metadata import entry_points  # a slow import, and seldom needed

    found = {}
    for point in entry_points(group=GROUP):
        if point.value == BUILTIN:
            continue
        try:
            found[point.name] = files(point.value)
        except (ImportError, TypeError) as error:
            raise PolicyError(
                f"the policy pack {quoted(point.name)} cannot be imported: {error}"
            ) from error
    return found


def names() -> list[str]:
    """Returns the name of every policy in every pack; those of other packages as `package:name`."""
    return sorted(_names(builtin_folder())) + sorted(
        f"{title}:{name}" for title, folder in other_folders().items() for name in _names(folder)
    )


def _names(folder: Traversable, prefix: str = "") -> list[str]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.name.startswith(("_", ".")):
            found += _names(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml") and not entry.name.endswith(CASES_SUFFIX):
            found.append(prefix + entry.name.removesuffix(".yaml"))
    return found
