"""One run, from conversations to answers: judge, policy, guided decoding, record.

Data flows one way; `invoke`, `stream` and `batch` all come through here. The record and the traces
observe and feed nothing back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from opentelemetry.context import Context

from guardrail.backends import Backend, Constraint, Interrupted, Run, Stop
from guardrail.errors import AuditError, GuardrailError
from guardrail.judging.deciding import Deciding
from guardrail.judging.draft import Draft
from guardrail.judging.timing import timed
from guardrail.policy.review import Review
from guardrail.record.answer import Answer
from guardrail.request.conversation import Conversation
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from guardrail.steering.contrasting import Contrasting
from guardrail.steering.guided import decode
from guardrail.steering.opening import openings_of
from guardrail.steering.plan import Guidance, RowPlan, Step
from guardrail.steering.published_code import sub_tokens
from guardrail.steering.refusals import RefusalIndex, TokenIds
from guardrail.steering.row import Row
from guardrail.steering.stake import Stake
from guardrail.steering.turning import Turning
from guardrail.steering.unfolding import Unfolding

_log = logging.getLogger(__name__)

Event = tuple[int, Delta | Answer | Exception]
"""A request's place, and what comes of it: any number of deltas, then its answer or escalation."""


@dataclass(frozen=True)
class Pipeline:
    """Runs requests on one backend under one policy.

    Attributes:
        backend: Runs the model.
        deciding: Judges, rules and records.
        refusal_index: Returns refusal phrases compiled for the model's vocabulary.
    """

    backend: Backend
    deciding: Deciding
    refusal_index: Callable[[tuple[str, ...]], RefusalIndex]

    @property
    def _contrasting(self) -> Contrasting:
        return Contrasting(self.deciding)

    def draft(
        self,
        conversation: Conversation,
        settings: GenerationSettings,
        *,
        context: Context | None = None,
        review: Review | None = None,
    ) -> Draft:
        """Begins the record of a request; `run` ends it, or whoever gives it up before.

        Args:
            conversation: What is asked.
            settings: How it will be decoded.
            context: Its OpenTelemetry context; the current one without it.
            review: A human's word on it, if it was escalated before.
        """
        contexts = [context] if context is not None else None
        [draft] = self.deciding.drafts([conversation], settings, contexts=contexts, review=review)
        return draft

    def run(
        self, drafts: Sequence[Draft], settings: GenerationSettings, stops: Sequence[Stop | None]
    ) -> Generator[Event, None, None]:
        """Yields what comes of each request.

        Args:
            drafts: Their records, one a row.
            settings: The same for all.
            stops: Each row's; once it says so, that row's decoding stops at the next token.

        Raises:
            GuardrailError: The whole run cannot be served; nothing is generated.
        """
        settings = self.backend.resolved(settings)
        with self.deciding.recorded(drafts):
            rows = [Row(*each) for each in zip(range(len(drafts)), drafts, stops, strict=True)]
            try:
                yield from self._run(rows, settings)
            except Interrupted:
                for row in rows:
                    row.leave()
                    row.draft.stop("cancelled")
                yield from self._settled(rows)
            finally:
                for row in rows:
                    row.leave()

    def _run(self, rows: Sequence[Row], settings: GenerationSettings) -> Iterator[Event]:
        rows = yield from self._still_wanted(rows)
        if not rows:
            return
        try:
            constraints = [self._constraint(row.draft) for row in rows]
            run = self._start(rows, settings)
        except GuardrailError:
            if len(rows) == 1:
                raise
            yield from self._one_by_one(rows, settings)
            return
        with closing(run):
            yield from self._judged(rows, run, settings, constraints)

    def _start(self, rows: Sequence[Row], settings: GenerationSettings) -> Run:
        for place, row in enumerate(rows):
            row.place = place
        asked = [row.draft.conversation for row in rows]
        return self.backend.start(asked, settings, stop=_stop(rows))

    def _one_by_one(self, rows: Sequence[Row], settings: GenerationSettings) -> Iterator[Event]:
        """Serves requests of which one cannot be served, so that it fails by itself."""
        for row in rows:
            try:
                yield from self._run([row], settings)
            except Interrupted:
                row.draft.stop("cancelled")
                yield from self._settled([row])
            except GuardrailError as error:
                yield row.at, self.deciding.failed(row.draft, error)

    def _still_wanted(self, rows: Sequence[Row]) -> Generator[Event, None, Sequence[Row]]:
        """Ends requests that are cancelled, or that the policy has settled; returns the others."""
        gone = [row for row in rows if row.cancelled]
        for row in gone:
            row.draft.stop("cancelled")
        over = [row for row in rows if row in gone or row.draft.settled]
        yield from self._settled(over)
        return [row for row in rows if row not in over]

    def _settled(self, rows: Iterable[Row]) -> Iterator[Event]:
        """Yields the end of requests; a record that cannot be kept is one request's failure."""
        for row in rows:
            try:
                yield from row.settle()
            except AuditError as error:
                yield row.at, self.deciding.failed(row.draft, error)

    def _opened(self, rows: Sequence[Row]) -> Generator[Event, None, Sequence[Row]]:
        """Shows the records before the first token; returns the requests that may go on."""
        opened: list[Row] = []
        for row in rows:
            try:
                row.draft.open()
            except AuditError as error:
                yield row.at, self.deciding.failed(row.draft, error)
            else:
                opened.append(row)
        return opened

    def _judged(
        self,
        rows: Sequence[Row],
        run: Run,
        settings: GenerationSettings,
        constraints: Sequence[Constraint | None],
    ) -> Iterator[Event]:
        drafts = [row.draft for row in rows]
        for draft in drafts:
            for line in run.degraded:
                draft.note_error(line)
        stake = Stake(run, partial(self.refusal_index, self.deciding.policy.phrases))
        if self.deciding.mode != "off":
            near = partial(stake.near, live=range(len(drafts)))
            self._contrasting.foresee(run, drafts)
            self.deciding.judge(drafts, run, stop=_stop(rows), near=near)
        _count(rows, run)
        live = yield from self._still_wanted(rows)
        if not live:
            return
        run.prefill(partial(timed, drafts))
        run.keep([row.place for row in live])
        self._contrasting.run(run, live, stake)
        # A noised branch that failed may have settled some more.
        live = yield from self._still_wanted(live)
        live = yield from self._opened(live)
        if not live:
            return
        run.keep([row.place for row in live])
        yield from self._decoded(live, run, settings, [constraints[row.place] for row in live])

    # Decoding --------------------------------------------------------------------------------

    def _decoded(
        self,
        rows: Sequence[Row],
        run: Run,
        settings: GenerationSettings,
        constraints: Sequence[Constraint | None],
    ) -> Iterator[Event]:
        policy, mode = self.deciding.policy, self.deciding.mode
        unfolding = Unfolding(self.backend, settings)
        drafts, turning = [row.draft for row in rows], self._turning()
        steps = decode(
            run,
            plans=[self._plan(draft) for draft in drafts],
            guidance=Guidance.of(policy),
            index=self.refusal_index(policy.phrases) if mode != "off" else None,
            loose_ids=self._loose_ids() if mode != "off" else None,
            shadow=mode == "shadow",
            seed=settings.seed,
            turning=turning,
            constraints=[
                _lifted(draft, each) for draft, each in zip(drafts, constraints, strict=True)
            ],
        )
        with ExitStack() as phases:
            for row in rows:
                decoding = phases.enter_context(self._decoding(row.draft))
                row.begin(unfolding, decoding, may_turn=run.steers_on)
            for step in steps:
                for place, row in enumerate(rows):
                    yield from self._emitted(row, place, step)
                if turning is not None:
                    turning.took(step)
                    yield from self._read(rows, run, turning)
                for place, row in enumerate(rows):
                    if row.ended and row.draft.answer is None:
                        run.release(place)
                        yield from self._ended(row, run)
                if all(row.ended for row in rows):
                    break
        for row in rows:
            yield from self._ended(row, run)

    def _turning(self) -> Turning | None:
        """Returns what steers answers that are watched; None where none is."""
        policy = self.deciding.policy
        if policy.watch.is_off or self.deciding.mode == "off":
            return None
        index, steps = self.refusal_index(policy.phrases), policy.contrast.guided_steps
        return Turning(index, policy.modulation.boost, steps)

    def _read(self, rows: Sequence[Row], run: Run, turning: Turning) -> Iterator[Event]:
        """Has answers read that are due, and yields what is cleared of them."""
        due = [place for place, row in enumerate(rows) if row.is_due]
        if not due:
            return
        drafts, over = [rows[at].draft for at in due], [rows[at].ended for at in due]
        rulings = self.deciding.watch(drafts, run, due, over=over, stop=_stop(rows))
        for place, ruling in zip(due, rulings, strict=True):
            for delta in rows[place].rule(ruling):
                yield rows[place].at, delta
            if rows[place].turns:
                turning.turn(place)

    @contextmanager
    def _decoding(self, draft: Draft) -> Iterator[ExitStack]:
        """A with-block in which a request is decoded; closing the stack says that it has been."""
        with ExitStack() as phases:
            phases.enter_context(draft.trace.phase("guardrail.decode"))
            phases.enter_context(timed([draft], "decode"))
            yield phases

    def _ended(self, row: Row, run: Run) -> Iterator[Event]:
        """Yields the end of a request, once, as soon as it is there."""
        row.decoded()
        _count([row], run)
        yield from self._settled([row])

    def _plan(self, draft: Draft) -> RowPlan:
        if self.deciding.mode == "off":
            return RowPlan(record=False)
        policy = self.deciding.policy
        plan = RowPlan.of(draft.ruling, policy.modulation, contrast=draft.contrast.applied)
        if draft.ruling is None:
            return plan
        return plan.begun_with(openings_of(policy, draft.ruling.action, self.backend.tokens))

    def _loose_ids(self) -> TokenIds | None:
        policy = self.deciding.policy
        if policy.modulation.form == "published-code":
            return sub_tokens(policy.modulation.beginnings or policy.phrases, self.backend.tokens)
        if policy.modulation.form == "paper":
            return self.refusal_index(policy.phrases).loose_tokens
        return None

    def _emitted(self, row: Row, place: int, step: Step) -> Iterator[tuple[int, Delta]]:
        token = step.token_ids[place]
        if token is not None and not row.ended:
            spell = self.backend.spell
            trace, likelihood = step.traces[place], step.likelihoods[place]
            for delta in row.push(token, trace, step.finished[place], spell, likelihood):
                yield row.at, delta
        if row.cancelled:
            row.draft.stop("cancelled")
            row.ended = True

    def _constraint(self, draft: Draft) -> Constraint | None:
        """Returns what the answer is held to; tools that the model cannot take raise."""
        if draft.conversation.tools:
            self.backend.call_format()
        return self.backend.constraint(draft.conversation)


def _count(rows: Sequence[Row], run: Run) -> None:
    """Notes the prompts' tokens; where nothing was asked before the answer, they come with it."""
    for row in rows:
        row.draft.input_tokens = run.input_tokens[row.place]


def _lifted(draft: Draft, constraint: Constraint | None) -> Constraint | None:
    """Returns the request's constraint, or None where it would keep the model from refusing."""
    if constraint is None or not draft.refuses:
        return constraint
    draft.note_error("the policy decided to refuse: the answer was not held to its form")
    return None


def _stop(rows: Sequence[Row]) -> Stop | None:
    """Stops the model once nobody wants anything of it any more."""
    if any(row.stop is None for row in rows):
        return None
    return lambda: all(row.cancelled for row in rows)
