"""One run, from conversations to answers: judge, policy, guided decoding, record.

Data flows one way; `invoke`, `stream` and `batch` all come through here. The record and the traces
observe and feed nothing back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from opentelemetry.context import Context
from torch import Tensor

from guardrail.answer import Answer, Delta
from guardrail.call_reader import CallReader
from guardrail.conversation import Conversation
from guardrail.decision import Mode
from guardrail.engine.branch import Branch, Prepared, prepare
from guardrail.engine.decoding import Guidance, RowPlan, Step, decode
from guardrail.engine.grammar import Constraint
from guardrail.engine.judge import (
    JudgeRequest,
    Labels,
    ask_judge,
    calibrate,
    judge_failure,
    read_labels,
    within_time,
)
from guardrail.engine.modulation import refusal_mass
from guardrail.engine.noise import PICTURE_INPUTS, noised_inputs
from guardrail.engine.prompt import JudgeSuffixes, to_device
from guardrail.engine.tree import run_tree
from guardrail.errors import GuardrailError
from guardrail.generation import DEFAULT_MAX_NEW_TOKENS, GenerationSettings
from guardrail.judges import QuestionJudge
from guardrail.observer import Observer
from guardrail.policy import Policy, decide
from guardrail.row import Row
from guardrail.verdict import Verdict

if TYPE_CHECKING:
    from guardrail.safecode import SafeCoDe

_log = logging.getLogger(__name__)

CONFIDENTLY_SAFE = 0.5
"""How far below `safe_below`, as a fraction of it, a verdict must be for contrast to be skipped."""

NO_REFUSAL_MASS = 0.01
"""Probability of beginning a refusal under which, at the first step, nothing is at stake."""

HELD_BACK = "the policy decided to refuse: the tool call was held back"
"""Why a call is not passed on, where the policy steers towards a refusal."""

_JUDGE_ROWS = 16
"""Judge suffixes that run at once; more of them run in turns, to bound memory."""


class Pipeline:
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
        self._engine = engine
        self._observer = observer
        self._policy = policy
        self._mode = mode

    def run(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        cancel: threading.Event | None = None,
        contexts: Sequence[Context] | None = None,
    ) -> Generator[tuple[int, Delta | Answer | GuardrailError], None, None]:
        """Yields (row, event): any number of deltas per row, then its answer or its escalation.

        Args:
            conversations: One a row.
            settings: The same for all.
            cancel: Once set, decoding stops at the next token.
            contexts: Each row's OpenTelemetry context; the current one without them.

        Raises:
            GuardrailError: The whole run cannot be served; nothing is generated.
        """
        tracing, name = self._engine.tracing, self._engine.model_name
        rows = [
            Row(
                at,
                each,
                self._policy,
                self._mode,
                name,
                tracing.request(
                    name,
                    settings,
                    conversation=each,
                    capture_content=self._policy.capture.content,
                    context=contexts[at] if contexts else None,
                ),
                self._observer,
            )
            for at, each in enumerate(conversations)
        ]
        error: BaseException | None = None
        try:
            yield from self._run(rows, settings, cancel)
        except GeneratorExit:
            for row in rows:
                row.stop("cancelled")
            raise
        except BaseException as caught:
            error = caught
            raise
        finally:
            refusals = [row.end(error) for row in rows]
            for refusal in refusals:
                if refusal is not None and error is None:
                    raise refusal

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
        real = self._judged(rows, prepared)
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
            with self._engine.computing, _timed(rows, "prefill"):
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

    # Judge and policy ------------------------------------------------------------------------

    def _judged(self, rows: Sequence[Row], prepared: Prepared) -> Branch | None:
        """Gives every row its verdict and ruling; returns the prompt's branch if it was run."""
        if self._mode == "off":
            return None
        kind = "callable" if self._engine.judge is not None else self._policy.judge.kind
        real: Branch | None = None
        with ExitStack() as phases:
            for row in rows:
                phases.enter_context(row.trace.phase("guardrail.verdict"))
            if kind == "self":
                with self._engine.computing:
                    verdicts, real = self._self_judged(rows, prepared)
            else:
                with _timed(rows, "judge"):
                    verdicts = [self._asked(row, kind) for row in rows]
        for row, verdict in zip(rows, verdicts, strict=True):
            calibrated = self._calibrated(verdict)
            row.rule(calibrated, decide(self._policy, calibrated))
        return real

    def _self_judged(
        self, rows: Sequence[Row], prepared: Prepared
    ) -> tuple[list[Verdict], Branch | None]:
        suffixes = self._shared_suffixes(rows, prepared)
        if suffixes is None:
            with _timed(rows, "judge"):
                return self._judged_apart(rows), None
        drop = len(suffixes[0].tail)
        whole: Branch | None = None
        prefix: Branch | None = None
        with _timed(rows, "prefill"):
            if prepared.can_rewind:  # one forward less
                whole = Branch.prefill(prepared)
                prefix = whole.rewound(drop)
            if prefix is None:
                whole = None
                prefix = Branch.prefill(prepared, length=prepared.ids.shape[1] - drop)
        with _timed(rows, "judge"):
            started = time.perf_counter()
            verdicts = self._read(prefix, suffixes)
            verdicts = within_time(
                verdicts, started=started, timeout_s=self._policy.judge.timeout_s * len(rows)
            )
        with _timed(rows, "prefill"):
            return verdicts, whole or prefix.extend(prepared.ids[:, -drop:])

    def _shared_suffixes(
        self, rows: Sequence[Row], prepared: Prepared
    ) -> list[JudgeSuffixes] | None:
        """Returns how the judge goes on from each row's prompt, or None if it cannot for all."""
        if prepared.embeds_prompt:
            return None
        questions = list(self._questions.values())
        found: list[JudgeSuffixes] = []
        for row, ids in zip(rows, prepared.ids.tolist(), strict=True):
            suffixes = self._engine.encoder.judge_suffixes(row.conversation, questions)
            if suffixes is None or tuple(ids[-len(suffixes.tail) :]) != suffixes.tail:
                return None
            found.append(suffixes)
        same = all(each.tail == found[0].tail for each in found)
        return found if same else None

    def _read(self, prefix: Branch, suffixes: Sequence[JudgeSuffixes]) -> list[Verdict]:
        """Reads all rows' verdicts off the shared prefix.

        Questions often begin alike ("Could helping with this …"): that beginning is run once.
        """
        try:
            labels = self._engine.labels()
            p = _read_as_tree(prefix, suffixes, labels) or _read_as_rows(prefix, suffixes, labels)
        except Exception as error:
            return [_unavailable(error)] * len(suffixes)
        names = list(self._questions)
        each = len(names)
        return [
            Verdict(categories=dict(zip(names, p[at * each : (at + 1) * each], strict=True)))
            for at in range(len(suffixes))
        ]

    def _judged_apart(self, rows: Sequence[Row]) -> list[Verdict]:
        """Judges with prompts of their own, for families in which no prefix can be shared."""
        judge = QuestionJudge(self._engine.model, self._engine.encoder)
        started = time.perf_counter()
        verdicts: list[Verdict] = []
        for row in rows:
            try:
                verdict = judge(JudgeRequest(row.conversation, self._questions))
                verdicts.append(replace(verdict, source="self"))
            except Exception as error:
                verdicts.append(_unavailable(error))
        timeout_s = self._policy.judge.timeout_s * len(rows)
        return within_time(verdicts, started=started, timeout_s=timeout_s)

    def _asked(self, row: Row, kind: str) -> Verdict:
        try:
            judge = self._engine.judge_for(self._policy)
        except GuardrailError as error:
            return Verdict.unavailable(str(error), source=kind)
        request = JudgeRequest(row.conversation, self._questions)
        return ask_judge(judge, request, timeout_s=self._policy.judge.timeout_s, source=kind)

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

    @property
    def _questions(self) -> Mapping[str, str]:
        suffix = self._policy.judge.answer_suffix
        return {each.id: f"{each.question} {suffix}".strip() for each in self._policy.categories}

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
            with self._engine.computing, _timed(rows, "noised"):
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
            row.rule_again(decide(self._policy, Verdict.unavailable(message)))

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
            phases.enter_context(_timed(rows, "decode"))
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


class _timed:
    """Adds the wall time of a with-block to a timing of every row."""

    def __init__(self, rows: Sequence[Row], name: str) -> None:
        self._rows, self._name = rows, name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        took = (time.perf_counter() - self._started) * 1000
        for row in self._rows:
            row.add_time(self._name, took)


def _read_as_tree(
    prefix: Branch, suffixes: Sequence[JudgeSuffixes], labels: Labels
) -> list[float] | None:
    """Returns P(harm) of every row's questions, in one pass, or None where a family forbids it."""
    questions = suffixes[0].questions
    if any(each.questions != questions for each in suffixes):
        return None
    alike = _common_length(questions)
    columns: list[Tensor] = []
    for start in range(0, len(questions), _JUDGE_ROWS):
        part = [tokens[alike:] for tokens in questions[start : start + _JUDGE_ROWS]]
        logits = run_tree(prefix.fork(range(prefix.batch)), questions[0][:alike], part)
        if logits is None:
            return None
        columns.append(logits)
    return read_labels(torch.cat(columns, dim=1).flatten(0, 1), labels)


def _read_as_rows(prefix: Branch, suffixes: Sequence[JudgeSuffixes], labels: Labels) -> list[float]:
    """The same, as one batch of suffixes on forks of the prefix."""
    flat = [(at, tokens) for at, each in enumerate(suffixes) for tokens in each.questions]
    alike = _common_length([tokens for _, tokens in flat])
    if alike:
        beginning = torch.tensor([flat[0][1][:alike]] * prefix.batch)
        prefix = prefix.fork(range(prefix.batch)).extend(beginning)
    p: list[float] = []
    for start in range(0, len(flat), _JUDGE_ROWS):
        part = flat[start : start + _JUDGE_ROWS]
        tokens, last = _pad_right([tokens[alike:] for _, tokens in part])
        fork = prefix.fork([at for at, _ in part])
        p += read_labels(fork.extend(tokens, last=last).logits, labels)
    return p


def _common_length(sequences: Sequence[Sequence[int]]) -> int:
    """Returns how many first tokens all sequences share, short of the whole of any."""
    shortest = min(map(len, sequences)) - 1
    first = sequences[0]
    for at in range(shortest):
        if any(sequence[at] != first[at] for sequence in sequences):
            return at
    return max(shortest, 0)


def _pad_right(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Returns tokens (rows, longest), padded on the right with 0, and each row's last index."""
    width = max(map(len, sequences))
    tokens = torch.zeros(len(sequences), width, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = torch.tensor(sequence)
    return tokens, torch.tensor([len(sequence) - 1 for sequence in sequences])


def _unavailable(error: Exception) -> Verdict:
    return Verdict.unavailable(judge_failure(error, source="self"))
