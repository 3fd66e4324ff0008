"""Where a running engine takes its policy from: a fixed one, or a file that may change under it.

A request takes the policy once, with `current`, and keeps it: policies are immutable, and the one
in force is exchanged by a single assignment. A changed file that does not check is not taken; the
old policy stays in force, and that is logged and reported.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from guardrail.errors import PolicyError
from guardrail.policy.context import Metadata
from guardrail.policy.loader import Loaded, LoadedSelection, load_any
from guardrail.policy.policy import Policy

logger = logging.getLogger("guardrail.policy")

# A file is taken only once it has been left alone for this long, so that one that is still being
# written is not read half.
SETTLE_S = 0.1
# So long `refresh` waits for that.
PATIENCE_S = 1.0

_Signature = tuple[tuple[Path, tuple[int, int, int, int] | None], ...]


class PolicySource(Protocol):
    """What an engine asks for the policy of a request."""

    def current(self, metadata: Metadata | None = None) -> Policy:
        """Returns the policy in force for a request with `metadata`."""


@dataclass(frozen=True)
class FixedPolicy:
    """A source whose policy never changes."""

    policy: Policy

    def current(self, metadata: Metadata | None = None) -> Policy:
        """Returns the policy."""
        return self.policy


@dataclass(frozen=True)
class Reload:
    """What came of a changed file.

    Attributes:
        taken: Whether the new policy is in force.
        before: The digests of the policies that were in force.
        after: The digests of those that are now.
        error: Why the change was not taken.
    """

    taken: bool
    before: tuple[str, ...]
    after: tuple[str, ...]
    error: str | None = None


class PolicyFile:
    """A policy (or a selection of policies) that is read again when its files change.

    Safe to share between threads. The files of everything it extends are watched too; those in
    installed packs are not.

    Args:
        reference: A path or a pack's name.
        interval_s: How often `current` looks for changes; None leaves that to `refresh`.
        on_reload: Called after each change of the files, taken or not, by the thread that noticed;
            one call at a time, in the order of the changes.

    Raises:
        PolicyError: If the file does not check now; later errors are only reported.
    """

    def __init__(
        self,
        reference: str | Path,
        *,
        interval_s: float | None = 1.0,
        on_reload: Callable[[Reload], None] | None = None,
    ) -> None:
        self._reference, self._interval_s, self._on_reload = reference, interval_s, on_reload
        self._lock = threading.RLock()  # on_reload may ask for a refresh itself
        self._loaded = load_any(reference)
        self._signature = _settled(_signature(self._loaded.paths))
        self._looked_at = time.monotonic()
        self._error: str | None = None
        self._unsettled = False

    @property
    def error(self) -> str | None:
        """Why the files as they are now are not in force; None if they are."""
        return self._error

    def current(self, metadata: Metadata | None = None) -> Policy:
        """Returns the policy in force for a request with `metadata`; a selection looks at it.

        Raises:
            PolicyError: A selection cannot compare the metadata (see `Selection.choose`).
        """
        if self._interval_s is not None and time.monotonic() - self._looked_at >= self._interval_s:
            self.refresh(wait=False)
        return self._loaded.choose(metadata)

    def refresh(self, *, wait: bool = True) -> Reload | None:
        """Reads the files again if they have changed.

        Args:
            wait: Whether to wait for another thread that is doing so, and for files that were
                written just now; if not, returns at once.

        Returns:
            What came of it, or None if there was nothing to take or to report.
        """
        if not self._lock.acquire(blocking=wait):
            return None
        try:
            self._looked_at = time.monotonic()
            report = self._reread()
            while wait and self._unsettled:
                late = time.monotonic() > self._looked_at + PATIENCE_S
                time.sleep(SETTLE_S / 4)
                report = self._reread()
                if late:
                    break
            if report is not None and self._on_reload is not None:
                self._on_reload(report)
            return report
        finally:
            self._lock.release()

    def _reread(self) -> Reload | None:
        seen = _signature(self._loaded.paths)
        self._unsettled = seen != self._signature and _unsettled(seen)
        if (seen == self._signature and self._error is None) or self._unsettled:
            return None
        before = _digests(self._loaded)
        try:
            loaded = load_any(self._reference)
        except PolicyError as error:
            return self._kept(before, seen, str(error))
        now = _signature(loaded.paths)
        self._unsettled = _signature(self._loaded.paths) != seen or _unsettled(now)
        if self._unsettled:
            return None  # written while it was read: the next look takes it
        self._loaded = loaded  # INVARIANT: one assignment, so no request sees half of a change
        failed = self._error is not None
        self._signature, self._error = now, None
        after = _digests(loaded)
        if after == before and not failed:
            return None  # touched, or written again as it was
        logger.info("policy %s reloaded: %s", self._reference, ", ".join(after))
        return Reload(True, before, after)

    def _kept(self, before: tuple[str, ...], seen: _Signature, error: str) -> Reload | None:
        known = error == self._error and seen == self._signature
        self._signature, self._error = seen, error
        if known:
            return None
        logger.error("policy %s not reloaded, the old one stays: %s", self._reference, error)
        return Reload(False, before, before, error)


class PolicyWatcher:
    """Refreshes a policy file from a thread of its own, so that no request pays for it.

    Use it as a context manager, or with `start` and `stop`.

    Args:
        file: What to refresh; give it `interval_s=None`.
        interval_s: How often.
    """

    def __init__(self, file: PolicyFile, *, interval_s: float = 1.0) -> None:
        self._file, self._interval_s = file, interval_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> PolicyWatcher:
        """Starts the thread, unless it runs."""
        if self._thread is None:
            self._stopped.clear()
            self._thread = threading.Thread(target=self._run, name="policy-watcher", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stops the thread and waits for it."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> PolicyWatcher:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            try:
                self._file.refresh()
            except Exception:  # the caller's on_reload: the watch goes on
                logger.exception("watching a policy file failed; trying again")


def policy_source(policy: str | Path | Policy | PolicySource) -> PolicySource:
    """Returns `policy` as a source: a policy or a name is fixed, a path is watched.

    Raises:
        PolicyError: As `load_policy`.
    """
    if isinstance(policy, Policy):
        return FixedPolicy(policy)
    return PolicyFile(policy) if isinstance(policy, (str, Path)) else policy


def _digests(loaded: Loaded | LoadedSelection) -> tuple[str, ...]:
    if isinstance(loaded, LoadedSelection):
        return tuple(policy.digest for policy in loaded.selection.policies)
    return (loaded.policy.digest,)


def _signature(paths: tuple[Path, ...]) -> _Signature:
    """Returns what tells a changed file; None if it is missing.

    That is its times of modification and of change, its size and its inode. A tool may set the
    first back, as `cp -p` and `rsync -t` do; none sets the second.
    """
    found: list[tuple[Path, tuple[int, int, int, int] | None]] = []
    for path in paths:
        try:
            status = path.stat()
            state = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            found.append((path, state))
        except OSError:
            found.append((path, None))
    return tuple(found)


def _settled(signature: _Signature) -> _Signature:
    """Returns `signature`, or nothing if a file may have been written while it was read."""
    return () if _unsettled(signature) else signature


def _unsettled(signature: _Signature) -> bool:
    """Returns whether a file was written so lately that the next write may bear the same time."""
    now = time.time_ns()
    times = [at for _, state in signature if state is not None for at in state[:2]]
    return any(0 <= now - at < SETTLE_S * 1e9 for at in times)
