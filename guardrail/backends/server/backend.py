"""A model behind an OpenAI-compatible server. See `guardrail.backends.Backend`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from guardrail.backends.backend import Constraint, Stop
from guardrail.backends.server.asking import Asking, Prompt
from guardrail.backends.server.client import ServerClient
from guardrail.backends.server.dialect import PLAIN, Dialect
from guardrail.backends.server.labels import p_label
from guardrail.backends.server.run import NO, YES, ServerRun
from guardrail.backends.server.streaming import streamed_tokens
from guardrail.errors import ModelError
from guardrail.request.call_format import CallFormat
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings


class ServerBackend:
    """A model behind a server. Safe to use from several threads.

    Args:
        client: The server.
        model: By which name it knows the model.
        dialect: How it is asked.
    """

    def __init__(self, client: ServerClient, model: str, *, dialect: Dialect = PLAIN) -> None:
        self.client, self.dialect = client, dialect
        self._asking = Asking(client, model, dialect)

    @property
    def name(self) -> str:
        """The model's name at the server."""
        return self._asking.model

    @property
    def needs_picture(self) -> bool:
        """Whether the model cannot answer without a picture: nobody can tell from here."""
        return False

    @property
    def reference(self) -> Path | None:
        """None: a policy has to name it."""
        return None

    def start(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        stop: Stop | None = None,
    ) -> ServerRun:
        """Puts requests to the server that run together."""
        return ServerRun(self._asking, conversations, settings, stop=stop)

    def resolved(self, settings: GenerationSettings) -> GenerationSettings:
        """Returns the settings: what the model's own configuration adds, the server knows."""
        return settings

    def groups(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Returns all together: the server batches by itself."""
        return [list(range(len(conversations)))] if conversations else []

    def vocabulary(self) -> Sequence[bytes | None]:
        """Returns what has been seen of it; it grows."""
        return self._asking.tokens

    def fragments(self) -> frozenset[int]:
        """Returns nothing: bytes are joined before they are decoded."""
        return frozenset()

    def tokens(self, text: str) -> list[int]:
        """Returns a text as one token: the server cuts it up by itself."""
        return [self._asking.tokens.number(text.encode())]

    def decode(self, token_ids: Sequence[int], *, keep: frozenset[int] = frozenset()) -> str:
        """Returns the text of generated tokens."""
        return self._asking.tokens.text(token_ids).decode(errors="replace")

    def spell(self, token_ids: Sequence[int]) -> str:
        """Returns what tokens spell, control tokens included."""
        return self._asking.tokens.text(token_ids, control=True).decode(errors="replace")

    def control_tokens(self, text: str) -> dict[str, int]:
        """Returns nothing: control tokens are not shown."""
        return {}

    def call_format(self) -> CallFormat:
        """Raises a `ModelError`: tool calls come from the server as such, which is yet to be read."""
        raise ModelError("tools are not taken over a server")

    def constraint(self, conversation: Conversation) -> Constraint | None:
        """Returns None, or raises a `ModelError` where the answer's form is demanded."""
        if conversation.form.constrains:
            raise ModelError("a form of the answer cannot be demanded over a server")
        return None

    def p_yes(self, conversations: Sequence[Conversation]) -> list[float]:
        """Returns P(yes) of each conversation's answer, of yes and no."""
        found = self._asking.first([Prompt(each) for each in conversations])
        return [p_label(each.candidates, self._asking.tokens, YES, NO) for each in found]

    def p_word(self, conversation: Conversation, word: str, other: str) -> float:
        """Returns P(word) of the answer's first word, of these two."""
        [found] = self._asking.first([Prompt(conversation)])
        return p_label(found.candidates, self._asking.tokens, (word,), (other,))

    def say(self, conversation: Conversation, *, max_new_tokens: int) -> str:
        """Returns a short greedy answer, unguarded."""
        asked = {"max_tokens": max_new_tokens, "temperature": 0}
        events = self._asking.stream(Prompt(conversation), asked)
        numbers = [
            number for number, _ in streamed_tokens(events, self._asking.tokens, self.dialect)
        ]
        return self.decode(numbers)
