"""Guided decoding: the first steps are contrasted and modulated, then decoding goes on as usual.

It knows branches, tensors and refusal tokens. It does not know where a plan comes from (the
policy), who reads the steps (streaming, records), or any wording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from guardrail.backends.transformers.branch import Branch, Prepared
from guardrail.backends.transformers.grammar import Constraint, RowConstraints, enforced, floored
from guardrail.steering.contrast import ContrastForm, contrast_logits, divergence
from guardrail.steering.modulation import modulate_paper, modulate_phrases, refusal_mass
from guardrail.steering.refusals import RefusalIndex

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Guidance:
    """How the guided steps are steered; the same for every row.

    Attributes:
        steps: How many first tokens are guided, >= 0.
        contrast_form: `default` or `paper`.
        alpha: Contrast strength.
        plausibility: beta of the plausibility set.
        modulation_form: `phrase`, `paper` or `off`.
        top_k: Candidates that the paper's modulation looks at.
        candidates: How many top tokens a step's record keeps.
    """

    steps: int = 5
    contrast_form: ContrastForm = "default"
    alpha: float = 0.3
    plausibility: float = 0.1
    modulation_form: Literal["phrase", "paper", "off"] = "phrase"
    top_k: int = 20
    candidates: int = 5


@dataclass(frozen=True)
class RowPlan:
    """What is done to one row.

    Attributes:
        contrast: Whether its noised branch counts.
        delta: Nats added to refusal tokens: above 0 boosts, below 0 suppresses.
        record: Whether its guided steps are recorded.
    """

    contrast: bool = False
    delta: float = 0.0
    record: bool = True


@dataclass(frozen=True)
class CandidateTrace:
    """A candidate token's probability in each stage of one guided step."""

    token_id: int
    real: float
    noised: float | None
    guarded: float


@dataclass(frozen=True)
class StepTrace:
    """What one guided step did to one row; masses and divergence as in the decision record."""

    step: int
    guarded_id: int
    unguarded_id: int
    mass_before: float
    mass_after: float
    divergence: float | None
    top: tuple[CandidateTrace, ...]


@dataclass(frozen=True)
class Step:
    """One decoded token per row.

    Attributes:
        token_ids: For each row the new token, None once the row has finished.
        finished: For each row, why it has finished, None while it has not.
        traces: For each row, what guidance did at this step, None where there was none.
    """

    token_ids: tuple[int | None, ...]
    finished: tuple[FinishReason | None, ...]
    traces: tuple[StepTrace | None, ...]


def decode(
    prepared: Prepared,
    real: Branch,
    *,
    plans: Sequence[RowPlan],
    guidance: Guidance,
    index: RefusalIndex | None = None,
    noised: Branch | None = None,
    shadow: bool = False,
    seed: int | None = None,
    computing: AbstractContextManager[Any] | None = None,
    constraints: Sequence[Constraint | None] | None = None,
) -> Iterator[Step]:
    """Decodes token by token until every row has finished.

    Args:
        prepared: The answer's prompt and the caller's settings.
        real: The prompt's branch, all of it run.
        plans: One per row.
        guidance: Settings of the guided steps.
        index: Refusal tokens; None if nothing is modulated or recorded.
        noised: The same prompt with noised pictures, if any row's plan wants contrast.
        shadow: Everything is computed and traced, and the unguarded token is taken.
        seed: Seeds sampling per row, so that a row decodes alike alone and in a batch. Without
            one, rows draw from fresh randomness.
        computing: Held around every forward pass, never across a yield.
        constraints: One per row, None where any token may come. Steering moves mass between the
            tokens that a constraint allows; whatever it does, only those can be taken.

    Yields:
        One `Step` per token. Close the iterator to cancel.
    """
    batch = real.batch
    select = _Selector(prepared, batch, seed)
    plans = list(plans)
    guided = (
        guidance.steps > 0
        and index is not None
        and any(plan.record or plan.contrast or plan.delta for plan in plans)
    )
    branch = real.stack(noised) if noised is not None and guided else real
    ids = prepared.ids  # (batch, length), grows by a token each step
    generated: list[list[int]] = [[] for _ in range(batch)]
    finished: list[FinishReason | None] = [None] * batch
    pad = _pad_id(prepared)
    held = RowConstraints(constraints or [None] * batch, _eos_ids(prepared))
    step = 0
    while True:
        unfinished = [reason is None for reason in finished]
        allowed = held.allowed(unfinished, branch.logits[:batch])
        logits = floored(branch.logits[:batch], allowed)
        traces: Sequence[StepTrace | None] = [None] * batch
        if guided and step < guidance.steps and index is not None:
            other = floored(branch.logits[batch:], allowed) if branch.batch > batch else None
            tokens, traces = _guided_step(
                logits, other, ids, generated, plans, guidance, index, select, step, shadow, allowed
            )
        else:
            tokens = select(ids, logits, allowed)
        chosen = tokens.tolist()
        chosen = [token if going else pad for token, going in zip(chosen, unfinished, strict=True)]
        ids = torch.cat([ids, torch.tensor(chosen, device=ids.device)[:, None]], dim=1)
        stops = prepared.stopping_criteria(ids, None).tolist()
        for row in range(batch):
            if unfinished[row]:
                generated[row].append(chosen[row])
                if held.accept(row, chosen[row]):
                    finished[row] = "stop"
                elif stops[row]:
                    finished[row] = _finish_reason(prepared, ids, chosen[row])
        yield Step(
            tuple(t if going else None for t, going in zip(chosen, unfinished, strict=True)),
            tuple(finished),
            tuple(t if going else None for t, going in zip(traces, unfinished, strict=True)),
        )
        if all(finished):
            return
        step += 1
        if branch.batch > batch and step >= guidance.steps:
            branch = branch.fork(range(batch))  # the noised rows have done their work
        feed = torch.tensor(chosen, device=branch.ids.device)[:, None]
        with computing or nullcontext():
            branch = branch.extend(torch.cat([feed] * (branch.batch // batch)))


def steer(
    real: Tensor,
    noised: Tensor | None,
    *,
    plans: Sequence[RowPlan],
    guidance: Guidance,
    refusal_ids: Sequence[Tensor],
    loose_ids: Tensor | None = None,
) -> Tensor:
    """Returns the steered logits of one guided step: contrast, then modulation.

    Args:
        real: (batch, vocabulary) logits of the real branch; unchanged.
        noised: Those of the noised branch, or None.
        plans: One per row; rows without contrast keep their real logits in that stage.
        guidance: Settings.
        refusal_ids: Per row, the tokens that the phrase form may touch here.
        loose_ids: The flat set of the paper form.
    """
    logits = real
    if noised is not None and any(plan.contrast for plan in plans):
        contrasted = contrast_logits(
            real,
            noised,
            alpha=guidance.alpha,
            form=guidance.contrast_form,
            plausibility=guidance.plausibility,
        )
        rows = torch.tensor([plan.contrast for plan in plans], device=real.device)
        logits = torch.where(rows[:, None], contrasted, real)
    deltas = [plan.delta for plan in plans]
    if guidance.modulation_form == "paper" and loose_ids is not None:
        return modulate_paper(logits, loose_ids, deltas, top_k=guidance.top_k)
    if guidance.modulation_form == "phrase":
        return modulate_phrases(logits, refusal_ids, deltas)
    return logits


def _guided_step(
    real: Tensor,
    noised: Tensor | None,
    ids: Tensor,
    generated: Sequence[Sequence[int]],
    plans: Sequence[RowPlan],
    guidance: Guidance,
    index: RefusalIndex,
    select: _Selector,
    step: int,
    shadow: bool,
    allowed: Tensor | None,
) -> tuple[Tensor, list[StepTrace | None]]:
    beginnings = [index.beginnings(index.spell(row)) for row in generated]
    every = [each.all for each in beginnings]
    steered = steer(
        real,
        noised,
        plans=plans,
        guidance=guidance,
        refusal_ids=[each.steerable for each in beginnings],
        loose_ids=index.loose_tokens if guidance.modulation_form == "paper" else None,
    )
    steered = floored(steered, allowed)
    # Both are drawn with the same randomness, so that they differ only by what steering did.
    unguarded = select.peek(ids, real, allowed)
    guarded = select.peek(ids, steered, allowed) if shadow else select(ids, steered, allowed)
    taken = select(ids, real, allowed) if shadow else guarded
    mass_before, mass_after = refusal_mass(real, every), refusal_mass(steered, every)
    apart = divergence(real, noised).tolist() if noised is not None else None
    tops = _candidates(real, noised, steered, guidance.candidates)
    traces: list[StepTrace | None] = [
        StepTrace(
            step,
            int(guarded[row]),
            int(unguarded[row]),
            mass_before[row],
            mass_after[row],
            apart[row] if apart is not None and plan.contrast else None,
            tops[row],
        )
        if plan.record
        else None
        for row, plan in enumerate(plans)
    ]
    return taken, traces


def _candidates(
    real: Tensor, noised: Tensor | None, steered: Tensor, count: int
) -> list[tuple[CandidateTrace, ...]]:
    count = min(count, real.shape[-1])
    best = torch.cat([steered.topk(count).indices, real.topk(count).indices], dim=-1)
    stages = (real, steered) if noised is None else (real, steered, noised)
    # (stages, batch, candidates), brought to the host at once
    p = torch.stack([stage.softmax(-1).gather(-1, best) for stage in stages]).tolist()
    rows: list[tuple[CandidateTrace, ...]] = []
    for row, ids in enumerate(best.tolist()):
        places = {token: at for at, token in reversed(list(enumerate(ids)))}
        rows.append(
            tuple(
                CandidateTrace(
                    token,
                    real=p[0][row][places[token]],
                    noised=p[2][row][places[token]] if noised is not None else None,
                    guarded=p[1][row][places[token]],
                )
                for token in dict.fromkeys(ids)
            )
        )
    return rows


class _Selector:
    """Chooses tokens as `generate()` would: the caller's processors, then argmax or a draw."""

    def __init__(self, prepared: Prepared, batch: int, seed: int | None) -> None:
        self._processors: Callable[[Tensor, Tensor], Tensor] = prepared.logits_processor
        self._sample = bool(prepared.config.do_sample)
        device = prepared.ids.device
        self._generators = []
        for _ in range(batch if self._sample else 0):
            generator = torch.Generator(device=device)
            generator.seed() if seed is None else generator.manual_seed(seed)
            self._generators.append(generator)

    def __call__(self, ids: Tensor, logits: Tensor, allowed: Tensor | None) -> Tensor:
        """Returns the next tokens, (batch,) int64; draws advance the rows' randomness."""
        scores = enforced(self._processors(ids, logits), logits, allowed)
        if not self._sample:
            return scores.argmax(-1)
        probabilities = scores.softmax(-1)
        draws = [
            torch.multinomial(probabilities[row : row + 1], 1, generator=generator)[0]
            for row, generator in enumerate(self._generators)
        ]
        return torch.cat(draws)

    def peek(self, ids: Tensor, logits: Tensor, allowed: Tensor | None) -> Tensor:
        """Returns what a call would return, without advancing any randomness."""
        states = [generator.get_state() for generator in self._generators]
        tokens = self(ids, logits, allowed)
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)
        return tokens


def _pad_id(prepared: Prepared) -> int:
    pad = prepared.config._pad_token_tensor
    return int(pad) if pad is not None else 0


def _eos_ids(prepared: Prepared) -> Tensor:
    eos = prepared.config._eos_token_tensor
    return eos.reshape(-1) if eos is not None else torch.empty(0, dtype=torch.long)


def _finish_reason(prepared: Prepared, ids: Tensor, token: int) -> FinishReason:
    if token in _eos_ids(prepared).tolist():
        return "stop"
    longest = prepared.stopping_criteria.max_length
    return "length" if longest is not None and ids.shape[1] >= longest else "stop"
