"""A model as the judge of the cases that bring a picture."""

from __future__ import annotations

from pathlib import Path

from guardrail.policy import Policy
from guardrail.policy.cases import JudgePicture
from guardrail.policy.verdict import Verdict


def picture_judge(model: str) -> JudgePicture:
    """Returns a judge that asks a model; it is loaded now.

    Args:
        model: A folder, an id, or `embedded` for the one that ships with the package.

    Raises:
        GuardrailError: The model cannot be loaded; or, when a case is judged, its picture cannot.
    """
    from guardrail.cli.model_loading import EMBEDDED, quiet

    quiet()
    from guardrail.request.conversation import question
    from guardrail.request.pictures import load_picture
    from guardrail.request.settings import GenerationSettings
    from guardrail.steering.safecode import SafeCoDe

    engine = SafeCoDe.embedded() if model == EMBEDDED else SafeCoDe.from_pretrained(model)
    shortest = GenerationSettings(max_new_tokens=1)

    def judge(picture: Path, text: str, policy: Policy) -> Verdict:
        # In shadow mode nothing is blocked or escalated: what counts here is the verdict.
        asked = question(text, [load_picture(str(picture))])
        answer = engine.answer(asked, shortest, policy=policy, mode="shadow")
        return answer.decision.verdict.believed()

    return judge
