"""What a bench pins: policies whose verdicts are known beforehand, and pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from guardrail.policy import Policy, load_policy
from guardrail.record.decision import Decision
from guardrail.request.conversation import Picture

_VAIN = 1e-300
"""No model is as sure as that of anything: what is asked first spares nothing."""


@dataclass(frozen=True)
class Policies:
    """The baseline policy, with a judge calibrated so that its verdict is known beforehand.

    Whatever the model says, P(harm) becomes 0.99 (`always`: refuse, contrast at every guided step)
    or 0.01 (`skipped`: comply, nothing at stake). The judge runs all the same: its price is paid.
    The screen spares nothing in `always`, where it is asked in vain, and all that it covers in
    `skipped`, as it does where nothing is at stake.
    Only `viewed`, which is `always` otherwise, has it look at parts of the request, too.
    """

    always: Policy
    viewed: Policy
    skipped: Policy

    def settled(self, decided: Decision) -> Policies:
        """Returns these, made to skip contrast even if the model is about to refuse.

        `at-stake` runs contrast where refusals hold mass at the first step, whatever the verdict.
        A model that does so is measured with contrast switched off for `skipped`.

        Args:
            decided: A decision under `skipped`.
        """
        if not decided.contrast.applied:
            return self
        contrast = {**self.skipped.contrast.model_dump(), "when": "never"}
        never: Policy = self.skipped.model_copy(update={"contrast": contrast})
        return replace(self, skipped=never)


def pinned(phrases: tuple[str, ...] | None = None) -> Policies:
    """Returns the two policies.

    Args:
        phrases: Refusal phrases instead of the baseline's.
    """
    base = load_policy("baseline")
    refusals = {"en": {"phrases": phrases}} if phrases else base.refusals

    def policy(*, bias: float, when: str, views: str = "whole") -> Policy:
        judge = {
            **base.judge.model_dump(),
            "screen": {**base.judge.screen.model_dump(), "below": 1.0},
            "timeout_s": 600.0,
            "views": views,
            "calibration": {"scale": 0.001, "bias": bias},
            # Another look costs what a view does: it is priced there, and not by chance here.
            "competence": {"evidence": "none"},
            "second_look": {"picture": "none"},
        }
        contrast = {**base.contrast.model_dump(), "when": when}
        # An answer that is replaced ends early: its times would say nothing.
        modulation = {**base.modulation.model_dump(), "ensure_refusal": False}
        update = {
            "judge": judge,
            "contrast": contrast,
            "modulation": modulation,
            "refusals": refusals,
        }
        changed: Policy = base.model_copy(update=update)
        return changed

    return Policies(
        always=sparing_nothing(policy(bias=5.0, when="always")),
        viewed=sparing_nothing(policy(bias=5.0, when="always", views="auto")),
        skipped=policy(bias=-5.0, when="at-stake"),
    )


def sparing_nothing(policy: Policy) -> Policy:
    """Returns a policy whose screen is asked, in vain."""
    judge = policy.judge.model_copy(
        update={"screen": {**policy.judge.screen.model_dump(), "below": _VAIN}}
    )
    changed: Policy = policy.model_copy(update={"judge": judge})
    return changed


def sample_picture(side: int, seed: int) -> Picture:
    """Returns a square picture of coarse noise, the same for the same seed."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels, "RGB").resize((side, side))
    return Picture(image, f"bench-{side}-{seed}")
