"""What `guardrail policy` prints of watching the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from guardrail.policy.watch import Watch


def watched_with(watch: Watch) -> str:
    """Returns one line on how the answer is watched, if it is."""
    thinking = "" if watch.thinking == "shown" else f"; thinking {watch.thinking}"
    return (
        f"answer watched every {watch.every} tokens, safe below {watch.safe_below:g}, "
        f"unsafe at {watch.unsafe_at:g}: {watch.on_unsafe}; release {watch.release}{thinking}"
    )


def explained_watch(found: dict[str, Any] | None) -> Iterator[str]:
    """Yields the line of `explain` on watching, if the policy watches."""
    if found is not None:
        yield watched_with(Watch(**{key: entry["value"] for key, entry in found.items()}))


def reading(found: dict[str, Any]) -> Iterator[str]:
    """Yields the lines of `explain --watch`, less its table."""
    yield f"{found['act']}: {found['reasons'][0]}"
    yield f"label {found['label']}, {'the whole answer' if found['last'] else 'the answer so far'}"
    yield f"rule {found['rule']} at {found['rule_at']}"
    if found["watch"] is None:
        yield "watch.every is 0: the answer is not watched, and nobody reads it"
    yield from explained_watch(found["watch"])
    if found["mode"] != "enforce":
        yield f"mode {found['mode']}: this is not acted on"
    if found["message"] is not None:
        yield f"the answer becomes: {found['message']}"


def reading_rows(found: dict[str, Any]) -> Iterator[Sequence[str]]:
    """Yields the rows of `explain --watch`."""
    yield "category", "p", "label", "act", "asked of the answer"
    for entry in found["categories"]:
        p = "none" if entry["p"] is None else f"{entry['p']:g}"
        yield entry["id"], p, entry["label"], entry["act"], entry["question"]


def watch_change(change: dict[str, Any]) -> str:
    """Returns what `diff` says of one change of watching."""
    kind = change["change"]
    if "old" not in change:
        how = f"every {change['every']} tokens, unsafe at {change['unsafe_at']:g}"
        return f"{kind} ({how}: {change['on_unsafe']})"
    old, new = change["old"], change["new"]
    if kind == "unavailable":
        return f"{change['category']}, without a verdict: {old['act']} -> {new['act']}"
    when = "once it is over" if change["last"] else "while it grows"
    to = f"{change['to']:g}{']' if change['to_included'] else ')'}"
    where = f"{when}, p in [{change['from']:g}, {to}"
    if kind == "label":
        return f"{where}: {old['label']} -> {new['label']}, still {new['act']}"
    return f"{where}: {old['act']} -> {new['act']} ({old['label']} -> {new['label']})"
