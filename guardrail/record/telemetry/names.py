"""Names and values of spans, attributes and metrics, in one place.

`guardrail.*` is our own and stable. The GenAI names follow OpenTelemetry's conventions, whose
Python constants moved away; the draft guardrail conventions are mirrored from ours by one table. It
takes records and gives plain mappings: it knows nothing of tracers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from guardrail.record.decision import Decision, StepRecord, WatchRecord
from guardrail.record.digests import RequestDigests
from guardrail.record.failure import Failure
from guardrail.request.conversation import Conversation, Picture, Turn
from guardrail.request.delta import Usage
from guardrail.request.settings import GenerationSettings

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"
PROVIDER = "safecode"

VERDICT = "guardrail.verdict"
DECODE = "guardrail.decode"
WATCH = "guardrail.watch"

OPERATION = "gen_ai.operation.name"
SPAN_KIND = "openinference.span.kind"
ERROR_TYPE = "error.type"

CAPTURE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CAPTURE_IN_SPANS = frozenset({"span_only", "span_and_event", "true"})

DRAFT_MIRROR: Mapping[str, str] = {
    "gen_ai.guardrail.component.name": "guardrail.component",
    "gen_ai.guardrail.policy.id": "guardrail.policy.name",
    "gen_ai.guardrail.policy.version": "guardrail.policy.version",
    "gen_ai.guardrail.result.type": "guardrail.result",
    "gen_ai.guardrail.risk.category": "guardrail.category",
    "gen_ai.guardrail.risk.score": "guardrail.verdict.p_unsafe",
}
"""The draft conventions (left) and the attribute of ours that each repeats."""

_RESULTS: Mapping[str, str] = {
    "comply": "allow",
    "plain": "allow",
    "refuse": "deny",
    "block": "deny",
    "escalate": "escalate",
}


def request_attributes(
    model: str, settings: GenerationSettings, operation: str = "chat"
) -> dict[str, Any]:
    """Returns what is known before anything has run; samplers see it."""
    attributes = {
        OPERATION: operation,
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": model or None,
        "gen_ai.request.max_tokens": settings.max_new_tokens,
        "gen_ai.request.temperature": settings.temperature,
        "gen_ai.request.top_p": settings.top_p,
        "gen_ai.request.top_k": settings.top_k,
        "gen_ai.request.seed": settings.seed,
        SPAN_KIND: "GUARDRAIL",
    }
    return _present(attributes)


def response_attributes(decision: Decision, usage: Usage | None) -> dict[str, Any]:
    """Returns GenAI's attributes of an answer."""
    return _present(
        {
            "gen_ai.response.id": decision.request_id,
            "gen_ai.response.model": decision.model or None,
            "gen_ai.response.finish_reasons": [decision.outcome.finish_reason],
            "gen_ai.usage.input_tokens": usage.input_tokens if usage else None,
            "gen_ai.usage.output_tokens": usage.output_tokens if usage else None,
        }
    )


def verdict_attributes(decision: Decision) -> dict[str, Any]:
    """Returns the judge's belief: numbers and ids, no words."""
    verdict = decision.verdict
    attributes = {
        "guardrail.verdict.label": verdict.label,
        "guardrail.verdict.p_unsafe": verdict.p_unsafe,
        "guardrail.verdict.source": verdict.source,
        "guardrail.verdict.failed": verdict.error is not None,
        "guardrail.verdict.screen": verdict.screen,
        "guardrail.verdict.screened": len(verdict.screened) if verdict.screen is not None else None,
    }
    for name, p in verdict.categories.items():
        attributes[f"guardrail.verdict.category.{name}"] = p
    return _present(attributes)


def reading_attributes(reading: WatchRecord) -> dict[str, Any]:
    """Returns a reading of the answer as it grew: numbers and ids, no words."""
    attributes = {
        "guardrail.watch.tokens": reading.tokens,
        "guardrail.watch.over": reading.over,
        "guardrail.watch.label": reading.label,
        "guardrail.watch.act": reading.act,
        "guardrail.watch.p_unsafe": reading.p_unsafe,
        "guardrail.watch.category": reading.category,
        "guardrail.watch.failed": reading.error is not None,
        "guardrail.watch.screen": reading.screen,
        "guardrail.watch.screened": len(reading.screened) if reading.screen is not None else None,
    }
    for name, p in reading.categories.items():
        attributes[f"guardrail.watch.category.{name}"] = p
    return _present(attributes)


def decision_attributes(decision: Decision) -> dict[str, Any]:
    """Returns the whole decision as flat `guardrail.*` attributes and their draft mirror."""
    contrast, steps = decision.contrast, decision.steps
    attributes = {
        "guardrail.component": "safecode",
        "guardrail.request_id": decision.request_id,
        "guardrail.mode": decision.mode,
        "guardrail.policy.name": decision.policy.name,
        "guardrail.policy.version": str(decision.policy.version),
        "guardrail.policy.digest": decision.policy.digest,
        "guardrail.action": decision.action,
        "guardrail.result": result_of(decision),
        "guardrail.category": decision.category,
        "guardrail.confidence": decision.confidence,
        "guardrail.session.remembered": decision.session is not None,
        "guardrail.review.approved": decision.review.approved if decision.review else None,
        "guardrail.review.honoured": decision.review.honoured if decision.review else None,
        "guardrail.contrast.applied": contrast.applied,
        "guardrail.contrast.alpha": contrast.alpha if contrast.applied else None,
        "guardrail.contrast.counterfactual": contrast.counterfactual,
        "guardrail.contrast.noise_std": contrast.noise_std if contrast.applied else None,
        "guardrail.contrast.skipped": contrast.skipped,
        "guardrail.steps.count": len(steps),
        "guardrail.steps.changed": sum(step.token != step.token_unguarded for step in steps),
        "guardrail.watch.count": len(decision.watch),
        "guardrail.outcome.refused": decision.outcome.refused,
        "guardrail.outcome.replaced": decision.outcome.replaced,
        "guardrail.outcome.finish_reason": decision.outcome.finish_reason,
        "guardrail.cached_from": decision.cached_from,
        "guardrail.errors.count": len(decision.errors),
        **verdict_attributes(decision),
    }
    for name, milliseconds in decision.timings_ms.items():
        attributes[f"guardrail.timings_ms.{name}"] = milliseconds
    attributes = _present(attributes)
    mirror = {draft: attributes[ours] for draft, ours in DRAFT_MIRROR.items() if ours in attributes}
    return attributes | mirror


def failure_attributes(failure: Failure) -> dict[str, Any]:
    """Returns what is known of a request that failed before it could be judged: no words."""
    policy = failure.policy
    attributes = {
        "guardrail.component": "safecode",
        "guardrail.request_id": failure.request_id,
        "guardrail.mode": failure.mode,
        "guardrail.policy.name": policy.name if policy else None,
        "guardrail.policy.version": str(policy.version) if policy else None,
        "guardrail.policy.digest": policy.digest if policy else None,
        "guardrail.outcome.finish_reason": "error",
        "guardrail.errors.count": 1,
    }
    return _present(attributes)


def digest_attributes(digests: RequestDigests) -> dict[str, Any]:
    """Returns keyed digests of what was asked, as the audit log has them."""
    return _present(
        {
            "guardrail.request.question_digest": digests.question,
            "guardrail.request.conversation_digest": digests.conversation,
            "guardrail.request.picture_digests": digests.pictures or None,
        }
    )


def steps_summary(decision: Decision, *, content: bool) -> str:
    """Returns the guided steps as one JSON text; tokens are words, and left out without content."""
    return json.dumps([_step(step, content=content) for step in decision.steps])


def content_attributes(conversation: Conversation | None, text: str | None) -> dict[str, Any]:
    """Returns the words of a request and its answer, by GenAI's conventions; never pixels."""
    attributes: dict[str, Any] = {}
    if conversation is not None:
        messages = [_message(turn) for turn in conversation.turns]
        attributes["gen_ai.input.messages"] = json.dumps(messages, default=str)
    if text is not None:
        parts = [{"type": "text", "content": text}]
        attributes["gen_ai.output.messages"] = json.dumps([{"role": "assistant", "parts": parts}])
    return attributes


def result_of(decision: Decision) -> str:
    """Returns the draft conventions' word for what was done; `audit` where nothing was enforced.

    An answer may have been ended, or steered into a refusal, whose request was let pass.
    """
    if decision.mode != "enforce":
        return "audit"
    if decision.outcome.refused and any(each.act == "steer" for each in decision.watch):
        return "deny"
    ended = {"blocked": "deny", "escalated": "escalate"}
    return ended.get(decision.outcome.finish_reason, _RESULTS[decision.action])


def _step(step: StepRecord, *, content: bool) -> dict[str, Any]:
    kept = step.model_dump(mode="json", exclude=None if content else {"token", "token_unguarded"})
    if not content:
        kept["changed"] = step.token != step.token_unguarded
        for candidate in kept["top"]:
            del candidate["token"]
    return kept


def _message(turn: Turn) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"type": "blob", "modality": "image", "sha256": part.digest}
        if isinstance(part, Picture)
        else {"type": "text", "content": part}
        for part in turn.parts
    ]
    parts += [{"type": "tool_call", **call} for call in turn.tool_calls]
    return {"role": turn.role, "parts": parts}


def _present(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
