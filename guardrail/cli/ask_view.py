"""How `guardrail ask` looks in a terminal: answers side by side, the verdict, the guided steps.

It draws what the decision record holds and computes nothing but layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from guardrail.cli.ask_request import AskRequest
from guardrail.cli.bar import LABEL_STYLES, probability_bar
from guardrail.cli.contrast_text import contrasted_with
from guardrail.cli.plain_text import visible
from guardrail.cli.reading_view import readings
from guardrail.policy import Policy
from guardrail.policy.evaluation import findings_of
from guardrail.policy.evidence_words import evidence_in_words
from guardrail.record.decision import Decision, StepRecord

if TYPE_CHECKING:
    from guardrail.record.answer import Answer

SIDE_BY_SIDE = 60
"""Narrower terminals get the answers one above the other."""

ACTION_STYLES = {"comply": "green", "plain": "cyan", "refuse": "red", "block": "bold red",
                 "escalate": "magenta"}  # fmt: skip


def show(
    console: Console,
    request: AskRequest,
    answer: str | None,
    decision: Decision,
    *,
    unguarded: Answer | None = None,
    explain: bool = False,
) -> None:
    """Prints a guarded answer and how it came about.

    Args:
        console: Where to.
        request: What was asked.
        answer: The guarded answer; None if a human must decide.
        decision: Its record.
        unguarded: What the model says unguarded, if it was asked.
        explain: Whether to show the guided steps, and the readings of the answer.
    """
    console.print()
    console.print(Text(visible(request.text), style="bold"))
    if request.pictures:
        console.print(Text(visible(", ".join(request.pictures)), style="dim"))
    console.print()
    panels: list[RenderableType] = []
    if unguarded is not None:
        said = _outcome(unguarded.decision)
        panels.append(_answer(unguarded.text, "unguarded", said, style="dim"))
    panels.append(_answer(answer, _title(decision), _outcome(decision), style=_style(decision)))
    console.print(_beside(panels) if console.width >= SIDE_BY_SIDE else Group(*panels))
    console.print()
    if decision.verdict.label is not None:
        console.print(_verdict(decision, request.policy, console))
    console.print(_why(decision))
    if explain:
        console.print()
        for part in _steps(decision):
            console.print(part)
        for part in readings(decision, request.policy.watch, console):
            console.print(part)


def _answer(text: str | None, title: str, outcome: str, *, style: str) -> Panel:
    words = Text(visible(text or ""), overflow="fold")
    if not text:
        words = Text("(nothing was generated)", style="dim italic")
    return Panel(
        words,
        title=Text(title, style="bold"),
        title_align="left",
        subtitle=Text(outcome, style="italic"),
        subtitle_align="left",
        border_style=style,
    )


def _beside(panels: list[RenderableType]) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    for _ in panels:
        grid.add_column(ratio=1)
    grid.add_row(*panels)
    return grid


def _title(decision: Decision) -> str:
    return {
        "enforce": "guarded",
        "shadow": "shadow: decided, not applied",
        "off": "guardrail off",
    }[decision.mode]


def _outcome(decision: Decision) -> str:
    finish, reading = decision.outcome.finish_reason, decision.ended_by
    if reading is not None and finish == "blocked":
        done = "replaced" if decision.outcome.replaced else "ended"
        return f"turned: {done} at {reading.tokens} tokens"
    if finish in ("blocked", "escalated"):
        return {"blocked": "blocked: the policy's words", "escalated": "a human must decide"}[
            finish
        ]
    if decision.outcome.replaced:
        return "did not refuse: replaced"
    said = "refuses" if decision.outcome.refused else "answers"
    return f"{said} (cut off: token limit)" if finish == "length" else said


def _style(decision: Decision) -> str:
    applied = decision.mode == "enforce"
    return ACTION_STYLES[decision.action] if applied else "cyan"


def _verdict(decision: Decision, policy: Policy, console: Console) -> Table:
    findings = findings_of(policy, decision.verdict.believed())
    width = max(8, min(44, console.width - 60))
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("verdict", no_wrap=True)
    table.add_column("p(harm)", justify="right", no_wrap=True)
    table.add_column(Text("0" + " " * (width - 2) + "1"), no_wrap=True)
    table.add_column("label", no_wrap=True)
    table.add_column("safe <", justify="right", style="dim", no_wrap=True)
    table.add_column(f"unsafe {'>=' if _ascii(console) else '≥'}", justify="right", style="dim")
    for finding in findings:
        rule, style = finding.rule, LABEL_STYLES[finding.label]
        bar = probability_bar(
            finding.p,
            (rule.safe_below, rule.unsafe_at),
            width=width,
            style=style,
            ascii_only=_ascii(console),
        )
        table.add_row(
            Text(rule.id, style="bold" if rule.id == decision.category else ""),
            "-" if finding.p is None else f"{finding.p:.2f}",
            bar,
            Text(finding.label, style=style),
            f"{rule.safe_below:.2f}",
            f"{rule.unsafe_at:.2f}",
        )
    return table


def _ascii(console: Console) -> bool:
    return console.options.ascii_only


def _why(decision: Decision) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    first, *others = decision.reasons or ["the guardrail is off: nothing was judged"]
    grid.add_row("", "")
    grid.add_row("action", Text(decision.action, style=ACTION_STYLES[decision.action]))
    grid.add_row("why", Text(visible(first)))
    for reason in others:
        grid.add_row("", Text(visible(reason), style="dim"))
    for said in evidence_in_words(decision.verdict.believed()):
        grid.add_row("evidence", Text(visible(said), style="dim"))
    for error in decision.errors:
        grid.add_row("error", Text(visible(error), style="red"))
    grid.add_row("policy", f"{decision.policy.name} ({decision.policy.digest[:12]})")
    grid.add_row("model", Text(visible(decision.model)))
    grid.add_row("time", _timings(decision))
    return grid


def _timings(decision: Decision) -> str:
    total = decision.timings_ms.get("total", 0.0)
    parts = [
        f"{name.replace('_', ' ')} {took:.0f} ms"
        for name, took in decision.timings_ms.items()
        if name != "total"
    ]
    return f"{total / 1000:.2f} s ({', '.join(parts)})" if parts else f"{total / 1000:.2f} s"


def _steps(decision: Decision) -> Iterator[RenderableType]:
    contrast = decision.contrast
    settings = (
        f"contrast: alpha {contrast.alpha:g}, {contrasted_with(contrast)}, "
        f"{contrast.steps} guided steps"
        if contrast.applied
        else f"contrast: not applied ({contrast.skipped or 'the model was not asked'})"
    )
    yield Text(settings, style="dim")
    if not decision.steps:
        yield Text("no guided steps: nothing was steered", style="dim")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("step", justify="right")
    table.add_column("token", no_wrap=True)
    table.add_column("would have been", no_wrap=True)
    table.add_column("refusal mass", justify="right", no_wrap=True)
    table.add_column("divergence", justify="right")
    for step in decision.steps:
        table.add_row(str(step.step), *_step_cells(step))
    yield table
    turned = next((each for each in decision.steps if each.token != each.token_unguarded), None)
    shown = turned or decision.steps[0]
    if shown.top:
        yield _candidates(shown)


def _step_cells(step: StepRecord) -> tuple[RenderableType, ...]:
    changed = step.token != step.token_unguarded
    return (
        Text(_token(step.token), style="bold" if changed else ""),
        Text(_token(step.token_unguarded) if changed else "same", style="" if changed else "dim"),
        f"{step.refusal_mass_before:.3f} → {step.refusal_mass_after:.3f}",
        "-" if step.divergence is None else f"{step.divergence:.4f}",
    )


def _candidates(step: StepRecord) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"candidates at step {step.step}",
                  title_justify="left")  # fmt: skip
    table.add_column("token", no_wrap=True)
    for name in ("real picture", "noised picture", "guarded"):
        table.add_column(name, justify="right")
    for each in step.top:
        noised = "-" if each.noised is None else f"{each.noised:.3f}"
        table.add_row(Text(_token(each.token)), f"{each.real:.3f}", noised, f"{each.guarded:.3f}")
    return table


def _token(text: str) -> str:
    return f"'{visible(text, keep_newlines=False)}'"
