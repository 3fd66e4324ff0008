"""Puts prompts to a server, and reads its next-token candidates: one place for every request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from guardrail.backends.backend import Stop
from guardrail.backends.server.candidates import Candidates, candidates_of
from guardrail.backends.server.client import ServerClient
from guardrail.backends.server.dialect import Dialect
from guardrail.backends.server.messages import messages_of
from guardrail.backends.server.seen_tokens import SeenTokens
from guardrail.errors import ServerError
from guardrail.request.conversation import Conversation

CHAT = "chat/completions"


@dataclass(frozen=True)
class Prompt:
    """What is put to the server: a conversation, and what its answer begins with."""

    conversation: Conversation
    begun: str = ""


@dataclass(frozen=True)
class First:
    """What a server says of a prompt's next token.

    Attributes:
        candidates: The tokens and their log-probabilities.
        input_tokens: Of the prompt, as the server counts them; 0 where it does not.
    """

    candidates: Candidates
    input_tokens: int


@dataclass(frozen=True)
class Asking:
    """Asks one model of one server.

    Attributes:
        client: The server.
        model: By which name it knows the model.
        dialect: How it is asked.
        tokens: What has been seen of the model's vocabulary.
    """

    client: ServerClient
    model: str
    dialect: Dialect
    tokens: SeenTokens = field(default_factory=SeenTokens)

    def first(
        self,
        prompts: Sequence[Prompt],
        *,
        wanted: Sequence[int] = (),
        stop: Stop | None = None,
    ) -> list[First]:
        """Returns the next-token candidates of prompts, asked together.

        Args:
            prompts: Any.
            wanted: Tokens whose log-probabilities are to be among them, where the server lets them
                be asked for.
            stop: Asked between tries.

        Raises:
            ServerError: There is no usable answer to one of them.
            Interrupted: It was stopped.
        """
        asked = [(CHAT, self._body(each, wanted)) for each in prompts]
        return [self._first(each) for each in self.client.ask_all(asked, stop=stop)]

    def begun_with(
        self,
        prompts: Sequence[Prompt],
        *,
        most: int,
        stop: Stop | None = None,
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
        asked = [
            (
                CHAT,
                {
                    "model": self.model,
                    "messages": messages_of(each.conversation, each.begun),
                    "max_tokens": most,
                    "temperature": 0,
                },
            )
            for each in prompts
        ]
        return [_text(each) for each in self.client.ask_all(asked, stop=stop)]

    def stream(self, prompt: Prompt, settings: dict[str, Any]) -> Iterator[Any]:
        """Yields the events of an answer.

        Args:
            prompt: What is asked.
            settings: By the names of the chat API.
        """
        body = {
            "model": self.model,
            "messages": messages_of(prompt.conversation, prompt.begun),
            **settings,
            **self._continuing(prompt),
        }
        return self.client.stream(CHAT, body)

    def _body(self, prompt: Prompt, wanted: Sequence[int]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages_of(prompt.conversation, prompt.begun),
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": self.dialect.most_logprobs,
            **self._continuing(prompt),
        }
        ids = [found for each in wanted if (found := self.tokens.server_id(each)) is not None]
        if ids and self.dialect.names_tokens:
            body["logprob_token_ids"] = ids[:128]
        return body

    def _continuing(self, prompt: Prompt) -> dict[str, Any]:
        begun = prompt.begun or prompt.conversation.turns[-1].role == "assistant"
        if not begun:
            return {}
        if self.dialect.continuing is None:
            raise ServerError(f"a server of kind {self.dialect.name!r} cannot go on with an answer")
        return dict(self.dialect.continuing)

    def _first(self, answer: Any) -> First:
        usage = answer.get("usage") if isinstance(answer, dict) else None
        count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        return First(
            candidates_of(answer, self.tokens, self.dialect),
            count if isinstance(count, int) and count > 0 else 0,
        )


def _text(answer: Any) -> str:
    try:
        found = answer["choices"][0]["message"]["content"]
    except (TypeError, LookupError):
        found = None
    if not isinstance(found, str):
        raise ServerError("the server gives no answer")
    return found
