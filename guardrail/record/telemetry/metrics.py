"""Counts and distributions of guarded requests, through the OpenTelemetry API."""

from __future__ import annotations

from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from guardrail.record.decision import Decision
from guardrail.record.telemetry.names import ERROR_TYPE, OPERATION, PROVIDER, result_of
from guardrail.request.delta import Usage

_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_TOKENS = [4.0**power for power in range(14)]
_UNIT = [0.05 * step for step in range(1, 21)]
_OVERHEAD = ("judge", "noised", "watch", "audit")
"""Timings that a plain answer would not have (of `audit`: what is written before its end)."""


class Metrics:
    """The instruments of one engine.

    A refusal rate is `guardrail.refusals` over `guardrail.requests`: rates are for the reader.

    Args:
        meter: Where the instruments are made.
    """

    def __init__(self, meter: Meter) -> None:
        counter, histogram = meter.create_counter, meter.create_histogram
        self._requests = counter("guardrail.requests", "{request}", "Guarded requests")
        self._decisions = counter("guardrail.decisions", "{decision}", "Decisions by action")
        self._refusals = counter("guardrail.refusals", "{request}", "Answers that refused")
        self._failures = counter("guardrail.judge.failures", "{failure}", "Verdicts not to be had")
        self._readings = counter(
            "guardrail.watch.readings", "{reading}", "Readings of answers under way, by act"
        )
        self._p_unsafe = histogram(
            "guardrail.verdict.p_unsafe",
            "1",
            "Probability that helping would cause harm",
            explicit_bucket_boundaries_advisory=_UNIT,
        )
        self._overhead = histogram(
            "guardrail.overhead",
            "s",
            "Time that a plain answer would not have taken",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first_token = histogram(
            "gen_ai.server.time_to_first_token",
            "s",
            "Time to the first token",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._duration = histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens used, by kind",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )

    def record(
        self,
        model: str,
        decision: Decision | None,
        usage: Usage | None,
        *,
        duration_s: float,
        error: BaseException | None,
        context: Context,
        operation: str = "chat",
    ) -> None:
        """Records one request that has ended.

        Args:
            model: The model that was asked for.
            decision: Its record; None if it failed before there was one.
            usage: Its tokens, if counted.
            duration_s: From request to end, in seconds.
            error: What failed it, if anything did.
            context: Links the measurements to the request's span.
            operation: `chat`, or `apply_guardrail` where nothing was to be answered.
        """
        genai: dict[str, Any] = {
            OPERATION: operation,
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": model,
        }
        failed = {ERROR_TYPE: type(error).__name__} if error is not None else {}
        self._duration.record(duration_s, genai | failed, context)
        if usage is not None:
            for kind, number in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                self._tokens.record(number, genai | {"gen_ai.token.type": kind}, context)
        common: dict[str, Any] = {"gen_ai.request.model": model}
        if decision is not None:
            common |= {
                "guardrail.policy.name": decision.policy.name,
                "guardrail.mode": decision.mode,
            }
        self._requests.add(1, common | failed, context)
        if decision is not None:
            self._record_decision(decision, genai, common, context)

    def _record_decision(
        self, decision: Decision, genai: dict[str, Any], common: dict[str, Any], context: Context
    ) -> None:
        decided = common | {
            "guardrail.action": decision.action,
            "guardrail.result": result_of(decision),
            "guardrail.category": decision.category or "none",
            "guardrail.verdict.label": decision.verdict.label or "none",
        }
        self._decisions.add(1, decided, context)
        if decision.outcome.refused or decision.outcome.finish_reason == "blocked":
            self._refusals.add(1, common | {"guardrail.action": decision.action}, context)
        unread = sum(each.error is not None for each in decision.watch)
        if failures := unread + (decision.verdict.error is not None):
            source = {"guardrail.verdict.source": decision.verdict.source}
            self._failures.add(failures, common | source, context)
        if decision.verdict.p_unsafe is not None and 0 <= decision.verdict.p_unsafe <= 1:
            self._p_unsafe.record(decision.verdict.p_unsafe, common, context)
        for reading in decision.watch:
            ruled = {"guardrail.watch.act": reading.act, "guardrail.watch.label": reading.label}
            self._readings.add(1, common | ruled, context)
        took = decision.timings_ms
        if any(name in took for name in _OVERHEAD):
            overhead = sum(took.get(name, 0.0) for name in _OVERHEAD)
            self._overhead.record(overhead / 1000, common, context)
        if "first_token" in took:
            self._first_token.record(took["first_token"] / 1000, genai, context)
