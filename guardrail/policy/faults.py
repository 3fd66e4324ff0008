"""What a policy's validators raise: one sentence, and the value to blame for it."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

Path = tuple[str | int, ...]

FAULT = "policy_fault"


def fault(message: str, *path: str | int, or_at: Path = ()) -> PydanticCustomError:
    """Returns the error to raise in a validator.

    Args:
        message: One sentence.
        path: Where it is, below the validated value.
        or_at: The other value that has a part in it, to blame if only that one is the file's own.
    """
    paths = [path, or_at] if or_at else [path]
    return PydanticCustomError(FAULT, "{message}", {"message": message, "paths": paths})
