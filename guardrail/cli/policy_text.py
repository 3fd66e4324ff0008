"""What `guardrail policy` prints in a terminal: plain lines, the same in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from guardrail.cli.contrast_text import contrasted_with
from guardrail.cli.watch_text import (
    explained_watch,
    reading,
    reading_rows,
    watch_change,
    watched_with,
)
from guardrail.policy import Policy
from guardrail.policy.loader import Loaded, LoadedSelection
from guardrail.policy.terms import FIELD_OF_LABEL

if TYPE_CHECKING:
    from guardrail.policy.cases import Run
    from guardrail.policy.lint import LintFinding

_MARKS = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yields rows with their columns aligned; the last column is left ragged."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in cells), strict=True)]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*padded, row[-1]]).rstrip()


def listing(found: list[dict[str, Any]]) -> Iterator[str]:
    """Yields the lines of `list`."""
    yield from table((entry["name"], entry["kind"], entry["description"]) for entry in found)


def summary(loaded: Loaded) -> Iterator[str]:
    """Yields the lines of `show`."""
    policy = loaded.policy
    yield f"{policy.name}: {policy.description}" if policy.description else policy.name
    yield f"digest {policy.digest}"
    yield f"from {', '.join(loaded.files)}"
    yield f"mode {policy.mode}, judge {policy.judge.kind} within {policy.judge.timeout_s:g} s"
    if policy.judge.contrast.looks:
        yield f"judge contrasted with grey pictures, alpha {policy.judge.contrast.alpha:g}"
    contrast, modulation = policy.contrast, policy.modulation
    yield (
        f"contrast {contrast.form}, {contrast.when}, alpha {contrast.alpha:g}, "
        f"{contrasted_with(contrast)}, {contrast.guided_steps} steps"
    )
    yield (
        f"modulation {modulation.form}, boost {modulation.boost:g}, suppress "
        f"{modulation.suppress:g}, {modulation.scale}"
    )
    if not policy.watch.is_off:
        yield watched_with(policy.watch)
    languages = ", ".join(f"{k} ({len(v.phrases)})" for k, v in sorted(policy.refusals.items()))
    yield f"refusal phrases {languages or 'none'}"
    yield f"locked {', '.join(policy.locked) or 'nothing'}"
    yield ""
    header = ("category", "safe below", "unsafe at", *(f[3:] for f in FIELD_OF_LABEL.values()))
    yield from table([header, *_rules(policy)])


def _rules(policy: Policy) -> Iterator[Sequence[str]]:
    for rule in policy.rules:
        actions = [
            rule.asked_of_uncertain if label == "uncertain" else rule.actions[label]
            for label in FIELD_OF_LABEL
        ]
        yield (rule.id, f"{rule.safe_below:g}", f"{rule.unsafe_at:g}", *actions)


def checked(parts: Sequence[Loaded], findings: Sequence[LintFinding]) -> Iterator[str]:
    """Yields the lines of `check`."""
    yield from map(str, findings)
    for part in parts:
        yield f"{part.files[0]}: ok, policy {part.policy.name}, digest {part.policy.digest}"


def unmatched(loaded: LoadedSelection) -> Iterator[str]:
    """Yields what `check` says of a selection: what becomes of metadata that cannot be compared."""
    selection = loaded.selection
    outcome = "an error"
    if selection.on_unmatched == "strictest":
        outcome = f"policy {selection.strictest.name}, the strictest"
    yield f"{loaded.files[0]}: ok, selection {selection.name}, unmatched metadata: {outcome}"


def unmatched_json(loaded: LoadedSelection) -> dict[str, Any]:
    """Returns what `check --json` says of a selection beside its policies."""
    selection = loaded.selection
    taken = selection.strictest.name if selection.on_unmatched == "strictest" else None
    return {
        "selection": {
            "name": selection.name,
            "on_unmatched": selection.on_unmatched,
            "strictest": taken,
        }
    }


def checked_json(parts: Sequence[Loaded], findings: Sequence[LintFinding]) -> dict[str, Any]:
    """Returns what `check --json` prints."""
    return {
        "policies": [
            {"name": p.policy.name, "digest": p.policy.digest, "files": list(p.files)}
            for p in parts
        ],
        "findings": [
            {
                "level": f.level,
                "check": f.check,
                "message": f.message,
                "file": f.mark.file,
                "line": f.mark.line,
                "column": f.mark.column,
            }
            for f in findings
        ],
    }


def explanation(found: dict[str, Any]) -> Iterator[str]:
    """Yields the lines of `explain`."""
    yield f"{found['action']}: {found['reasons'][0]}"
    yield f"label {found['label']}, confidence {found['confidence']:g}"
    yield f"rule {found['rule']} at {found['rule_at']}"
    if found["mode"] != "enforce":
        yield f"mode {found['mode']}: this is not acted on"
    if found["message"] is not None:
        yield f"the answer is: {found['message']}"
    if found["action"] not in ("block", "escalate"):  # else there is no answer to watch
        yield from explained_watch(found["watch"])
    yield ""
    rows = [("category", "p", "label", "action", "rule", "at")]
    for entry in found["categories"]:
        p = "none" if entry["p"] is None else f"{entry['p']:g}"
        rows.append(
            (entry["id"], p, entry["label"], entry["action"], entry["rule"], entry["rule_at"])
        )
    yield from table(rows)
    yield from (f"also: {reason}" for reason in found["reasons"][1:])


def reading_explanation(found: dict[str, Any]) -> Iterator[str]:
    """Yields the lines of `explain --watch`."""
    yield from reading(found)
    yield ""
    yield from table(reading_rows(found))
    yield from (f"also: {reason}" for reason in found["reasons"][1:])


def differences(found: dict[str, Any], old: Policy, new: Policy) -> Iterator[str]:
    """Yields the lines of `diff`."""
    yield f"from {old.name} ({old.digest[:12]}) to {new.name} ({new.digest[:12]})"
    if not found["decisions"]:
        yield "every verdict is decided alike"
    for change in found["decisions"]:
        yield f"  {change['category']}: {_decision(change)}"
    if found["watch"]:
        yield "the answer"
    for change in found["watch"]:
        yield f"  {watch_change(change)}"
    if found["settings"]:
        yield "settings"
    for change in found["settings"]:
        yield f"  {change['path']}: {_setting(change)}"


def _decision(change: dict[str, Any]) -> str:
    kind = change["change"]
    if "old" not in change:
        return f"{kind} (unsafe at {change['unsafe_at']:g}: {change['on_unsafe']})"
    old, new = change["old"], change["new"]
    if kind == "unavailable":
        return f"without a verdict: {old['action']} -> {new['action']}"
    to = f"{change['to']:g}{']' if change['to_included'] else ')'}"
    where = f"p in [{change['from']:g}, {to}"
    if kind == "label":
        return f"{where}: {old['label']} -> {new['label']}, still {new['action']}"
    return f"{where}: {old['action']} -> {new['action']} ({old['label']} -> {new['label']})"


def _setting(change: dict[str, Any]) -> str:
    if "added" in change:
        gone, come = change["removed"], change["added"]
        parts = [f"{len(gone)} removed"] if gone else []
        parts += [f"{len(come)} added"] if come else []
        few = [f"-{item}" for item in gone[:3]] + [f"+{item}" for item in come[:3]]
        return f"{', '.join(parts)} ({', '.join(few)}{', …' if len(gone + come) > 6 else ''})"
    return f"{_value(change['old'])} -> {_value(change['new'])}"


def _value(value: Any) -> str:
    return "nothing" if value is None else "…" if isinstance(value, dict) else str(value)


def tested(run: Run, min_coverage: float) -> Iterator[str]:
    """Yields the lines of `test`."""
    for result in run.results:
        yield f"{_MARKS[result.status]} {result.case.name}"
        if result.skipped:
            yield f"     {result.mark}: {result.skipped}"
        for failure in result.failures:
            yield f"     {result.mark}: {failure}"
        if result.failures and result.ruling is not None:
            yield f"     because {result.ruling.reasons[0]}"
    counts = ", ".join(f"{run.count(status)} {status}" for status in _MARKS if run.count(status))
    nothing = "; no case was run, so this says nothing of the policy" if run.shows_nothing else ""
    yield f"{run.file}: {counts or 'no cases'}{nothing}"
    coverage = run.coverage
    total = len(coverage.rules)
    reached = total - len(coverage.missed)
    below = f", below the {min_coverage:g}% asked for" if coverage.percent < min_coverage else ""
    yield f"coverage: {reached} of {total} rules ({coverage.percent:.0f}%){below}"
    yield from (f"  not reached: {rule}" for rule in coverage.missed)


def tested_json(run: Run) -> dict[str, Any]:
    """Returns what `test --json` prints."""
    return {
        "file": run.file,
        "passed": run.count("passed"),
        "failed": run.count("failed"),
        "skipped": run.count("skipped"),
        "cases": [
            {
                "name": result.case.name,
                "status": result.status,
                "line": result.mark.line,
                "action": result.done,
                "rule": result.ruling.rule if result.ruling else None,
                "failures": list(result.failures),
                "skipped": result.skipped,
            }
            for result in run.results
        ],
        "coverage": {
            "percent": round(run.coverage.percent, 2),
            "rules": run.coverage.rules,
            "missed": run.coverage.missed,
        },
    }
