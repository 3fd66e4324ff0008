"""Who judges requests under one policy, and what is remembered of how long that takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass

from guardrail.backends import Interrupted, Run, Stop
from guardrail.errors import GuardrailError
from guardrail.judging.judge import Judge, Judged, JudgeRequest, ask_judge, judge_failure
from guardrail.judging.patience import Patience
from guardrail.judging.reference import Reference
from guardrail.judging.screening import Screening
from guardrail.judging.self_judge import SOURCE, self_verdicts
from guardrail.policy.terms import LOCAL
from guardrail.policy.verdict import Verdict
from guardrail.request.conversation import Conversation
from guardrail.request.settings import ONE_TOKEN, GenerationSettings
from guardrail.request.telling import told

Own = Callable[[Sequence[Conversation], GenerationSettings, Stop | None], Run]
"""Starts a run of requests on the answering model."""


@dataclass(frozen=True)
class Chair:
    """Who judges.

    Attributes:
        kind: As the record names it: `self`, `caption`, `model`, `chat`, `callable`.
        judge: Returns the judge, made on first use; raises a `GuardrailError` where it cannot be
            had. Not asked where the answering model reads its own prompt.
        patience: What is remembered of its time-outs.
        own: Encodes requests for the answering model to judge or describe them itself; None where
            none answers.
        reference: Returns what requests the answering model was tried on, None where nobody knows;
            raises a `JudgeError` where that cannot be read.
    """

    kind: str
    judge: Callable[[], Judge]
    patience: Patience[Judged]
    own: Own | None = None
    reference: Callable[[], Reference | None] = lambda: None

    def ask(
        self, conversation: Conversation, questions: Mapping[str, str], *, timeout_s: float
    ) -> Verdict:
        """Asks the judge that was given in code, or the one that the policy names."""
        try:
            judge = self.judge()
        except GuardrailError as error:
            return Verdict.unavailable(str(error), source=self.kind)
        try:
            request = JudgeRequest(told(conversation), questions)
        except Exception as error:  # a call's arguments may hold anything
            return Verdict.unavailable(judge_failure(error, source=self.kind), source=self.kind)
        return ask_judge(
            judge, request, timeout_s=timeout_s, source=self.kind, patience=self.patience
        )

    def look(
        self,
        conversations: Sequence[Conversation],
        questions: Mapping[str, str],
        *,
        timeout_s: float,
        stop: Stop | None,
    ) -> list[Verdict]:
        """Has who judges look at conversations by themselves; a local model at all of them at once.

        Args:
            conversations: Requests, parts of them, or with answers to them.
            questions: By category id.
            timeout_s: Seconds that each of them has.
            stop: Asked while the answering model judges.

        Raises:
            Interrupted: It was stopped.
        """
        if not self.reads_itself or self.own is None:
            return [self.ask(each, questions, timeout_s=timeout_s) for each in conversations]
        try:
            run = self.own(conversations, ONE_TOKEN, stop)
        except Interrupted:
            raise
        except Exception as error:  # it is judged and not answered, so this is the judge's failure
            why = judge_failure(error, source=SOURCE, ours=True)
            return [Verdict.unavailable(why, source=SOURCE)] * len(conversations)
        with closing(run):
            return self_verdicts(
                run, Screening(questions), timeout_s=timeout_s, phase=lambda _: nullcontext()
            )

    @property
    def looks_again(self) -> bool:
        """Whether it may be asked about a request more than once."""
        return self.kind in LOCAL

    @property
    def reads_itself(self) -> bool:
        """Whether the answering model is the judge."""
        return self.kind == SOURCE and self.own is not None
