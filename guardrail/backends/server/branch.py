"""Requests with their pictures as they are, or otherwise, and what a server has shown of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from guardrail.backends.photographs import shown_otherwise
from guardrail.backends.server.candidates import Candidates
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

    def after_first(self, is_control: Callable[[int], bool]) -> list[tuple[Branch, int, Said]]:
        """Returns what comes after the first token of each answer, if nothing steers it.

        Of those that are under way, that is shown anyway.
        """
        rows = [row for row in range(len(self.conversations)) if row not in self.streams]
        firsts = [(row, self.candidates(row, ()).likeliest) for row in rows]
        return [(self, row, (each,)) for row, each in firsts if not is_control(each)]

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
