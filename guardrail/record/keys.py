"""The key of a log: it signs records, checks signatures and makes digests that cannot be guessed.

The key lies outside the database. HMAC-SHA-256 needs nothing but the standard library; whoever can
check can also sign. With Ed25519 (the `audit` extra) the public key checks and cannot sign.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from guardrail.errors import AuditError

KEY_VARIABLE = "GUARDRAIL_AUDIT_KEY"
KEY_FILE_VARIABLE = "GUARDRAIL_AUDIT_KEY_FILE"
HMAC, ED25519, ED25519_PUBLIC = "hmac-sha256", "ed25519", "ed25519-public"
_SHORTEST = 16


class AuditKey(Protocol):
    """Signs and checks.

    Attributes:
        id: A fingerprint that gives nothing of the key away.
        algorithm: `hmac-sha256` or `ed25519`.
        cheap: Whether checking one signature costs no more than a hash.
    """

    id: str
    algorithm: str
    cheap: bool

    def sign(self, message: bytes) -> str:
        """Returns the signature, hexadecimal.

        Raises:
            AuditError: The key can only check.
        """

    def checks(self, message: bytes, signature: str) -> bool:
        """Whether `signature` was made by this key over `message`."""

    def digest(self, content: bytes) -> str:
        """Returns a keyed digest, hexadecimal."""

    def spell(self) -> str:
        """Returns the key as a line of a key file."""


class HmacKey:
    """A shared secret."""

    algorithm = HMAC
    cheap = True

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._signing = _derived(secret, "sign")
        self._digesting = _derived(secret, "digest")
        self.id = _derived(secret, "id").hex()[:16]

    def sign(self, message: bytes) -> str:
        """Returns the HMAC of `message`."""
        return hmac.digest(self._signing, message, "sha256").hex()

    def checks(self, message: bytes, signature: str) -> bool:
        """Whether `signature` is the HMAC of `message`."""
        return hmac.compare_digest(
            self.sign(message).encode(), signature.encode("utf-8", "replace")
        )

    def digest(self, content: bytes) -> str:
        """Returns the HMAC of `content`, under a key of its own."""
        return hmac.digest(self._digesting, content, "sha256").hex()

    def spell(self) -> str:
        """Returns `hmac-sha256:` and the secret in hexadecimal."""
        return f"{HMAC}:{self._secret.hex()}"


class Ed25519Key:
    """A private key, or its public half, which checks only."""

    algorithm = ED25519
    cheap = False

    def __init__(self, *, seed: bytes | None = None, public: bytes | None = None) -> None:
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric import ed25519
        except ImportError as error:
            raise AuditError(
                "an ed25519 key needs the package cryptography: pip install "
                "'safecode-guardrail[audit]', or use an hmac-sha256 key"
            ) from error
        self._invalid: type[Exception] = InvalidSignature
        self._seed = seed
        self._private: Any = None
        try:
            if seed is not None:
                self._private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
                self._public = self._private.public_key()
            else:
                self._public = ed25519.Ed25519PublicKey.from_public_bytes(public or b"")
        except ValueError as error:
            raise AuditError("an ed25519 key must be 32 bytes in hexadecimal") from error
        self.public = self._public.public_bytes_raw()
        self.id = hashlib.sha256(b"guardrail-audit/id" + self.public).hexdigest()[:16]

    def sign(self, message: bytes) -> str:
        """Returns the signature of `message`."""
        if self._private is None:
            raise AuditError("the audit key is a public key: it checks a log and cannot write one")
        signature: bytes = self._private.sign(message)
        return signature.hex()

    def checks(self, message: bytes, signature: str) -> bool:
        """Whether the private half signed `message`."""
        try:
            self._public.verify(bytes.fromhex(signature), message)
        except (ValueError, self._invalid):
            return False
        # Hexadecimal has several spellings; the log has one.
        return signature == signature.lower().replace(" ", "")

    def digest(self, content: bytes) -> str:
        """Returns an HMAC of `content` under a key derived from the private half."""
        if self._seed is None:
            raise AuditError("the audit key is a public key: it cannot make digests")
        return hmac.digest(_derived(self._seed, "digest"), content, "sha256").hex()

    def spell(self) -> str:
        """Returns `ed25519:` or `ed25519-public:` and 32 bytes in hexadecimal."""
        if self._seed is not None:
            return f"{ED25519}:{self._seed.hex()}"
        return self.spell_public()

    def spell_public(self) -> str:
        """Returns the half that may be given to whoever checks the log."""
        return f"{ED25519_PUBLIC}:{self.public.hex()}"


def new_key(algorithm: str = HMAC) -> AuditKey:
    """Returns a fresh random key."""
    seed = secrets.token_bytes(32)
    return Ed25519Key(seed=seed) if algorithm == ED25519 else HmacKey(seed)


def parse_key(text: str, *, where: str = KEY_VARIABLE) -> AuditKey:
    """Returns the key that `text` spells; text without a prefix is an HMAC secret.

    Args:
        text: `hmac-sha256:<hex>`, `ed25519:<hex>`, `ed25519-public:<hex>`, or a secret of 16
            characters or more.
        where: Where it was found, for messages. The key itself is never quoted.

    Raises:
        AuditError: It is no key.
    """
    text = text.strip()
    kind, colon, rest = text.partition(":")
    if colon and kind in (HMAC, ED25519, ED25519_PUBLIC):
        try:
            raw = bytes.fromhex(rest)
        except ValueError as error:
            raise AuditError(f"the {kind} key in {where} is not hexadecimal") from error
        if kind == ED25519:
            return Ed25519Key(seed=raw)
        if kind == ED25519_PUBLIC:
            return Ed25519Key(public=raw)
        if len(raw) < _SHORTEST:
            raise AuditError(
                f"the audit key in {where} has {len(raw)} bytes, expected {_SHORTEST} or more"
            )
        return HmacKey(raw)
    if len(text) < _SHORTEST:
        raise AuditError(
            f"the audit key in {where} has {len(text)} characters, expected {_SHORTEST} or more"
        )
    return HmacKey(text.encode())


def read_key(path: str | Path) -> AuditKey:
    """Returns the key in a key file.

    Raises:
        AuditError: There is none, or it cannot be read.
    """
    try:
        text = Path(path).expanduser().read_text("utf-8")
    except (OSError, ValueError) as error:
        raise AuditError(f"cannot read the audit key {str(path)!r}: {_why(error)}") from error
    return parse_key(text, where=repr(str(path)))


def find_key(*, create: bool = False) -> AuditKey | None:
    """Returns the key from the environment or the user's own key file.

    Args:
        create: Make the user's key file if there is no key at all.

    Raises:
        AuditError: What is there cannot be used, or no key file can be made.
    """
    if text := os.environ.get(KEY_VARIABLE, "").strip():
        return parse_key(text)
    if named := os.environ.get(KEY_FILE_VARIABLE, "").strip():
        return read_key(named)
    path = default_key_path()
    if path.exists():
        return read_key(path)
    return write_key(path, new_key(), keep=True) if create else None


def default_key_path() -> Path:
    """Returns where a key is kept if the environment names none: in the user's configuration.

    Raises:
        AuditError: The user has no home folder.
    """
    base = os.environ.get("XDG_CONFIG_HOME", "").strip()
    try:
        folder = Path(base) if base else Path.home() / ".config"
    except RuntimeError as error:
        raise AuditError(f"there is no place for an audit key: set {KEY_VARIABLE}") from error
    return folder / "guardrail" / "audit.key"


def write_key(path: str | Path, key: AuditKey, *, keep: bool = False) -> AuditKey:
    """Writes a key file that only its owner can read; returns the key that is there afterwards.

    Args:
        path: Where to.
        key: What to write.
        keep: Take the key that is already there, if any (or that another process writes at the
            same moment), instead of raising.

    Raises:
        AuditError: It exists, or cannot be written.
    """
    path = Path(path).expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".audit-key-")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(key.spell() + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)  # fails if it exists: an existing key is never overwritten
        finally:
            with suppress(OSError):
                os.unlink(draft)
    except FileExistsError as error:
        if not keep:
            raise AuditError(f"{str(path)!r} exists: a key is never overwritten") from error
    except OSError as error:
        raise AuditError(
            f"cannot write the audit key {str(path)!r}: {_why(error)}; set {KEY_VARIABLE} instead"
        ) from error
    return read_key(path)


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, b"guardrail-audit/" + purpose.encode(), "sha256")


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
