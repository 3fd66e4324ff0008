"""One request in a batch: its tokens become text, and its end the record's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from guardrail.backends import FinishReason, Likelihood, Stop
from guardrail.errors import Escalation, GuardrailError
from guardrail.judging.draft import Draft
from guardrail.judging.reply import Reply
from guardrail.policy.ruling import WatchRuling
from guardrail.record.answer import Answer
from guardrail.record.decision import Candidate, StepRecord
from guardrail.request.delta import Delta, ToolCall
from guardrail.steering.answer_reader import AnswerReader
from guardrail.steering.plan import StepTrace
from guardrail.steering.refusal_gate import GateState, RefusalGate
from guardrail.steering.unfolding import Unfolding
from guardrail.steering.watched import Watched


class Row:
    """A request on its way.

    Args:
        at: Its place among the requests that were given.
        draft: Its record.
        stop: Asked between two tokens whether nobody wants any more of it; None never stops.

    Attributes:
        place: Its place in the backend's run, once that has started.
        ended: Whether its answer is whole, or given up, so that further tokens do not count.
        turns: Whether it is to be steered towards a refusal from its next token on.
    """

    def __init__(self, at: int, draft: Draft, stop: Stop | None = None) -> None:
        self.at = self.place = at
        self.draft, self.stop = draft, stop
        self.ended = self.turns = False
        self._phases: ExitStack | None = None
        self._reader: AnswerReader | None = None
        self._gate: RefusalGate | None = None
        self._watched: Watched | None = None
        self._held: list[Delta] = []

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants any more of it."""
        return self.stop is not None and self.stop()

    def begin(self, unfolding: Unfolding, phases: ExitStack, *, may_turn: bool) -> None:
        """Makes ready for tokens.

        Args:
            unfolding: Makes of them what is given out, and what holds that back.
            phases: Closed when it has been decoded.
            may_turn: Whether the run can steer it once more, later on.
        """
        draft = self.draft
        self._unfolding, self._phases = unfolding, phases
        self._reader, self._gate = unfolding.reader(draft), unfolding.gate(draft)
        self._watched = unfolding.watched(draft, may_turn=may_turn)

    def decoded(self) -> None:
        """Notes that no more is decoded; before the record is made, which says how long it took."""
        if self._phases is not None:
            self._phases.close()

    def push(
        self,
        token_id: int,
        trace: StepTrace | None,
        finished: FinishReason | None,
        spell: Callable[[Sequence[int]], str],
        likelihood: Likelihood | None = None,
    ) -> list[Delta]:
        """Takes a token; returns the text and calls that it settles.

        INVARIANT: the answer's end is held back until `settle`, when the record is on the disk; and
        no word of an answer that has to refuse is given out before it is known to do so.
        """
        assert self._reader is not None
        draft = self.draft
        draft.note_token()
        if trace is not None:
            draft.steps.append(_step_record(trace, spell))
        draft.finish = finished
        self._held += self._reader.push(token_id, likelihood)
        if finished is not None:
            self._end()
            return []
        if self._gate is not None:
            self._pass_gate(self._gate.state(draft.reply.begun, ended=False))
        if self._gate is not None or self.ended:
            return []
        given, self._held = self._held, []
        return given if self._watched is None else self._watched.take(given)

    @property
    def is_due(self) -> bool:
        """Whether the answer is to be read now, as far as it has come."""
        if self._watched is None or self._gate is not None or self.cancelled:
            return False
        return self._watched.is_due(over=self.ended)

    def rule(self, ruling: WatchRuling) -> list[Delta]:
        """Takes what was ruled on the answer as far as it has come; returns what goes out.

        Where the answer `turns` by it, it is to be steered towards a refusal from here on.
        """
        watched = self._watched
        assert watched is not None
        self.turns = False
        if self.ended:
            watched.held += self._held
        given = watched.rule(ruling, over=self.ended)
        if not self.ended and self.draft.halt is not ruling:
            return given
        self._held = given  # goes out with the record, or once it is known to refuse
        if self.draft.finish is None:
            self._turn(watched.space)
        else:
            self.ended, self._reader = True, None
        return []

    def _turn(self, space: str) -> None:
        """Begins what is read anew, after what has gone out."""
        draft = self.draft
        draft.reply = draft.reply.begun_anew(space)
        self._held = [Delta(space)] if space else []
        self._reader, self._gate = self._unfolding.reader(draft), self._unfolding.gate(draft)
        self.turns = True

    def _end(self) -> None:
        """Takes what was still held back; nothing more will come."""
        if self._reader is None:
            return
        self.ended = True
        self._held += self._reader.flush()
        self._reader = None
        if self._gate is not None:
            self._pass_gate(self._gate.state(self.draft.reply.begun, ended=True))

    def _pass_gate(self, state: GateState) -> None:
        if state == "open":
            return
        self._gate = None
        if state == "other":
            draft = self.draft
            self.ended, self._reader = True, None
            if draft.halt is not None and self._watched is not None:
                self._held = self._watched.in_words()
                return
            draft.reply = Reply.in_words(draft.refusal, instead_of=draft.reply)
            draft.stop("stop")
            self._held = [Delta(draft.reply.text)]

    def leave(self) -> None:
        """Leaves of an answer that nobody settled what has gone out; once it has failed, or was
        given up.
        """
        if self.draft.answer is None and self._watched is not None and self._watched.is_left_open:
            self._watched.cut()
            self._held, self.draft.finish = [], None

    def settle(self) -> Iterator[tuple[int, Delta | Answer | GuardrailError]]:
        """Yields the end of this request: its answer, or its escalation."""
        draft = self.draft
        if draft.answer is not None:
            return
        decided = draft.halt or draft.ruling
        if draft.escalates and decided is not None:
            draft.finish = "escalated"
            message = (
                f"a human must decide: {decided.reasons[0] if decided.reasons else decided.label}"
            )
            decision = draft.conclude().decision
            draft.end(None)
            yield self.at, Escalation(message, decision, draft.refusal, draft.token)
            return
        if draft.settled:
            draft.finish = "blocked"
            draft.reply = Reply.in_words(draft.refusal)
            self._held = [Delta(draft.reply.text)]
        self._end()
        if self._watched is not None and self._watched.is_left_open:
            self._watched.cut()
            self._held = []
        if draft.finish == "stop" and any(isinstance(each, ToolCall) for each in draft.reply.calls):
            draft.finish = "tool_calls"
        answer = draft.conclude()
        draft.end(None)
        for delta in self._held:
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
        coverage=trace.coverage,
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
