"""The guarded model: SafeCoDe around any multimodal LLM, free of LangChain."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from opentelemetry.context import Context

from guardrail.policy import Policy
from guardrail.policy.context import Metadata
from guardrail.policy.review import Review
from guardrail.policy.terms import Mode
from guardrail.record.answer import Answer
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from guardrail.steering.gathering import Asked
from guardrail.steering.guarded_model import GuardedModel
from guardrail.steering.pipeline import Pipeline

_DEFAULTS = GenerationSettings()


class SafeCoDe(GuardedModel):
    """A multimodal LLM that is guarded while it decodes.

    Safe to use from several threads. The model is never changed, patched or moved.

    Args:
        model: A Hugging Face image-text-to-text model that decodes token by token.
        processor: Its processor.
        backend: What runs the model, instead of the two: any `guardrail.backends.Backend`.
        policy: A pack's name, the path of a policy file (read again when it changes), a `Policy`,
            or a `PolicySource`.
        judge: Judges instead of the policy's own judge: any callable (see
            `guardrail.judging.judge.Judge`), or a LangChain chat model with structured output.
        tracing: Where spans and metrics go; OpenTelemetry's global providers by default.
        observer: Sees every record before its answer is out; by default the audit log, if the
            policy or `GUARDRAIL_AUDIT_LOG` names one.
        sessions: Keeps what policies with a memory remember; in this process by default.
        name: The model's name in records and spans; that of its folder or id by default.
        approval_key: As for `Guard`, like the two below.
        approval_lifetime_s: Seconds that a human has to approve.
        approval_ledger: Knows which approvals are used up.

    Raises:
        ModelError: The family cannot be guided, or the model not as it is: in train mode, with beam
            search in its generation config, …; or there is not one model.
        PolicyError: The policy is not usable.

    Example:
        >>> guarded = SafeCoDe.embedded()
        >>> guarded.ask("What is in this picture?", [load_picture("cliff.png")]).text
    """

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

        Raises:
            MessageError: What stands for a picture is none; a path has to be loaded first.
        """
        with self.preparing():
            conversation = question(text, pictures, session=session)
            chosen = GenerationSettings(**settings)
        return self.answer(conversation, chosen)

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
            review: A human's word on this request, if it was escalated before; an approval brings
                the `Escalation`'s `token` back.
        """
        pipeline = self._prepared(policy, metadata, mode)
        draft = pipeline.draft(conversation, settings, review=review)
        asked = Asked(pipeline, draft, settings, cancel)
        with closing(self._gathering.events(asked)) as events:
            for event in events:
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
        pipeline = self._prepared(policy, metadata, mode)
        for group in self.backend.groups(conversations):
            drafts = [
                pipeline.draft(
                    conversations[at],
                    settings,
                    context=contexts[at] if contexts else None,
                    review=review,
                )
                for at in group
            ]
            stop = cancel.is_set if cancel is not None else None
            with closing(pipeline.run(drafts, settings, [stop] * len(drafts))) as run:
                for row, event in run:
                    if not isinstance(event, Delta):
                        results[group[row]] = event
        for result in results:
            if isinstance(result, Exception) and not return_exceptions:
                raise result
        return results

    def _prepared(
        self, policy: str | Path | Policy | None, metadata: Metadata | None, mode: Mode | None
    ) -> Pipeline:
        with self.preparing() as known:
            known.policy = chosen = self.policy_for(policy, metadata)
            return Pipeline(self.backend, self.deciding(chosen, mode), self.refusal_index)
