"""From an answer that somebody else wrote to the decision on it: the judge, the policy, the record.

It is one reading of an answer that is over; what is made of answers under way is `Deciding.watch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guardrail.backends import Interrupted, Stop
from guardrail.judging.answer_hearing import AnswerHearing
from guardrail.judging.deciding import Deciding
from guardrail.judging.draft import Draft
from guardrail.judging.judge import readable
from guardrail.judging.reply import Reply
from guardrail.judging.timing import timed
from guardrail.policy.review import Review
from guardrail.policy.ruling import WatchRuling
from guardrail.policy.verdict import Verdict
from guardrail.policy.watching import decide_reading, reviewed_reading
from guardrail.record.answer import Judgement
from guardrail.request.conversation import Conversation
from guardrail.request.settings import ONE_TOKEN


@dataclass(frozen=True)
class AnswerDeciding:
    """Decides about answers under one policy.

    Attributes:
        deciding: Who judges, and where records go.
    """

    deciding: Deciding

    def decide(
        self,
        asked: Conversation,
        said: str,
        *,
        review: Review | None,
        verdict: Verdict | None,
        stop: Stop | None = None,
    ) -> Judgement:
        """Returns what is decided about an answer.

        INVARIANT: an answer passes by a ruling that clears it, or because nothing is enforced.

        Args:
            asked: What it answers.
            said: The answer, in words.
            review: A human's word on it.
            verdict: What is believed already; without one the judge is asked.
            stop: Asked while the answering model judges.

        Raises:
            AuditError: The record cannot be kept.
        """
        deciding, operation = self.deciding, "apply_guardrail"
        drafts = deciding.drafts([asked], ONE_TOKEN, review=review, operation=operation)
        [draft] = drafts
        with deciding.recorded(drafts):
            if deciding.mode == "off":
                return self._let_go(draft, said)
            try:
                ruling = self._ruled(drafts, said, verdict, stop)
            except Interrupted:
                draft.stop("cancelled")
                return Judgement(draft.conclude().decision, "")
            if ruling.clears or deciding.mode == "shadow":
                return self._let_go(draft, said)
            draft.halt = ruling
            words = draft.refusal
            if draft.escalates:
                draft.finish = "escalated"
                whole = asked.answered(said)
                token = deciding.approvals.issue(draft.id, whole, deciding.policy.digest)
                return Judgement(draft.conclude().decision, words, token)
            draft.finish = "blocked"
            draft.reply = Reply.in_words(words, instead_of=Reply(whole=said))
            return Judgement(draft.conclude().decision, words)

    def _let_go(self, draft: Draft, said: str) -> Judgement:
        draft.finish = "judged"
        draft.reply = Reply(text=said, whole=said)
        return Judgement(draft.conclude().decision, "")

    def _ruled(
        self, drafts: Sequence[Draft], said: str, verdict: Verdict | None, stop: Stop | None
    ) -> WatchRuling:
        [draft] = drafts
        policy, whole = self.deciding.policy, draft.conversation.answered(said)
        with draft.trace.phase("guardrail.verdict"), timed(drafts, "watch"):
            if verdict is None:
                hearing = AnswerHearing(policy, self.deciding.chair)
                believed = hearing.whole(draft.conversation, said, stop)
            else:
                believed = readable(verdict)
            draft.hear(lambda word: self.deciding.approvals.refusal(word, whole, policy.digest))
            ruling = reviewed_reading(decide_reading(policy, believed, last=True), draft.review)
            draft.trace.note_reading(draft.note_reading(believed, ruling, over=True))
        return ruling
