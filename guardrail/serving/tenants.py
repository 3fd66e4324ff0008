"""Who may ask, and under which policy: API keys, of which only hashes are kept.

A key chooses the metadata that a selection of policies looks at; nothing in a request does. Keys
are long and random, so that a plain hash of one is enough.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from guardrail.errors import SettingsError

Metadata = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Tenant:
    """Who asks.

    Attributes:
        name: In whose name sessions and records are kept.
        metadata: What a selection of policies looks at.
        reviews: Whether this key may decide what was escalated, of this tenant's requests.
        compares: Whether this key may see what the model answers unguarded.
        metrics: Whether this key may read the server's metrics.
        rate: How often this key may ask, as `60/minute`; as often as it likes without.
        key: The hash of the key.
    """

    name: str
    metadata: Metadata = field(default_factory=dict)
    reviews: bool = False
    compares: bool = False
    metrics: bool = False
    rate: str | None = None
    key: str = field(default="", compare=False)

    def session(self, named: str) -> str:
        """Returns a session of this tenant, which is nobody else's."""
        return f"{self.name}\x1f{named}"

    def place(self, request_id: str) -> str:
        """Returns where what is kept of a request of this tenant lies."""
        return f"{self.name}\x1f{request_id}"


ANYBODY = Tenant("local", reviews=True, metrics=True)
"""Who asks where no keys are given."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""The names of this machine, which alone may be asked without keys."""


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    tenant: str = Field(min_length=1, max_length=200)
    metadata: dict[str, str | list[str]] = Field(default_factory=dict)
    reviews: bool = False
    compares: bool = False
    metrics: bool = False
    rate: str | None = None

    @field_validator("rate")
    @classmethod
    def _is_rate(cls, rate: str | None) -> str | None:
        from guardrail.serving.rates import checked_rate

        return None if rate is None else checked_rate(rate)

    @property
    def owner(self) -> Tenant:
        """Whose it is."""
        return Tenant(
            self.tenant,
            self.metadata,
            reviews=self.reviews,
            compares=self.compares,
            metrics=self.metrics,
            rate=self.rate,
            key=self.sha256,
        )


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[_Key] = Field(min_length=1)


class Tenants:
    """The tenants, by their keys.

    Args:
        keys: Each tenant beside the SHA-256 of its key, in hexadecimal.
    """

    def __init__(self, keys: Sequence[tuple[str, Tenant]]) -> None:
        self._keys = tuple((bytes.fromhex(digest), tenant) for digest, tenant in keys)

    @classmethod
    def from_file(cls, path: Path) -> Tenants:
        """Reads a file of keys.

        Raises:
            SettingsError: It cannot be read, or is none.
        """
        try:
            read: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
            found = _Keys.model_validate(read)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"the file of keys {str(path)!r} cannot be read: {error}"
            ) from error
        except yaml.YAMLError as error:
            raise SettingsError(f"the file of keys {str(path)!r} is no YAML") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise SettingsError(
                f"the file of keys {str(path)!r} is none: {place or 'it'}: {first['msg']}"
            ) from error
        digests = [each.sha256 for each in found.keys]
        if len(set(digests)) < len(digests):
            raise SettingsError(f"the file of keys {str(path)!r} holds a key twice")
        return cls([(each.sha256, each.owner) for each in found.keys])

    def of(self, key: str) -> Tenant | None:
        """Returns whose key it is; None if it is nobody's. Takes as long for every key."""
        digest = hashlib.sha256(key.encode(errors="surrogateescape")).digest()
        found = None
        for known, tenant in self._keys:
            if hmac.compare_digest(known, digest):
                found = tenant
        return found
