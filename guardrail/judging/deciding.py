"""From requests to decisions: the judge, the session's memory, the policy, and the record.

What `Guard.decide` and the guarded model share. It knows nothing of decoding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry.context import Context

from guardrail.backends.transformers.branch import Branch, Prepared
from guardrail.errors import AuditError, GuardrailError
from guardrail.judging.judge import JudgeRequest, ask_judge, judge_failure, readable
from guardrail.judging.self_judge import questions_of
from guardrail.judging.timing import timed
from guardrail.policy import Policy, Ruling, decide
from guardrail.policy.calibration import calibrate
from guardrail.policy.evaluation import reviewed
from guardrail.policy.memory import NOTHING, Memory, Recollection, recall
from guardrail.policy.review import Review
from guardrail.policy.terms import Mode
from guardrail.policy.verdict import Verdict
from guardrail.record.answer import Judgement
from guardrail.record.observer import Observer
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings
from guardrail.request.telling import told
from guardrail.steering.row import Row

if TYPE_CHECKING:
    from guardrail.judging.guard import Guard

_log = logging.getLogger(__name__)
_ALONE = GenerationSettings()


class Judging:
    """Decides requests under one policy.

    Args:
        guard: The judges, the sessions, and where records go.
        policy: What decides.
        mode: `enforce`, `shadow` (all is decided and recorded, nothing withheld) or `off`.
        observer: Sees every record before its answer is out; it may refuse the request.
    """

    def __init__(
        self, guard: Guard, policy: Policy, mode: Mode, *, observer: Observer | None = None
    ) -> None:
        self._guard, self._policy, self._mode = guard, policy, mode
        self._observer = observer

    def decide(
        self, conversation: Conversation, *, review: Review | None, verdict: Verdict | None
    ) -> Judgement:
        """Returns what is decided about a request that somebody else answers.

        Args:
            conversation: What was asked.
            review: A human's word on it.
            verdict: What is believed already; without one the judge is asked.

        Raises:
            AuditError: The record cannot be kept.
        """
        rows = self._rows([conversation], _ALONE, review=review, operation="apply_guardrail")
        with self._recorded(rows):
            if self._mode != "off" and verdict is None:
                self._judge_alone(rows)
            elif self._mode != "off" and verdict is not None:
                self._rule(rows[0], readable(verdict))
            return rows[0].conclude_judged()

    def _judge_alone(self, rows: Sequence[Row]) -> None:
        own = self._guard.self_judge(self._policy) if self._judge_kind == "self" else None
        try:
            prompt = own.prompt(rows) if own is not None else None
        except Exception as error:  # nobody is to answer it here, so it is the judge's failure
            self._rule(rows[0], Verdict.unavailable(judge_failure(error, source="self")))
        else:
            self._judged(rows, prompt)

    # Rows --------------------------------------------------------------------------------------

    def _rows(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        review: Review | None = None,
        contexts: Sequence[Context] | None = None,
        operation: str = "chat",
    ) -> list[Row]:
        guard, name = self._guard, self._guard.model_name
        return [
            Row(
                at,
                each,
                self._policy,
                self._mode,
                name,
                guard.tracing.request(
                    name,
                    settings,
                    conversation=each,
                    capture_content=self._policy.capture.content,
                    context=contexts[at] if contexts else None,
                    operation=operation,
                ),
                self._observer,
                review,
            )
            for at, each in enumerate(conversations)
        ]

    @contextmanager
    def _recorded(self, rows: Sequence[Row]) -> Iterator[None]:
        """Ends every row when the block ends, however it does.

        Raises:
            AuditError: A record cannot be kept, and nothing else has failed.
        """
        error: BaseException | None = None
        try:
            yield
        except GeneratorExit:
            for row in rows:
                row.stop("cancelled")
            raise
        except BaseException as caught:
            error = caught
            raise
        finally:
            refusals: list[AuditError | None] = [row.end(error) for row in rows]
            for refusal in refusals:
                if refusal is not None and error is None:
                    raise refusal

    # Verdicts and rulings ----------------------------------------------------------------------

    @property
    def _judge_kind(self) -> str:
        return "callable" if self._guard.judge is not None else self._policy.judge.kind

    def _judged(self, rows: Sequence[Row], prompt: Prepared | None) -> Branch | None:
        """Gives every row its verdict and ruling; returns the prompt's branch if it was run.

        Args:
            rows: Requests.
            prompt: Their common prompt, where the judge may be the answering model itself.
        """
        own = self._guard.self_judge(self._policy) if self._judge_kind == "self" else None
        real: Branch | None = None
        with ExitStack() as phases:
            for row in rows:
                phases.enter_context(row.trace.phase("guardrail.verdict"))
            if own is not None and prompt is not None:
                verdicts, real = own.judge(rows, prompt)
            else:
                with timed(rows, "judge"):
                    verdicts = [self._asked(row) for row in rows]
        for row, verdict in zip(rows, verdicts, strict=True):
            self._rule(row, self._calibrated(verdict))
        return real

    def _asked(self, row: Row) -> Verdict:
        """Asks the judge that was given in code, or the one that the policy names."""
        kind, policy = self._judge_kind, self._policy
        try:
            judge = self._guard.judge_for(policy)
        except GuardrailError as error:
            return Verdict.unavailable(str(error), source=kind)
        try:
            request = JudgeRequest(told(row.conversation), questions_of(policy))
        except Exception as error:  # a call's arguments may hold anything
            return Verdict.unavailable(judge_failure(error, source=kind), source=kind)
        return ask_judge(judge, request, timeout_s=policy.judge.timeout_s, source=kind)

    def _calibrated(self, verdict: Verdict) -> Verdict:
        calibration = self._policy.judge.calibration
        if calibration is None:
            return verdict
        return replace(
            verdict,
            categories={
                name: calibrate(p, scale=calibration.scale, bias=calibration.bias)
                if 0 <= p <= 1
                else p
                for name, p in verdict.categories.items()
            },
        )

    def _rule(self, row: Row, verdict: Verdict) -> None:
        """Rules on a row, and leaves to its session what it was. INVARIANT: the one place."""
        memory = NOTHING
        try:
            memory = recall(self._policy, self._earlier(row))
            row.rule(verdict, memory, self._ruling(row, verdict, memory))
            if self._remembers(row):
                self._guard.sessions.remember(str(row.conversation.session), row.recollection())
        except Exception as error:
            line = f"the session memory failed: {type(error).__name__}"
            _log.warning("%s", line)
            _log.debug("the session memory's error", exc_info=error)
            lost = Verdict.unavailable(line)
            row.rule(lost, memory, self._ruling(row, lost, memory))

    def _ruling(self, row: Row, verdict: Verdict, memory: Memory) -> Ruling:
        return reviewed(decide(self._policy, verdict, memory), row.review)

    def _remembers(self, row: Row) -> bool:
        return self._policy.session.memory != "off" and row.conversation.session is not None

    def _earlier(self, row: Row) -> list[Recollection]:
        """Returns the earlier requests of a row's session: what its conversation carries of them,
        then what is kept here. The request under review is this one, and no earlier one.
        """
        kept: Sequence[Recollection] = ()
        if self._remembers(row):
            kept = self._guard.sessions.recall(str(row.conversation.session))
        known = {each.request_id for each in kept}
        earlier = [each for each in row.conversation.earlier if each.request_id not in known]
        again = row.review.request_id if row.review is not None else None
        return [each for each in (*earlier, *kept) if each.request_id != again]
