"""What a server has shown of answers: asked once, and kept by the tokens before it.

Rows and branches are asked in parallel, a few tokens of a greedy answer at a time, so that steps
that change nothing cost no request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from guardrail.backends.backend import Interrupted, Stop
from guardrail.backends.photographs import shown_otherwise
from guardrail.backends.server.asking import Asking, Prompt, Shown
from guardrail.backends.server.candidates import Candidates
from guardrail.backends.server.spelling import is_incomplete
from guardrail.backends.server.streamed_answer import StreamedAnswer
from guardrail.errors import ServerError
from guardrail.policy.terms import Counterfactual
from guardrail.request.conversation import Conversation

Said = tuple[int, ...]
"""The first tokens of an answer."""


@dataclass(eq=False)
class Branch:
    """Requests with their pictures as they are, or otherwise, and what has been shown of them.

    Attributes:
        conversations: The requests.
        strict: Whether what the server cannot show is an error; else it is left out.
        input_tokens: Of each request's prompt, as the server counts them; 0 where it does not.
        streams: Answers that are under way, by row.
        streamed: Whether they show what they should.
    """

    conversations: Sequence[Conversation]
    strict: bool
    input_tokens: list[int] = field(init=False)
    streams: dict[int, StreamedAnswer] = field(init=False, default_factory=dict)
    streamed: bool = field(init=False, default=True)
    _known: list[dict[Said, Candidates]] = field(init=False)

    def __post_init__(self) -> None:
        self.input_tokens = [0] * len(self.conversations)
        self._known = [{} for _ in self.conversations]

    def otherwise(self, kind: Counterfactual, noise_std: float, seed: int) -> Branch:
        """Returns the same requests with other pictures, of which nothing has been shown."""
        noised = [
            shown_otherwise(each, kind, noise_std=noise_std, seed=seed)
            for each in self.conversations
        ]
        return Branch(noised, strict=False)

    def get(self, row: int, said: Said) -> Candidates | None:
        """Returns the candidates after an answer's first tokens, if they have been shown."""
        return self._known[row].get(said)

    def follow(self, row: int, paths: Sequence[Said]) -> None:
        """Keeps what an answer that is under way shows after each of some first tokens.

        One that breaks off is let go: nobody has seen any of it. So is one that shows too little,
        or does not count its prompt, since then nothing that is left out would be noticed.
        """
        for said in paths:
            if not self.leads(row, said) or self.get(row, said) is not None:
                continue
            try:
                found, goes = self.streams[row].after(said), self.streams[row].goes(said)
            except ServerError:
                found, goes = None, True
            if found is not None and self.input_tokens[row]:
                self.keep(row, said, found)
            elif goes:
                self.leave(row)
                self.streamed = False

    def leads(self, row: int, said: Said) -> bool:
        """Whether there is an answer under way that may begin with these tokens."""
        return row in self.streams and self.streams[row].agrees(said)

    def turn(self, row: int, said: Said) -> None:
        """Lets an answer go that is under way, if it does not begin with these tokens."""
        try:
            stays = row not in self.streams or self.streams[row].goes(said)
        except ServerError:
            stays = False
        if not stays:
            self.leave(row)

    def leave(self, row: int) -> None:
        """Has an answer that is under way be none, if there is one."""
        if row in self.streams:
            self.streams.pop(row).close()

    def count(self, row: int, begun: Said, count: int) -> None:
        """Keeps a prompt's length.

        Raises:
            ServerError: A beginning of the answer does not lengthen it.
        """
        if not begun:
            self.input_tokens[row] = self.input_tokens[row] or count
        elif count and self.input_tokens[row] and count <= self.input_tokens[row]:
            raise ServerError("the server leaves out what the answer begins with")

    def keep_streams(self, rows: Sequence[int]) -> None:
        """Lets those go that are not of these rows."""
        for row in [each for each in self.streams if each not in rows]:
            self.leave(row)

    def candidates(self, row: int, said: Said) -> Candidates:
        """Returns the candidates after an answer's first tokens, which have been shown."""
        return self._known[row][said]

    def keep(self, row: int, said: Said, candidates: Candidates) -> None:
        """Keeps the candidates after an answer's first tokens; what is known already stands."""
        self._known[row].setdefault(said, candidates)

    def add(self, row: int, said: Said, candidates: Candidates) -> None:
        """Adds to the candidates after an answer's first tokens."""
        self._known[row][said] = self._known[row][said].beside(candidates)


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

    def start(self, said: Said) -> Said:
        """Returns the longest beginning of an answer that ends in no incomplete character."""
        while said and is_incomplete(self.asking.spelling.text(said)):
            said = said[:-1]
        return said

    def prompt(self, branch: Branch, row: int, said: Said) -> Prompt:
        """Returns what is put to the server for it to go on with an answer."""
        return Prompt(branch.conversations[row], self.asking.spelling.text(said))
