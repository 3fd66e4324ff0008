"""Yes-or-no questions put to a server, a prompt each, and read off what it shows or says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from guardrail.backends.backend import Interrupted, Stop
from guardrail.backends.questions import Questions
from guardrail.backends.results import Reading
from guardrail.backends.server.asking import Asking, Prompt
from guardrail.backends.server.branch import Branch, Said
from guardrail.backends.server.labels import p_label, p_said
from guardrail.backends.server.shown_answers import ShownAnswers
from guardrail.request.conversation import Conversation

YES, NO = ("Yes", "yes", "YES"), ("No", "no", "NO")
_FEW = 4
"""Tokens in which yes or no is said."""

Going = Callable[[], Sequence[tuple[Branch, int, Said]]]
"""Returns what the server is to show at the same time of answers that are under way."""


@dataclass(frozen=True)
class QuestionReading:
    """Reads questions off one server.

    Attributes:
        asking: The server.
        shown: What it has shown of answers.
        shows: Whether it shows probabilities; else its words are read.
        stop: Asked between requests.
    """

    asking: Asking
    shown: ShownAnswers
    shows: bool
    stop: Stop | None

    def read(
        self, asked: Sequence[Conversation], questions: Questions, going: Going = tuple
    ) -> Reading:
        """Returns P(yes) of each conversation's questions, those of a stage asked in parallel.

        Raises nothing but `Interrupted`.
        """
        started = time.perf_counter()
        try:
            rows = self._p_yes(asked, questions.first, going)
            some = questions.going_on(rows)
            others = self._p_yes([asked[row] for row in some], questions.then, tuple)
            for row, p in zip(some, others, strict=True):
                rows[row] += p
        except Interrupted:
            raise
        except Exception as error:
            if len(asked) > 1:  # whose fault it is, each finds out by itself
                alone = [self.read([each], questions).rows[0] for each in asked]
                return Reading(alone, time.perf_counter() - started)
            return Reading([error], 0.0)
        return Reading(rows, time.perf_counter() - started)

    def _p_yes(
        self, asked: Sequence[Conversation], questions: Sequence[str], going: Going
    ) -> list[list[float]]:
        prompts = [Prompt(each.ask(text)) for each in asked for text in questions]
        if not prompts:
            return []
        if not self.shows:
            said = self.asking.begun_with(prompts, most=_FEW, stop=self.stop)
            p = [p_said(each, YES, NO) for each in said]
        else:
            found = self.shown.know(going(), beside=prompts)
            tokens = self.asking.spelling.tokens
            p = [p_label(each, tokens, YES, NO) for each in found]
        return [p[at : at + len(questions)] for at in range(0, len(p), len(questions))]
