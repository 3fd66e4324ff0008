"""Asks the judge about every labelled request, in batches, and answers none of them.

The guarded model is run in mode `shadow` for a single token, which costs its verdict and little
more. What is kept is the judge's word before calibration, so that it does not depend on the
thresholds that it is kept for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from guardrail.evaluation.calibration.verdicts import Spoken, Verdicts, spoken
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.requests import batches, conversation_of, unhurried
from guardrail.judging.judge import questions_of
from guardrail.policy import Policy
from guardrail.request.settings import GenerationSettings

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

_SHORTEST = GenerationSettings(max_new_tokens=1, temperature=0)


def ask(
    engine: SafeCoDe,
    dataset: Dataset,
    policy: Policy,
    verdicts: Verdicts,
    *,
    batch: int = 16,
    progress: Callable[[int], None] = lambda judged: None,
) -> None:
    """Judges what `verdicts` does not hold yet; a batch of which a part was kept, as a whole.

    Args:
        engine: The model with its judge.
        dataset: Its samples labelled `safe` or `unsafe` are asked about, the others are not.
        policy: Names the judge and the questions.
        verdicts: Where what it says goes, after each batch.
        batch: How many requests run together, >= 1.
        progress: Called after each batch with how many it had.

    Raises:
        GuardrailError: A request cannot be judged at all, such as one whose picture is unreadable;
            what was judged before is kept. A judge that fails is kept as unavailable.
    """
    judging = _judging_only(policy)
    for part in batches(labelled(dataset), batch):
        missing = {each.id for each in part if verdicts.get(each.id) is None}
        if missing:  # asked again as a whole, in the same company
            judged = _judged(engine, judging, part)
            verdicts.add([each for each in judged if each.sample in missing])
        progress(len(part))


def labelled(dataset: Dataset) -> list[Sample]:
    """Returns the samples with a label, in their order."""
    return [each for each in dataset if each.side in ("safe", "unsafe")]


def asked_digest(policy: Policy) -> str:
    """Returns the SHA-256 of all in a policy that the judge's word depends on."""
    judge = policy.judge
    look = judge.second_look.model_dump()
    asked = [judge.kind, judge.model, judge.views, look, questions_of(policy)]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _judging_only(policy: Policy) -> Policy:
    """Returns the policy with nothing left to do but to judge, and no hurry."""
    patient = unhurried(policy)
    changed: Policy = patient.model_copy(
        update={
            "judge": patient.judge.model_copy(
                update={"calibration": None, "competence": {"evidence": "none"}}
            ),
            "contrast": policy.contrast.model_copy(update={"when": "never"}),
            "modulation": policy.modulation.model_copy(update={"form": "off"}),
        }
    )
    return changed


def _judged(engine: SafeCoDe, policy: Policy, samples: Sequence[Sample]) -> list[Spoken]:
    answers: list[Any] = engine.batch(
        [conversation_of(each) for each in samples],
        _SHORTEST,
        policy=policy,
        mode="shadow",
        return_exceptions=True,
    )
    asked = [category.id for category in policy.categories]
    found = []
    for sample, answer in zip(samples, answers, strict=True):
        if isinstance(answer, Exception):
            raise answer
        verdict = answer.decision.verdict
        found.append(spoken(sample.id, verdict.categories, verdict.error, asked))
    return found
