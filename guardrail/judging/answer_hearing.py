"""The judge on answers: how unsafe each is, as far as it has come.

The questions are the policy's answer questions; who is asked them is the same judge as of requests.
It knows nothing of what a policy makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guardrail.backends import Run, Stop
from guardrail.judging.chair import Chair
from guardrail.judging.evidence import counted
from guardrail.judging.judge import answer_questions_of
from guardrail.judging.screening import Screening
from guardrail.judging.self_judge import self_verdicts_on_answers
from guardrail.policy import Policy
from guardrail.policy.verdict import Verdict
from guardrail.request.conversation import Conversation


@dataclass(frozen=True)
class AnswerHearing:
    """Hears the judge of one policy on answers.

    Attributes:
        policy: What is asked.
        chair: Who judges.
    """

    policy: Policy
    chair: Chair

    def under_way(
        self, run: Run, rows: Sequence[int], asked: Sequence[Conversation], said: Sequence[str]
    ) -> list[Verdict]:
        """Returns the verdict on answers that a run decodes, calibrated.

        Args:
            run: It decodes them.
            rows: As for `Run.read_answers`.
            asked: What they answer.
            said: What each of them has said so far.

        Raises:
            Interrupted: It was stopped.
        """
        timeout_s = self.policy.judge.timeout_s
        if self.chair.reads_itself:
            screening = Screening.of_answers(self.policy)
            found = self_verdicts_on_answers(run, rows, said, screening, timeout_s=timeout_s)
        else:
            given = [each.answered(text) for each, text in zip(asked, said, strict=True)]
            found = [self.chair.ask(each, self._questions, timeout_s=timeout_s) for each in given]
        return [counted(self.policy.judge, each, None) for each in found]

    def whole(self, asked: Conversation, said: str, stop: Stop | None) -> Verdict:
        """Returns the verdict on an answer that somebody else wrote, calibrated.

        Args:
            asked: What it answers.
            said: The answer.
            stop: Asked while the model judges.

        Raises:
            Interrupted: It was stopped.
        """
        [found] = self.chair.look(
            [asked.answered(said)],
            self._questions,
            timeout_s=self.policy.judge.timeout_s,
            stop=stop,
        )
        return counted(self.policy.judge, found, None)

    @property
    def _questions(self) -> dict[str, str]:
        return answer_questions_of(self.policy)
