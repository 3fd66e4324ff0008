"""Writes every request of a policy into the audit log, before its answer is out.

Two records per answered request: `opened` (verdict, rule and action) is durable before the first
token leaves, so that a stream that dies half-way is on record; `decision` (all of it) is durable
before the end of the answer leaves. Blocked, escalated, cancelled and failed requests have the
second alone, or both, depending on how far they came. A request that failed before it could be
judged has one record of its own kind, `failed`.
"""

from __future__ import annotations

import os

from guardrail.errors import AuditError
from guardrail.policy import Policy
from guardrail.record.audit.log import AuditLog, now
from guardrail.record.audit.own_log import is_folder, own_log
from guardrail.record.audit.record import AuditRecord, Calibration, Thresholds, Watching
from guardrail.record.audit.redaction import Redaction
from guardrail.record.decision import Decision
from guardrail.record.digests import content_of, digests_of
from guardrail.record.failure import Failure
from guardrail.request.conversation import Conversation

LOG_VARIABLE = "GUARDRAIL_AUDIT_LOG"


def log_path(policy: Policy) -> str | None:
    """Returns where the log goes: the policy's path, else the environment's; None if nowhere.

    In a folder, each process has a log of its own.
    """
    path = policy.audit.path or os.environ.get(LOG_VARIABLE, "").strip() or None
    return own_log(path) if path is not None and is_folder(path) else path


class AuditObserver:
    """Sees the records of requests under one policy; raises if one cannot be made durable.

    Args:
        log: Where they go.
        policy: Decides whether words are kept.
    """

    def __init__(self, log: AuditLog, policy: Policy) -> None:
        self._log, self._policy = log, policy
        self._thresholds = {
            rule.id: Thresholds(unsafe_at=rule.unsafe_at, safe_below=rule.safe_below)
            for rule in policy.rules
        }
        self._calibration = _calibration(policy)
        self._watching = _watching(policy)
        self._redaction: Redaction | None = None

    def opened(self, decision: Decision, conversation: Conversation) -> None:
        """Records what is known before the first token.

        Raises:
            AuditError: The record could not be made durable.
        """
        self._append("opened", decision, conversation, None)

    def concluded(self, decision: Decision, conversation: Conversation, text: str) -> None:
        """Records the whole decision, before the end of the answer leaves.

        Raises:
            AuditError: The record could not be made durable.
        """
        self._append("decision", decision, conversation, text)

    def failed(self, failure: Failure) -> None:
        """Records a request that failed before it could be judged.

        Raises:
            AuditError: The record could not be made durable.
        """
        words = {} if self._policy.capture.content else {"detail": None}
        kept = failure.model_copy(update=words)
        self._log.write(
            lambda _, seq: AuditRecord(seq=seq, time=now(), kind="failed", failure=kept)
        )

    def _append(
        self, kind: str, decision: Decision, conversation: Conversation, text: str | None
    ) -> None:
        try:
            key = self._log.key
            captures = self._policy.capture.content
            if not captures:
                self._redaction = self._redaction or Redaction(self._policy, key)
                decision = self._redaction.without_words(decision)
            self._log.append(
                decision,
                kind="opened" if kind == "opened" else "decision",
                request=digests_of(conversation, text, key),
                thresholds=self._thresholds,
                calibration=self._calibration,
                watching=self._watching,
                content=content_of(conversation, text) if captures else None,
            )
        except AuditError:
            raise
        except Exception as error:  # whatever it is, the record is not there
            raise AuditError(f"the audit record cannot be made: {type(error).__name__}") from error


def _calibration(policy: Policy) -> Calibration | None:
    found, contrast = policy.judge.calibration, policy.judge.contrast
    if found is None and not contrast.looks:
        return None
    return Calibration(
        scale=1.0 if found is None else found.scale,
        bias=0.0 if found is None else found.bias,
        contrast=contrast.alpha if contrast.looks else None,
    )


def _watching(policy: Policy) -> Watching | None:
    return None if policy.watch.is_off else Watching(**policy.watch.model_dump())
