"""What a server has shown of answers: asked once, and kept by the tokens before it.

Rows and branches are asked in parallel, a few tokens of a greedy answer at a time, so that steps
that change nothing cost no request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from guardrail.backends.backend import Interrupted, Stop
from guardrail.backends.server.asking import Asking, Prompt, Shown
from guardrail.backends.server.branch import Branch, Said
from guardrail.backends.server.candidates import Candidates
from guardrail.backends.server.spelling import is_incomplete
from guardrail.backends.server.streamed_answer import StreamedAnswer
from guardrail.backends.server.streaming import streamed_tokens
from guardrail.errors import ServerError


@dataclass(frozen=True)
class ShownAnswers:
    """Has a server show the next tokens of answers.

    Attributes:
        asking: The server.
        stretch: Tokens of a greedy answer that are asked for at once.
        stop: Asked between requests.
    """

    asking: Asking
    stretch: int
    stop: Stop | None

    def know(
        self,
        asked: Sequence[tuple[Branch, int, Said]],
        *,
        stretch: int | None = None,
        beside: Sequence[Prompt] = (),
    ) -> list[Candidates]:
        """Has the server show what comes next in answers, where that is not known yet.

        Args:
            asked: Branches, rows, and the first tokens of their answers.
            stretch: Instead of the usual one.
            beside: Further prompts, of one token each, asked at the same time.

        Returns:
            The candidates of what was asked beside.

        Raises:
            ServerError: It gives no usable answer, or does not go on with an answer.
            Interrupted: It was stopped.
        """
        unknown = [(b, row, said) for b, row, said in asked if b.get(row, said) is None]
        if self.stop is not None and (unknown or beside) and self.stop():
            raise Interrupted
        followed = [(b, row, said) for b, row, said in unknown if b.leads(row, said)]
        others = [(b, row, said) for b, row, said in unknown if not b.leads(row, said)]
        most = stretch or self.stretch
        paths: dict[tuple[Branch, int], list[Said]] = {}
        for branch, row, said in followed:
            paths.setdefault((branch, row), []).append(said)
        following = [partial(b.follow, row, each) for (b, row), each in paths.items()]
        if len(following) == 1 and not others and not beside:
            following.pop()()
        with self.asking.client.meanwhile(following):
            found = self._asked(others, most, beside)
        left = [(b, row, said) for b, row, said in followed if b.get(row, said) is None]
        self._asked(left, most)
        return found

    def _asked(
        self,
        missing: Sequence[tuple[Branch, int, Said]],
        stretch: int,
        beside: Sequence[Prompt] = (),
    ) -> list[Candidates]:
        """Asks what comes next in answers, each by itself."""
        if not missing and not beside:
            return []
        starts = [self.start(said) for _, _, said in missing]
        inside = [len(m[2]) - len(at) for m, at in zip(missing, starts, strict=True)]
        prompts = [
            self.prompt(branch, row, at)
            for (branch, row, _), at in zip(missing, starts, strict=True)
        ]
        most = max(inside, default=0) + stretch
        each = [*([1] * len(beside)), *([most] * len(prompts))]
        shown = self.asking.shown([*beside, *prompts], most=each, stop=self.stop)
        self._keep(missing, starts, shown[len(beside) :])
        return [found.first for found in shown[: len(beside)]]

    def _keep(
        self,
        asked: Sequence[tuple[Branch, int, Said]],
        starts: Sequence[Said],
        found: Sequence[Shown],
    ) -> None:
        for (branch, row, said), at, shown in zip(asked, starts, found, strict=True):
            branch.count(row, at, shown.input_tokens)
            for token, candidates in shown.steps:
                branch.keep(row, at, candidates)
                at = (*at, token)
            if branch.strict and branch.get(row, said) is None:
                raise ServerError("the server cannot go on in the middle of a character")

    def reveal(self, branch: Branch, wanted: Sequence[tuple[int, Said, Sequence[int]]]) -> None:
        """Has the server tell the log-probabilities of tokens that it has not shown.

        Args:
            branch: Of which.
            wanted: Rows, the first tokens of their answers, and the tokens after them. Where one of
                these has been shown, none that has not is likelier, and nothing is asked; those
                that the server has no number of its own for are left out.

        Raises:
            ServerError: There is no usable answer.
            Interrupted: It was stopped.
        """
        asked = []
        for row, said, numbers in wanted:
            known = branch.candidates(row, said).log_p
            if any(each in known for each in numbers) or self.start(said) != said:
                continue
            own = map(self.asking.spelling.tokens.server_id, numbers)
            if ids := [each for each in own if each is not None]:
                asked.append((row, said, ids))
        if not asked:
            return
        prompts = [(self.prompt(branch, row, said), ids) for row, said, ids in asked]
        found = self.asking.log_p(prompts, stop=self.stop)
        for (row, said, _), more in zip(asked, found, strict=True):
            branch.add(row, said, more)

    def under_way(
        self,
        branch: Branch,
        row: int,
        said: Said,
        asked: Callable[[int], dict[str, Any]],
        *,
        shown: bool,
    ) -> StreamedAnswer:
        """Returns an answer that begins with certain tokens, and with which the server goes on.

        Args:
            branch: Of which.
            row: Of which.
            said: The tokens.
            asked: Returns what is asked for, given how many of them it really begins with.
            shown: Whether candidates are told of what follows.
        """
        start, spelling = self.start(said), self.asking.spelling
        prompt = self.prompt(branch, row, start)
        events = self.asking.stream(prompt, asked(len(start)), shown=shown)
        tokens = streamed_tokens(events, spelling, partial(branch.count, row, start))
        return StreamedAnswer(tokens, spelling, begun=start)

    def start(self, said: Said) -> Said:
        """Returns the longest beginning of an answer that ends in no incomplete character."""
        while said and is_incomplete(self.asking.spelling.text(said)):
            said = said[:-1]
        return said

    def prompt(self, branch: Branch, row: int, said: Said) -> Prompt:
        """Returns what is put to the server for it to go on with an answer."""
        return Prompt(branch.conversations[row], self.asking.spelling.text(said))
