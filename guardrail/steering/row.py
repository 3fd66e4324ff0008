"""One request on its way through the pipeline, and how its record comes about.

Everything that is known about a request gathers here and becomes its `Decision` at one place, also
when it was blocked, escalated, cancelled or has failed.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from guardrail.errors import AuditError, Escalation, GuardrailError
from guardrail.policy import Policy, Ruling
from guardrail.policy.memory import NOTHING, Memory, Recollection
from guardrail.policy.refusals import is_refusal
from guardrail.policy.review import Review
from guardrail.policy.schema import Contrast, Modulation
from guardrail.policy.terms import Mode
from guardrail.policy.verdict import Verdict
from guardrail.record.answer import Answer, Judgement
from guardrail.record.decision import (
    Candidate,
    ContrastRecord,
    Decision,
    FinishReason,
    Outcome,
    PolicyRef,
    StepRecord,
    VerdictRecord,
)
from guardrail.record.memory import memory_record, recollection
from guardrail.record.observer import Observer
from guardrail.record.telemetry.tracing import RequestTrace
from guardrail.request.call_reader import CallReader
from guardrail.request.conversation import Conversation
from guardrail.request.delta import Delta, InvalidCall, ToolCall, Usage
from guardrail.steering.decoding import RowPlan, StepTrace
from guardrail.steering.text_stream import TextStream

_log = logging.getLogger(__name__)


class Row:
    """A request: its verdict, ruling, text and timings so far.

    Args:
        at: Its place in the batch.
        conversation: What was asked.
        policy: The policy that it began with, and keeps.
        mode: How the policy is applied.
        model: The model's name, for the record.
        trace: Its spans.
        observer: Sees its record before its answer is out, and may refuse it.
        review: A human's word on it, if it was escalated before.
    """

    def __init__(
        self,
        at: int,
        conversation: Conversation,
        policy: Policy,
        mode: Mode,
        model: str,
        trace: RequestTrace,
        observer: Observer | None = None,
        review: Review | None = None,
    ) -> None:
        self.at = at
        self.conversation = conversation
        self.trace = trace
        self.review = review
        self.ruling: Ruling | None = None
        self.memory = NOTHING
        self._policy, self._mode, self._model = policy, mode, model
        self._observer = observer
        self._id = uuid.uuid4().hex
        self._started = time.perf_counter()
        self._verdict: Verdict | None = None
        self._contrast = ContrastRecord()
        self._steps: list[StepRecord] = []
        self._errors: list[str] = []
        self._timings: dict[str, float] = {}
        self._text: TextStream | None = None
        self._reader: CallReader | None = None
        self._said = ""
        self._calls: list[ToolCall | InvalidCall] = []
        self._finish: FinishReason | None = None
        self._input_tokens = 0
        self._answer: Answer | None = None
        self._late: list[Delta] = []
        self._ended = False

    # What happens to it ----------------------------------------------------------------------

    def count_prompt(self, inputs: Mapping[str, Any]) -> None:
        """Counts this row's prompt tokens; padding does not count."""
        mask: Tensor = inputs.get("attention_mask", inputs["input_ids"])
        row = mask[self.at]
        self._input_tokens = int(row.sum()) if "attention_mask" in inputs else len(row)

    def rule(self, verdict: Verdict, memory: Memory, ruling: Ruling) -> None:
        """Takes the verdict, what is remembered, and what the policy makes of both."""
        self._verdict, self.memory, self.ruling = verdict, memory, ruling
        if verdict.error is not None:
            self.note_error(verdict.error)

    def recollection(self) -> Recollection:
        """Returns what later requests of its session may know of it."""
        return recollection(self._decision(""))

    def rule_again(self, ruling: Ruling) -> None:
        """Takes another ruling, after something failed on the way."""
        self.ruling = ruling

    def contrast(self, settings: Contrast) -> None:
        """Notes that the noised branch counts for this row."""
        self._contrast = ContrastRecord(
            applied=True,
            alpha=settings.alpha,
            noise_std=settings.noise_std,
            steps=settings.guided_steps,
        )

    def skip_contrast(self, reason: str | None) -> None:
        """Notes why the noised branch does not count for this row."""
        self._contrast = ContrastRecord(skipped=reason)

    def plan(self, modulation: Modulation) -> RowPlan:
        """Returns what steering does to this row."""
        ruling = self.ruling
        delta = 0.0
        if ruling is not None and modulation.form != "off":
            strength = ruling.confidence if modulation.scale == "confidence" else 1.0
            if ruling.action == "refuse":
                delta = modulation.boost * strength
            elif ruling.action == "comply":
                delta = -modulation.suppress * strength
        return RowPlan(contrast=self._contrast.applied, delta=delta)

    def open(self) -> None:
        """Shows the record as it stands, before the first token.

        Raises:
            AuditError: The request is refused.
        """
        self._show(lambda seen: seen.opened(self._decision(""), self.conversation))

    @property
    def unavailable(self) -> bool:
        """Whether there is no verdict on it, since the judge failed."""
        return self._verdict is not None and self._verdict.error is not None

    @property
    def refuses(self) -> bool:
        """Whether the policy steers this answer towards a refusal."""
        ruling = self.ruling
        return self._mode == "enforce" and ruling is not None and ruling.action == "refuse"

    def begin_text(
        self,
        decode: Callable[[Sequence[int]], str],
        stop: Sequence[str],
        reader: CallReader | None = None,
    ) -> None:
        """Makes ready for tokens; `reader` tells tool calls from text, where there are tools."""
        self._text, self._reader = TextStream(decode, stop), reader

    def push(
        self,
        token_id: int,
        trace: StepTrace | None,
        finished: Literal["stop", "length"] | None,
        spell: Callable[[list[int]], str],
    ) -> list[Delta]:
        """Takes a token; returns the text and calls that it settles.

        INVARIANT: the answer's end is held back until `settle`, when the record is on the disk.
        """
        assert self._text is not None
        if "first_token" not in self._timings:
            self.add_time("first_token", (time.perf_counter() - self._started) * 1000)
        if trace is not None:
            self._steps.append(_step_record(trace, spell))
        self._finish = finished
        new = self._read(self._text.push(token_id))
        if finished is None:
            return new
        self._late = new + self._read_rest()
        return []

    def _read(self, text: str) -> list[Delta]:
        """Takes text of the answer; returns what is settled of it."""
        if self._reader is not None:
            return self._taken(self._reader.push(text))
        return self._taken([Delta(text)] if text else [])

    def _read_rest(self) -> list[Delta]:
        """Returns what was held back, at the end of the answer."""
        deltas = self._read(self._text.flush()) if self._text is not None else []
        if self._reader is not None:
            deltas += self._taken(self._reader.finish())
        return deltas

    def _taken(self, deltas: list[Delta]) -> list[Delta]:
        for delta in deltas:
            self._said += delta.text
            if delta.call is not None:
                self._calls.append(delta.call)
            if isinstance(delta.call, InvalidCall):
                self.note_error(delta.call.error)
        return deltas

    def note_error(self, message: str) -> None:
        """Adds to the record's errors."""
        self._errors.append(message)

    def add_time(self, name: str, milliseconds: float) -> None:
        """Adds to a timing of the record."""
        self._timings[name] = self._timings.get(name, 0.0) + milliseconds

    def stop(self, finish: FinishReason) -> None:
        """Notes why the request ends before its answer does."""
        if self._answer is None and self._finish is None:
            self._finish = finish

    # How it ends -----------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether nothing is to be generated: the policy blocks, or asks for a human."""
        return (
            self._mode == "enforce"
            and self.ruling is not None
            and self.ruling.action in ("block", "escalate")
        )

    def settle(self) -> Iterator[tuple[int, Delta | Answer | GuardrailError]]:
        """Yields the end of this request: its answer, or its escalation."""
        if self._answer is not None:
            return
        ruling = self.ruling
        if self.settled and ruling is not None and ruling.action == "escalate":
            self._finish = "escalated"
            message = (
                f"a human must decide: {ruling.reasons[0] if ruling.reasons else ruling.label}"
            )
            self._answer = self._conclude("")
            yield self.at, Escalation(message, self._answer.decision, self._refusal)
            return
        if self.settled:
            self._finish = "blocked"
            self._said = self._refusal
            self._answer = self._conclude(self._said)
            yield self.at, Delta(self._said)
        else:
            late = self._late + self._read_rest()
            if self._finish == "stop" and any(isinstance(each, ToolCall) for each in self._calls):
                self._finish = "tool_calls"
            self._answer = self._conclude(self._text.text if self._text is not None else "")
            for delta in late:
                yield self.at, delta
        yield self.at, self._answer

    def conclude_judged(self) -> Judgement:
        """Ends a request of which only the decision was asked for.

        What the engine would have steered to refuse is withheld here: nobody else's decoding can
        be steered.
        """
        action = self.ruling.action if self.ruling is not None else "plain"
        withheld = self._mode == "enforce" and action in ("refuse", "block", "escalate")
        self._finish = "judged"
        if withheld:
            self._finish = "escalated" if action == "escalate" else "blocked"
        words = self._refusal if withheld else ""
        self._said = words if self._finish == "blocked" else ""
        self._answer = self._conclude(self._said)
        return Judgement(self._answer.decision, words)

    @property
    def _refusal(self) -> str:
        """The policy's words for a request that is not answered."""
        return self._policy.message_for(self.ruling) if self.ruling is not None else ""

    def end(self, error: BaseException | None) -> AuditError | None:
        """Ends the request's spans, once; whatever happened, the record says so.

        Returns:
            Why the record cannot be kept, if it cannot.
        """
        refusal: AuditError | None = None
        if self._ended:
            return refusal
        self._ended = True
        if self._answer is None:
            if error is not None:
                self._finish = "error"
                self.note_error(type(error).__name__)
            elif self._finish is None:
                self._finish = "cancelled"
            text = self._text.text if self._text is not None else ""
            try:
                self._answer = self._conclude_anyway(text)
            except AuditError as caught:
                refusal, error = caught, caught if error is None else error
                self._answer = self._made(text)
        answer = self._answer
        self.trace.end(answer.decision, answer.usage, error, text=self._whole(answer))
        return refusal

    def _conclude_anyway(self, text: str) -> Answer:
        """Concludes without the verdict, where the record cannot be made with it."""
        try:
            return self._conclude(text)
        except AuditError:
            raise
        except Exception as error:
            line = "the verdict could not be recorded"
            _log.error("%s: %s", line, type(error).__name__)
            _log.debug("the record's error", exc_info=error)
            self._verdict = Verdict.unavailable(line, source="none")
            self.note_error(line)
            return self._conclude(text)

    def _whole(self, answer: Answer) -> str:
        """All that the model said, calls included."""
        return self._text.text if self._text is not None else answer.text

    def _conclude(self, text: str) -> Answer:
        self._timings["total"] = (time.perf_counter() - self._started) * 1000
        answer = self._made(text)
        decision = answer.decision
        shown = self._show(lambda seen: seen.concluded(decision, self.conversation, text))
        return answer if shown else self._made(text)

    def _made(self, text: str) -> Answer:
        ids = self._text.token_ids if self._text is not None else ()
        usage = Usage(self._input_tokens, len(ids))
        return Answer(self._said, ids, self._decision(text), usage, tuple(self._calls))

    def _show(self, to: Callable[[Observer], None]) -> bool:
        """Shows the record; if it cannot be kept, the policy says whether the request goes on."""
        if self._observer is None:
            return True
        started = time.perf_counter()
        try:
            to(self._observer)
        except AuditError:
            if self._policy.audit.on_error == "fail":
                raise
            _log.error("the audit log could not be written", exc_info=True)
            self.note_error("the audit log could not be written")
            return False
        finally:
            self.add_time("audit", (time.perf_counter() - started) * 1000)
        return True

    def _decision(self, text: str) -> Decision:
        """Returns the record. INVARIANT: the one place where a `Decision` is made."""
        ruling, verdict, policy = self.ruling, self._verdict, self._policy
        generated = self._text is not None and bool(self._text.token_ids)
        return Decision(
            request_id=self._id,
            mode=self._mode,
            model=self._model,
            policy=PolicyRef(name=policy.name, version=policy.version, digest=policy.digest),
            verdict=VerdictRecord(
                label=ruling.label if ruling is not None else None,
                p_unsafe=verdict.p_unsafe if verdict is not None else None,
                categories=dict(verdict.categories) if verdict is not None else {},
                source=verdict.source if verdict is not None else "none",
                error=verdict.error if verdict is not None else None,
            ),
            action=ruling.action if ruling is not None else "plain",
            category=ruling.category if ruling is not None else None,
            rule=ruling.rule if ruling is not None else None,
            reasons=list(ruling.reasons) if ruling is not None else [],
            confidence=ruling.confidence if ruling is not None else 0.0,
            session=memory_record(self.memory),
            review=self.review,
            contrast=self._contrast,
            steps=self._steps,
            outcome=Outcome(
                refused=is_refusal(text, policy.phrases) if generated else None,
                finish_reason=self._finish or "stop",
                output_tokens=len(self._text.token_ids) if self._text is not None else 0,
            ),
            timings_ms={name: round(took, 3) for name, took in self._timings.items()},
            trace_id=self.trace.trace_id,
            errors=self._errors,
        )


def _step_record(trace: StepTrace, spell: Callable[[list[int]], str]) -> StepRecord:
    return StepRecord(
        step=trace.step,
        token=spell([trace.guarded_id]),
        token_unguarded=spell([trace.unguarded_id]),
        refusal_mass_before=trace.mass_before,
        refusal_mass_after=trace.mass_after,
        divergence=trace.divergence,
        top=[
            Candidate(
                token=spell([each.token_id]),
                real=each.real,
                noised=each.noised,
                guarded=each.guarded,
            )
            for each in trace.top
        ],
    )
