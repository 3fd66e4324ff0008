"""One run, from conversations to answers: judge, policy, guided decoding, record.

Data flows one way; `invoke`, `stream` and `batch` all come through here. The record and the traces
observe and feed nothing back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

from opentelemetry.context import Context

from guardrail.backends import Backend, Constraint, Interrupted, Run, Stop
from guardrail.errors import GuardrailError
from guardrail.judging.deciding import Deciding
from guardrail.judging.draft import Draft
from guardrail.judging.timing import timed
from guardrail.policy.evaluation import UNEARNED
from guardrail.policy.review import Review
from guardrail.record.answer import Answer
from guardrail.record.decision import ContrastRecord
from guardrail.request.call_reader import CallReader
from guardrail.request.conversation import Conversation
from guardrail.request.delta import Delta
from guardrail.request.settings import GenerationSettings
from guardrail.steering.answer_reader import AnswerReader
from guardrail.steering.guided import decode
from guardrail.steering.opening import openings_of
from guardrail.steering.plan import Guidance, RowPlan, Step
from guardrail.steering.published_code import sub_tokens
from guardrail.steering.refusal_gate import RefusalGate
from guardrail.steering.refusals import RefusalIndex, TokenIds
from guardrail.steering.row import Row
from guardrail.steering.stake import Stake
from guardrail.steering.text_stream import TextStream

_log = logging.getLogger(__name__)

CONFIDENTLY_SAFE = 0.5
"""How far below `safe_below`, as a fraction of it, a verdict must be for contrast to be skipped."""

UNEARNED_CAUTION = "the judge has not earned that the model leaves its caution"
"""Why contrast, which would push the model away from a caution, is skipped."""

HELD_BACK = "the policy decided to refuse: the tool call was held back"
"""Why a call is not passed on, where the policy steers towards a refusal."""

Event = tuple[int, Delta | Answer | GuardrailError]
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

    def run(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        cancel: threading.Event | None = None,
        contexts: Sequence[Context] | None = None,
        review: Review | None = None,
    ) -> Generator[Event, None, None]:
        """Yields what comes of each request.

        Args:
            conversations: One a row.
            settings: The same for all.
            cancel: Once set, decoding stops at the next token.
            contexts: Each row's OpenTelemetry context; the current one without them.
            review: A human's word on requests that were escalated before.

        Raises:
            GuardrailError: The whole run cannot be served; nothing is generated.
        """
        settings = self.backend.resolved(settings)
        drafts = self.deciding.drafts(conversations, settings, contexts=contexts, review=review)
        with self.deciding.recorded(drafts):
            rows = [Row(at, draft) for at, draft in enumerate(drafts)]
            try:
                yield from self._run(rows, settings, cancel)
            except Interrupted:
                for draft in drafts:
                    draft.stop("cancelled")
                yield from _settled(rows)

    def _run(
        self, rows: list[Row], settings: GenerationSettings, cancel: threading.Event | None
    ) -> Iterator[Event]:
        drafts = [row.draft for row in rows]
        if _cancelled(drafts, cancel):
            yield from _settled(rows)
            return
        constraints = [self._constraint(draft) for draft in drafts]
        asked = [draft.conversation for draft in drafts]
        with closing(self.backend.start(asked, settings, stop=_stop(cancel))) as run:
            yield from self._judged(rows, run, settings, cancel, constraints)

    def _judged(
        self,
        rows: Sequence[Row],
        run: Run,
        settings: GenerationSettings,
        cancel: threading.Event | None,
        constraints: Sequence[Constraint | None],
    ) -> Iterator[Event]:
        drafts = [row.draft for row in rows]
        for draft in drafts:
            for line in run.degraded:
                draft.note_error(line)
        stake = Stake(run, partial(self.refusal_index, self.deciding.policy.phrases))
        if self.deciding.mode != "off":
            every = range(len(drafts))
            near = partial(stake.near, live=every)
            self._foresee(run, drafts)
            self.deciding.judge(drafts, run, stop=_stop(cancel), near=near)
        _count(rows, run)
        if _cancelled(drafts, cancel):
            yield from _settled(rows)
            return
        yield from _settled(row for row in rows if row.draft.settled)
        live = [row for row in rows if not row.draft.settled]
        if not live:
            return
        run.prefill(partial(timed, drafts))
        run.keep([row.at for row in live])
        self._contrast(run, live, drafts, stake)
        # A noised branch that failed may have settled some more.
        yield from _settled(row for row in live if row.draft.settled)
        live = [row for row in live if not row.draft.settled]
        if not live:
            return
        run.keep([row.at for row in live])
        yield from self._decoded(live, run, settings, cancel, [constraints[r.at] for r in live])

    # Contrast --------------------------------------------------------------------------------

    def _foresee(self, run: Run, drafts: Sequence[Draft]) -> None:
        """Tells a run of a contrast that no verdict can make needless."""
        contrast = self.deciding.policy.contrast
        if contrast.when == "always" and not all(self._out_of_question(d, run) for d in drafts):
            run.foresee(contrast.counterfactual, noise_std=contrast.noise_std)

    def _contrast(
        self, run: Run, live: Sequence[Row], drafts: Sequence[Draft], stake: Stake
    ) -> None:
        """Runs the noised branch if any row needs it, and notes in every row why or why not."""
        skipped = {row.at: self._out_of_question(row.draft, run) for row in live}
        if self.deciding.policy.contrast.when == "at-stake":
            asked = [row.at for row in live if not skipped[row.at] and _surely_safe(row.draft)]
            for at, near in zip(asked, stake.near(asked, live=[*skipped]), strict=True):
                skipped[at] = "" if near else "nothing is at stake"
        for row in live:
            row.draft.contrast = ContrastRecord(skipped=skipped[row.at] or None)
        wanted = [row.draft for row in live if not skipped[row.at]]
        if not wanted:
            return
        contrast = self.deciding.policy.contrast
        try:
            with timed(drafts, "noised"):
                kind = run.contrast_with(contrast.counterfactual, noise_std=contrast.noise_std)
        except MemoryError as error:
            _log.warning("out of memory in the noised branch; it was dropped", exc_info=error)
            for draft in wanted:
                self._lost_noised(draft)
            return
        for draft in wanted:
            draft.contrast = ContrastRecord(
                applied=True,
                alpha=contrast.alpha,
                counterfactual=kind,
                noise_std=contrast.noise_std if "noise" in kind else 0.0,
                steps=contrast.guided_steps,
            )

    def _out_of_question(self, draft: Draft, run: Run) -> str:
        """Returns why contrast is not wanted whatever the model is about to say, or nothing."""
        contrast, ruling = self.deciding.policy.contrast, draft.ruling
        if self.deciding.mode == "off":
            return "the mode is off"
        if not draft.conversation.pictures:
            return "there is no picture"
        if not run.guides:
            return "the model's steps cannot be guided"
        if not run.shows_pictures:
            return "this family's pictures cannot be noised"
        if contrast.is_off:
            return "the policy says never"
        if contrast.when == "at-stake" and ruling is not None and ruling.rule == UNEARNED:
            return UNEARNED_CAUTION
        return ""

    def _lost_noised(self, draft: Draft) -> None:
        message = "out of memory in the noised branch: contrast was dropped"
        draft.note_error(message)
        draft.contrast = ContrastRecord(skipped="out of memory")
        if self.deciding.policy.failure.noised_branch == "on_error":
            self.deciding.rule_again(draft, message)

    # Decoding --------------------------------------------------------------------------------

    def _decoded(
        self,
        rows: Sequence[Row],
        run: Run,
        settings: GenerationSettings,
        cancel: threading.Event | None,
        constraints: Sequence[Constraint | None],
    ) -> Iterator[Event]:
        policy, mode = self.deciding.policy, self.deciding.mode
        drafts = [row.draft for row in rows]
        steps = decode(
            run,
            plans=[self._plan(draft) for draft in drafts],
            guidance=Guidance.of(policy),
            index=self.refusal_index(policy.phrases) if mode != "off" else None,
            loose_ids=self._loose_ids() if mode != "off" else None,
            shadow=mode == "shadow",
            seed=settings.seed,
            constraints=[
                _lifted(draft, each) for draft, each in zip(drafts, constraints, strict=True)
            ],
        )
        for row in rows:
            row.draft.open()
            row.begin(self._reader(row.draft, settings), self._gate(row.draft))
        with ExitStack() as phases:
            for draft in drafts:
                phases.enter_context(draft.trace.phase("guardrail.decode"))
            phases.enter_context(timed(drafts, "decode"))
            for step in steps:
                yield from self._emitted(rows, step)
                if _cancelled(drafts, cancel) or all(row.closed for row in rows):
                    break
        _count(rows, run)
        yield from _settled(rows)

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

    def _emitted(self, rows: Sequence[Row], step: Step) -> Iterator[tuple[int, Delta]]:
        for place, row in enumerate(rows):
            token = step.token_ids[place]
            if token is None or row.closed:
                continue
            spell = self.backend.spell
            for delta in row.push(token, step.traces[place], step.finished[place], spell):
                yield row.at, delta

    # The form of the answer ------------------------------------------------------------------

    def _constraint(self, draft: Draft) -> Constraint | None:
        """Returns what the answer is held to; tools that the model cannot take raise."""
        if draft.conversation.tools:
            self.backend.call_format()
        return self.backend.constraint(draft.conversation)

    def _gate(self, draft: Draft) -> RefusalGate | None:
        policy = self.deciding.policy
        ensured = draft.refuses and policy.modulation.ensure_refusal
        return RefusalGate(policy.phrases) if ensured else None

    def _reader(self, draft: Draft, settings: GenerationSettings) -> AnswerReader:
        conversation, decoded = draft.conversation, self.backend.decode
        fragments = self.backend.fragments()
        if not conversation.tools:
            return AnswerReader(draft, TextStream(decoded, settings.stop, fragments=fragments))
        written = self.backend.call_format()
        calls = CallReader(
            written,
            [tool["function"]["name"] for tool in conversation.tools],
            parallel=conversation.form.parallel is not False,
            held_back=HELD_BACK if draft.refuses else None,
        )
        keep = frozenset(self.backend.control_tokens(written.written).values())
        text = TextStream(partial(decoded, keep=keep), settings.stop, fragments=fragments)
        return AnswerReader(draft, text, calls)


def _count(rows: Sequence[Row], run: Run) -> None:
    """Notes the prompts' tokens; where nothing was asked before the answer, they come with it."""
    for row in rows:
        row.draft.input_tokens = run.input_tokens[row.at]


def _surely_safe(draft: Draft) -> bool:
    """Whether a verdict is so safe that contrast is at stake only where a refusal is near."""
    ruling = draft.ruling
    return ruling is not None and ruling.label == "safe" and ruling.confidence >= CONFIDENTLY_SAFE


def _lifted(draft: Draft, constraint: Constraint | None) -> Constraint | None:
    """Returns the request's constraint, or None where it would keep the model from refusing."""
    if constraint is None or not draft.refuses:
        return constraint
    draft.note_error("the policy decided to refuse: the answer was not held to its form")
    return None


def _settled(rows: Sequence[Row] | Iterator[Row]) -> Iterator[Event]:
    for row in rows:
        yield from row.settle()


def _stop(cancel: threading.Event | None) -> Stop | None:
    return cancel.is_set if cancel is not None else None


def _cancelled(drafts: Sequence[Draft], cancel: threading.Event | None) -> bool:
    if cancel is None or not cancel.is_set():
        return False
    for draft in drafts:
        draft.stop("cancelled")
    return True
