"""Pictures that a server has been sent, and by what names it knows them.

A name is a hash of the pixels under a key of this process: whoever else asks the server can neither
guess it nor have another picture known by it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from guardrail.errors import ServerError
from guardrail.request.conversation import Conversation, Picture

_KEY = secrets.token_bytes(32)

_UNKNOWN = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR})
"""What a server answers that does not know a picture by its name."""


class SentPictures:
    """Pictures of requests that run together: sent once, then named alone.

    A server that has lost one of them is sent each of them whole from then on.

    Args:
        named: Whether the server knows pictures by name; else each is sent whole, without one.
    """

    def __init__(self, *, named: bool) -> None:
        self._named = named
        self._names: dict[Picture, str] = {}
        self._kept: frozenset[str] = frozenset()

    @property
    def kept(self) -> frozenset[str]:
        """The names that the server knows."""
        return self._kept if self._named else frozenset()

    def keep(self, conversations: Iterable[Conversation]) -> None:
        """Has the pictures of these be named alone: the server has answered to them."""
        if self._named:
            self._kept |= {self._name(each) for asked in conversations for each in asked.pictures}

    def loses(self, kept: frozenset[str], error: ServerError) -> bool:
        """Whether a server that was told names may have refused them; it is told none any more."""
        refused = bool(kept) and error.status in _UNKNOWN
        if refused:
            self._named = False
        return refused

    def part(self, picture: Picture, kept: frozenset[str]) -> dict[str, Any]:
        """Returns a picture as a part of a message: its name alone where that is kept."""
        if not self._named:
            return whole_picture(picture)
        name = self._name(picture)
        if name in kept:
            return {"type": "image_url", "image_url": None, "uuid": name}
        return {**whole_picture(picture), "uuid": name}

    def _name(self, picture: Picture) -> str:
        if picture not in self._names:
            digest = hashlib.blake2b(picture.png.encode(), key=_KEY, digest_size=16)
            self._names[picture] = digest.hexdigest()
        return self._names[picture]


def whole_picture(picture: Picture) -> dict[str, Any]:
    """Returns a picture, without a name, as a part of a message."""
    url = f"data:image/png;base64,{picture.png}"
    return {"type": "image_url", "image_url": {"url": url}}
