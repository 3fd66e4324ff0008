"""Requests that run together on a server: prompts, questions, tokens. See `guardrail.backends.Run`.

Nothing is kept between requests but the text of each answer so far and what has been shown of its
next tokens: the server's prefix cache pays for prompts and pictures once. Where that keeps no other
waiting, a greedy answer is under way from the beginning, and is what guided steps go by; elsewhere
a few of its tokens are asked for at a time. Steps that change nothing cost no request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from guardrail.backends.backend import Adjust, Constraint, Phase, Stop
from guardrail.backends.likelihood import Likelihood
from guardrail.backends.questions import Questions
from guardrail.backends.results import FinishReason, Reading, Taken
from guardrail.backends.server.asking import Asking
from guardrail.backends.server.branch import Branch, Said
from guardrail.backends.server.capabilities import Capabilities
from guardrail.backends.server.draws import Draws, Logits
from guardrail.backends.server.forms import HELD, needs_server
from guardrail.backends.server.question_reading import QuestionReading
from guardrail.backends.server.shown_answers import ShownAnswers
from guardrail.backends.server.streamed_answer import StreamedAnswer
from guardrail.backends.server.streaming import StreamedToken
from guardrail.backends.server.told_tokens import steered_likelihoods, streamed_likelihood
from guardrail.backends.server.wanted import most_tokens, reason_of, wanted
from guardrail.policy.terms import Counterfactual
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings

_STRETCH = 6
"""Tokens of a greedy answer that are asked for at once: the guided steps, and one more."""


class ServerRun:
    """See `guardrail.backends.Run`.

    Args:
        asking: The server.
        conversations: The requests.
        settings: The caller's.
        capabilities: What the server can do.
        stop: Asked between requests.
    """

    def __init__(
        self,
        asking: Asking,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        capabilities: Capabilities,
        stop: Stop | None,
    ) -> None:
        self._capabilities = capabilities
        self._asking, self._settings, self._stop = asking, settings, stop
        stretch = 1 if settings.temperature else min(_STRETCH, most_tokens(settings))
        self._shown = ShownAnswers(asking, stretch, stop)
        self._questions = QuestionReading(asking, self._shown, bool(capabilities.shows), stop)
        self._real = Branch(tuple(conversations), strict=True)
        self._noised: Branch | None = None
        self._others: dict[tuple[Counterfactual, float, int], Branch] = {}
        self._held = any(map(needs_server, conversations))
        self._demanded: dict[int, Constraint | None] = {}
        self._live = list(range(len(conversations)))
        self._said: list[Said] = [() for _ in conversations]
        self._finished: list[FinishReason | None] = [None] * len(conversations)
        self._draws = Draws(0, settings, asking.spelling.tokens, seed=None)

    @property
    def input_tokens(self) -> Sequence[int]:
        """Prompt tokens of each request, as the server counts them; 0 while it was not asked."""
        return self._real.input_tokens

    @property
    def degraded(self) -> Sequence[str]:
        """What the server cannot do, and what that means."""
        held = (HELD,) if self._held and self._capabilities.guides else ()
        return (*self._capabilities.degraded, *held)

    @property
    def guides(self) -> bool:
        """Whether single steps can be guided."""
        return self._capabilities.guides and not self._held

    @property
    def shows_pictures(self) -> bool:
        """Whether its pictures can be shown otherwise."""
        return any(each.pictures for each in self._real.conversations)

    @property
    def coverage(self) -> Sequence[float | None]:
        """Of each row, the probability of all that the server shows of its next token."""
        branches = self._compared
        found = [[each.get(row, self._said[row]) for each in branches] for row in self._live]
        return [min(0.0 if each is None else each.shown for each in row) for row in found]

    # Before the first token ------------------------------------------------------------------

    def read(self, questions: Questions, phase: Phase) -> Reading:
        """Puts questions after each request, all in parallel."""
        if self._capabilities.guides:
            with phase("prefill"):  # each answer's first token
                self._know([self._real], range(len(self._said)), stretch=1)
        with phase("judge"):
            return self._questions.read(self._real.conversations, questions, self._going_on)

    def _going_on(self) -> list[tuple[Branch, int, Said]]:
        """Returns what the server may show of the answers while it reads questions."""
        control = self._asking.spelling.tokens.is_control
        going = self._real.after_first(control) if self.guides else []
        for each in self._others.values():
            self._begin(each, range(len(self._said)))
            going += [(each, row, ()) for row in range(len(self._said))]
        return going

    def _begin(self, branch: Branch, rows: Sequence[int]) -> None:
        """Has the server go on with answers by itself, where that keeps no other waiting.

        What it shows of them is what guided steps go by; where steering turns away from one, it is
        let go, and another one begins there.
        """
        batches = self.guides and self._capabilities.dialect.batches
        if not batches or most_tokens(self._settings) == 1 or self._settings.temperature:
            return
        for row in rows:
            known = row in branch.streams or branch.get(row, self._said[row]) is not None
            if branch.streamed and not known:
                branch.streams[row] = self._begun(branch, row, shown=True)

    def prefill(self, phase: Phase) -> None:
        """Does nothing: what is not asked before the answer itself need not run by itself."""

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows alone."""
        self._live = list(rows)
        for each in self._branches:
            each.keep_streams(rows)

    def foresee(self, kind: Counterfactual, *, noise_std: float) -> None:
        """Has other pictures be shown beside the questions."""
        self._with_others(kind, noise_std, 0)

    def contrast_with(
        self,
        kind: Counterfactual,
        *,
        noise_std: float,
        seed: int = 0,
        rows: Sequence[int] | None = None,
    ) -> Counterfactual:
        """Has the same prompts run with other pictures, at the size at which they are sent."""
        self._noised = self._with_others(kind, noise_std, seed)
        self._know([self._noised], self._live)
        return "photo-noise" if kind == "noise" else kind

    def _with_others(self, kind: Counterfactual, noise_std: float, seed: int) -> Branch:
        asked = (kind, noise_std, seed)
        if asked not in self._others:
            self._others[asked] = self._real.otherwise(*asked)
        return self._others[asked]

    # Tokens ----------------------------------------------------------------------------------

    def reveal(self, tokens: Sequence[Sequence[int]]) -> None:
        """Has the server tell the log-probabilities of tokens that it does not show by itself."""
        if self._capabilities.dialect.reveals and any(tokens):
            self._know_next()
            said = [(row, self._said[row]) for row in self._live]
            asked = [(*each, wanted) for each, wanted in zip(said, tokens, strict=True)]
            self._shown.reveal(self._real, [e for e in asked if self._finished[e[0]] is None])

    def logits(self) -> tuple[Logits, Logits | None]:
        """Returns next-token log-probabilities, real and noised: (rows, tokens seen so far)."""
        self._know_next()
        width = len(self._asking.spelling.tokens)
        real = [self._real.candidates(row, self._said[row]) for row in self._live]
        rows = np.stack([each.row(width) for each in real])
        if self._noised is None:
            return rows, None
        # Where nothing is known of the noised branch, it says what the real one says.
        other = [self._noised.get(row, self._said[row]) for row in self._live]
        beside = zip(real, other, strict=True)
        return rows, np.stack([(b or a).row(width, real=a) for a, b in beside])

    def _know_next(self) -> None:
        self._know(self._compared, self._going)

    def _know(
        self, branches: Sequence[Branch], rows: Sequence[int], *, stretch: int | None = None
    ) -> None:
        """Has the server show what comes next in answers."""
        for each in branches:
            self._begin(each, rows)
        asked = [(each, row, self._said[row]) for each in branches for row in rows]
        self._shown.know(asked, stretch=stretch)

    @property
    def _compared(self) -> Sequence[Branch]:
        return [self._real] if self._noised is None else [self._real, self._noised]

    @property
    def _going(self) -> list[int]:
        return [row for row in self._live if self._finished[row] is None]

    def ahead(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> Logits:
        """Returns next-token log-probabilities of the real branch, had rows gone on with tokens."""
        paths = self._paths(rows, tokens)
        self._shown.know([(self._real, *each) for each in paths], stretch=1)
        width = len(self._asking.spelling.tokens)
        return np.stack([self._real.candidates(*each).row(width) for each in paths])

    def knows(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[bool]:
        """Whether the server has shown already what comes after these tokens."""
        paths = self._paths(rows, tokens)
        for row, said in paths:
            self._real.follow(row, [said])
        return [self._real.get(*each) is not None for each in paths]

    def _paths(self, rows: Sequence[int], more: Sequence[Sequence[int]]) -> list[tuple[int, Said]]:
        asked = [self._live[row] for row in rows]
        return [(row, (*self._said[row], *each)) for row, each in zip(asked, more, strict=True)]

    def begin(self, constraints: Sequence[Constraint | None], *, seed: int | None) -> None:
        """Makes ready to decode."""
        self._demanded = dict(zip(self._live, constraints, strict=True))
        tokens = self._asking.spelling.tokens
        self._draws = Draws(len(self._live), self._settings, tokens, seed=seed)

    def within(self, logits: Logits) -> Logits:
        """Returns logits in which what is no token, or must not come, is out of reach."""
        return self._draws.within(logits)

    def choose(self, logits: Logits) -> list[int]:
        """Returns each row's next token."""
        return self._draws.choose(logits)

    def peek(self, logits: Logits) -> list[int]:
        """Returns what `choose` would."""
        return self._draws.peek(logits)

    def likelihoods(self, logits: Logits, tokens: Sequence[int]) -> list[Likelihood | None]:
        """Returns how likely tokens are that are about to be taken, where that is wanted."""
        if self._settings.likeliest is None:
            return [None] * len(tokens)
        shown = [self._real.candidates(row, self._said[row]) for row in self._live]
        return steered_likelihoods(logits, shown, tokens, self._settings.likeliest)

    def take(self, tokens: Sequence[int]) -> list[FinishReason | None]:
        """Makes these the rows' next tokens; returns why rows have finished."""
        for row, token in zip(self._live, tokens, strict=True):
            if self._finished[row] is not None:
                continue
            control = self._asking.spelling.tokens.is_control(token)
            said = (*self._said[row], token)
            self._finished[row] = "stop" if control else self._reason(said)
            if self._finished[row] is None:  # of a row that is done, what came last still stands
                self._said[row] = said
                for each in self._branches:
                    each.turn(row, said)
        return [self._finished[row] for row in self._live]

    def _reason(self, said: Said) -> FinishReason | None:
        return reason_of(self._settings, said, self._asking.spelling)

    def read_answers(
        self, rows: Sequence[int], said: Sequence[str], questions: Questions
    ) -> Reading:
        """Puts questions after answers as they are, each with a prompt of its own: the server knows
        its beginning.
        """
        given = [
            self._real.conversations[self._live[row]].answered(text)
            for row, text in zip(rows, said, strict=True)
        ]
        return self._questions.read(given, questions)

    def release(self, row: int) -> None:
        """Has the server say no more of one answer."""
        released = self._live[row]
        self._finished[released] = "stop"
        while self._said[released] and self._real.get(released, self._said[released]) is None:
            self._said[released] = self._said[released][:-1]  # to where something is known
        self._real.leave(released)

    def advance(self, *, noised: bool) -> None:
        """Goes on from what was taken; what comes next is asked once it is wanted."""
        if not noised and self._noised is not None:
            self._noised.keep_streams(())
            self._noised = None

    @property
    def steers_on(self) -> bool:
        """False: the server answers on by itself."""
        return False

    def rest(self, adjust: Adjust | None = None) -> Iterator[Taken]:
        """Has the server answer on by itself, one stream a row, until every row has finished."""
        spelling, count = self._asking.spelling, self._settings.likeliest
        streams = {row: self._streamed(row) for row in self._going}
        while any(self._finished[row] is None for row in streams):
            tokens = [0] * len(self._live)
            likely: list[Likelihood | None] = [None] * len(self._live)
            for place, row in enumerate(self._live):
                if self._finished[row] is None:
                    (token, entry), reason = next(streams[row])
                    tokens[place] = token
                    likely[place] = streamed_likelihood(token, entry, spelling, count)
                    self._said[row] += (token,)
                    self._finished[row] = reason or self._reason(self._said[row])
                    if self._finished[row] is not None:
                        self._real.leave(row)
            yield Taken(tokens, [self._finished[row] for row in self._live], likely)

    def close(self) -> None:
        """Has the server say no more of any answer."""
        for each in self._branches:
            each.keep_streams(())

    @property
    def _branches(self) -> Sequence[Branch]:
        return [self._real, *self._others.values()]

    def _streamed(self, row: int) -> Iterator[tuple[StreamedToken, FinishReason | None]]:
        """Returns the rest of an answer, of the one that is under way or of one that begins so."""
        said, streams = self._said[row], self._real.streams
        if row not in streams:
            streams[row] = self._begun(self._real, row)
        return streams[row].rest(said)

    def _begun(self, branch: Branch, row: int, *, shown: bool = False) -> StreamedAnswer:
        asked = partial(self._wanted, branch, row)
        return self._shown.under_way(branch, row, self._said[row], asked, shown=shown)

    def _wanted(self, branch: Branch, row: int, begun: int) -> dict[str, Any]:
        if branch is not self._real:  # nothing but guided steps
            return {"max_tokens": _STRETCH, "temperature": 0}
        held = self._demanded.get(row)
        return wanted(self._settings, branch.conversations[row], held, begun=begun)
