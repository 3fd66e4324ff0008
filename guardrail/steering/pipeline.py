"""One run, from conversations to answers: judge, policy, guided decoding, record.

Data flows one way; `invoke`, `stream` and `batch` all come through here. The record and the traces
observe and feed nothing back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from opentelemetry.context import Context
from torch import Tensor

from guardrail.backends.transformers.branch import Branch, Prepared, prepare
from guardrail.backends.transformers.grammar import Constraint
from guardrail.backends.transformers.noise import PICTURE_INPUTS, noised_inputs
from guardrail.backends.transformers.prompt import to_device
from guardrail.errors import GuardrailError
from guardrail.judging.deciding import Judging
from guardrail.judging.timing import timed
from guardrail.policy import Policy
from guardrail.policy.verdict import Verdict
from guardrail.record.answer import Answer, Delta
from guardrail.record.decision import Mode, Review
from guardrail.record.observer import Observer
from guardrail.request.call_reader import CallReader
from guardrail.request.conversation import Conversation
from guardrail.request.settings import DEFAULT_MAX_NEW_TOKENS, GenerationSettings
from guardrail.steering.decoding import Guidance, RowPlan, Step, decode
from guardrail.steering.modulation import refusal_mass
from guardrail.steering.row import Row

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

_log = logging.getLogger(__name__)

CONFIDENTLY_SAFE = 0.5
"""How far below `safe_below`, as a fraction of it, a verdict must be for contrast to be skipped."""

NO_REFUSAL_MASS = 0.01
"""Probability of beginning a refusal under which, at the first step, nothing is at stake."""

HELD_BACK = "the policy decided to refuse: the tool call was held back"
"""Why a call is not passed on, where the policy steers towards a refusal."""


class Pipeline(Judging):
    """Runs requests for one engine under one policy.

    Args:
        engine: The model and its compiled parts.
        policy: What decides.
        mode: `enforce`, `shadow` (all is computed, the answer is the unguarded one) or `off`.
        observer: Sees every record before its answer is out; it may refuse the request.
    """

    def __init__(
        self, engine: SafeCoDe, policy: Policy, mode: Mode, *, observer: Observer | None = None
    ) -> None:
        super().__init__(engine, policy, mode, observer=observer)
        self._engine = engine

    def run(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        cancel: threading.Event | None = None,
        contexts: Sequence[Context] | None = None,
        review: Review | None = None,
    ) -> Generator[tuple[int, Delta | Answer | GuardrailError], None, None]:
        """Yields (row, event): any number of deltas per row, then its answer or its escalation.

        Args:
            conversations: One a row.
            settings: The same for all.
            cancel: Once set, decoding stops at the next token.
            contexts: Each row's OpenTelemetry context; the current one without them.
            review: A human's word on requests that were escalated before.

        Raises:
            GuardrailError: The whole run cannot be served; nothing is generated.
        """
        settings = settings.with_stops_of(self._engine.model.generation_config)
        rows = self._rows(conversations, settings, contexts=contexts, review=review)
        with self._recorded(rows):
            yield from self._run(rows, settings, cancel)

    def _run(
        self,
        rows: list[Row],
        settings: GenerationSettings,
        cancel: threading.Event | None,
    ) -> Iterator[tuple[int, Delta | Answer | GuardrailError]]:
        if _cancelled(rows, cancel):
            for row in rows:
                yield from row.settle()
            return
        encoder = self._engine.encoder
        constraints = [self._constraint(row) for row in rows]
        inputs = to_device(encoder.encode([row.conversation for row in rows]), self._engine.model)
        for row in rows:
            row.count_prompt(inputs)
        with self._engine.computing:
            prepared = prepare(self._engine.model, inputs, **self._arguments(settings))
        real = self._judged(rows, prepared) if self._mode != "off" else None
        if _cancelled(rows, cancel):
            for row in rows:
                yield from row.settle()
            return

        for row in rows:
            if row.settled:
                yield from row.settle()
        live = [row.at for row in rows if not row.settled]
        if not live:
            return
        if real is None:
            with self._engine.computing, timed(rows, "prefill"):
                if any(row.unavailable for row in rows):  # a failed judge may have spent its cache
                    prepared = prepare(self._engine.model, inputs, **self._arguments(settings))
                real = Branch.prefill(prepared)
        if len(live) < len(rows):
            real = real.fork(live)
        noised = self._noised(rows, live, inputs, prepared, real, settings)
        for row in rows:  # a failed noised branch may have settled some more
            if row.at in live and row.settled:
                yield from row.settle()
        still = [at for at in live if not rows[at].settled]
        if not still:
            return
        if len(still) < len(live):
            keep = [live.index(at) for at in still]
            real = real.fork(keep)
        prepared = replace(prepared, ids=prepared.ids[still])
        yield from self._decoded(
            [rows[at] for at in still],
            prepared,
            real,
            noised,
            settings,
            cancel,
            [constraints[at] for at in still],
        )

    # Contrast --------------------------------------------------------------------------------

    def _noised(
        self,
        rows: Sequence[Row],
        live: Sequence[int],
        inputs: Mapping[str, Any],
        prepared: Prepared,
        real: Branch,
        settings: GenerationSettings,
    ) -> Branch | None:
        """Runs the noised branch if any row needs it, and notes in every row why or why not."""
        wanted = [
            at
            for place, at in enumerate(live)
            if self._wants_contrast(rows[at], real, place, inputs)
        ]
        if not wanted:
            return None
        try:
            with self._engine.computing, timed(rows, "noised"):
                noised = self._noised_branch(inputs, settings)
        except torch.OutOfMemoryError as error:
            _log.warning("out of memory in the noised branch; it was dropped", exc_info=error)
            for at in wanted:
                self._lost_noised(rows[at])
            return None
        for at in wanted:
            rows[at].contrast(self._policy.contrast)
        return noised.fork(live) if len(live) < len(rows) else noised

    def _noised_branch(self, inputs: Mapping[str, Any], settings: GenerationSettings) -> Branch:
        noised = noised_inputs(
            inputs,
            noise_std=self._policy.contrast.noise_std,
            image_processor=getattr(self._engine.processor, "image_processor", None),
        )
        return Branch.prefill(prepare(self._engine.model, noised, **self._arguments(settings)))

    def _wants_contrast(
        self, row: Row, real: Branch, place: int, inputs: Mapping[str, Any]
    ) -> bool:
        contrast = self._policy.contrast
        reason = None
        if self._mode == "off":
            reason = "the mode is off"
        elif not row.conversation.pictures:
            reason = "there is no picture"
        elif not any(name in inputs for name in PICTURE_INPUTS):
            reason = "this family's pictures cannot be noised"
        elif contrast.when == "never" or contrast.alpha == 0 or contrast.guided_steps == 0:
            reason = "the policy says never"
        elif contrast.when == "at-stake" and not self._at_stake(row, real.logits[place]):
            reason = "nothing is at stake"
        row.skip_contrast(reason)
        return reason is None

    def _at_stake(self, row: Row, logits: Tensor) -> bool:
        """Whether contrast could matter: not if the verdict is confidently safe and the model is
        not about to refuse.
        """
        ruling = row.ruling
        if ruling is None or ruling.label != "safe" or ruling.confidence < CONFIDENTLY_SAFE:
            return True
        index = self._engine.refusal_index(self._policy.phrases)
        [mass] = refusal_mass(logits[None], [index.beginnings(b"").all])
        return mass >= NO_REFUSAL_MASS

    def _lost_noised(self, row: Row) -> None:
        message = "out of memory in the noised branch: contrast was dropped"
        row.note_error(message)
        row.skip_contrast("out of memory")
        if self._policy.failure.noised_branch == "on_error":
            row.rule_again(self._ruling(row, Verdict.unavailable(message), row.memory))

    # Decoding --------------------------------------------------------------------------------

    def _decoded(
        self,
        rows: list[Row],
        prepared: Prepared,
        real: Branch,
        noised: Branch | None,
        settings: GenerationSettings,
        cancel: threading.Event | None,
        constraints: Sequence[Constraint | None],
    ) -> Iterator[tuple[int, Delta | Answer | GuardrailError]]:
        policy, guided = self._policy, self._mode != "off"
        index = self._engine.refusal_index(policy.phrases) if guided else None
        plans = [row.plan(policy.modulation) if guided else RowPlan(record=False) for row in rows]
        steps = decode(
            prepared,
            real,
            plans=plans,
            guidance=self._guidance(),
            index=index,
            noised=noised,
            shadow=self._mode == "shadow",
            computing=self._engine.computing,
            seed=settings.seed,
            constraints=[
                self._lifted(row, constraint)
                for row, constraint in zip(rows, constraints, strict=True)
            ],
        )
        for row in rows:
            row.open()
            self._begin_text(row, settings)
        with ExitStack() as phases:
            for row in rows:
                phases.enter_context(row.trace.phase("guardrail.decode"))
            phases.enter_context(timed(rows, "decode"))
            for step in steps:
                yield from self._emitted(rows, step)
                if _cancelled(rows, cancel):
                    break
        for row in rows:
            yield from row.settle()

    def _emitted(self, rows: Sequence[Row], step: Step) -> Iterator[tuple[int, Delta]]:
        spell = self._engine.encoder.tokenizer.decode
        for place, row in enumerate(rows):
            token = step.token_ids[place]
            if token is None:
                continue
            for delta in row.push(token, step.traces[place], step.finished[place], spell):
                yield row.at, delta

    # The form of the answer ------------------------------------------------------------------

    def _constraint(self, row: Row) -> Constraint | None:
        """Returns what the row's answer is held to; tools that the model cannot take raise."""
        if row.conversation.tools:
            self._engine.call_format()
        return self._engine.constraint(row.conversation)

    def _lifted(self, row: Row, constraint: Constraint | None) -> Constraint | None:
        """Returns the row's constraint, or None where it would keep the model from refusing."""
        if constraint is None or not row.refuses:
            return constraint
        row.note_error("the policy decided to refuse: the answer was not held to its form")
        return None

    def _begin_text(self, row: Row, settings: GenerationSettings) -> None:
        conversation, encoder = row.conversation, self._engine.encoder
        if not conversation.tools:
            row.begin_text(encoder.decode, settings.stop)
            return
        written = self._engine.call_format()
        reader = CallReader(
            written,
            [tool["function"]["name"] for tool in conversation.tools],
            parallel=conversation.form.parallel is not False,
            held_back=HELD_BACK if row.refuses else None,
        )
        keep = frozenset(encoder.control_tokens(written.written).values())
        row.begin_text(partial(encoder.decode, keep=keep), settings.stop, reader)

    def _guidance(self) -> Guidance:
        contrast, modulation = self._policy.contrast, self._policy.modulation
        return Guidance(
            steps=contrast.guided_steps,
            contrast_form=contrast.form,
            alpha=contrast.alpha,
            plausibility=contrast.plausibility,
            modulation_form=modulation.form,
            top_k=modulation.top_k,
        )

    def _arguments(self, settings: GenerationSettings) -> dict[str, Any]:
        arguments = settings.generate_arguments()
        own = self._engine.model.generation_config
        lengths = (own.max_new_tokens, own.max_length, arguments.get("max_length"))
        if "max_new_tokens" not in arguments and not any(lengths):
            arguments["max_new_tokens"] = DEFAULT_MAX_NEW_TOKENS
        if settings.stop:
            arguments["stop_strings"] = list(settings.stop)
            arguments["tokenizer"] = self._engine.encoder.tokenizer
        return arguments


def _cancelled(rows: Sequence[Row], cancel: threading.Event | None) -> bool:
    if cancel is None or not cancel.is_set():
        return False
    for row in rows:
        row.stop("cancelled")
    return True
