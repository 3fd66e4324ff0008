"""What `guardrail calibrate` needs to fit steering: a model that answers.

Its answers are kept, so that the model loads only where one is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import Progress

from guardrail.evaluation import Results
from guardrail.evaluation.calibration import ContrastFit, Evidence, Fit, ModulationFit
from guardrail.evaluation.calibration.answering import TOKENS, Advance, Answering, judged_again
from guardrail.policy import Policy

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe


def kept_answers(header: Mapping[str, Any], path: Path | None, *, resume: bool) -> Results:
    """Returns the answers that are kept in a file, if one is given.

    Raises:
        DatasetError: It is of another run, no such file, or cannot be used.
    """
    return Results({**header, "tokens": TOKENS}, path=path, resume=resume, option="--answers")


def steering_fits(
    policy: Policy,
    evidence: Evidence,
    engine: Callable[[], SafeCoDe],
    answers: Results,
    *,
    batch: int,
    bar: Progress,
) -> tuple[Fit, ...]:
    """Returns the fits of contrast and modulation.

    Args:
        policy: Whose phrases tell a refusal.
        evidence: What the judge said, which is not asked again.
        engine: Loads the model; called only where an answer is missing.
        answers: From `kept_answers`.
        batch: How many requests run together.
        bar: Where progress shows.
    """

    def begin(what: str, total: int) -> Advance:
        task = bar.add_task(what, total=total)
        return lambda answered: bar.advance(task, answered)

    answering = Answering(
        lambda arm: judged_again(engine(), evidence, arm), answers, policy.phrases, batch, begin
    )
    return ContrastFit(answering), ModulationFit(answering)
