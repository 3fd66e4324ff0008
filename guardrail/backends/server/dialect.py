"""What differs from server to server; each kind is an object, found by its entry point."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from guardrail.errors import ServerError

GROUP = "guardrail.servers"
"""The entry-point group of dialects."""

_CONTROL = re.compile(rb"<[|\xef].*[|\x9c]>|<(/?s|pad|unk|bos|eos|end_of_turn|start_of_turn)>|")


@dataclass(frozen=True)
class Dialect:
    """How one kind of server is asked.

    Attributes:
        name: As it is called on the command line and in records.
        most_logprobs: How many of the likeliest tokens it shows.
        continuing: What a request says for its last message to be the beginning of the answer; None
            where the server cannot go on with one.
        telling_ids: What a request says for tokens to be told by the server's own numbers.
        names_tokens: Whether it shows the log-probabilities of tokens that are asked for by number.
        most_revealed: How many of the likeliest tokens it shows where those that are looked for are
            not among `most_logprobs`; 0 where it shows no more of them.
        names_pictures: Whether a picture that it has been sent beside a name can be sent by name.
        batches: Whether an answer that is under way keeps no other waiting, and says how long its
            prompt is with its first token.
        sampling: What a request says for the server to add nothing of its own to how tokens are
            drawn.
        tokens_path: Where it tells what tokens a text has; empty where it does not.
        text_path: Where it tells what text tokens have; empty where it does not.
        owner: What it says of its models, that they are `owned_by`; empty where that tells nothing.
        sign: A path that only such servers have; empty without one.
        control: Matches, whole, what control tokens are written as.
        source: What it rests on: `run` (tests run the server itself) or `documentation`.
    """

    name: str
    most_logprobs: int = 20
    continuing: Mapping[str, Any] | None = None
    telling_ids: Mapping[str, Any] = field(default_factory=dict)
    names_tokens: bool = False
    most_revealed: int = 0
    names_pictures: bool = False
    batches: bool = False
    sampling: Mapping[str, Any] = field(default_factory=dict)
    tokens_path: str = ""
    text_path: str = ""
    owner: str = ""
    sign: str = ""
    control: re.Pattern[bytes] = field(default=_CONTROL)
    source: str = "documentation"

    @property
    def reveals(self) -> bool:
        """Whether it can be asked for tokens that it does not show by itself."""
        return self.names_tokens or self.most_revealed > self.most_logprobs

    def is_control(self, written: bytes) -> bool:
        """Whether a token is no text: it ends an answer."""
        return self.control.fullmatch(written) is not None


CONTINUED: Mapping[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}
"""How vLLM, and others after it, are told to go on with the last message."""

PLAIN = Dialect("openai")
"""Of a server that nothing else is known of."""


def dialects() -> list[Dialect]:
    """Returns the dialects that are installed, by name.

    Raises:
        ServerError: One cannot be loaded, or is none.
    """
    return [_loaded(each) for each in sorted(entry_points(group=GROUP), key=lambda e: e.name)]


def _loaded(point: EntryPoint) -> Dialect:
    try:
        found = point.load()
    except Exception as error:
        raise ServerError(f"the dialect {point.name!r} cannot be loaded: {error}") from error
    if not isinstance(found, Dialect):
        raise ServerError(f"the dialect {point.name!r} is a {type(found).__name__}, no Dialect")
    return found
