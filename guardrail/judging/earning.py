"""Whether a judge is competent here, so that its *safe* may suppress refusals.

Asked only of verdicts by which the policy would comply. `picture` looks once more, at grey
pictures; `familiar` compares the request with those that the model was tried on, and, where a
refusal is near, has it describe the pictures. Whatever cannot be measured earns nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from guardrail.backends import Interrupted, Run, Stop
from guardrail.errors import JudgeError
from guardrail.judging.chair import Chair
from guardrail.judging.draft import Draft
from guardrail.judging.evidence import SURE, competence, unseen
from guardrail.judging.familiarity import described, first_tokens, shape_of
from guardrail.judging.judge import own_reason
from guardrail.judging.reference import Reference
from guardrail.judging.timing import timed
from guardrail.policy import Policy
from guardrail.policy.verdict import NO_EVIDENCE, Verdict
from guardrail.request.conversation import Conversation

_log = logging.getLogger(__name__)

Near = Callable[[Sequence[int]], Sequence[bool]]
"""Says of each of some requests of a run whether the model is about to refuse it."""

Look = Callable[[Sequence[Conversation]], Sequence[Verdict]]
"""Has the judge look at requests by themselves."""


@dataclass(frozen=True)
class Earning:
    """Measures competence under one policy.

    Attributes:
        policy: What counts as competent.
        chair: Who judges, and what it was tried on.
        near: Says where a refusal is near: nowhere else does a picture have to be described.
    """

    policy: Policy
    chair: Chair
    near: Near

    def measured(
        self,
        drafts: Sequence[Draft],
        verdicts: Mapping[int, Verdict],
        run: Run | None,
        *,
        look: Look,
        stop: Stop | None,
        unseen: Mapping[int, Verdict] | None = None,
    ) -> dict[int, Verdict]:
        """Returns verdicts by which the policy would comply with what they have earned.

        Args:
            drafts: All requests of the run.
            verdicts: Those verdicts, by the request's place.
            run: The requests on the answering model.
            look: Has the judge look.
            stop: Asked while a model runs.
            unseen: Verdicts on grey pictures that are there already, by the request's place.

        Raises:
            Interrupted: It was stopped.
        """
        if not verdicts:
            return {}
        found = {at: replace(each, competence=NO_EVIDENCE) for at, each in verdicts.items()}
        if self.policy.judge.competence.evidence == "picture":
            return {**found, **self._unseen(drafts, verdicts, look, unseen or {})}
        try:
            return {**found, **self._familiar(drafts, verdicts, run, stop)}
        except Interrupted:
            raise
        except Exception as error:  # what cannot be measured is no evidence
            why = str(error) if isinstance(error, JudgeError) else own_reason(error)
            _log.warning("competence was not measured: %s", why)
            _log.debug("the error", exc_info=error)
            for at in verdicts:
                drafts[at].note_error(f"competence was not measured: {why}")
            return found

    # Against grey pictures -----------------------------------------------------------------------

    def _unseen(
        self,
        drafts: Sequence[Draft],
        verdicts: Mapping[int, Verdict],
        look: Look,
        known: Mapping[int, Verdict],
    ) -> dict[int, Verdict]:
        found: dict[int, Verdict] = {}
        grey: dict[int, Conversation] = {}
        compared: dict[int, Verdict] = {}
        for at, verdict in verdicts.items():
            without = unseen(drafts[at].conversation)
            if without is None or verdict.error is not None or verdict.p_unsafe is None:
                continue
            if verdict.p_unsafe <= SURE and self.policy.judge.competence.threshold < 0:
                found[at] = verdict  # no grey picture could be called safer by as much as that
            elif at in known:
                compared[at] = known[at]
            else:
                grey[at] = without
        if grey:
            with timed([drafts[at] for at in grey], "unseen"):
                compared |= zip(grey, look(list(grey.values())), strict=True)
        for at, other in compared.items():
            nats = competence(verdicts[at], other)
            evidence = {"pictures": nats} if nats > NO_EVIDENCE else {}
            found[at] = replace(verdicts[at], competence=nats, evidence=evidence)
        return found

    # Among the requests that the model was tried on ----------------------------------------------

    def _familiar(
        self,
        drafts: Sequence[Draft],
        verdicts: Mapping[int, Verdict],
        run: Run | None,
        stop: Stop | None,
    ) -> dict[int, Verdict]:
        reference, above = self.chair.reference(), self.policy.judge.competence.threshold
        if reference is None or run is None:
            return {}
        if not reference.resolves(above):
            raise JudgeError(_too_few(len(reference.distances), "requests", above))
        judged = [at for at, each in verdicts.items() if each.error is None]
        run.prefill(partial(timed, drafts))
        told = first_tokens(run, reference.token_ids.tolist())
        evidence = {
            at: {"request": p}
            for at, p in zip(judged, reference.p_requests(told[judged]), strict=True)
        }
        for at in judged:  # what stands before the end of a prompt its first step need not tell
            if not reference.resolves_shape(shape_of(drafts[at].conversation), above):
                evidence[at] = {"request": 0.0}
        shown = [
            at
            for at in judged
            if evidence[at]["request"] > above and drafts[at].conversation.pictures
        ]
        near = zip(shown, self.near(shown), strict=True)
        asked = {at: drafts[at] for at, stands in near if stands}
        for at, p in zip(asked, self._described([*asked.values()], reference, stop), strict=True):
            evidence[at]["description"] = p
        return {
            at: replace(verdicts[at], competence=min(found.values()), evidence=found)
            for at, found in evidence.items()
        }

    def _described(
        self,
        drafts: Sequence[Draft],
        reference: Reference,
        stop: Stop | None,
    ) -> list[float]:
        """Returns the p-values of what the model says of requests' pictures."""
        above = self.policy.judge.competence.threshold
        if not reference.resolves_descriptions(above):
            for draft in drafts:
                draft.note_error(_too_few(len(reference.surprisals), "descriptions", above))
            return [0.0] * len(drafts)
        if not drafts or self.chair.own is None:
            return [0.0] * len(drafts)
        with timed(drafts, "description"):
            unsure = described(self.chair.own, [each.conversation for each in drafts], stop)
            return reference.p_descriptions(unsure)


def _too_few(count: int, what: str, above: float) -> str:
    return f"the reference has {count} {what}, too few for a p of {above:g}"
