"""Questions about an answer under way, read off its own cache: no token of it is run again.

They follow the answer's last token as the template would have them follow it, on copies from which
nothing comes back. Where a template or a cache forbids that, the whole is read as a prompt of its
own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from guardrail.backends.backend import Interrupted
from guardrail.backends.questions import Questions
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
        length: How many tokens of prompt and answer it has run, padding not counted.
    """

    conversation: Conversation
    text: str
    place: int
    pending: tuple[int, ...]
    length: int


@dataclass(frozen=True)
class AnswersReader:
    """Reads questions about the answers of one batch.

    Attributes:
        reader: Puts questions to the model.
        prepared: The prompts, as `generate()` resolved them.
        context: Tokens that the model's context takes; None sets no limit.
        clock: Tells the seconds that reading takes.
    """

    reader: PromptReader
    prepared: Prepared
    context: int | None
    clock: Callable[[], float]
    _followed: dict[tuple[int, tuple[str, ...]], JudgeSuffixes | None] = field(default_factory=dict)

    def read(self, branch: Branch, answers: Sequence[AnswerSoFar], questions: Questions) -> Reading:
        """Returns P(yes) of every answer's questions; raises nothing but `Interrupted`.

        Args:
            branch: The rows of the answers, perhaps others besides; unchanged.
            answers: Of the batch's requests.
            questions: Of every answer.
        """
        started = self.clock()
        answers = [self._unended(each) for each in answers]
        suffixes = [self._suffixes(each, questions.all) for each in answers]
        found: dict[int, Sequence[float] | Exception] = {}
        for at, (answer, each) in enumerate(zip(answers, suffixes, strict=True)):
            if isinstance(each, Exception):
                found[at] = each
            elif each is None:
                asked = answer.conversation.answered(answer.text)
                found[at] = self.reader.read_anew(asked, questions)
        going = [at for at in range(len(answers)) if at not in found]
        for part in _alike(answers, going):
            some = [each for at in part if isinstance(each := suffixes[at], JudgeSuffixes)]
            p = self._read_alike(branch, [answers[at] for at in part], some, questions)
            found.update(zip(part, p, strict=True))
        return Reading([found[at] for at in range(len(answers))], self.clock() - started)

    def _unended(self, answer: AnswerSoFar) -> AnswerSoFar:
        """Returns an answer without the token that has ended it: the template writes its own."""
        ends = self.prepared.eos_ids.tolist()
        return replace(answer, pending=tuple(id for id in answer.pending if id not in ends))

    def _suffixes(
        self, answer: AnswerSoFar, questions: Sequence[str]
    ) -> JudgeSuffixes | Exception | None:
        """Returns how questions follow an answer, or why they cannot; None: it is read anew."""
        if self.prepared.embeds_prompt:
            return None
        try:
            found = self._followed_by(answer.conversation, questions)
            if found is not None:
                longest = max(map(len, found.questions))
                check_room(answer.length + len(answer.pending) + longest, self.context)
        except Exception as error:
            return error
        return found

    def _followed_by(
        self, conversation: Conversation, questions: Sequence[str]
    ) -> JudgeSuffixes | None:
        """Returns how questions follow a request's answer, whatever that says: rendered once. The
        run holds its requests, so that none takes another's place.
        """
        asked = id(conversation), tuple(questions)
        if asked not in self._followed:
            tokens = self.reader.encoder.answer_suffixes(conversation, questions)
            self._followed[asked] = None if tokens is None else JudgeSuffixes((), tokens)
        return self._followed[asked]

    def _read_alike(
        self,
        branch: Branch,
        answers: Sequence[AnswerSoFar],
        suffixes: Sequence[JudgeSuffixes],
        questions: Questions,
    ) -> Answers:
        """Reads answers of which equally many tokens have not been run."""
        pending = torch.tensor([each.pending for each in answers], device=branch.ids.device)
        try:
            prefix = _copied(branch, [each.place for each in answers])
            if pending.numel():
                prefix = prefix.extend(pending)
        except Interrupted:
            raise
        except Exception as error:
            return [error] * len(answers)
        return self.reader.read_shared(prefix, suffixes, questions)


def _copied(branch: Branch, places: Sequence[int]) -> Branch:
    """Returns rows that may be extended, and leave the branch as it is."""
    if list(places) == list(range(branch.batch)) and is_plain(branch):
        return branch.beside()
    return branch.fork(places)


def _alike(answers: Sequence[AnswerSoFar], some: Sequence[int]) -> list[list[int]]:
    """Returns which of them have equally many tokens that have not been run."""
    counts = {at: len(answers[at].pending) for at in some}
    return [[at for at in some if counts[at] == count] for count in sorted({*counts.values()})]
