"""One request in a batch: its tokens become text, and its end the record's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from guardrail.errors import Escalation, GuardrailError
from guardrail.judging.draft import Draft, Reply
from guardrail.record.answer import Answer
from guardrail.record.decision import Candidate, StepRecord
from guardrail.request.delta import Delta, ToolCall
from guardrail.steering.answer_reader import AnswerReader
from guardrail.steering.plan import StepTrace


class Row:
    """A request on its way.

    Args:
        at: Its place in the batch.
        draft: Its record.
    """

    def __init__(self, at: int, draft: Draft) -> None:
        self.at = at
        self.draft = draft
        self.reader: AnswerReader | None = None
        self._late: list[Delta] = []

    def push(
        self,
        token_id: int,
        trace: StepTrace | None,
        finished: Literal["stop", "length"] | None,
        spell: Callable[[Sequence[int]], str],
    ) -> list[Delta]:
        """Takes a token; returns the text and calls that it settles.

        INVARIANT: the answer's end is held back until `settle`, when the record is on the disk.
        """
        assert self.reader is not None
        self.draft.note_token()
        if trace is not None:
            self.draft.steps.append(_step_record(trace, spell))
        self.draft.finish = finished
        new = self.reader.push(token_id)
        if finished is None:
            return new
        self._late = new + self.reader.flush()
        return []

    def settle(self) -> Iterator[tuple[int, Delta | Answer | GuardrailError]]:
        """Yields the end of this request: its answer, or its escalation."""
        draft = self.draft
        if draft.answer is not None:
            return
        ruling = draft.ruling
        if draft.settled and ruling is not None and ruling.action == "escalate":
            draft.finish = "escalated"
            message = (
                f"a human must decide: {ruling.reasons[0] if ruling.reasons else ruling.label}"
            )
            decision = draft.conclude().decision
            yield self.at, Escalation(message, decision, draft.refusal, draft.token)
            return
        late: list[Delta] = []
        if draft.settled:
            draft.finish = "blocked"
            draft.reply = Reply.in_words(draft.refusal)
            late = [Delta(draft.reply.text)]
        elif self.reader is not None:
            late = self._late + self.reader.flush()
            if draft.finish == "stop" and any(
                isinstance(each, ToolCall) for each in draft.reply.calls
            ):
                draft.finish = "tool_calls"
        answer = draft.conclude()
        for delta in late:
            yield self.at, delta
        yield self.at, answer


def _step_record(trace: StepTrace, spell: Callable[[Sequence[int]], str]) -> StepRecord:
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
