"""Puts prompts to a server, and reads its next-token candidates: one place for every request."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from guardrail.backends.backend import Stop
from guardrail.backends.server.candidates import Candidates, tokens_used, told_of, whole
from guardrail.backends.server.client import ServerClient
from guardrail.backends.server.dialect import Dialect
from guardrail.backends.server.forms import told_only
from guardrail.backends.server.messages import messages_of
from guardrail.backends.server.sent_pictures import SentPictures
from guardrail.backends.server.spelling import Spelling
from guardrail.errors import ServerError
from guardrail.request.conversation import Conversation

CHAT = "chat/completions"

_MOST_NAMED = 128
"""Tokens whose log-probabilities can be asked for in one request."""


@dataclass(frozen=True)
class Prompt:
    """What is put to the server: a conversation, and what its answer begins with."""

    conversation: Conversation
    begun: str = ""


@dataclass(frozen=True)
class Shown:
    """What a server shows of a prompt's greedy answer.

    Attributes:
        steps: Of each of its tokens: its number, and the candidates at its place.
        input_tokens: Of the prompt, as the server counts them; 0 where it does not.
    """

    steps: Sequence[tuple[int, Candidates]]
    input_tokens: int

    @property
    def first(self) -> Candidates:
        """The candidates of the next token."""
        return self.steps[0][1]


@dataclass(frozen=True)
class Asking:
    """Asks one model of one server.

    Attributes:
        client: The server.
        model: By which name it knows the model.
        dialect: How it is asked.
        spelling: What its tokens spell.
        pictures: Those that it has been sent.
    """

    client: ServerClient
    model: str
    dialect: Dialect
    spelling: Spelling
    pictures: SentPictures = field(default_factory=lambda: SentPictures(named=False))

    @classmethod
    def of(cls, client: ServerClient, model: str, dialect: Dialect) -> Asking:
        """Asks a server of which no token has been seen."""
        return cls(client, model, dialect, Spelling(client, model, dialect))

    def anew(self) -> Asking:
        """Asks the same, and sends each picture once, where the dialect names pictures."""
        return replace(self, pictures=SentPictures(named=self.dialect.names_pictures))

    def shown(
        self,
        prompts: Sequence[Prompt],
        *,
        most: Sequence[int] | None = None,
        stop: Stop | None = None,
    ) -> list[Shown]:
        """Returns what the server shows of prompts' answers, asked together.

        Args:
            prompts: Any.
            most: Tokens of each greedy answer; one without it.
            stop: Asked between tries.

        Raises:
            ServerError: There is no usable answer to one of them.
            Interrupted: It was stopped.
        """
        lengths = most or [1] * len(prompts)
        asked = [(each, self._showing(n)) for each, n in zip(prompts, lengths, strict=True)]
        return [self._read(each) for each in self._answers(asked, stop)]

    def log_p(
        self, prompts: Sequence[tuple[Prompt, Sequence[int]]], *, stop: Stop | None = None
    ) -> list[Candidates]:
        """Returns the log-probabilities of certain next tokens, where the dialect reveals them.

        Args:
            prompts: Each with the server's own numbers of the tokens. Where it can be asked for
                tokens, too many are left out; else it shows more of the likeliest ones.
            stop: Asked between tries.

        Raises:
            ServerError: There is no usable answer to one of them.
            Interrupted: It was stopped.
        """
        asked = [(each, {**self._showing(1), **self._revealing(ids)}) for each, ids in prompts]
        return [self._read(each).first for each in self._answers(asked, stop)]

    def begun_with(
        self, prompts: Sequence[Prompt], *, most: int, stop: Stop | None = None
    ) -> list[str]:
        """Returns how greedy answers begin, asked together; without any log-probability.

        Args:
            prompts: Any.
            most: Tokens of each.
            stop: Asked between tries.

        Raises:
            ServerError: There is no usable answer to one of them.
            Interrupted: It was stopped.
        """
        asked = [(each, _greedy(most)) for each in prompts]
        return [_text(each) for each in self._answers(asked, stop)]

    def stream(
        self, prompt: Prompt, settings: dict[str, Any], *, shown: bool = False
    ) -> Generator[Any, None, None]:
        """Yields the events of an answer.

        Args:
            prompt: What is asked.
            settings: By the names of the chat API; what is demanded of the answer's form, too.
            shown: Whether candidates are told of each token.
        """
        counted: dict[str, Any] = {"include_usage": True}
        if self.dialect.batches:
            counted["continuous_usage_stats"] = True
        if shown:
            settings = {**settings, **self._telling}
        said = {**self.dialect.sampling, **settings, **self.dialect.telling_ids}
        return self._events(prompt, {**said, "stream_options": counted})

    def _answers(
        self, asked: Sequence[tuple[Prompt, Mapping[str, Any]]], stop: Stop | None
    ) -> list[Any]:
        """Returns the answers to prompts; what each asks for stands beside it."""

        def answers(kept: frozenset[str]) -> list[Any]:
            bodies = [(CHAT, self._body(*each, kept)) for each in asked]
            return self.client.ask_all(bodies, stop=stop)

        kept = self.pictures.kept
        try:
            found = answers(kept)
        except ServerError as error:
            if not self.pictures.loses(kept, error):
                raise
            found = answers(frozenset())
        self.pictures.keep(prompt.conversation for prompt, _ in asked)
        return found

    def _events(self, prompt: Prompt, asked: Mapping[str, Any]) -> Generator[Any, None, None]:
        """Yields the events of an answer."""
        kept, begun = self.pictures.kept, False
        try:
            with closing(self.client.stream(CHAT, self._body(prompt, asked, kept))) as events:
                for event in events:
                    if not begun:
                        self.pictures.keep([prompt.conversation])
                    begun = True
                    yield event
        except ServerError as error:
            if begun or not self.pictures.loses(kept, error):
                raise
            yield from self.client.stream(CHAT, self._body(prompt, asked, frozenset()))

    def _body(
        self, prompt: Prompt, asked: Mapping[str, Any], kept: frozenset[str]
    ) -> dict[str, Any]:
        shown = partial(self.pictures.part, kept=kept)
        messages = messages_of(prompt.conversation, prompt.begun, shown=shown)
        told = told_only(prompt.conversation)
        continuing = self._continuing(prompt)
        return {"model": self.model, "messages": messages, **told, **continuing, **asked}

    def _showing(self, most: int) -> dict[str, Any]:
        return {**_greedy(most), **self._telling, **self.dialect.telling_ids}

    @property
    def _telling(self) -> dict[str, Any]:
        return {"logprobs": True, "top_logprobs": self.dialect.most_logprobs}

    def _revealing(self, ids: Sequence[int]) -> dict[str, Any]:
        if not self.dialect.names_tokens:
            return {"top_logprobs": self.dialect.most_revealed}
        return {"logprob_token_ids": list(ids[:_MOST_NAMED]), "top_logprobs": 1}

    def _continuing(self, prompt: Prompt) -> dict[str, Any]:
        begun = prompt.begun or prompt.conversation.turns[-1].role == "assistant"
        if not begun:
            return {}
        if self.dialect.continuing is None:
            raise ServerError(f"a server of kind {self.dialect.name!r} cannot go on with an answer")
        return dict(self.dialect.continuing)

    def _read(self, answer: Any) -> Shown:
        steps = self.spelling.steps(whole(told_of(answer)))
        return Shown(steps, tokens_used(answer, "prompt_tokens"))


def _greedy(most: int) -> dict[str, Any]:
    return {"max_tokens": most, "temperature": 0}


def _text(answer: Any) -> str:
    try:
        found = answer["choices"][0]["message"]["content"]
    except (TypeError, LookupError):
        found = None
    if not isinstance(found, str):
        raise ServerError("the server gives no answer")
    return found
