"""The fingerprint of a policy's content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any


def digest_of(content: Mapping[str, Any]) -> str:
    """Returns the SHA-256 (hexadecimal) of `content`, which must be plain JSON.

    The canonical form is JSON with sorted keys, no spaces, ASCII escapes and Python's shortest
    spelling of floats, so that key order, formatting and the process do not matter.
    """
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(canonical.encode("ascii")).hexdigest()
