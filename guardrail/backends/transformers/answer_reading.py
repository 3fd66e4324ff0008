"""Questions about an answer under way, read off its own cache: no token of it is run again.

They follow the answer's last token as the template would have them follow it, on copies from which
nothing comes back. Where a template or a cache forbids that, the whole is read as a prompt of its
own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from guardrail.backends.backend import Interrupted
from guardrail.backends.results import Reading
from guardrail.backends.transformers.branch import Branch, Prepared
from guardrail.backends.transformers.prompt import JudgeSuffixes
from guardrail.backends.transformers.reading import PromptReader, check_room
from guardrail.backends.transformers.tree import is_plain
from guardrail.request.conversation import Conversation

Answers = Sequence[Sequence[float] | Exception]


@dataclass(frozen=True)
class AnswerSoFar:
    """An answer under way.

    Attributes:
        conversation: What it answers.
        text: What it says so far.
        place: Its row of the branch.
        pending: Its latest tokens, which the branch has not run yet.
    """

    conversation: Conversation
    text: str
    place: int
    pending: tuple[int, ...]


@dataclass(frozen=True)
class AnswersReader:
    """Reads questions about the answers of one batch.

    Attributes:
        reader: Puts questions to the model.
        prepared: The prompts, as `generate()` resolved them.
        branch: The rows of the answers, perhaps others besides; unchanged.
        context: Tokens that the model's context takes; None sets no limit.
        clock: Tells the seconds that reading takes.
    """

    reader: PromptReader
    prepared: Prepared
    branch: Branch
    context: int | None
    clock: Callable[[], float]

    def read(self, answers: Sequence[AnswerSoFar], questions: Sequence[str]) -> Reading:
        """Returns P(yes) of every answer's questions; raises nothing but `Interrupted`."""
        started = self.clock()
        answers = [self._unended(each) for each in answers]
        found: dict[int, Sequence[float] | Exception] = {}
        for part in _alike(answers):
            try:
                p: Answers = self._read_alike([answers[at] for at in part], questions)
            except Interrupted:
                raise
            except Exception as error:
                p = [error] * len(part)
            found.update(zip(part, p, strict=True))
        return Reading([found[at] for at in range(len(answers))], self.clock() - started)

    def _unended(self, answer: AnswerSoFar) -> AnswerSoFar:
        """Returns an answer without the token that has ended it: the template writes its own."""
        ends = self.prepared.eos_ids.tolist()
        return replace(answer, pending=tuple(id for id in answer.pending if id not in ends))

    def _read_alike(self, answers: Sequence[AnswerSoFar], questions: Sequence[str]) -> Answers:
        suffixes = self._suffixes(answers, questions)
        if suffixes is None:
            asked = [each.conversation.answered(each.text) for each in answers]
            return [self.reader.read_anew(each, questions) for each in asked]
        pending = torch.tensor([each.pending for each in answers], device=self.branch.ids.device)
        longest = max(len(tokens) for each in suffixes for tokens in each.questions)
        check_room(self.branch.ids.shape[1] + pending.shape[1] + longest, self.context)
        prefix = self._copied([each.place for each in answers])
        if pending.numel():
            prefix = prefix.extend(pending)
        return self.reader.read_shared(prefix, suffixes)

    def _suffixes(
        self, answers: Sequence[AnswerSoFar], questions: Sequence[str]
    ) -> list[JudgeSuffixes] | None:
        if self.prepared.embeds_prompt:
            return None
        found = []
        for each in answers:
            tokens = self.reader.encoder.answer_suffixes(each.conversation, questions)
            if tokens is None:
                return None
            found.append(JudgeSuffixes((), tokens))
        return found

    def _copied(self, places: Sequence[int]) -> Branch:
        """Returns rows that may be extended, and leave the branch as it is."""
        if list(places) == list(range(self.branch.batch)) and is_plain(self.branch):
            return self.branch.beside()
        return self.branch.fork(places)


def _alike(answers: Sequence[AnswerSoFar]) -> list[list[int]]:
    """Returns which of them have equally many tokens that have not been run."""
    counts = [len(each.pending) for each in answers]
    return [[at for at, n in enumerate(counts) if n == count] for count in sorted({*counts})]
