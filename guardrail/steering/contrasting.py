"""Which requests of a run are contrasted with their noised pictures, and why others are not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from guardrail.backends import Run
from guardrail.judging.deciding import Deciding
from guardrail.judging.draft import Draft
from guardrail.judging.timing import timed
from guardrail.policy.evaluation import UNEARNED
from guardrail.record.decision import ContrastRecord
from guardrail.steering.row import Row
from guardrail.steering.stake import Stake

_log = logging.getLogger(__name__)

CONFIDENTLY_SAFE = 0.5
"""How far below `safe_below`, as a fraction of it, a verdict must be for contrast to be skipped."""

UNEARNED_CAUTION = "the judge has not earned that the model leaves its caution"
"""Why contrast, which would push the model away from a caution, is skipped."""


@dataclass(frozen=True)
class Contrasting:
    """Contrasts requests under one policy.

    Attributes:
        deciding: Has the policy, and rules once more where a noised branch fails.
    """

    deciding: Deciding

    def foresee(self, run: Run, drafts: Sequence[Draft]) -> None:
        """Tells a run of a contrast that no verdict can make needless."""
        contrast = self.deciding.policy.contrast
        if contrast.when == "always" and not all(self._out_of_question(d, run) for d in drafts):
            run.foresee(contrast.counterfactual, noise_std=contrast.noise_std)

    def run(self, run: Run, live: Sequence[Row], stake: Stake) -> None:
        """Runs the noised branch of those that need it, and notes in every one why or why not.

        Args:
            run: Prefilled, and not begun.
            live: The requests that it has kept, in order.
            stake: Knows where a refusal is near.
        """
        skipped = {row.place: self._out_of_question(row.draft, run) for row in live}
        if self.deciding.policy.contrast.when == "at-stake":
            asked = [
                row.place for row in live if not skipped[row.place] and _surely_safe(row.draft)
            ]
            for at, near in zip(asked, stake.near(asked, live=[*skipped]), strict=True):
                skipped[at] = "" if near else "nothing is at stake"
        for row in live:
            row.draft.contrast = ContrastRecord(skipped=skipped[row.place] or None)
        wanted = [row.draft for row in live if not skipped[row.place]]
        if not wanted:
            return
        contrast = self.deciding.policy.contrast
        try:
            with timed(wanted, "noised"):
                kind = run.contrast_with(
                    contrast.counterfactual,
                    noise_std=contrast.noise_std,
                    rows=[row.place for row in live if not skipped[row.place]],
                )
        except MemoryError as error:
            _log.warning("out of memory in the noised branch; it was dropped", exc_info=error)
            for draft in wanted:
                self._lost_noised(draft)
            return
        for draft in wanted:
            draft.contrast = ContrastRecord(
                applied=True,
                alpha=contrast.alpha,
                counterfactual=kind,
                noise_std=contrast.noise_std if "noise" in kind else 0.0,
                steps=contrast.guided_steps,
            )

    def _out_of_question(self, draft: Draft, run: Run) -> str:
        """Returns why contrast is not wanted whatever the model is about to say, or nothing."""
        contrast, ruling = self.deciding.policy.contrast, draft.ruling
        if self.deciding.mode == "off":
            return "the mode is off"
        if not draft.conversation.pictures:
            return "there is no picture"
        if not run.guides:
            return "the model's steps cannot be guided"
        if not run.shows_pictures:
            return "this family's pictures cannot be noised"
        if contrast.is_off:
            return "the policy says never"
        if contrast.when == "at-stake" and ruling is not None and ruling.rule == UNEARNED:
            return UNEARNED_CAUTION
        return ""

    def _lost_noised(self, draft: Draft) -> None:
        message = "out of memory in the noised branch: contrast was dropped"
        draft.note_error(message)
        draft.contrast = ContrastRecord(skipped="out of memory")
        if self.deciding.policy.failure.noised_branch == "on_error":
            self.deciding.rule_again(draft, message)


def _surely_safe(draft: Draft) -> bool:
    """Whether a verdict is so safe that contrast is at stake only where a refusal is near."""
    ruling = draft.ruling
    return ruling is not None and ruling.label == "safe" and ruling.confidence >= CONFIDENTLY_SAFE
