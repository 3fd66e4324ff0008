"""Asks a model in several arms how its answers begin, and keeps what it said.

Refusals are recognised by their beginning, so a few tokens of each answer will do. The judge is not
asked again: what it said is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardrail.errors import JudgeError
from guardrail.evaluation.calibration.evidence import Evidence
from guardrail.evaluation.calibration.judge_fit import changed_calibration
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.evaluation.grading.outcomes import is_settled
from guardrail.evaluation.requests import conversation_of
from guardrail.evaluation.results import Record, Results
from guardrail.evaluation.runner import run
from guardrail.evaluation.systems import System
from guardrail.judging.judge import JudgeRequest
from guardrail.policy import Policy
from guardrail.policy.refusals import is_refusal
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

TOKENS = 12
"""How much of each answer is generated: enough for every phrase of the packs to begin."""

Advance = Callable[[int], None]
Begin = Callable[[str, int], Advance]
"""Takes what is about to be asked and how many answers that takes; returns what counts them."""


def _uncounted(name: str, total: int) -> Advance:
    return lambda done: None


@dataclass(frozen=True)
class Answering:
    """Who refuses what, by running the model, or from what it said before.

    Attributes:
        engine: Takes the policy that says how verdicts are contrasted, and returns the model,
            judged by `kept_judge`; called only where an answer is missing.
        results: Where answers are kept.
        phrases: Beginnings of refusals.
        batch: How many requests run together, >= 1.
        begin: Counts progress.
    """

    engine: Callable[[Policy], SafeCoDe]
    results: Results
    phrases: tuple[str, ...]
    batch: int = 16
    begin: Begin = _uncounted

    def __call__(
        self, what: str, systems: Sequence[System], part: Evidence
    ) -> dict[str, list[bool]]:
        """Returns by system whether it refused each request of a part, in the part's order.

        Raises:
            GuardrailError: A request cannot be served; what was answered before is kept.
        """
        samples = [each.sample for each in part]
        missing = [each for each in systems if any(not self._kept(each, s) for s in samples)]
        advance = self.begin(what, len(systems) * len(samples))
        advance((len(systems) - len(missing)) * len(samples))
        if missing and samples:
            run(
                self.engine(missing[0].policy),  # what is asked together is contrasted alike
                Dataset("calibration", tuple(samples)),
                missing,
                self.results,
                settings=GenerationSettings(max_new_tokens=TOKENS, temperature=0),
                batch=self.batch,
                progress=lambda _, answered: advance(answered),
            )
        return {system.name: [self._refused(system, s) for s in samples] for system in systems}

    def _kept(self, system: System, sample: Sample) -> Record | None:
        return self.results.get(system.name, sample.id)

    def _refused(self, system: System, sample: Sample) -> bool:
        record = self._kept(system, sample)
        assert record is not None  # `run` has answered it
        return is_settled(record) or is_refusal(record.answer, self.phrases)


def kept_judge(evidence: Evidence, policy: Policy) -> Callable[[JudgeRequest], Mapping[str, float]]:
    """Returns a judge that says again what was said of each request, contrasted and uncalibrated.

    Its verdict goes by the request's text and picture. On others, and where the judge failed
    before, it fails. A judge given in code is not looked at in turn: it is contrasted here, and
    not again where its word is heard.
    """
    raw = changed_calibration(policy, None)
    verdicts = ((each, each.verdict(raw)) for each in evidence)
    said = {
        _asked(conversation_of(each.sample)): {} if verdict.error else verdict.categories
        for each, verdict in verdicts
    }

    def judge(request: JudgeRequest) -> Mapping[str, float]:
        if found := said.get(_asked(request.conversation)):
            return found
        raise JudgeError("the judge had nothing to say of this request")

    return judge


def _asked(conversation: Conversation) -> tuple[str, tuple[str, ...]]:
    return conversation.turns[-1].text, tuple(each.digest for each in conversation.pictures)


def judged_again(engine: SafeCoDe, evidence: Evidence, policy: Policy) -> SafeCoDe:
    """Returns the same model, judged by what its judge has said before; see `kept_judge`."""
    from guardrail.steering.safecode import SafeCoDe

    return SafeCoDe(
        backend=engine.backend,
        policy=engine.policy,
        judge=kept_judge(evidence, policy),
        name=engine.model_name,
    )
