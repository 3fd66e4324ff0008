"""What every part of a policy is: a frozen pydantic model that knows all its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every part of a policy: frozen, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Any:
        """Returns a checked copy; unlike pydantic's, `update` is validated and no cache is kept."""
        return type(self).model_validate({**self.model_dump(), **(update or {})})
