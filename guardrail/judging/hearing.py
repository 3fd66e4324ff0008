"""A judge heard out: all the looks it takes at a request, and the one verdict they come to.

It asks who sits in the chair about the whole request, about it unseen where the policy contrasts
verdicts, once more where the judge is in doubt, about parts of it where its structure gives a
reason, and has *safe* earned. It knows nothing of what a policy makes of that, but for whether it
would comply.

INVARIANT: what the looks come to (mirrored, then views, then contrast, then calibration) rises with
every look at the request itself. What a screen spares (see `screening`) has been looked at by it;
the other looks spare nothing. Contrast comes after views, so that a view can still only raise a
verdict, and last but for calibration, so that what a judge said can be kept and contrasted later.
Doubt and competence go by what was said before it; whether a rule calls something unsafe, and
whether the policy would comply, by what counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from guardrail.backends import Interrupted, Run, Stop
from guardrail.judging.chair import Chair
from guardrail.judging.draft import Draft
from guardrail.judging.earning import Earning, Near
from guardrail.judging.evidence import averaged, counted, in_doubt, mirrored, unseen
from guardrail.judging.judge import questions_of
from guardrail.judging.screening import Screening
from guardrail.judging.self_judge import self_verdicts
from guardrail.judging.timing import timed
from guardrail.judging.views import highest, views_of
from guardrail.policy import Policy, decide
from guardrail.policy.verdict import Verdict
from guardrail.request.conversation import Conversation


@dataclass(frozen=True)
class Hearing:
    """Hears the judge of one policy.

    Attributes:
        policy: What is asked, and how closely it is looked at.
        chair: Who judges.
        near: Says of requests whether a refusal is near, of those that are suppressed; None where a
            verdict suppresses none, so that nothing has to be earned.
    """

    policy: Policy
    chair: Chair
    near: Near | None = None

    def verdicts(
        self, drafts: Sequence[Draft], run: Run | None, stop: Stop | None
    ) -> list[Verdict]:
        """Returns the verdict on every request, contrasted and calibrated.

        Args:
            drafts: Requests; they note how long it takes.
            run: They on the answering model, where that may be the judge.
            stop: Asked while a model judges.

        Raises:
            Interrupted: It was stopped.
        """
        whole = self._whole(drafts, run)
        grey = self._unseen(drafts, whole, stop)
        seen = [
            self._viewed(draft, self._again(draft, verdict, without, stop), stop)
            for draft, verdict, without in zip(drafts, _checked(whole, grey), grey, strict=True)
        ]
        earned = self._earned(drafts, seen, grey, run, stop)
        return [self._counted(*each) for each in zip(earned, grey, strict=True)]

    def _whole(self, drafts: Sequence[Draft], run: Run | None) -> list[Verdict]:
        if run is not None and self.chair.reads_itself:
            return self_verdicts(
                run,
                Screening.of_requests(self.policy),
                timeout_s=self.policy.judge.timeout_s,
                phase=partial(timed, drafts),
            )
        questions, timeout_s = questions_of(self.policy), self.policy.judge.timeout_s
        with timed(drafts, "judge"):
            return [
                self.chair.ask(each.conversation, questions, timeout_s=timeout_s) for each in drafts
            ]

    # Looks -------------------------------------------------------------------------------------

    def _unseen(
        self, drafts: Sequence[Draft], whole: Sequence[Verdict], stop: Stop | None
    ) -> list[Verdict | None]:
        """Returns the verdicts to contrast with, on grey pictures; None where there is none."""
        found: list[Verdict | None] = [None] * len(whole)
        if not self.policy.judge.contrast.looks or not self.chair.looks_again:
            return found
        shown = {
            at: without
            for at, draft in enumerate(drafts)
            if whole[at].error is None and (without := unseen(draft.conversation)) is not None
        }
        if shown:
            with timed([drafts[at] for at in shown], "contrast_look"):
                looks = self._looked_at(list(shown.values()), stop)
            for at, look in zip(shown, looks, strict=True):
                found[at] = look
        return found

    def _again(
        self, draft: Draft, first: Verdict, grey: Verdict | None, stop: Stop | None
    ) -> Verdict:
        """Returns the verdict once a request in doubt has been looked at mirrored, too."""
        look = self.policy.judge.second_look
        if look.picture == "none" or not self.chair.looks_again:
            return first
        if not in_doubt(first, above=look.above, below=look.below):
            return first
        mirror = mirrored(draft.conversation)
        if mirror is None:
            return first
        with timed([draft], "second_look"):
            [second] = self._looked_at([mirror], stop)
        return self._no_milder(first, averaged(first, second), grey)

    def _no_milder(self, first: Verdict, mean: Verdict, grey: Verdict | None) -> Verdict:
        """Returns the mean of two looks; what the first called unsafe by its own rule stays so."""
        categories = dict(mean.categories)
        judged = self._counted(first, grey).categories
        for rule in self.policy.rules:
            p = judged.get(rule.id, math.nan)
            if 0 <= p <= 1 and rule.label_of(p) == "unsafe":
                categories[rule.id] = max(first.categories[rule.id], categories[rule.id])
        look = self.policy.judge.second_look
        views = {
            name: "whole, and mirrored"
            for name, p in first.categories.items()
            if look.above <= p < look.below
        }
        return replace(mean, categories=categories, views=views)

    def _viewed(self, draft: Draft, whole: Verdict, stop: Stop | None) -> Verdict:
        """Returns the verdict once the judge has looked at the request's parts, too."""
        if whole.error is not None:
            return whole
        judge = self.policy.judge
        asked = [*(each.question for each in self.policy.categories), judge.answer_suffix]
        seen: list[tuple[str, Verdict]] = []
        for view in views_of(draft.conversation, asked, judge.views):
            with timed([draft], "views"):
                [verdict] = self._looked_at([view.conversation], stop)
            seen.append((view.name, verdict))
        return highest(whole, seen)

    def _earned(
        self,
        drafts: Sequence[Draft],
        seen: Sequence[Verdict],
        grey: Sequence[Verdict | None],
        run: Run | None,
        stop: Stop | None,
    ) -> list[Verdict]:
        """Returns the verdicts, those that suppress refusals with the judge's competence."""
        if self.near is None or not self.policy.earns or not self.chair.looks_again:
            return list(seen)
        complying = {
            at: verdict
            for at, verdict in enumerate(seen)
            if decide(self.policy, self._counted(verdict, grey[at])).action == "comply"
        }
        earning = Earning(self.policy, self.chair, self.near)
        earned = earning.measured(
            drafts,
            complying,
            run,
            look=partial(self._looked_at, stop=stop),
            stop=stop,
            unseen={at: each for at, each in enumerate(grey) if each is not None},
        )
        return [earned.get(at, verdict) for at, verdict in enumerate(seen)]

    def _looked_at(self, parts: Sequence[Conversation], stop: Stop | None) -> list[Verdict]:
        """Judges requests, or parts of them, by themselves; those given together run together."""
        if stop is not None and stop():
            raise Interrupted
        return self.chair.look(
            parts, questions_of(self.policy), timeout_s=self.policy.judge.timeout_s, stop=stop
        )

    def _counted(self, verdict: Verdict, grey: Verdict | None) -> Verdict:
        """Returns what counts of a verdict: contrasted with the one unseen, and calibrated."""
        return counted(self.policy.judge, verdict, grey)


def _checked(whole: Sequence[Verdict], grey: Sequence[Verdict | None]) -> list[Verdict]:
    """Returns the verdicts; one whose look unseen failed is unavailable, and looked at no more."""
    return [
        replace(verdict, error=verdict.error or (without.error if without is not None else None))
        for verdict, without in zip(whole, grey, strict=True)
    ]
