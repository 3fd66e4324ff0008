"""A model behind an OpenAI-compatible server. See `guardrail.backends.Backend`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from guardrail.backends.backend import Constraint, Stop
from guardrail.backends.server.asking import Asking, Prompt
from guardrail.backends.server.capabilities import Capabilities, discover
from guardrail.backends.server.client import ServerClient
from guardrail.backends.server.dialect import Dialect
from guardrail.backends.server.forms import CALLS, demanded, needs_server
from guardrail.backends.server.labels import p_label
from guardrail.backends.server.question_reading import NO, YES
from guardrail.backends.server.run import ServerRun
from guardrail.backends.server.streaming import streamed_tokens
from guardrail.backends.server.told_tokens import check_told
from guardrail.request.call_format import CallFormat
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings


class ServerBackend:
    """A model behind a server. Safe to use from several threads.

    Args:
        client: The server.
        model: By which name it knows the model; its only one without it.
        dialect: How it is asked; found out without it.
    """

    def __init__(
        self, client: ServerClient, model: str | None = None, *, dialect: Dialect | None = None
    ) -> None:
        self._client, self._named, self._dialect = client, model, dialect
        self._lock = threading.Lock()
        self._found: tuple[Capabilities, Asking] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the server can do; asked once.

        Raises:
            ServerError: It cannot be asked.
        """
        return self._discovered()[0]

    @property
    def _asking(self) -> Asking:
        return self._discovered()[1]

    def _discovered(self) -> tuple[Capabilities, Asking]:
        with self._lock:
            if self._found is None:
                self._found = discover(self._client, model=self._named, dialect=self._dialect)
            return self._found

    @property
    def name(self) -> str:
        """The model's name at the server."""
        return self._named or self._asking.model

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
        """Puts requests to the server that run together.

        Raises:
            SettingsError: It does not tell the log-probabilities that are wanted.
        """
        check_told(settings, self.capabilities)
        return ServerRun(
            self._asking.anew(), conversations, settings, stop=stop, capabilities=self.capabilities
        )

    def resolved(self, settings: GenerationSettings) -> GenerationSettings:
        """Returns the settings: what the model's own configuration adds, the server knows."""
        return settings

    @property
    def at_once(self) -> int:
        """1: the server puts together what comes together."""
        return 1

    def groups(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Returns those together that are steered alike: the server batches by itself."""
        held = [needs_server(each) for each in conversations]
        groups = [[at for at, each in enumerate(held) if each is kind] for kind in (False, True)]
        return [each for each in groups if each]

    def count(self, conversation: Conversation) -> int:
        """Returns how many tokens a conversation's prompt has, as the server counts them."""
        [found] = self._asking.shown([Prompt(conversation)])
        return found.input_tokens

    def vocabulary(self, texts: Sequence[str] = ()) -> Sequence[bytes | None]:
        """Returns what has been seen of it; it grows."""
        for each in texts:
            self.tokens(each)
        return self._asking.spelling.tokens

    def fragments(self) -> frozenset[int]:
        """Returns those seen so far that are no characters by themselves."""
        return self._asking.spelling.tokens.fragments

    def tokens(self, text: str) -> list[int]:
        """Returns the tokens of a text; one where the server does not tell."""
        return self._asking.spelling.tokens_of(text)

    def decode(self, token_ids: Sequence[int], *, keep: frozenset[int] = frozenset()) -> str:
        """Returns the text of generated tokens."""
        return self._asking.spelling.text(token_ids)

    def spell(self, token_ids: Sequence[int]) -> str:
        """Returns what tokens spell, control tokens included."""
        return self._asking.spelling.tokens.text(token_ids, control=True).decode(errors="replace")

    def control_tokens(self, text: str) -> dict[str, int]:
        """Returns nothing: control tokens are not shown."""
        return {}

    def prompt_ends(self, conversation: Conversation, ends: Sequence[str]) -> bool:
        """Returns False: prompts are made at the server."""
        return False

    def call_format(self) -> CallFormat:
        """Returns how calls that came from the server stand in an answer's text."""
        return CALLS

    def constraint(self, conversation: Conversation) -> Constraint | None:
        """Returns what the server is asked to hold the answer to, or None where it is free."""
        return demanded(conversation) if conversation.form.constrains else None

    def p_yes(self, conversations: Sequence[Conversation]) -> list[float]:
        """Returns P(yes) of each conversation's answer, of yes and no."""
        found = self._asking.shown([Prompt(each) for each in conversations])
        return [p_label(each.first, self._asking.spelling.tokens, YES, NO) for each in found]

    def p_word(self, conversation: Conversation, word: str, other: str) -> float:
        """Returns P(word) of the answer's first word, of these two."""
        [found] = self._asking.shown([Prompt(conversation)])
        return p_label(found.first, self._asking.spelling.tokens, (word,), (other,))

    def say(self, conversation: Conversation, *, max_new_tokens: int) -> str:
        """Returns a short greedy answer, unguarded."""
        asked = {"max_tokens": max_new_tokens, "temperature": 0}
        events = self._asking.stream(Prompt(conversation), asked)
        return self.decode([each for each, _ in streamed_tokens(events, self._asking.spelling)])
