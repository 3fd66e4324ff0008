"""Finds out, by asking, what a server can do; what it has not shown that it can, it cannot.

A few requests of one token each, at the first use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from guardrail.backends.server.asking import CHAT, Asking, Prompt
from guardrail.backends.server.client import ServerClient
from guardrail.backends.server.dialect import PLAIN, Dialect, dialects
from guardrail.backends.server.messages import messages_of
from guardrail.backends.server.sent_pictures import SentPictures
from guardrail.errors import ServerError
from guardrail.request.conversation import Picture, question

UNWEIGHED = "the server shows no log-probabilities: verdicts are yes or no, unweighed"
UNSTEERED = (
    "the server cannot go on with an answer: nothing is steered, and what is to be refused is "
    "refused in the policy's words"
)
"""What is recorded of a server that cannot do it. The audit log knows these words."""

_FEWEST = 5
"""Likeliest tokens under which guided steps would go by too little."""

_MOST_ADDED = 2
"""Tokens that a beginning of one word adds to a prompt; a turn that was closed adds more."""

_ASKED = question("Say one word.")
_SEEN, _UNSEEN = (
    question("Say one word.", [Picture(Image.new("RGB", (64, 64), each), each)])
    for each in ("grey", "white")
)
_BEGUN = "Yes"


@dataclass(frozen=True)
class Capabilities:
    """What a server can do with one model.

    Attributes:
        model: By which name it knows the model.
        dialect: How it is asked, without what it has not shown that it can.
        shows: How many of the likeliest tokens it shows; 0 where it shows none.
        degraded: What cannot be had, and what that means, a sentence each.
    """

    model: str
    dialect: Dialect
    shows: int
    degraded: tuple[str, ...] = ()

    @property
    def guides(self) -> bool:
        """Whether single steps can be guided."""
        return self.shows > 0 and self.dialect.continuing is not None


def discover(
    client: ServerClient, *, model: str | None = None, dialect: Dialect | None = None
) -> tuple[Capabilities, Asking]:
    """Returns what a server can do, and how it is asked, which has learnt its first tokens.

    Args:
        client: The server.
        model: By which name it knows the model; its only one without it.
        dialect: How it is asked; found out without it.

    Raises:
        ServerError: It cannot be reached, does not know the model, or has several.
    """
    listed = _models(client) or _none_at(client)
    name = _model(listed, model)
    asking = Asking.of(client, name, dialect or dialect_of(client, listed))
    shows, asking = _shown(asking)
    spoken = asking.dialect
    degraded = []
    if not shows:
        degraded.append(UNWEIGHED)
        spoken = replace(spoken, continuing=None)
    elif not _continues(asking):
        spoken = replace(spoken, continuing=None)
    if spoken.continuing is None:
        degraded.append(UNSTEERED)
    named = bool(shows) and spoken.names_pictures and _names_pictures(asking)
    spoken = replace(spoken, names_pictures=named)
    found = Capabilities(name, spoken, shows, tuple(degraded))
    return found, replace(asking, dialect=spoken)


def dialect_of(client: ServerClient, listed: Sequence[Mapping[str, Any]]) -> Dialect:
    """Returns the dialect that a server's own words point to; the plain one without any."""
    owners = {str(each.get("owned_by", "")) for each in listed}
    for each in dialects():
        if each.owner and each.owner in owners:
            return each
        if each.sign and client.get(each.sign) is not None:
            return each
    return PLAIN


def _models(client: ServerClient) -> list[Mapping[str, Any]]:
    answer = client.get("models")
    found = answer.get("data") if isinstance(answer, Mapping) else None
    return [each for each in found or () if isinstance(each, Mapping)]


def _none_at(client: ServerClient) -> list[Mapping[str, Any]]:
    """Returns no models, or raises where they are listed one path further: `/v1` was left out."""
    url = client.base_url
    if not url.endswith("/v1") and client.get("/v1/models") is not None:
        raise ServerError(
            f"the server's address is {url!r}, and its API lies below it: give {url + '/v1'!r}"
        )
    return []


def _model(listed: Sequence[Mapping[str, Any]], model: str | None) -> str:
    names = [str(each["id"]) for each in listed if "id" in each]
    if model is not None:
        if names and model not in names:
            raise ServerError(f"the server has no model {model!r}: it has {', '.join(names)[:300]}")
        return model
    if len(names) != 1:
        raise ServerError(
            f"the server has {len(names)} models, expected one, or give its name as `model`"
        )
    return names[0]


def _shown(asking: Asking) -> tuple[int, Asking]:
    """Returns how many of the likeliest tokens are shown, and what asks for so many."""
    for asked in dict.fromkeys((asking.dialect.most_logprobs, _FEWEST)):
        fewer = replace(asking, dialect=replace(asking.dialect, most_logprobs=asked))
        try:
            [found] = fewer.shown([Prompt(_ASKED)])
        except ServerError as error:
            if error.status is None or not 400 <= error.status < 500:
                if error.status is None and "log-probabilities" in str(error):
                    continue
                raise
            continue
        if found.first.ranked >= min(asked, _FEWEST):
            return found.first.ranked, fewer
    _unweighed(asking)
    return 0, asking


def _unweighed(asking: Asking) -> None:
    """Raises unless the server answers at all."""
    body = {"model": asking.model, "messages": messages_of(_ASKED), "max_tokens": 1}
    asking.client.ask(CHAT, body)


def _continues(asking: Asking) -> bool:
    """Whether a beginning is gone on with: it adds its own tokens to the prompt, and no more."""
    if asking.dialect.continuing is None:
        return False
    try:
        plain, begun = asking.shown([Prompt(_ASKED), Prompt(_ASKED, _BEGUN)])
    except ServerError as error:
        if error.status is not None and 400 <= error.status < 500:
            return False
        raise
    added = begun.input_tokens - plain.input_tokens
    return plain.input_tokens > 0 and 0 < added <= _MOST_ADDED


def _names_pictures(asking: Asking) -> bool:
    """Whether a picture is the same by name alone, and a name of none is refused."""
    sent = SentPictures(named=True)
    asked = replace(asking, pictures=sent)
    try:
        [whole], [named] = (asked.shown([Prompt(_SEEN)]) for _ in range(2))
        if not sent.kept or not named.input_tokens == whole.input_tokens > 0:
            return False
        sent.keep([_UNSEEN])
        asked.shown([Prompt(_UNSEEN)])
    except ServerError as error:
        if error.status is not None:  # it sees no pictures
            return False
        raise
    return not sent.kept
