"""Requests that run together on a server: prompts, questions, tokens. See `guardrail.backends.Run`.

Nothing is kept between requests but the text of each answer so far: the server's prefix cache pays
for prompts and pictures once. Rows are asked in parallel.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from guardrail.backends.arrays import softmax
from guardrail.backends.backend import Constraint, FinishReason, Interrupted, Phase, Reading, Stop
from guardrail.backends.photographs import shown_otherwise
from guardrail.backends.server.asking import Asking, First, Prompt
from guardrail.backends.server.capabilities import Capabilities
from guardrail.backends.server.labels import p_label, p_said
from guardrail.backends.server.seen_tokens import FILLERS
from guardrail.backends.server.streaming import streamed_tokens
from guardrail.errors import ServerError
from guardrail.policy.terms import Counterfactual
from guardrail.request.conversation import Conversation
from guardrail.request.settings import DEFAULT_MAX_NEW_TOKENS, GenerationSettings

Logits = npt.NDArray[np.float32]

YES, NO = ("Yes", "yes", "YES"), ("No", "no", "NO")
_OUT_OF_REACH = -1e9
_FEW = 4
"""Tokens in which yes or no is said."""


class ServerRun:
    """See `guardrail.backends.Run`.

    Args:
        asking: The server.
        conversations: The requests.
        settings: The caller's.
        capabilities: What the server can do.
        wanted: Tokens whose log-probabilities steering needs.
        stop: Asked between requests.
    """

    def __init__(
        self,
        asking: Asking,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        capabilities: Capabilities,
        wanted: Sequence[int] = (),
        stop: Stop | None,
    ) -> None:
        self._capabilities = capabilities
        self._asking, self._settings, self._stop = asking, settings, stop
        self._conversations = tuple(conversations)
        self._noised: tuple[Conversation, ...] | None = None
        self._wanted = tuple(wanted)
        self._live = list(range(len(conversations)))
        self._said: list[list[int]] = [[] for _ in conversations]
        self._finished: list[FinishReason | None] = [None] * len(conversations)
        self._known: dict[tuple[bool, int], First] = {}
        self._draws: list[random.Random] = []

    @property
    def input_tokens(self) -> Sequence[int]:
        """Prompt tokens of each request, as the server counts them."""
        if not self.guides:
            return [0] * len(self._conversations)
        self._ask_first()
        return [self._known[False, row].input_tokens for row in range(len(self._conversations))]

    @property
    def degraded(self) -> Sequence[str]:
        """What the server cannot do, and what that means."""
        return self._capabilities.degraded

    @property
    def guides(self) -> bool:
        """Whether single steps can be guided."""
        return self._capabilities.guides

    @property
    def shows_pictures(self) -> bool:
        """Whether its pictures can be shown otherwise."""
        return any(each.pictures for each in self._conversations)

    # Before the first token ------------------------------------------------------------------

    def read(self, questions: Sequence[str], phase: Phase) -> Reading:
        """Puts questions after each request, all in parallel."""
        self.prefill(phase)
        started = time.perf_counter()
        prompts = [Prompt(each.ask(text)) for each in self._conversations for text in questions]
        with phase("judge"):
            try:
                p = self._read(prompts)
            except Interrupted:
                raise
            except Exception as error:
                return Reading([error] * len(self._conversations), 0.0)
        each = len(questions)
        rows = [p[at : at + each] for at in range(0, len(p), each)]
        return Reading(rows, time.perf_counter() - started)

    def _read(self, prompts: Sequence[Prompt]) -> list[float]:
        if not self._capabilities.shows:
            said = self._asking.begun_with(prompts, most=_FEW, stop=self._stop)
            return [p_said(each, YES, NO) for each in said]
        found = self._asking.first(prompts, stop=self._stop)
        return [p_label(each.candidates, self._asking.tokens, YES, NO) for each in found]

    def prefill(self, phase: Phase) -> None:
        """Has the prompts run."""
        if self.guides:
            with phase("prefill"):
                self._ask_first()

    def _ask_first(self) -> None:
        self._ask([(False, row) for row in range(len(self._conversations))])

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows alone."""
        self._live = list(rows)

    def contrast_with(self, kind: Counterfactual, *, noise_std: float, seed: int = 0) -> None:
        """Has the same prompts run with other pictures, at the size at which they are sent."""
        self._noised = tuple(
            shown_otherwise(each, kind, noise_std=noise_std, seed=seed)
            for each in self._conversations
        )
        self._ask([(True, row) for row in self._live])

    # Tokens ----------------------------------------------------------------------------------

    def logits(self) -> tuple[Logits, Logits | None]:
        """Returns next-token log-probabilities, real and noised: (rows, tokens seen so far)."""
        asked = [(False, row) for row in self._live]
        if self._noised is not None:
            asked += [(True, row) for row in self._live]
        self._ask([each for each in asked if self._finished[each[1]] is None])
        width = len(self._asking.tokens)
        rows = np.stack([self._row(each, width) for each in asked])
        count = len(self._live)
        return rows[:count], rows[count:] if self._noised is not None else None

    def _row(self, at: tuple[bool, int], width: int) -> Logits:
        noised, row = at
        beside = self._known[False, row].candidates if noised else None
        return self._known[at].candidates.row(width, beside=beside)

    def ahead(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> Logits:
        """Returns next-token log-probabilities of the real branch, had rows gone on with tokens."""
        prompts = [
            self._prompt(False, self._live[row], more)
            for row, more in zip(rows, tokens, strict=True)
        ]
        found = self._asking.first(prompts, wanted=self._wanted, stop=self._stop)
        width = len(self._asking.tokens)
        return np.stack([each.candidates.row(width) for each in found])

    def begin(self, constraints: Sequence[Constraint | None], *, seed: int | None) -> None:
        """Makes ready to decode."""
        if any(each is not None for each in constraints):
            raise ServerError("a form of the answer cannot be held to over a server")
        made = random.SystemRandom() if seed is None else None
        self._draws = [made or random.Random(seed) for _ in self._live]

    def within(self, logits: Logits) -> Logits:
        """Returns logits in which what is no token is out of reach."""
        found = logits.copy()
        found[:, :FILLERS] = _OUT_OF_REACH
        return found

    def choose(self, logits: Logits) -> list[int]:
        """Returns each row's next token."""
        rows = zip(self.within(logits), self._draws, strict=True)
        return [self._chosen(row, draw) for row, draw in rows]

    def peek(self, logits: Logits) -> list[int]:
        """Returns what `choose` would."""
        seeded = self._settings.seed is not None
        states = [each.getstate() if seeded else None for each in self._draws]
        tokens = self.choose(logits)
        for draw, state in zip(self._draws, states, strict=True):
            if state is not None:
                draw.setstate(state)
        return tokens

    def _chosen(self, row: Logits, draw: random.Random) -> int:
        settings = self._settings
        if not settings.temperature:
            return int(row.argmax())
        order = np.argsort(-row, kind="stable")[: settings.top_k or len(row)]
        p = softmax(row[order].astype(np.float64) / settings.temperature)
        if settings.top_p is not None:
            p = np.where(np.cumsum(p) - p < settings.top_p, p, 0.0)
        return int(draw.choices(order.tolist(), weights=p.tolist())[0])

    def take(self, tokens: Sequence[int]) -> list[FinishReason | None]:
        """Makes these the rows' next tokens; returns why rows have finished."""
        for row, token in zip(self._live, tokens, strict=True):
            if self._finished[row] is not None:
                continue
            self._said[row].append(token)
            self._finished[row] = self._reason(row, token)
            if self._finished[row] is None:  # of a row that is done, what came last still stands
                self._known.pop((False, row), None)
                self._known.pop((True, row), None)
        return [self._finished[row] for row in self._live]

    def _reason(self, row: int, token: int) -> FinishReason | None:
        if self._asking.tokens.is_control(token):
            return "stop"
        said = self._asking.tokens.text(self._said[row]).decode(errors="replace")
        if any(each in said for each in self._settings.stop):
            return "stop"
        return "length" if len(self._said[row]) >= self._most else None

    @property
    def _most(self) -> int:
        return self._settings.max_new_tokens or DEFAULT_MAX_NEW_TOKENS

    def advance(self, *, noised: bool) -> None:
        """Goes on from what was taken; what comes next is asked once it is wanted."""
        if not noised:
            self._noised = None

    def rest(self) -> Iterator[tuple[list[int], list[FinishReason | None]]]:
        """Has the server answer on by itself, one stream a row, until every row has finished."""
        streams = {row: self._streamed(row) for row in self._live if self._finished[row] is None}
        try:
            while streams:
                tokens = [0] * len(self._live)
                for place, row in enumerate(self._live):
                    if row not in streams:
                        continue
                    token, reason = next(streams[row])
                    tokens[place] = token
                    self._said[row].append(token)
                    self._finished[row] = reason or self._reason(row, token)
                    if self._finished[row] is not None:
                        streams.pop(row).close()
                yield tokens, [self._finished[row] for row in self._live]
        finally:
            for each in streams.values():
                each.close()

    def _streamed(self, row: int) -> Any:
        settings = self._settings
        left = self._most - len(self._said[row])
        asked: dict[str, Any] = {
            "max_tokens": left,
            "temperature": settings.temperature or 0,
            "logprobs": True,
            "top_logprobs": 0,
        }
        named = {"top_p": settings.top_p, "top_k": settings.top_k, "seed": settings.seed}
        asked |= {name: value for name, value in named.items() if value is not None}
        if settings.stop:
            asked["stop"] = list(settings.stop)
        events = self._asking.stream(self._prompt(False, row, ()), {**asked, **settings.extra})
        return streamed_tokens(events, self._asking.tokens, self._asking.dialect)

    # Asking ----------------------------------------------------------------------------------

    def _ask(self, asked: Sequence[tuple[bool, int]]) -> None:
        missing = [each for each in asked if each not in self._known]
        if not missing:
            return
        if self._stop is not None and self._stop():
            raise Interrupted
        prompts = [self._prompt(noised, row, ()) for noised, row in missing]
        found = self._asking.first(prompts, wanted=self._wanted, stop=self._stop)
        self._known.update(zip(missing, found, strict=True))

    def _prompt(self, noised: bool, row: int, more: Sequence[int]) -> Prompt:
        shown = self._noised if noised else self._conversations
        assert shown is not None
        said = self._asking.tokens.text([*self._said[row], *more])
        return Prompt(shown[row], said.decode(errors="replace"))
