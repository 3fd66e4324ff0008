"""A guard with a model of its own: where the model comes from, and what it can be asked.

How it answers under guard is `guardrail.steering.safecode`'s business.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import Self

from guardrail.backends import Backend, Constraint
from guardrail.errors import ModelError
from guardrail.judging.approvals import APPROVAL_LIFETIME_S, ApprovalLedger
from guardrail.judging.chair import Own
from guardrail.judging.guard import Guard
from guardrail.judging.judge import Judge
from guardrail.judging.judges import CaptionJudge
from guardrail.policy import Policy
from guardrail.policy.judge import Judge as JudgeSettings
from guardrail.policy.sources import PolicySource, policy_source
from guardrail.record.observer import Observer
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.call_format import CallFormat
from guardrail.request.conversation import Conversation
from guardrail.request.sessions import SessionStore
from guardrail.steering.gathering import Gathering
from guardrail.steering.refusals import RefusalIndex


class GuardedModel(Guard):
    """A guard with a model of its own; `SafeCoDe` describes its arguments."""

    def __init__(
        self,
        *,
        model: Any = None,
        processor: Any = None,
        backend: Backend | None = None,
        policy: str | Path | Policy | PolicySource = "baseline",
        judge: Judge | None = None,
        tracing: Tracing | None = None,
        observer: Observer | None = None,
        sessions: SessionStore | None = None,
        name: str | None = None,
        approval_key: str | bytes | None = None,
        approval_lifetime_s: float = APPROVAL_LIFETIME_S,
        approval_ledger: ApprovalLedger | None = None,
    ) -> None:
        source = policy_source(policy)  # checked before a model is looked at
        self.backend = _backend(model, processor, backend)
        super().__init__(
            policy=source,
            judge=judge,
            tracing=tracing,
            observer=observer,
            sessions=sessions,
            name=name or self.backend.name,
            approval_key=approval_key,
            approval_lifetime_s=approval_lifetime_s,
            approval_ledger=approval_ledger,
        )
        self._gathering = Gathering(self.backend)
        self._indexes: dict[tuple[str, ...], RefusalIndex] = {}

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | Path,
        *,
        policy: str | Path | Policy | PolicySource = "baseline",
        judge: Judge | None = None,
        sessions: SessionStore | None = None,
        approval_ledger: ApprovalLedger | None = None,
        **load_arguments: Any,
    ) -> Self:
        """Loads a model and its processor, after the policy and the family have been checked.

        Args:
            path_or_id: A local folder, or an id on the Hugging Face hub.
            policy: As for the class.
            judge: As for the class.
            sessions: As for the class.
            approval_ledger: As for the class.
            **load_arguments: Passed to `AutoModelForImageTextToText.from_pretrained`: `dtype`,
                `device_map`, `quantization_config`, `trust_remote_code`, ….
        """
        source = policy_source(policy)  # checked before any weights are loaded
        from guardrail.backends.transformers.loading import load_model

        model, processor = load_model(path_or_id, **load_arguments)
        return cls(
            model=model,
            processor=processor,
            policy=source,
            judge=judge,
            sessions=sessions,
            approval_ledger=approval_ledger,
        )

    @classmethod
    def from_server(
        cls,
        base_url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        policy: str | Path | Policy | PolicySource = "baseline",
        judge: Judge | None = None,
        timeout_s: float = 120.0,
        sessions: SessionStore | None = None,
        approval_ledger: ApprovalLedger | None = None,
    ) -> Self:
        """Guards a model behind an OpenAI-compatible server; torch and transformers stay unloaded.

        Args:
            base_url: Up to and with `/v1`.
            model: By which name the server knows it; its only one without it.
            api_key: The server's.
            policy: As for the class.
            judge: As for the class.
            timeout_s: Seconds between two pieces of an answer after which there is none.
            sessions: As for the class.
            approval_ledger: As for the class.

        Raises:
            ServerError: The server cannot be reached, or has no such model.
        """
        from guardrail.backends.server import ServerBackend, ServerClient

        source = policy_source(policy)
        backend = ServerBackend(ServerClient(base_url, api_key=api_key, timeout_s=timeout_s), model)
        return cls(
            backend=backend,
            policy=source,
            judge=judge,
            sessions=sessions,
            name=backend.capabilities.model,
            approval_ledger=approval_ledger,
        )

    @classmethod
    def embedded(
        cls,
        *,
        policy: str | Path | Policy | PolicySource = "baseline",
        judge: Judge | None = None,
        sessions: SessionStore | None = None,
        approval_ledger: ApprovalLedger | None = None,
    ) -> Self:
        """Loads the small model that ships with the package; needs no network."""
        from guardrail.embedded.load import load_embedded

        source = policy_source(policy)
        model, processor = load_embedded()
        return cls(
            model=model,
            processor=processor,
            policy=source,
            judge=judge,
            sessions=sessions,
            name="embedded",
            approval_ledger=approval_ledger,
        )

    @property
    def model(self) -> Any:
        """The model, where it runs in this process.

        Raises:
            AttributeError: It does not.
        """
        return self.backend.model  # type: ignore[attr-defined]

    @property
    def processor(self) -> Any:
        """The model's processor, where it runs in this process.

        Raises:
            AttributeError: It does not.
        """
        return self.backend.processor  # type: ignore[attr-defined]

    def call_format(self) -> CallFormat:
        """Returns how this model writes tool calls.

        Raises:
            ModelError: It takes no tools, or writes calls in an unknown form.
        """
        return self.backend.call_format()

    def constraint(self, conversation: Conversation) -> Constraint | None:
        """Returns what the answer to a conversation is held to, or None where it is free.

        Raises:
            GuardrailError: The form demanded cannot be had of this model.
        """
        return self.backend.constraint(conversation)

    def count_tokens(self, conversation: Conversation) -> int:
        """Returns how many tokens a conversation's prompt has, pictures and tools included.

        Raises:
            GuardrailError: The model cannot be told what it holds.
        """
        return self.backend.count(conversation)

    def refusal_index(self, phrases: tuple[str, ...]) -> RefusalIndex:
        """Returns the phrases compiled for this vocabulary; compiled once, then remembered."""
        with self._lock:
            if phrases not in self._indexes:
                spelled = self.backend.vocabulary(phrases)
                self._indexes[phrases] = RefusalIndex(phrases, spelled)
            return self._indexes[phrases]

    def _own_runs(self) -> Own:
        return lambda given, settings, stop: self.backend.start(given, settings, stop=stop)

    def _own_reference(self) -> Path | None:
        return self.backend.reference

    def _make_judge(self, settings: JudgeSettings) -> Judge:
        if settings.kind == "caption":
            return CaptionJudge(self.backend)
        return super()._make_judge(settings)


def _backend(model: Any, processor: Any, backend: Backend | None) -> Backend:
    if backend is not None:
        if model is not None or processor is not None:
            raise ModelError("both a backend and a model are given, expected one of them")
        return backend
    if model is None and processor is None:
        raise ModelError("there is no model: give `model=` and `processor=`, or `backend=`")
    from guardrail.backends.transformers.backend import TransformersBackend

    return TransformersBackend(model, processor)
