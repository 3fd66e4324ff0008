"""Guided decoding: the first steps are contrasted and modulated, then decoding goes on as usual.

It knows a backend's run, logits and refusal tokens. It does not know where a plan comes from (the
policy), who reads the steps (streaming, records), or any wording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from array_api_compat import array_namespace

from guardrail.backends import Constraint, FinishReason, Likelihood, Run, Taken
from guardrail.backends.arrays import Array, largest, softmax
from guardrail.steering.contrast import contrast_logits, contrast_published, divergence
from guardrail.steering.modulation import modulate_paper, modulate_phrases, modulate_published
from guardrail.steering.opening import Opening, forced, likeliest
from guardrail.steering.plan import CandidateTrace, Guidance, RowPlan, Step, StepTrace
from guardrail.steering.published_code import has_begun
from guardrail.steering.refusal_mass import RefusalMass
from guardrail.steering.refusals import Beginnings, RefusalIndex, TokenIds
from guardrail.steering.turning import Turning


def decode(
    run: Run,
    *,
    plans: Sequence[RowPlan],
    guidance: Guidance,
    index: RefusalIndex | None = None,
    loose_ids: TokenIds | None = None,
    shadow: bool = False,
    seed: int | None = None,
    constraints: Sequence[Constraint | None] | None = None,
    turning: Turning | None = None,
) -> Iterator[Step]:
    """Decodes token by token until every row has finished.

    Args:
        run: Its prompts have been run.
        plans: One per row.
        guidance: Settings of the guided steps.
        index: Refusal tokens; None if nothing is modulated or recorded.
        loose_ids: The flat set of the forms `paper` and `published-code`; of no use to the others.
        shadow: Everything is computed and traced, and the unguarded token is taken.
        seed: As for `Run.begin`.
        constraints: One per row, None where any token may come. Steering moves mass between the
            tokens that a constraint allows; whatever it does, only those can be taken.
        turning: Steers rows once more, later on, where the run's steps can be steered.

    Yields:
        One `Step` per token. Close the iterator to cancel.
    """
    batch = len(plans)
    run.begin(constraints or [None] * batch, seed=seed)
    done: Sequence[FinishReason | None] = [None] * batch
    worth_it = any(plan.record or plan.contrast or plan.delta or plan.openings for plan in plans)
    longest = max((len(each) for plan in plans for each in plan.openings), default=0)
    worth_it = worth_it and index is not None and run.guides
    guided = max(guidance.steps, longest) if worth_it else 0
    if guided and index is not None:
        steps = _GuidedSteps(run, plans, guidance, index, loose_ids, shadow, turning)
        for step in range(guided):
            tokens, traces, likely = steps.take(step)
            finished = run.take(tokens)
            yield _step(Taken(tokens, finished, likely), traces, done)
            done = finished
            if all(done):
                return
            steps.ended = [reason is not None for reason in done]
            run.advance(noised=step + 1 < guided)
    nothing: Sequence[StepTrace | None] = [None] * batch
    for taken in run.rest(turning.adjust if turning is not None else None):
        yield _step(taken, nothing, done)
        done = taken.finished


def _step(
    taken: Taken, traces: Sequence[StepTrace | None], done: Sequence[FinishReason | None]
) -> Step:
    """Returns a step in which rows that were done before say nothing."""
    going = [reason is None for reason in done]
    return Step(
        tuple(each if more else None for each, more in zip(taken.tokens, going, strict=True)),
        tuple(taken.finished),
        tuple(each if more else None for each, more in zip(traces, going, strict=True)),
        tuple(each if more else None for each, more in zip(taken.likelihoods, going, strict=True)),
    )


def steer(
    real: Array,
    noised: Array | None,
    *,
    plans: Sequence[RowPlan],
    guidance: Guidance,
    refusal_ids: Sequence[TokenIds],
    loose_ids: TokenIds | None = None,
) -> Array:
    """Returns the steered logits of one guided step: contrast, then modulation.

    Args:
        real: (batch, vocabulary) logits of the real branch; unchanged.
        noised: Those of the noised branch, or None.
        plans: One per row; rows without contrast keep their real logits in that stage.
        guidance: Settings.
        refusal_ids: Per row, the tokens that the phrase form may touch here.
        loose_ids: The flat set of the forms `paper` and `published-code`.
    """
    logits = real
    if noised is not None and any(plan.contrast for plan in plans):
        contrasted = _contrasted(real, noised, plans, guidance)
        xp = array_namespace(real)
        rows = xp.asarray([plan.contrast for plan in plans], device=real.device)
        logits = xp.where(rows[:, None], contrasted, real)
    deltas = [plan.delta for plan in plans]
    if guidance.modulation_form == "paper" and loose_ids is not None:
        return modulate_paper(logits, loose_ids, deltas, top_k=guidance.top_k)
    if guidance.modulation_form == "published-code" and loose_ids is not None:
        return modulate_published(logits, loose_ids, deltas)
    if guidance.modulation_form == "phrase":
        return modulate_phrases(logits, refusal_ids, deltas)
    return logits


def _contrasted(real: Array, noised: Array, plans: Sequence[RowPlan], guidance: Guidance) -> Array:
    form, alpha = guidance.contrast_form, guidance.alpha
    if form == "published-code":
        return contrast_published(real, noised, alpha=alpha, safe=[plan.safe for plan in plans])
    return contrast_logits(real, noised, alpha=alpha, form=form, plausibility=guidance.plausibility)


@dataclass
class _GuidedSteps:
    """The guided steps of one run, one after the other."""

    run: Run
    plans: Sequence[RowPlan]
    guidance: Guidance
    index: RefusalIndex
    loose_ids: TokenIds | None
    shadow: bool
    turning: Turning | None
    ended: Sequence[bool] = field(init=False)
    _said: list[list[int]] = field(init=False)
    _openings: list[Opening] = field(init=False)
    _mass: RefusalMass = field(init=False)

    def __post_init__(self) -> None:
        self._said = [[] for _ in self.plans]
        self._openings = [() for _ in self.plans]
        self.ended = [False] * len(self.plans)
        self._mass = RefusalMass(self.run, self.index, len(self.plans), frugal=True)

    def take(self, step: int) -> tuple[list[int], list[StepTrace | None], list[Likelihood | None]]:
        """Returns each row's next token, what steering did to it, and how likely it then was."""
        run, plans = self.run, self._plans(step)
        touched = zip(plans, self._beginnings(), strict=True)
        run.reveal([e.steerable.tolist() if plan.delta > 0 else () for plan, e in touched])
        real, noised = run.logits()
        coverage = run.coverage
        real = run.within(real)
        noised = run.within(noised) if noised is not None else None
        steered = steer(
            real,
            noised,
            plans=plans,
            guidance=self.guidance,
            refusal_ids=[  # once more: a vocabulary that is being seen has grown
                each.within(real.shape[-1]).steerable for each in self._beginnings()
            ],
            loose_ids=self.loose_ids,
        )
        if self.turning is not None:
            steered = self.turning.adjust(steered, range(len(self.plans)))
        steered = run.within(self._begun(steered, step))
        # Both are drawn with the same randomness, so that they differ only by what steering did.
        unguarded = run.peek(real)
        guarded = run.peek(steered) if self.shadow else run.choose(steered)
        taken = run.choose(real) if self.shadow else guarded
        likely = self._likelihoods(real if self.shadow else steered, taken, step)
        recorded = [at for at, plan in enumerate(self.plans) if plan.record and not self.ended[at]]
        before, after = self._mass.of(self._said, (real, steered), rows=recorded)
        apart = divergence(real, noised).tolist() if noised is not None else None
        contrasted = [plan.contrast for plan in self.plans]
        tops = _candidates(real, noised, steered, self.guidance.candidates, contrasted)
        for row, token in enumerate(taken):
            self._said[row].append(token)
            self._mass.took(row, token)
        traces: list[StepTrace | None] = [None] * len(self.plans)
        for place, row in enumerate(recorded):
            traces[row] = StepTrace(
                step,
                guarded[row],
                unguarded[row],
                before[place],
                after[place],
                apart[row] if apart is not None and self.plans[row].contrast else None,
                tops[row],
                coverage[row],
            )
        return taken, traces, likely

    def _likelihoods(
        self, logits: Array, taken: Sequence[int], step: int
    ) -> list[Likelihood | None]:
        """Returns how likely tokens were that the model has chosen; an opening's it has not."""
        found = self.run.likelihoods(logits, taken)
        if self.shadow:
            return found
        openings = zip(found, self._openings, strict=True)
        return [None if step < len(opening) else each for each, opening in openings]

    def _beginnings(self) -> list[Beginnings]:
        return [self.index.beginnings(self.index.spell(row)) for row in self._said]

    def _plans(self, step: int) -> list[RowPlan]:
        """Returns what this step does to each row: nothing where its steering has ended."""
        return [
            plan.after if self._is_over(row, step) else plan for row, plan in enumerate(self.plans)
        ]

    def _is_over(self, row: int, step: int) -> bool:
        if self.plans[row].openings:
            return step > 0  # the opening has been chosen
        if step >= self.guidance.steps:
            return True
        if self.guidance.modulation_form != "published-code":
            return False
        text = self.index.spell(self._said[row]).decode("utf-8", "ignore")
        return has_begun(text, len(self._said[row]))

    def _begun(self, logits: Array, step: int) -> Array:
        """Returns logits in which rows with an opening go on with it."""
        if step == 0:
            self._openings = [
                likeliest(logits[row], plan.openings) if plan.openings else ()
                for row, plan in enumerate(self.plans)
            ]
        return forced(logits, [each[step] if step < len(each) else None for each in self._openings])


def _candidates(
    real: Array, noised: Array | None, steered: Array, count: int, contrasted: Sequence[bool]
) -> list[tuple[CandidateTrace, ...]]:
    xp = array_namespace(real)
    best = xp.concat([largest(steered, count), largest(real, count)], axis=-1)
    stages = (real, steered) if noised is None else (real, steered, noised)
    # (stages, batch, candidates), brought to the host at once
    p = xp.stack([xp.take_along_axis(softmax(each), best, axis=-1) for each in stages]).tolist()
    rows: list[tuple[CandidateTrace, ...]] = []
    for row, ids in enumerate(best.tolist()):
        places = {token: at for at, token in reversed(list(enumerate(ids)))}
        rows.append(
            tuple(
                CandidateTrace(
                    token,
                    real=p[0][row][places[token]],
                    noised=p[2][row][places[token]] if len(p) > 2 and contrasted[row] else None,
                    guarded=p[1][row][places[token]],
                )
                for token in dict.fromkeys(ids)
            )
        )
    return rows
