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
from guardrail.judging import evidence
from guardrail.judging.judge import questions_of
from guardrail.policy import Policy
from guardrail.request.conversation import Conversation
from guardrail.request.settings import ONE_TOKEN

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe


def ask(
    engine: SafeCoDe,
    dataset: Dataset,
    policy: Policy,
    verdicts: Verdicts,
    *,
    batch: int = 16,
    unseen: bool = False,
    progress: Callable[[int], None] = lambda judged: None,
) -> None:
    """Judges what `verdicts` does not hold yet; a batch of which a part was kept, as a whole.

    Args:
        engine: The model with its judge.
        dataset: Its samples labelled `safe` or `unsafe` are asked about, the others are not.
        policy: Names the judge and the questions.
        verdicts: Where what it says goes, after each batch.
        batch: How many requests run together, >= 1.
        unseen: Whether requests with a picture are judged with grey ones, too.
        progress: Called after each batch with how many it had.

    Raises:
        GuardrailError: A request cannot be judged at all, such as one whose picture is unreadable;
            what was judged before is kept. A judge that fails is kept as unavailable.
    """
    for grey in (False, True) if unseen else (False,):
        judging = _judging_only(policy, unseen=grey)
        for part in batches(asked_of(dataset, unseen=grey), batch):
            missing = {each.id for each in part if verdicts.get(each.id, unseen=grey) is None}
            if missing:  # asked again as a whole, in the same company
                judged = _judged(engine, judging, part, unseen=grey)
                verdicts.add([each for each in judged if each.sample in missing])
            progress(len(part))


def labelled(dataset: Dataset) -> list[Sample]:
    """Returns the samples with a label, in their order."""
    return [each for each in dataset if each.side in ("safe", "unsafe")]


def asked_of(dataset: Dataset, *, unseen: bool) -> list[Sample]:
    """Returns the samples with a label; where they are judged unseen, only those with a picture."""
    return [each for each in labelled(dataset) if not (unseen and each.text_only)]


def asked_digest(policy: Policy) -> str:
    """Returns the SHA-256 of all in a policy that the judge's word depends on.

    Contrast is not in it: what is kept is what the judge says of each picture by itself.
    """
    judge = policy.judge
    look = judge.second_look.model_dump()
    asked = [judge.kind, judge.model, judge.views, look, questions_of(policy)]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _judging_only(policy: Policy, *, unseen: bool) -> Policy:
    """Returns the policy with nothing left to do but to judge, and no hurry.

    Every category is asked about, so that what is kept serves for every threshold: a screen spares
    nothing. Grey pictures are looked at once and as a whole, as a hearing that contrasts looks at
    them.
    """
    patient = unhurried(policy)
    looks: dict[str, Any] = {
        "calibration": None,
        "competence": {"evidence": "none"},
        "contrast": {"counterfactual": "none"},
        "screen": {},
    }
    if unseen:
        looks |= {"second_look": {"picture": "none"}, "views": "whole"}
    changed: Policy = patient.model_copy(
        update={
            "judge": patient.judge.model_copy(update=looks),
            "contrast": policy.contrast.model_copy(update={"when": "never"}),
            "modulation": policy.modulation.model_copy(update={"form": "off"}),
        }
    )
    return changed


def _judged(
    engine: SafeCoDe, policy: Policy, samples: Sequence[Sample], *, unseen: bool
) -> list[Spoken]:
    answers: list[Any] = engine.batch(
        [_shown(each, unseen=unseen) for each in samples],
        ONE_TOKEN,
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
        said = spoken(sample.id, verdict.categories, verdict.error, asked, unseen=unseen)
        found.append(said)
    return found


def _shown(sample: Sample, *, unseen: bool) -> Conversation:
    conversation = conversation_of(sample)
    return (evidence.unseen(conversation) or conversation) if unseen else conversation
