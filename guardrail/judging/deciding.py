"""From requests to decisions: the judge, the session's memory, the policy, and the record.

What `Guard.decide` and the guarded model share. It knows nothing of decoding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from opentelemetry.context import Context

from guardrail.backends import Interrupted, Run, Stop
from guardrail.judging.answer_hearing import AnswerHearing
from guardrail.judging.approvals import Approvals
from guardrail.judging.chair import Chair
from guardrail.judging.draft import Draft
from guardrail.judging.earning import Near
from guardrail.judging.hearing import Hearing
from guardrail.judging.judge import judge_failure, readable
from guardrail.judging.reply import Reply
from guardrail.judging.self_judge import SOURCE
from guardrail.judging.timing import timed
from guardrail.policy import Policy, Ruling, decide
from guardrail.policy.evaluation import reviewed
from guardrail.policy.memory import NOTHING, Memory, Recollection, recall
from guardrail.policy.review import Review
from guardrail.policy.ruling import WatchRuling
from guardrail.policy.terms import STRICTNESS, Mode
from guardrail.policy.verdict import Verdict
from guardrail.policy.watching import decide_reading, reviewed_reading
from guardrail.record.answer import Judgement
from guardrail.record.observer import Observer
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import Conversation
from guardrail.request.sessions import SessionStore
from guardrail.request.settings import ONE_TOKEN, GenerationSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deciding:
    """Decides requests under one policy.

    Attributes:
        policy: What decides.
        mode: `enforce`, `shadow` (all is decided and recorded, nothing withheld) or `off`.
        chair: Who judges.
        sessions: Keeps what policies with a memory remember.
        tracing: Where spans and metrics go.
        model_name: What is guarded, in records and spans.
        observer: Sees every record before its answer is out; it may refuse the request.
        approvals: Says which of them are honoured.
    """

    policy: Policy
    mode: Mode
    chair: Chair
    sessions: SessionStore
    tracing: Tracing
    model_name: str
    observer: Observer | None = None
    approvals: Approvals = field(default_factory=Approvals)

    def decide(
        self,
        conversation: Conversation,
        *,
        review: Review | None,
        verdict: Verdict | None,
        stop: Stop | None = None,
    ) -> Judgement:
        """Returns what is decided about a request that somebody else answers.

        What the engine would have steered to refuse is withheld here: nobody else's decoding can be
        steered.

        Args:
            conversation: What was asked.
            review: A human's word on it.
            verdict: What is believed already; without one the judge is asked.
            stop: Asked while the answering model judges.

        Raises:
            AuditError: The record cannot be kept.
        """
        drafts = self.drafts([conversation], ONE_TOKEN, review=review, operation="apply_guardrail")
        [draft] = drafts
        with self.recorded(drafts):
            if self.mode != "off" and verdict is None:
                try:
                    self._judge_alone(drafts, stop)
                except Interrupted:
                    draft.stop("cancelled")
                    return Judgement(draft.conclude().decision, "")
            elif self.mode != "off" and verdict is not None:
                self._rule(draft, readable(verdict))
            action = draft.ruling.action if draft.ruling is not None else "plain"
            withheld = self.mode == "enforce" and action in ("refuse", "block", "escalate")
            draft.finish = "judged"
            if withheld:
                draft.finish = "escalated" if action == "escalate" else "blocked"
            words = draft.refusal if withheld else ""
            if draft.finish == "blocked":
                draft.reply = Reply.in_words(words)
            return Judgement(draft.conclude().decision, words, draft.token)

    def _judge_alone(self, drafts: Sequence[Draft], stop: Stop | None) -> None:
        run: Run | None = None
        try:
            if self.chair.reads_itself and self.chair.own is not None:
                run = self.chair.own([draft.conversation for draft in drafts], ONE_TOKEN, stop)
        except Interrupted:
            raise
        except Exception as error:  # nobody is to answer it here, so it is the judge's failure
            failed = Verdict.unavailable(judge_failure(error, source=SOURCE, ours=True))
            for draft in drafts:
                self._rule(draft, failed)
            return
        try:
            self.judge(drafts, run, stop=stop)
            for draft, count in zip(drafts, run.input_tokens if run else (), strict=False):
                draft.input_tokens = count
        finally:
            if run is not None:
                run.close()

    # Records -----------------------------------------------------------------------------------

    def drafts(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        review: Review | None = None,
        contexts: Sequence[Context] | None = None,
        operation: str = "chat",
    ) -> list[Draft]:
        """Begins the record and the trace of every request."""
        return [
            Draft(
                each,
                self.policy,
                self.mode,
                self.model_name,
                self.tracing.request(
                    self.model_name,
                    settings,
                    conversation=each,
                    capture_content=self.policy.capture.content,
                    context=contexts[at] if contexts else None,
                    operation=operation,
                ),
                observer=self.observer,
                review=review,
                logprobs=settings.logprobs,
            )
            for at, each in enumerate(conversations)
        ]

    @contextmanager
    def recorded(self, drafts: Sequence[Draft]) -> Iterator[None]:
        """Ends every record when the block ends, however it does.

        Raises:
            AuditError: A record cannot be kept, and nothing else has failed.
        """
        error: BaseException | None = None
        try:
            yield
        except GeneratorExit:
            for draft in drafts:
                draft.stop("cancelled")
            raise
        except BaseException as caught:
            error = caught
            raise
        finally:
            failures = [failure for draft in drafts if (failure := _ended(draft, error))]
            if failures and error is None:
                raise failures[0]

    def failed(self, draft: Draft, error: Exception) -> Exception:
        """Ends the record of a request that fails by itself; returns what to tell whoever asked."""
        return _ended(draft, error) or error

    # Answers ------------------------------------------------------------------------------------

    def watch(
        self,
        drafts: Sequence[Draft],
        run: Run,
        rows: Sequence[int],
        *,
        over: Sequence[bool],
        stop: Stop | None,
    ) -> list[WatchRuling]:
        """Has answers read as far as they have come, and rules on each.

        A human who has approved a request has approved its answer.

        Args:
            drafts: Requests that are being answered.
            run: It decodes them.
            rows: As for `Run.read_answers`.
            over: Which of the answers are whole.
            stop: Asked while an answer is read anew.

        Raises:
            Interrupted: It was stopped.
        """
        hearing = AnswerHearing(self.policy, self.chair)
        with timed(drafts, "watch"):
            verdicts = self._heard(hearing, drafts, run, rows, stop)
        found = []
        for draft, verdict, last in zip(drafts, verdicts, over, strict=True):
            ruling = reviewed_reading(decide_reading(self.policy, verdict, last=last), draft.review)
            draft.token = self._token_of(draft, escalated=ruling.act == "escalate")
            draft.trace.note_reading(draft.note_reading(verdict, ruling, over=last))
            found.append(ruling)
        return found

    def _heard(
        self,
        hearing: AnswerHearing,
        drafts: Sequence[Draft],
        run: Run,
        rows: Sequence[int],
        stop: Stop | None,
    ) -> list[Verdict]:
        """Returns the verdicts on answers. One that was steered anew is read as it is told: what
        the model had said instead still lies in its cache.
        """
        going = [at for at, draft in enumerate(drafts) if draft.halt is None]
        found = {
            at: hearing.whole(draft.conversation, draft.reply.whole, stop)
            for at, draft in enumerate(drafts)
            if at not in going
        }
        some = [drafts[at] for at in going]
        if some:
            heard = hearing.under_way(
                run,
                [rows[at] for at in going],
                [draft.conversation for draft in some],
                [draft.reply.whole for draft in some],
            )
            found.update(zip(going, heard, strict=True))
        return [found[at] for at in range(len(drafts))]

    # Verdicts and rulings ----------------------------------------------------------------------

    def judge(
        self,
        drafts: Sequence[Draft],
        run: Run | None,
        *,
        stop: Stop | None = None,
        near: Near | None = None,
    ) -> None:
        """Gives every request its verdict and ruling.

        Args:
            drafts: Requests.
            run: They on the answering model, where that may be the judge.
            stop: Asked while the answering model judges.
            near: Says of requests whether a refusal is near, where what is decided may suppress it.
        """
        with ExitStack() as phases:
            for draft in drafts:
                phases.enter_context(draft.trace.phase("guardrail.verdict"))
            verdicts = Hearing(self.policy, self.chair, near).verdicts(drafts, run, stop)
        for draft, verdict in zip(drafts, verdicts, strict=True):
            self._rule(draft, verdict)

    def rule_again(self, draft: Draft, reason: str) -> None:
        """Rules on a request once more, without a verdict, after something failed on the way.

        INVARIANT: the ruling gets no milder by it, whatever a human has approved.
        """
        again = self._ruling(draft, Verdict.unavailable(reason), draft.memory)
        if draft.ruling is None or STRICTNESS[again.action] >= STRICTNESS[draft.ruling.action]:
            draft.ruling = again

    def _rule(self, draft: Draft, verdict: Verdict) -> None:
        """Rules on a request, and leaves to its session what it was. INVARIANT: the one place."""
        memory = NOTHING
        draft.hear(partial(self._refusal_of, draft.conversation))
        try:
            memory = recall(self.policy, self._earlier(draft))
            draft.rule(verdict, memory, self._ruling(draft, verdict, memory))
            if self._remembers(draft):
                self.sessions.remember(str(draft.conversation.session), draft.recollection())
        except Exception as error:
            line = f"the session memory failed: {type(error).__name__}"
            _log.warning("%s", line)
            _log.debug("the session memory's error", exc_info=error)
            lost = Verdict.unavailable(line)
            draft.rule(lost, memory, self._ruling(draft, lost, memory))

    def _ruling(self, draft: Draft, verdict: Verdict, memory: Memory) -> Ruling:
        ruling = reviewed(decide(self.policy, verdict, memory), draft.review)
        draft.token = self._token_of(draft, escalated=ruling.action == "escalate")
        return ruling

    def _token_of(self, draft: Draft, *, escalated: bool) -> str:
        """Returns what an approval has to bring back; nothing where no human is asked."""
        if not escalated or self.mode != "enforce":
            return ""
        return self.approvals.issue(draft.id, draft.conversation, self.policy.digest)

    def _refusal_of(self, conversation: Conversation, review: Review) -> str | None:
        return self.approvals.refusal(review, conversation, self.policy.digest)

    def _remembers(self, draft: Draft) -> bool:
        return self.policy.session.memory != "off" and draft.conversation.session is not None

    def _earlier(self, draft: Draft) -> list[Recollection]:
        """Returns the earlier requests of a session: what the conversation carries of them, then
        what is kept here. The request under review is this one, and no earlier one.
        """
        kept: Sequence[Recollection] = ()
        if self._remembers(draft):
            kept = self.sessions.recall(str(draft.conversation.session))
        known = {each.request_id for each in kept}
        earlier = [each for each in draft.conversation.earlier if each.request_id not in known]
        review = draft.review
        again = review.request_id if review is not None and review.honoured else None
        return [each for each in (*earlier, *kept) if each.request_id != again]


def _ended(draft: Draft, error: BaseException | None) -> Exception | None:
    """Ends a record; returns why it cannot be kept, so that the others are ended all the same."""
    try:
        return draft.end(error)
    except Exception as failure:
        return failure
