"""The record of a request while the request is under way.

Everything that is known about it gathers here and becomes its `Decision` at one place, also when it
was blocked, escalated, cancelled or has failed. It decides nothing and generates nothing.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable

from guardrail.errors import AuditError
from guardrail.judging.judge import own_reason
from guardrail.judging.reply import Reply
from guardrail.policy import Policy, Ruling
from guardrail.policy.memory import NOTHING, Memory, Recollection
from guardrail.policy.review import Review
from guardrail.policy.ruling import WatchRuling
from guardrail.policy.terms import Mode
from guardrail.policy.verdict import Verdict
from guardrail.record.answer import Answer
from guardrail.record.decision import (
    ContrastRecord,
    Decision,
    FinishReason,
    Outcome,
    PolicyRef,
    StepRecord,
    VerdictRecord,
    WatchRecord,
)
from guardrail.record.memory import memory_record, recollection
from guardrail.record.observer import Observer
from guardrail.record.telemetry.tracing import RequestTrace
from guardrail.request.conversation import Conversation
from guardrail.request.delta import Usage

_log = logging.getLogger(__name__)


class Draft:
    """A request's record so far.

    Args:
        conversation: What was asked.
        policy: The policy that it began with, and keeps.
        mode: How the policy is applied.
        model: The model's name.
        trace: Its spans.
        observer: Sees the record before its answer is out, and may refuse it.
        review: A human's word on it, if it was escalated before.
        logprobs: Whether its answer holds log-probabilities.

    Attributes:
        ruling: What the policy decided; None if nobody judged.
        halt: The reading of its answer by which that was ended; None while none has.
        memory: What its session holds against it.
        contrast: Whether and how the noised branch counts.
        steps: What steering did, step by step.
        review: A human's word, as far as it counts.
        token: What an approval of it has to bring back, where it is escalated.
        reply: What has been said.
        finish: Why it has ended; None while it has not.
        input_tokens: Of its prompt.
        answer: The whole, once it is concluded.
    """

    def __init__(
        self,
        conversation: Conversation,
        policy: Policy,
        mode: Mode,
        model: str,
        trace: RequestTrace,
        *,
        observer: Observer | None = None,
        review: Review | None = None,
        logprobs: bool = False,
    ) -> None:
        self.conversation = conversation
        self.policy, self.mode = policy, mode
        self.trace = trace
        self._review_given, self._logprobs = review, logprobs
        self.review = _unheard(review)
        self.token = ""
        self.ruling: Ruling | None = None
        self.halt: WatchRuling | None = None
        self.memory = NOTHING
        self.contrast = ContrastRecord()
        self.steps: list[StepRecord] = []
        self.reply = Reply()
        self.finish: FinishReason | None = None
        self.input_tokens = 0
        self.answer: Answer | None = None
        self._model, self._observer = model, observer
        self._id = uuid.uuid4().hex
        self._started = time.perf_counter()
        self._verdict: Verdict | None = None
        self._errors: list[str] = []
        self._watch: list[WatchRecord] = []
        self._timings: dict[str, float] = {}
        self._ended = False

    # What becomes known ----------------------------------------------------------------------

    def rule(self, verdict: Verdict, memory: Memory, ruling: Ruling) -> None:
        """Takes the verdict, what is remembered, and what the policy makes of both."""
        self._verdict, self.memory, self.ruling = verdict, memory, ruling
        if verdict.error is not None:
            self.note_error(verdict.error)

    def hear(self, refusal: Callable[[Review], str | None]) -> None:
        """Takes a human's word into account, once; until then it counts for nothing.

        Args:
            refusal: Says why an approval is not honoured, or uses it up.
        """
        said, self._review_given = self._review_given, None
        if said is None:
            return
        why = refusal(said) if said.approved or said.token else None  # what is rejected is used up
        if why is None or not said.approved:
            self.review = said.model_copy(update={"honoured": True})
        else:
            self.note_error(f"the approval of request {said.request_id} was not honoured: {why}")

    def note_reading(self, verdict: Verdict, ruling: WatchRuling, *, over: bool) -> WatchRecord:
        """Adds a reading of its answer, as far as that has come; returns its record."""
        found = WatchRecord(
            tokens=self.reply.generated,
            over=over,
            label=ruling.label,
            act=ruling.act,
            p_unsafe=verdict.p_unsafe,
            categories=dict(verdict.categories),
            category=ruling.category,
            rule=ruling.rule,
            reasons=list(ruling.reasons),
            error=verdict.error,
            screen=verdict.screen,
            screened=[*verdict.screened],
        )
        self._watch.append(found)
        if verdict.error is not None and verdict.error not in self._errors:
            self.note_error(verdict.error)
        return found

    def note_error(self, message: str) -> None:
        """Adds to the record's errors."""
        self._errors.append(message)

    def add_time(self, name: str, milliseconds: float) -> None:
        """Adds to a timing of the record."""
        self._timings[name] = self._timings.get(name, 0.0) + milliseconds

    def note_token(self) -> None:
        """Notes that a token has come: the first one's time is on record."""
        if "first_token" not in self._timings:
            self.add_time("first_token", (time.perf_counter() - self._started) * 1000)

    def stop(self, finish: FinishReason) -> None:
        """Notes why the request ends before its answer does."""
        if self.answer is None and self.finish is None:
            self.finish = finish

    # What follows from it --------------------------------------------------------------------

    @property
    def id(self) -> str:
        """By which the record is known."""
        return self._id

    @property
    def refuses(self) -> bool:
        """Whether the policy steers this answer towards a refusal."""
        ruling = self.ruling
        asked = ruling is not None and ruling.action == "refuse"
        return self.mode == "enforce" and (asked or self.halt is not None)

    @property
    def settled(self) -> bool:
        """Whether nothing is to be generated: the policy blocks, or asks for a human."""
        return (
            self.mode == "enforce"
            and self.ruling is not None
            and self.ruling.action in ("block", "escalate")
        )

    @property
    def escalates(self) -> bool:
        """Whether a human has to decide: on the request, or on its answer."""
        if self.halt is not None:
            return self.halt.act == "escalate"
        return self.settled and self.ruling is not None and self.ruling.action == "escalate"

    @property
    def refusal(self) -> str:
        """The policy's words for a request that is not answered, or for an answer that is ended."""
        decided = self.halt or self.ruling
        return self.policy.message_for(decided) if decided is not None else ""

    def recollection(self) -> Recollection:
        """Returns what later requests of its session may know of it."""
        return recollection(self._decision())

    # How it is shown, and how it ends --------------------------------------------------------

    def open(self) -> None:
        """Shows the record as it stands, before the first token.

        Raises:
            AuditError: The request is refused.
        """
        self._show(lambda seen: seen.opened(self._decision(), self.conversation))

    def conclude(self) -> Answer:
        """Makes the record whole and shows it; what has been said is the answer.

        Raises:
            AuditError: The record cannot be kept.
        """
        self._timings["total"] = (time.perf_counter() - self._started) * 1000
        answer = self._made()
        decision, text = answer.decision, self.reply.whole
        shown = self._show(lambda seen: seen.concluded(decision, self.conversation, text))
        self.answer = answer if shown else self._made()
        return self.answer

    def end(self, error: BaseException | None) -> AuditError | None:
        """Ends the request's spans, once; whatever happened, the record says so.

        Returns:
            Why the record cannot be kept, if it cannot.
        """
        refusal: AuditError | None = None
        if self._ended:
            return refusal
        self._ended = True
        if self.answer is None:
            if error is not None:
                self.finish = "error"
                self.note_error(own_reason(error))
            elif self.finish is None:
                self.finish = "cancelled"
            try:
                self._conclude_anyway()
            except AuditError as caught:
                refusal, error = caught, caught if error is None else error
                self.answer = self._made()
        answer = self.answer or self._made()
        self.trace.end(answer.decision, answer.usage, error, text=self.reply.whole)
        return refusal

    def _conclude_anyway(self) -> None:
        """Concludes without the verdict, where the record cannot be made with it."""
        try:
            self.conclude()
        except AuditError:
            raise
        except Exception as error:
            line = "the verdict could not be recorded"
            _log.error("%s: %s", line, type(error).__name__)
            _log.debug("the record's error", exc_info=error)
            self._verdict = Verdict.unavailable(line, source="none")
            self.note_error(line)
            self.conclude()

    def _show(self, to: Callable[[Observer], None]) -> bool:
        """Shows the record; if it cannot be kept, the policy says whether the request goes on."""
        if self._observer is None:
            return True
        started = time.perf_counter()
        try:
            to(self._observer)
        except AuditError:
            if self.policy.audit.on_error == "fail":
                raise
            _log.error("the audit log could not be written", exc_info=True)
            self.note_error("the audit log could not be written")
            return False
        finally:
            self.add_time("audit", (time.perf_counter() - started) * 1000)
        return True

    def _made(self) -> Answer:
        reply = self.reply
        usage = Usage(self.input_tokens, reply.generated)
        told = tuple(reply.logprobs) if self._logprobs else None
        decision, calls = self._decision(), tuple(reply.calls)
        return Answer(reply.text, reply.token_ids, decision, usage, calls, told)

    def _decision(self) -> Decision:
        """Returns the record. INVARIANT: the one place where a `Decision` is made."""
        ruling, verdict, policy, reply = self.ruling, self._verdict, self.policy, self.reply
        return Decision(
            request_id=self._id,
            mode=self.mode,
            model=self._model,
            policy=PolicyRef(name=policy.name, version=policy.version, digest=policy.digest),
            verdict=VerdictRecord(
                label=ruling.label if ruling is not None else None,
                p_unsafe=verdict.p_unsafe if verdict is not None else None,
                categories=dict(verdict.categories) if verdict is not None else {},
                source=verdict.source if verdict is not None else "none",
                error=verdict.error if verdict is not None else None,
                views=dict(verdict.views) if verdict is not None else {},
                competence=verdict.competence if verdict is not None else None,
                evidence=dict(verdict.evidence) if verdict is not None else {},
                screen=verdict.screen if verdict is not None else None,
                screened=[*verdict.screened] if verdict is not None else [],
            ),
            action=ruling.action if ruling is not None else "plain",
            category=ruling.category if ruling is not None else None,
            rule=ruling.rule if ruling is not None else None,
            reasons=list(ruling.reasons) if ruling is not None else [],
            confidence=ruling.confidence if ruling is not None else 0.0,
            session=memory_record(self.memory),
            review=self.review,
            contrast=self.contrast,
            steps=self.steps,
            watch=self._watch,
            outcome=Outcome(
                refused=reply.refuses(policy),
                replaced=reply.replaced,
                finish_reason=self.finish or "stop",
                output_tokens=reply.generated,
            ),
            timings_ms={name: round(took, 3) for name, took in self._timings.items()},
            trace_id=self.trace.trace_id,
            errors=self._errors,
        )


def _unheard(review: Review | None) -> Review | None:
    """A review as it is recorded where nobody has ruled by it; its token may still be good."""
    if review is None:
        return None
    return review.model_copy(update={"token": None, "honoured": False})
