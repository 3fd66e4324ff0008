"""What `guardrail eval` checks before it runs and writes after it: gate, page, logs, cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from guardrail.errors import SettingsError
from guardrail.evaluation import Dataset, Record, Results, System, report
from guardrail.evaluation.exports.inspect_log import inspect_log, log_name
from guardrail.evaluation.exports.junit import junit
from guardrail.evaluation.exports.policy_cases import check_cases, policy_cases
from guardrail.evaluation.gate import (
    DEFAULT_SYSTEM,
    Condition,
    Finding,
    check_conditions,
    check_gate,
    parse_condition,
)
from guardrail.evaluation.outfile import check_place, write_out
from guardrail.evaluation.report import Scored
from guardrail.policy import Policy


@dataclass(frozen=True)
class Evaluated:
    """What was evaluated.

    Attributes:
        policy: The evaluated policy.
        reference: The name or path that it was given by.
    """

    dataset: Dataset
    systems: tuple[System, ...]
    policy: Policy
    reference: str

    @property
    def chosen(self) -> System | None:
        """The system that is the evaluated policy, if it is among them."""
        return next((each for each in self.systems if each.name == DEFAULT_SYSTEM), None)


@dataclass(frozen=True)
class Outputs:
    """What was asked for beside the figures."""

    conditions: tuple[Condition, ...] = ()
    junit: Path | None = None
    report: Path | None = None
    inspect: Path | None = None
    cases: Path | None = None

    def check(self, evaluated: Evaluated) -> None:
        """Checks whatever can be known before a model is loaded.

        Raises:
            SettingsError: A condition is about what there will not be, a place cannot be written,
                or the evaluated policy is needed and is not among the systems.
            DatasetError: There are too many cases.
        """
        if self.conditions:
            check_conditions(self.conditions, _shape(evaluated))
        for option, path in (("--cases", self.cases), ("--inspect", self.inspect)):
            alone = path is not None and (option == "--cases" or _is_file(path))
            if alone and evaluated.chosen is None:
                raise SettingsError(f"{option} is of {DEFAULT_SYSTEM!r}, which is not compared")
        if self.cases is not None:
            check_cases(self.cases, evaluated.dataset)
        for option, path in self._places():
            check_place(path, option)

    def findings(self, out: Mapping[str, Any]) -> tuple[Finding, ...]:
        """Returns what the conditions come to."""
        return check_gate(self.conditions, out)

    def write(
        self,
        evaluated: Evaluated,
        rows: Mapping[str, Sequence[Scored]],
        results: Results,
        out: Mapping[str, Any],
        findings: Sequence[Finding],
        *,
        command: str,
        seconds: float,
    ) -> None:
        """Writes every file that was asked for.

        Args:
            evaluated: What was evaluated.
            rows: What each system made of the two sides.
            results: All answers.
            out: What `--json` prints.
            findings: The gate's.
            command: What was run.
            seconds: How long it took.

        Raises:
            GuardrailError: One cannot be written.
        """
        dataset = evaluated.dataset
        if self.junit is not None:
            write_out(self.junit, junit(out, findings, seconds=seconds), "--junit")
        if self.report is not None:
            from guardrail.evaluation.page.report_page import report_page

            page = report_page(
                out,
                dataset,
                evaluated.systems,
                rows,
                results,
                command=command,
                findings=findings,
            )
            write_out(self.report, page, "--report")
        if self.inspect is not None:
            self._write_logs(self.inspect, evaluated, rows, results, out)
        if self.cases is not None and evaluated.chosen is not None:
            text = policy_cases(dataset, evaluated.chosen, results, reference=evaluated.reference)
            write_out(self.cases, text, "--cases")

    def _write_logs(
        self,
        place: Path,
        evaluated: Evaluated,
        rows: Mapping[str, Sequence[Scored]],
        results: Results,
        out: Mapping[str, Any],
    ) -> None:
        now = datetime.now(UTC)
        for system in evaluated.systems:
            if _is_file(place) and system is not evaluated.chosen:
                continue
            name = log_name(evaluated.dataset, system, now)
            log = inspect_log(out, evaluated.dataset, system, rows[system.name], results, now=now)
            write_out(place if _is_file(place) else place / name, log, "--inspect")

    def _places(self) -> list[tuple[str, Path]]:
        found = [("--junit", self.junit), ("--report", self.report), ("--cases", self.cases)]
        if self.inspect is not None:
            inner = self.inspect if _is_file(self.inspect) else self.inspect / "log.json"
            found.append(("--inspect", inner))
        return [(option, path) for option, path in found if path is not None]


def outputs_of(
    conditions: Sequence[str] | None,
    *,
    junit: Path | None,
    report: Path | None,
    inspect: Path | None,
    cases: Path | None,
) -> Outputs:
    """Returns what was asked for.

    Raises:
        SettingsError: A condition is none.
    """
    parsed = tuple(parse_condition(each) for each in conditions or ())
    return Outputs(parsed, junit=junit, report=report, inspect=inspect, cases=cases)


def _is_file(path: Path) -> bool:
    return path.suffix == ".json" and not path.is_dir()


def _shape(evaluated: Evaluated) -> dict[str, Any]:
    """Returns the figures that there will be, of empty answers: their values mean nothing."""
    results = Results({})
    for system in evaluated.systems:
        results.add([_empty(system, each.id) for each in evaluated.dataset])
    return report(
        evaluated.dataset,
        evaluated.systems,
        results,
        phrases=evaluated.policy.phrases,
        resamples=1,
    )


def _empty(system: System, sample: str) -> Record:
    judged = None if system.mode == "off" else 0.5
    return Record(
        system=system.name,
        sample=sample,
        answer="",
        tokens=(),
        finish="stop",
        action="plain",
        label=None if judged is None else "uncertain",
        p_unsafe=judged,
        seconds=1.0,
    )
