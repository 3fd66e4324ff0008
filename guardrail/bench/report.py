"""What a bench found: one object, as JSON and as tables."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from guardrail.backends.transformers.device import versions
from guardrail.bench.measure import PicturesCost, Timing, VocabularyCost
from guardrail.bench.recording import RecordingCost
from guardrail.bench.watching import WatchingCost

BARS = {
    ("llava-250m", "cpu", "always", 64): 1.25,
    ("llava-250m", "cpu", "always", 16): 1.65,
    ("llava-250m", "cpu", "skipped", 64): 1.08,
    ("llava-250m", "cpu", "skipped", 16): 1.18,
    ("qwen2.5-vl-7b", "cuda", "always", 128): 1.15,
}
"""What the project promises, as wall time over plain: on two CPU cores in float32, and on a GPU."""

MEMORY_BARS = {("llava-250m", "cpu"): 1.15}
"""The same for the peak memory of guarded variants."""

_GUARDED = ("always", "skipped")


@dataclass(frozen=True)
class Report:
    """Everything that one bench measured, and on what.

    Attributes:
        subject: Shape or model, parameters, dtype, device, prompt tokens.
        machine: System, cores, threads, versions.
        peaks: Peak bytes by variant and length of answer.
        notes: What was done that the numbers do not show.
    """

    subject: dict[str, Any]
    machine: dict[str, Any]
    repeats: int
    timings: list[Timing]
    peaks: dict[str, dict[int, int]] = field(default_factory=dict)
    pictures: list[PicturesCost] = field(default_factory=list)
    vocabulary: VocabularyCost | None = None
    recording: RecordingCost | None = None
    watching: WatchingCost | None = None
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Returns plain JSON."""
        result = asdict(self)
        for row, timing in zip(result["timings"], self.timings, strict=True):
            row["peak_bytes"] = self.peaks.get(timing.variant, {}).get(timing.new_tokens)
            row["peak_ratio"] = self.peak_ratio(timing.variant, timing.new_tokens)
            row["bar"] = self.bar(timing)
            row["peak_bar"] = self.peak_bar(timing.variant)
        del result["peaks"]
        result["pictures_linear"] = linearity(self.pictures)
        return result

    def peak_ratio(self, variant: str, new_tokens: int) -> float | None:
        """Returns peak memory over plain `generate()`'s."""
        own = self.peaks.get(variant, {}).get(new_tokens)
        plain = self.peaks.get("plain", {}).get(new_tokens)
        return own / plain if own and plain else None

    def bar(self, timing: Timing) -> float | None:
        """Returns what is promised here, if anything is."""
        return BARS.get((*self._where, timing.variant, timing.new_tokens))

    def peak_bar(self, variant: str) -> float | None:
        """Returns what is promised of peak memory, if anything is."""
        return MEMORY_BARS.get(self._where) if variant in _GUARDED else None

    @property
    def _where(self) -> tuple[str, str]:
        return str(self.subject.get("name")), str(self.subject.get("device"))


def machine(threads: int) -> dict[str, Any]:
    """Returns what the numbers were measured on."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        **versions(),
    }


def linearity(costs: list[PicturesCost]) -> dict[str, float] | None:
    """Returns a line through the overheads by least squares, and how far they are off it.

    Returns:
        `per_picture_s`, `fixed_s` and `worst` (the largest distance, as a share of the overhead);
        None for fewer than two numbers of pictures.
    """
    if len(costs) < 2:
        return None
    xs = [float(cost.pictures) for cost in costs]
    ys = [cost.overhead_s.median for cost in costs]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    fixed = mean_y - slope * mean_x
    worst = max(
        abs(y - (fixed + slope * x)) / max(abs(y), 1e-9) for x, y in zip(xs, ys, strict=True)
    )
    return {"per_picture_s": slope, "fixed_s": fixed, "worst": worst}


def show(report: Report, console: Console) -> None:
    """Prints the report as tables."""
    subject, machine = report.subject, report.machine
    console.print(
        f"[bold]{subject['name']}[/bold]  {subject['parameters'] / 1e6:.0f} M parameters, "
        f"{subject['dtype']}, {machine.get('gpu', subject['device'])}, "
        f"{machine['threads']} threads, prompt {subject['prompt_tokens']} tokens, "
        f"medians of {report.repeats} (range)"
    )
    table = Table("answer", "new tokens", "time (s)", "× plain", "bar", "first token (s)", "peak")
    for timing in report.timings:
        bar, ratio = report.bar(timing), report.peak_ratio(timing.variant, timing.new_tokens)
        peak = report.peaks.get(timing.variant, {}).get(timing.new_tokens)
        ratios = str(timing.ratio)
        if bar is not None:
            ratios = _coloured(ratios, timing.ratio.median <= bar)
        table.add_row(
            timing.variant,
            str(timing.new_tokens),
            str(timing.wall_s),
            ratios,
            f"{bar:g}" if bar else "",
            str(timing.first_token_s),
            _peak_cell(peak, ratio, report.peak_bar(timing.variant)),
        )
    console.print(table)
    _show_pictures(report, console)
    if report.vocabulary is not None:
        found = report.vocabulary
        console.print(
            f"{found.phrases} refusal phrases: {found.added_ms:+.3f} ms at a guided step of "
            f"{found.step_ms:.1f} ms ({found.share:.2%}); compiled in {found.compile_s:.2f} s, "
            f"first look-up {found.first_lookup_ms:.1f} ms"
        )
    if report.recording is not None:
        cost = report.recording
        console.print(
            f"tracing and the audit log: {cost.share:+.1%} (quartiles {cost.low:+.1%} to "
            f"{cost.high:+.1%}) on {cost.plain_ms:.0f} ms, {cost.new_tokens} tokens, "
            f"{cost.rounds} pairs"
        )
    if report.watching is not None:
        seen = report.watching
        console.print(
            f"watching, every {seen.every} tokens: {seen.ratio} of the same answer unwatched, "
            f"{seen.new_tokens} tokens, {seen.readings[0]} readings of {seen.readings[1]} "
            f"question{'s' if seen.readings[1] > 1 else ''} ({seen.ratio_in_full} of "
            f"{seen.questions_in_full}, where the screen spares none); a stream is behind by "
            f"{seen.delay_tokens.median:.0f} tokens (at most {seen.delay_tokens.high:.0f}), "
            f"{seen.delay_ms.median:.0f} ms (at most {seen.delay_ms.high:.0f})"
        )
    for note in report.notes:
        console.print(f"[dim]{note}[/dim]")


def _show_pictures(report: Report, console: Console) -> None:
    if not report.pictures:
        return
    table = Table("pictures", "prompt tokens", "plain (s)", "guarding adds (s)")
    for cost in report.pictures:
        table.add_row(
            str(cost.pictures),
            str(cost.prompt_tokens),
            str(cost.plain_s),
            str(cost.overhead_s),
        )
    console.print(table)
    line = linearity(report.pictures)
    if line is not None:
        console.print(
            f"overhead {line['fixed_s']:.2f} s + {line['per_picture_s']:.2f} s per picture, "
            f"at most {line['worst']:.0%} off"
        )


def _peak_cell(peak: int | None, ratio: float | None, bar: float | None) -> str:
    if peak is None or ratio is None:
        return ""
    times = f"×{ratio:.2f}"
    if bar is not None:
        times = _coloured(f"{times} (bar {bar:g})", ratio <= bar)
    return f"{peak / 2**20:.0f} MiB {times}"


def _coloured(text: str, good: bool) -> str:
    return f"[{'green' if good else 'red'}]{text}[/]"
