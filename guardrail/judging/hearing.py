"""A judge heard out: all the looks it takes at a request, and the one verdict they come to.

It asks who sits in the chair about the whole request, once more where the judge is in doubt, about
parts of it where its structure gives a reason, and has *safe* earned. It knows nothing of what a
policy makes of that, but for whether it would comply.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

from guardrail.backends import Interrupted, Run, Stop
from guardrail.errors import GuardrailError
from guardrail.judging.chair import Chair
from guardrail.judging.draft import Draft
from guardrail.judging.earning import Earning, Near
from guardrail.judging.evidence import averaged, in_doubt, mirrored
from guardrail.judging.judge import JudgeRequest, ask_judge, judge_failure, questions_of
from guardrail.judging.self_judge import SOURCE, self_verdicts
from guardrail.judging.timing import timed
from guardrail.judging.views import highest, views_of
from guardrail.policy import Policy, decide
from guardrail.policy.calibration import calibrated
from guardrail.policy.verdict import Verdict
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings
from guardrail.request.telling import told

_LOCAL = frozenset({"self", "caption", "model"})
"""Judges that are looked at in turn: others are taken at their word, and asked no oftener."""


_READ = GenerationSettings(max_new_tokens=1, temperature=0)


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
        """Returns the verdict on every request, calibrated.

        Args:
            drafts: Requests; they note how long it takes.
            run: They on the answering model, where that may be the judge.
            stop: Asked while a model judges.

        Raises:
            Interrupted: It was stopped.
        """
        whole = self._whole(drafts, run)
        seen = [
            self._viewed(draft, self._again(draft, verdict, stop), stop)
            for draft, verdict in zip(drafts, whole, strict=True)
        ]
        return [self._calibrated(each) for each in self._earned(drafts, seen, run, stop)]

    def _whole(self, drafts: Sequence[Draft], run: Run | None) -> list[Verdict]:
        if run is not None and self.chair.reads_itself:
            return self_verdicts(
                run,
                questions_of(self.policy),
                timeout_s=self.policy.judge.timeout_s,
                phase=partial(timed, drafts),
            )
        with timed(drafts, "judge"):
            return [self._asked(draft.conversation) for draft in drafts]

    # Looks -------------------------------------------------------------------------------------

    def _again(self, draft: Draft, first: Verdict, stop: Stop | None) -> Verdict:
        """Returns the verdict once a request in doubt has been looked at mirrored, too."""
        look = self.policy.judge.second_look
        if look.picture == "none" or self.chair.kind not in _LOCAL:
            return first
        if not in_doubt(first, above=look.above, below=look.below):
            return first
        mirror = mirrored(draft.conversation)
        if mirror is None:
            return first
        with timed([draft], "second_look"):
            [second] = self._looked_at([mirror], stop)
        return self._no_milder(first, averaged(first, second))

    def _no_milder(self, first: Verdict, mean: Verdict) -> Verdict:
        """Returns the mean of two looks; what the first called unsafe by its own rule stays so."""
        categories = dict(mean.categories)
        judged = self._calibrated(first).categories
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
        self, drafts: Sequence[Draft], seen: Sequence[Verdict], run: Run | None, stop: Stop | None
    ) -> list[Verdict]:
        """Returns the verdicts, those that suppress refusals with the judge's competence."""
        modulation = self.policy.modulation
        idle = self.near is None or modulation.form == "off" or modulation.suppress == 0
        trusted = self.policy.judge.competence.evidence == "none" or self.chair.kind not in _LOCAL
        if self.near is None or idle or trusted:
            return list(seen)
        complying = {
            at: verdict
            for at, verdict in enumerate(seen)
            if decide(self.policy, self._calibrated(verdict)).action == "comply"
        }
        earning = Earning(self.policy, self.chair, self.near)
        earned = earning.measured(
            drafts, complying, run, look=partial(self._looked_at, stop=stop), stop=stop
        )
        return [earned.get(at, verdict) for at, verdict in enumerate(seen)]

    def _looked_at(self, parts: Sequence[Conversation], stop: Stop | None) -> list[Verdict]:
        """Judges requests, or parts of them, by themselves; those given together run together."""
        if stop is not None and stop():
            raise Interrupted
        if not self.chair.reads_itself or self.chair.own is None:
            return [self._asked(part) for part in parts]
        try:
            run = self.chair.own(parts, _READ, stop)
        except Interrupted:
            raise
        except Exception as error:  # it is judged and not answered, so this is the judge's failure
            failed = Verdict.unavailable(
                judge_failure(error, source=SOURCE, ours=True), source=SOURCE
            )
            return [failed] * len(parts)
        return self_verdicts(
            run,
            questions_of(self.policy),
            timeout_s=self.policy.judge.timeout_s,
            phase=lambda _: nullcontext(),
        )

    # Asking ------------------------------------------------------------------------------------

    def _asked(self, conversation: Conversation) -> Verdict:
        """Asks the judge that was given in code, or the one that the policy names."""
        kind = self.chair.kind
        try:
            judge = self.chair.judge()
        except GuardrailError as error:
            return Verdict.unavailable(str(error), source=kind)
        try:
            request = JudgeRequest(told(conversation), questions_of(self.policy))
        except Exception as error:  # a call's arguments may hold anything
            return Verdict.unavailable(judge_failure(error, source=kind), source=kind)
        return ask_judge(
            judge,
            request,
            timeout_s=self.policy.judge.timeout_s,
            source=kind,
            patience=self.chair.patience,
        )

    def _calibrated(self, verdict: Verdict) -> Verdict:
        found = self.policy.judge.calibration
        if found is None:
            return verdict
        categories = calibrated(verdict.categories, scale=found.scale, bias=found.bias)
        return replace(verdict, categories=categories)
