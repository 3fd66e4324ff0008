"""From a name or a path to a checked policy, or to a selection of several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from guardrail.errors import PolicyError
from guardrail.policy.context import Metadata, Selection, SelectionFile, When
from guardrail.policy.document import parse_document
from guardrail.policy.inheritance import Reading, without_content
from guardrail.policy.json_schema import file_schema, selection_schema
from guardrail.policy.nodes import Mark, Node
from guardrail.policy.packs import Source, find_source
from guardrail.policy.policy import Policy
from guardrail.policy.problems import validated


@dataclass(frozen=True)
class Loaded:
    """A policy and where everything in it came from.

    Attributes:
        document: The merged document; every value knows its file, line and column.
        files: The labels of the files read, the policy's own first.
        paths: Those of them that are files outside a pack, absolute, for watching.
    """

    policy: Policy
    document: Node
    files: tuple[str, ...]
    paths: tuple[Path, ...]

    def choose(self, metadata: Metadata | None = None) -> Policy:
        """Returns the policy, whatever the request."""
        return self.policy


@dataclass(frozen=True)
class LoadedSelection:
    """A selection, and where its policies came from.

    Attributes:
        parts: What was loaded for each rule, in order.
    """

    selection: Selection
    parts: tuple[Loaded, ...]
    files: tuple[str, ...]
    paths: tuple[Path, ...]

    def choose(self, metadata: Metadata | None = None) -> Policy:
        """Returns the policy for a request with `metadata`.

        Raises:
            PolicyError: The metadata cannot be compared (see `Selection.choose`).
        """
        return self.selection.choose(metadata)


def load_policy(policy: str | Path | Policy) -> Policy:
    """Returns the policy that `policy` names.

    Args:
        policy: A pack's name (`baseline`), a path (`acme.yaml`), or a policy, returned as it is.

    Raises:
        PolicyError: If it does not exist or does not check; with file, line and column.
    """
    if isinstance(policy, Policy):
        return policy
    return load(policy).policy


def load(reference: str | Path) -> Loaded:
    """Returns the policy that `reference` names, with the origin of every value.

    Raises:
        PolicyError: As `load_policy`; also for a selection, which is several policies.
    """
    found = load_any(reference)
    if isinstance(found, LoadedSelection):
        raise PolicyError(
            "this is a selection of policies: a single policy is accepted here, such as one in it",
            file=found.files[0],
        )
    return found


def load_any(reference: str | Path) -> Loaded | LoadedSelection:
    """Returns the policy, or the selection of policies, that `reference` names.

    Raises:
        PolicyError: As `load_policy`.
    """
    source = find_source(reference)
    document = parse_document(source.read(), source.label)
    if "select" in document.entries:
        return _selection(document, source)
    return _loaded(document, source)


def _loaded(document: Node, source: Source) -> Loaded:
    reading = Reading()
    merged = reading.resolve(source, document=document)
    try:
        policy = validated(Policy, merged, file_schema)
    except PolicyError as error:
        raise reading.discreet(error, document.at(("extends",)).mark) from None
    return Loaded(policy, merged, tuple(reading.files), tuple(reading.paths))


def _part(source: Source, at: Mark) -> Loaded:
    try:
        document = parse_document(source.read(), source.label)
        if "select" not in document.entries:
            return _loaded(document, source)
    except PolicyError as error:
        raise without_content(error, source, at) from None
    raise at.error("a selection cannot name a selection: accepted is a policy")


def _selection(document: Node, source: Source) -> LoadedSelection:
    file = validated(SelectionFile, document, selection_schema)
    parts: list[Loaded] = []
    rules: list[tuple[When | None, Policy]] = []
    for index, choice in enumerate(file.select):
        at = document.at(("select", index, "policy")).mark
        part_source = find_source(
            choice.policy, folder=source.folder, at=at, in_pack=source.path is None
        )
        parts.append(_part(part_source, at))
        rules.append((choice.when, parts[-1].policy))
    own = [source.path] if source.path is not None else []
    files = dict.fromkeys([source.label, *(label for part in parts for label in part.files)])
    paths = dict.fromkeys([*own, *(path for part in parts for path in part.paths)])
    return LoadedSelection(
        Selection(file.name, tuple(rules), file.on_unmatched),
        tuple(parts),
        tuple(files),
        tuple(paths),
    )
