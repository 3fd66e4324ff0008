"""The guarded model: SafeCoDe around any local Hugging Face multimodal LLM, free of LangChain."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from opentelemetry.context import Context

from guardrail.backends.transformers.adapter import Adapter, find_adapter
from guardrail.backends.transformers.grammar import Constraint, GrammarVocabulary
from guardrail.backends.transformers.loading import load_model
from guardrail.backends.transformers.placement import input_device
from guardrail.backends.transformers.prompt import PromptEncoder
from guardrail.backends.transformers.suitability import check_model
from guardrail.backends.transformers.token_bytes import token_bytes
from guardrail.errors import ModelError
from guardrail.judging.guard import Guard, checked_mode
from guardrail.judging.judge import NO, YES, Judge, Labels
from guardrail.judging.judges import caption_judge
from guardrail.judging.self_judge import SelfJudge
from guardrail.policy import Policy
from guardrail.policy.context import Metadata
from guardrail.policy.schema import Judge as JudgeSettings
from guardrail.policy.sources import PolicySource, policy_source
from guardrail.record.answer import Answer, Delta
from guardrail.record.decision import Mode, Review
from guardrail.record.observer import Observer
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.call_format import CallFormat, derive_call_format
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.sessions import SessionStore
from guardrail.request.settings import GenerationSettings
from guardrail.steering.pipeline import Pipeline
from guardrail.steering.refusals import RefusalIndex

_DEFAULTS = GenerationSettings()


class SafeCoDe(Guard):
    """A multimodal LLM that is guarded while it decodes.

    Safe to use from several threads. The model is never changed, patched or moved.

    Args:
        model: A Hugging Face image-text-to-text model that decodes token by token.
        processor: Its processor.
        policy: A pack's name, the path of a policy file (read again when it changes), a `Policy`,
            or a `PolicySource`.
        judge: Judges instead of the policy's own judge: any callable (see
            `guardrail.judging.judge.Judge`), or a LangChain chat model with structured output.
        tracing: Where spans and metrics go; OpenTelemetry's global providers by default.
        observer: Sees every record before its answer is out; by default the audit log, if the
            policy or `GUARDRAIL_AUDIT_LOG` names one.
        sessions: Keeps what policies with a memory remember; in this process by default.
        name: The model's name in records and spans; that of its folder or id by default.

    Raises:
        ModelError: The family cannot be guided, or the model not as it is: in train mode, with beam
            search in its generation config, ….
        PolicyError: The policy is not usable.

    Example:
        >>> guarded = SafeCoDe.embedded()
        >>> guarded.ask("What is in this picture?", [load_picture("cliff.png")]).text
    """

    def __init__(
        self,
        *,
        model: Any,
        processor: Any,
        policy: str | Path | Policy | PolicySource = "baseline",
        judge: Judge | None = None,
        tracing: Tracing | None = None,
        observer: Observer | None = None,
        sessions: SessionStore | None = None,
        name: str | None = None,
    ) -> None:
        check_model(model)
        super().__init__(
            policy=policy,
            judge=judge,
            tracing=tracing,
            observer=observer,
            sessions=sessions,
            name=name or _name(model),
        )
        self.model = model
        self.processor = processor
        self.adapter: Adapter = find_adapter(model.config.model_type)
        self.encoder = PromptEncoder(processor, self.adapter)
        self._spelled: list[bytes | None] | None = None
        self._call_format: CallFormat | ModelError | None = None
        self._vocabulary: GrammarVocabulary | None = None
        self._indexes: dict[tuple[str, ...], RefusalIndex] = {}
        # Held around forward passes: some families keep state on the module while one runs, and
        # threads that compute at once only slow each other (and an event loop) down.
        self.computing = threading.RLock()

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | Path,
        *,
        policy: str | Path | Policy | PolicySource = "baseline",
        judge: Judge | None = None,
        **load_arguments: Any,
    ) -> SafeCoDe:
        """Loads a model and its processor, after the policy and the family have been checked.

        Args:
            path_or_id: A local folder, or an id on the Hugging Face hub.
            policy: As for the class.
            judge: As for the class.
            **load_arguments: Passed to `AutoModelForImageTextToText.from_pretrained`: `dtype`,
                `device_map`, `quantization_config`, `trust_remote_code`, ….
        """
        source = policy_source(policy)  # checked before any weights are loaded
        model, processor = load_model(path_or_id, **load_arguments)
        return cls(model=model, processor=processor, policy=source, judge=judge)

    @classmethod
    def embedded(
        cls,
        *,
        policy: str | Path | Policy | PolicySource = "baseline",
        judge: Judge | None = None,
    ) -> SafeCoDe:
        """Loads the small model that ships with the package; needs no network."""
        from guardrail.embedded.load import load_embedded

        source = policy_source(policy)
        model, processor = load_embedded()
        return cls(model=model, processor=processor, policy=source, judge=judge, name="embedded")

    def ask(
        self,
        text: str,
        pictures: Sequence[Picture] = (),
        *,
        session: str | None = None,
        **settings: Any,
    ) -> Answer:
        """Answers one question about any number of pictures.

        Args:
            text: The question.
            pictures: From `guardrail.request.pictures.load_picture`.
            session: By which earlier requests are remembered, where the policy does so.
            **settings: Fields of `GenerationSettings`.
        """
        return self.answer(
            question(text, pictures, session=session), GenerationSettings(**settings)
        )

    def answer(
        self,
        conversation: Conversation,
        settings: GenerationSettings = _DEFAULTS,
        *,
        policy: str | Path | Policy | None = None,
        metadata: Metadata | None = None,
        mode: Mode | None = None,
        cancel: threading.Event | None = None,
        review: Review | None = None,
    ) -> Answer:
        """Returns the guarded answer, collected from `stream`.

        Raises:
            Escalation: The policy wants a human to decide.
            GuardrailError: The request cannot be served.
        """
        *_, last = self.stream(
            conversation,
            settings,
            policy=policy,
            metadata=metadata,
            mode=mode,
            cancel=cancel,
            review=review,
        )
        assert isinstance(last, Answer)
        return last

    def stream(
        self,
        conversation: Conversation,
        settings: GenerationSettings = _DEFAULTS,
        *,
        policy: str | Path | Policy | None = None,
        metadata: Metadata | None = None,
        mode: Mode | None = None,
        cancel: threading.Event | None = None,
        review: Review | None = None,
    ) -> Iterator[Delta | Answer]:
        """Yields the answer's text and calls as they are settled, then the whole answer with its
        decision.

        Args:
            conversation: What was said so far, pictures included; the tools that may be called,
                and the form that the answer must have.
            settings: How to decode.
            policy: Another policy for this request; one given by path is watched, too.
            metadata: What a policy selection looks at: `tenant`, `route`, `group`, `language`, ….
            mode: `enforce`, `shadow` or `off` for this request, instead of the policy's.
            cancel: Once set, decoding stops at the next token. Closing the iterator does so too.
            review: A human's word on this request, if it was escalated before.
        """
        run = self._pipeline(self.policy_for(policy, metadata), mode).run(
            [conversation], settings, cancel=cancel, review=review
        )
        with closing(run):
            for _, event in run:
                if isinstance(event, Exception):
                    raise event
                yield event

    def batch(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings = _DEFAULTS,
        *,
        policy: str | Path | Policy | None = None,
        metadata: Metadata | None = None,
        mode: Mode | None = None,
        cancel: threading.Event | None = None,
        return_exceptions: bool = False,
        contexts: Sequence[Context] | None = None,
        review: Review | None = None,
    ) -> list[Any]:
        """Answers several conversations as one batch on the model, each with its own verdict.

        Args:
            conversations: Any number; answers come back in their order.
            settings: The same for all.
            policy: As for `stream`.
            metadata: As for `stream`; the same for all.
            mode: As for `stream`.
            cancel: As for `stream`.
            contexts: Each conversation's OpenTelemetry context, where they are not the same.
            review: As for `stream`; the same for all.
            return_exceptions: Put an `Escalation` in its row's place instead of raising it.

        Returns:
            One `Answer` per conversation.
        """
        if not conversations:
            return []
        results: list[Any] = [None] * len(conversations)
        pipeline = self._pipeline(self.policy_for(policy, metadata), mode)
        for group in self.adapter.batch_groups(conversations):
            run = pipeline.run(
                [conversations[at] for at in group],
                settings,
                cancel=cancel,
                contexts=[contexts[at] for at in group] if contexts else None,
                review=review,
            )
            with closing(run):
                for row, event in run:
                    if not isinstance(event, Delta):
                        results[group[row]] = event
        for result in results:
            if isinstance(result, Exception) and not return_exceptions:
                raise result
        return results

    def refusal_index(self, phrases: tuple[str, ...]) -> RefusalIndex:
        """Returns the phrases compiled for this tokenizer; compiled once, then remembered."""
        with self._lock:
            if phrases not in self._indexes:
                self._indexes[phrases] = RefusalIndex(
                    phrases, self._token_bytes(), device=input_device(self.model)
                )
            return self._indexes[phrases]

    def call_format(self) -> CallFormat:
        """Returns how this model writes tool calls; read off its chat template once.

        Raises:
            ModelError: Its template does not take tools, or writes calls in an unknown form.
        """
        with self._lock:
            if self._call_format is None:
                try:
                    self._call_format = derive_call_format(self.encoder.render)
                except ModelError as error:
                    self._call_format = error
            if isinstance(self._call_format, ModelError):
                raise ModelError(str(self._call_format))
            return self._call_format

    def constraint(self, conversation: Conversation) -> Constraint | None:
        """Returns what the answer to a conversation is held to, or None where it is free.

        Raises:
            GuardrailError: The form demanded cannot be had of this model.
        """
        form = conversation.form
        if not form.constrains:
            return None
        written = self.call_format() if conversation.tools else None
        control = self.encoder.control_tokens(written.written) if written is not None else {}
        grammar = form.grammar(conversation.tools, written, control)
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = GrammarVocabulary(self._token_bytes(), self.encoder.encode_piece)
        return self._vocabulary.constraint(grammar)

    def _token_bytes(self) -> list[bytes | None]:
        if self._spelled is None:
            self._spelled = token_bytes(self.encoder.tokenizer)
        return self._spelled

    def self_judge(self, policy: Policy) -> SelfJudge:
        """Returns the model as its own judge."""
        return SelfJudge(self, policy)

    def _make_judge(self, settings: JudgeSettings) -> Judge:
        if settings.kind == "caption":
            return caption_judge(self)
        return super()._make_judge(settings)

    def labels(self) -> Labels:
        """Returns the tokens by which an answer *yes* or *no* begins.

        Raises:
            JudgeError: This tokenizer has none.
        """
        return Labels(tuple(self.encoder.label_ids(YES)), tuple(self.encoder.label_ids(NO)))

    def _pipeline(self, policy: Policy, mode: Mode | None) -> Pipeline:
        mode = checked_mode(mode) or policy.mode
        return Pipeline(self, policy, mode, observer=self.observer_for(policy))


def _name(model: Any) -> str:
    name = str(getattr(model.config, "_name_or_path", "") or "")
    return Path(name).name if name else type(model).__name__
