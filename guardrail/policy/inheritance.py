"""From a file and everything it extends to one document, with every value's origin kept.

Parents are laid over each other in their order (the last wins), the file itself over all of them;
the rules of laying are in `merge`, those of locked fields in `locks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from guardrail.errors import PolicyError
from guardrail.policy.document import MAX_BYTES, parse_document
from guardrail.policy.locks import check_locks
from guardrail.policy.merge import lay_over
from guardrail.policy.nodes import Mark, Node, from_plain
from guardrail.policy.packs import Source, find_source
from guardrail.policy.suggest import quoted

MAX_FILES = 64
MAX_REFERENCES = 256
MAX_CHAIN = 16
MAX_TOTAL_BYTES = 2 * MAX_BYTES


@dataclass
class Reading:
    """One resolution under way: what has been read, and the chain of files being resolved.

    Attributes:
        files: The labels of everything read, in the order of first reading.
        references: How many policies were named by all `extends` so far.
        size: How many bytes were read so far, less those of the first file.
        outside: Of what was read, the files that are in no pack, by their labels.
        told: The error that is on its way, if it holds nothing of what a file says.
    """

    resolved: dict[str, Node] = field(default_factory=dict)
    chain: list[Source] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    references: int = 0
    size: int = 0
    outside: dict[str, Source] = field(default_factory=dict)
    told: PolicyError | None = None

    def resolve(
        self, source: Source, at: Mark | None = None, *, document: Node | None = None
    ) -> Node:
        """Returns the document of `source` with everything it extends.

        Args:
            source: What to resolve.
            at: Where it was named, for messages.
            document: Its document, if it is read already.

        Raises:
            PolicyError: If a file cannot be read, is not YAML, or comes back to itself; or if a
                locked field is changed.
        """
        if source.key in self.resolved:
            return self.resolved[source.key]
        self._guard(source, at)
        self.chain.append(source)
        self.files.append(source.label)
        if source.path is not None:
            self.paths.append(source.path)
            self.outside[source.label] = source
        if document is None:
            document = parse_document(self._read(source, at), source.label)
        resolved = self.inherit(document, source.folder, in_pack=source.path is None)
        self.chain.pop()
        self.resolved[source.key] = resolved
        return resolved

    def inherit(self, document: Node, folder: Path | None, *, in_pack: bool = False) -> Node:
        """Returns `document` laid over what its `extends` names.

        Args:
            document: What a file says.
            folder: What relative paths in it are relative to; None is the working directory.
            in_pack: Whether it is in a pack, which may not name paths.
        """
        if not isinstance(document.value, dict):
            raise document.mark.error(
                f"a policy is a map of `key: value` lines, not {_kind(document.value)}"
            )
        extends = document.entries.get("extends")
        own = replace(document, value={k: v for k, v in document.value.items() if k != "extends"})
        named = _references(extends)
        self.references += len(named)
        if extends is not None and self.references > MAX_REFERENCES:
            raise extends.mark.error(
                f"`extends` names more than the {MAX_REFERENCES} policies that are accepted in all"
            )
        parents = [
            self._parent(
                find_source(node.value, folder=folder, at=node.mark, in_pack=in_pack), node.mark
            )
            for node in named
        ]
        return self._laid(parents, own, extends.mark if extends is not None else document.mark)

    def _laid(self, parents: list[Node], own: Node, at: Mark) -> Node:
        base = Node({}, own.mark)
        try:
            for parent in parents:
                base = lay_over(base, parent)
        except PolicyError as error:
            raise self.discreet(error, at) from None
        merged = lay_over(base, own)
        try:
            for parent in parents:
                check_locks(parent, merged, at)
        except PolicyError as error:
            self.told = error  # it names places, and of values only those that policies share
            raise
        return merged

    def discreet(self, error: PolicyError, at: Mark) -> PolicyError:
        """Returns `error`, or what the file of `at` may tell of it; see `without_content`."""
        source = self.outside.get(error.file or "")
        if error is self.told or source is None:
            return error
        return without_content(error, source, at)

    def _parent(self, source: Source, at: Mark) -> Node:
        try:
            return self.resolve(source, at)
        except PolicyError as error:
            if error is self.told:
                raise
            raise without_content(error, source, at) from None

    def _read(self, source: Source, at: Mark | None) -> bytes:
        data = source.read()
        self.size += len(data)
        if self.size > MAX_TOTAL_BYTES:
            raise self._telling(
                at or Mark(source.label),
                f"with this, a policy and all that it extends have more than the "
                f"{MAX_TOTAL_BYTES:,} bytes that are accepted",
            )
        return data

    def _guard(self, source: Source, at: Mark | None) -> None:
        mark = at or Mark(source.label)
        if any(source.key == above.key for above in self.chain):
            ring = " -> ".join(above.label for above in [*self.chain, source])
            raise self._telling(
                mark, f"`extends` comes back to itself: {ring}; take one of them out"
            )
        if len(self.chain) >= MAX_CHAIN:
            raise self._telling(mark, f"`extends` is more than {MAX_CHAIN} files deep")
        if len(self.files) >= MAX_FILES:
            raise self._telling(mark, f"`extends` reaches more than {MAX_FILES} files")

    def _telling(self, mark: Mark, message: str) -> PolicyError:
        self.told = mark.error(message)
        return self.told


def without_content(error: PolicyError, source: Source, at: Mark) -> PolicyError:
    """Returns `error` as the file that names `source` may tell it.

    INVARIANT: nothing that a named file says gets into the error of the file that names it. Who
    writes a policy may name any file of this machine, and read it in what the check prints. What
    is in a pack is no secret, and its errors stay as they are.

    Args:
        error: What is wrong with `source`, or with something that it names.
        source: What was named.
        at: Where.
    """
    if error.file == at.file or source.path is None:
        return error
    own = error.file == source.label and error.line is not None
    place = f" (line {error.line}, column {error.column})" if own else ""
    return at.error(
        f"{quoted(source.label)} cannot be used as a policy{place}: "
        "run `guardrail policy check` on that file to see why"
    )


def resolve_plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `data`, as a policy file would hold it, with everything it extends.

    Raises:
        PolicyError: As `Reading.resolve`.
    """
    document = from_plain(dict(data), Mark("policy"))
    resolved: dict[str, Any] = Reading().inherit(document, None).plain()
    return resolved


def inherits(data: Mapping[str, Any]) -> bool:
    """Returns whether `data` holds keys that a file may have and a complete policy has not."""
    if "extends" in data:
        return True
    categories, refusals = data.get("categories"), data.get("refusals")
    listed = categories if isinstance(categories, (list, tuple)) else ()
    spoken = refusals.values() if isinstance(refusals, Mapping) else ()
    return any(isinstance(item, Mapping) and "enabled" in item for item in listed) or any(
        isinstance(item, Mapping) and "add_phrases" in item for item in spoken
    )


def _references(extends: Node | None) -> list[Node]:
    if extends is None or extends.value is None:
        return []
    nodes = extends.items if isinstance(extends.value, list) else [extends]
    for node in nodes:
        if not isinstance(node.value, str) or not node.value.strip():
            raise node.mark.error(
                f"extends: {_kind(node.value)} is not accepted: "
                "accepted is the name of a policy, a path ending in .yaml, or a list of them"
            )
    return nodes


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a map"
    return "a list" if isinstance(value, list) else quoted(value)
